"""What is sent: the headers, body and signature of one request, made of plain values (docs/receivers.md).

Every header's value is ASCII, whatever an event or a login is called; secrets stand in `Authorization` and the custom
header only, and `masked_headers` takes them out for the log.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from hookrow.hook.modes import WAITING
from hookrow.payload import dumps
from hookrow.records import rfc3339
from hookrow.secrets.secret import MASK

__all__ = [
    "Message",
    "basic_auth",
    "envelope",
    "headers",
    "masked_headers",
    "message",
    "sign",
    "user_agent",
]

OWN_HEADERS = frozenset(
    {
        "accept-encoding",
        "content-length",
        "content-type",
        "host",
        "hook-attempt",
        "hook-deadline-ms",
        "hook-depth",
        "hook-event",
        "hook-mode",
        "hook-occurred-at",
        "hook-replay-of",
        "hook-test",
        "user-agent",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }
)
"""Headers that Hookrow makes and that hold no secret: a signature proves the secret without giving it away."""


@dataclass(frozen=True, slots=True)
class Message:
    """One request, ready to be sent."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)  # secrets, in the open
    body: bytes = field(repr=False)  # private values


@cache
def user_agent() -> str:
    """`Hookrow/<version>`."""
    try:
        return f"Hookrow/{version('hookrow')}"
    except PackageNotFoundError:  # run from the source, not installed
        return "Hookrow/0"


def envelope(
    firing_uid: str, event: str, occurred_at_ms: int, data: str, result_given: bool = False, result: Any = None
) -> str:
    """What an empty «Тело» sends and the log keeps: `id`, `type`, `timestamp`, `data`, and `result` if there is one.

    Args:
        data: the payload as JSON, which the firing has at hand: to write it once more would cost the most of this.
        result_given: an earlier hook gave a result.
    """
    moment = rfc3339(occurred_at_ms)
    given = f',"result":{dumps(result)}' if result_given else ""
    return f'{{"id":"evt_{firing_uid}","type":{dumps(event)},"timestamp":"{moment}","data":{data}{given}}}'


def basic_auth(login: str, password: str) -> str:
    """The value of `Authorization` for a login and password (RFC 7617, UTF-8)."""
    return "Basic " + b64encode(f"{login}:{password}".encode()).decode()


def sign(secrets: Sequence[str], msg_id: str, timestamp_s: int, body: bytes) -> str:
    """The value of `webhook-signature`: a Standard Webhooks v1 signature for each secret, joined by a space.

    Args:
        secrets: `whsec_…`; two while one is being rotated.
        timestamp_s: seconds since 1970, as sent in `webhook-timestamp`.
        body: the very bytes that are sent.

    Raises:
        ValueError: a secret that is no base64.
    """
    signed = f"{msg_id}.{timestamp_s}.".encode() + body
    made = []
    for secret in secrets:
        key = b64decode(secret.removeprefix("whsec_"), validate=True)
        made.append("v1," + b64encode(hmac.digest(key, signed, sha256)).decode())
    return " ".join(made)


def headers(
    *,
    event: str,
    mode: str,
    msg_id: str,
    attempt: int,
    sent_at_s: int,
    occurred_at_ms: int,
    body: bytes,
    deadline_ms: int | None = None,
    depth: int = 1,
    replay_of: str | None = None,
    test: bool = False,
    login: str = "",
    password: str = "",
    custom_header: tuple[str, str] | None = None,
    secrets: Sequence[str] = (),
) -> tuple[tuple[str, str], ...]:
    """The headers of one request, in the order in which they are sent and shown.

    Args:
        msg_id: the delivery's public id, `msg_…`: the same over retries and redeliveries.
        attempt: 1 for the first request of the delivery.
        sent_at_s: seconds since 1970 of this attempt.
        occurred_at_ms: when `fire()` was called.
        deadline_ms: milliseconds that the receiver has; sent by blocking hooks only.
        depth: how many hooks the receiver's own calls come through: this one, and those of the call that led to it.
        replay_of: the public id of the firing that is replayed.
        login, password: if one of them is not empty, basic authentication is sent.
        custom_header: name and value; a user agent of its own takes the place of ours.
    """
    made = [
        ("content-type", "application/json"),
        ("accept-encoding", "identity"),
        ("webhook-id", msg_id),
        ("webhook-timestamp", str(sent_at_s)),
    ]
    if custom_header is None or custom_header[0].lower() != "user-agent":
        made.insert(2, ("user-agent", user_agent()))
    if secrets:
        made.append(("webhook-signature", sign(secrets, msg_id, sent_at_s, body)))
    made += [
        ("hook-event", event),
        ("hook-mode", mode),
        ("hook-attempt", str(attempt)),
        ("hook-depth", str(depth)),
        ("hook-occurred-at", str(rfc3339(occurred_at_ms))),
    ]
    if deadline_ms is not None and mode in WAITING:
        made.append(("hook-deadline-ms", str(deadline_ms)))
    if replay_of is not None:
        made.append(("hook-replay-of", replay_of))
    if test:
        made.append(("hook-test", "1"))
    if login or password:
        made.append(("authorization", basic_auth(login, password)))
    if custom_header is not None:
        made.append(custom_header)
    return tuple(made)


def message(url: str, body: str, **parts: Any) -> Message:
    """The whole request of a hook: a POST of that body. `parts` are those of `headers`, without the body."""
    content = body.encode()
    return Message("POST", url, headers(body=content, **parts), content)


def masked_headers(headers: Iterable[tuple[str, str]], custom: str = "") -> tuple[tuple[str, str], ...]:
    """The headers as the log keeps them: whatever may be a secret is masked, which is all that we did not make.

    Args:
        custom: the name of the hook's own header, which is masked whatever it is called.
    """
    shown = OWN_HEADERS - {custom.lower()}
    return tuple((name, value if name.lower() in shown else mask(name, value)) for name, value in headers)


def mask(name: str, value: str) -> str:
    """Only the scheme of our own authentication stays readable."""
    if name.lower() == "authorization" and value.startswith("Basic "):
        return f"Basic {MASK}"
    return MASK
