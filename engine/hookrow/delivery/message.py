"""What is sent: the headers, body and signature of one request, made of plain values (docs/receivers.md).

Every header's value is ASCII, whatever an event or a login is called; secrets stand in `Authorization` and the custom
header only, and `Message.shown` is without them, for the log.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from hookrow.hook.modes import WAITING
from hookrow.payload import dumps
from hookrow.records import rfc3339
from hookrow.secrets.secret import MASK

if TYPE_CHECKING:
    from _hashlib import HASH

__all__ = [
    "Message",
    "Outline",
    "basic_auth",
    "envelope",
    "mask",
    "sign",
    "user_agent",
]

BLOCK: Final = 64
"""Bytes: SHA-256 hashes so many at a time (RFC 2104)."""

Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""Headers: names and values, in the order in which they are sent and shown."""


@dataclass(slots=True)
class Message:
    """One request, ready to be sent; `shown` are its headers as the log keeps them, without secrets."""

    method: str
    url: str
    headers: Pairs = field(repr=False)  # secrets, in the open
    body: bytes = field(repr=False)  # private values
    shown: Pairs


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


class Signer:
    """Makes Standard Webhooks v1 signatures with one secret: HMAC-SHA256 (RFC 2104) from states that are made once.

    Hashing a short message this way keeps the interpreter's lock; `hmac.digest` lets it go for a microsecond's work and
    then waits for the writer's thread.
    """

    __slots__ = ("inner", "outer")

    def __init__(self, secret: str) -> None:
        """`secret`: `whsec_…`. Raises ValueError: it is no base64."""
        key = b64decode(secret.removeprefix("whsec_"), validate=True)
        padded = (sha256(key).digest() if len(key) > BLOCK else key).ljust(BLOCK, b"\0")
        self.inner: Final[HASH] = sha256(bytes(byte ^ 0x36 for byte in padded))
        self.outer: Final[HASH] = sha256(bytes(byte ^ 0x5C for byte in padded))

    def sign(self, signed: bytes) -> str:
        """The signature of these bytes, as `webhook-signature` has it."""
        inner, outer = self.inner.copy(), self.outer.copy()
        inner.update(signed)
        outer.update(inner.digest())
        return "v1," + b64encode(outer.digest()).decode()


def sign(secrets: Sequence[str], msg_id: str, timestamp_s: int, body: bytes) -> str:
    """The value of `webhook-signature`: a Standard Webhooks v1 signature for each secret, joined by a space.

    Args:
        secrets: `whsec_…`; two while one is being rotated.
        timestamp_s: seconds since 1970, as sent in `webhook-timestamp`.
        body: the very bytes that are sent.

    Raises:
        ValueError: a secret that is no base64.
    """
    return signature([Signer(secret) for secret in secrets], msg_id, timestamp_s, body)


def signature(signers: Iterable[Signer], msg_id: str, timestamp_s: int, body: bytes) -> str:
    """The same by signers that are at hand."""
    signed = f"{msg_id}.{timestamp_s}.".encode() + body
    return " ".join([signer.sign(signed) for signer in signers])


class Outline:
    """What all requests of a hook have in common: made once, so that a request costs only what is its own.

    Args:
        login, password: if one of them is not empty, basic authentication is sent.
        custom_header: name and value; one of the name `User-Agent` or `traceparent` takes the place of ours.
        secrets: `whsec_…`, the new one first while one is being rotated.

    Raises:
        ValueError: a secret that is no base64.
    """

    __slots__ = ("agent", "secret", "shown", "signers", "traced", "url")

    def __init__(
        self,
        url: str,
        *,
        login: str = "",
        password: str = "",
        custom_header: tuple[str, str] | None = None,
        secrets: Sequence[str] = (),
    ) -> None:
        self.url: Final = url
        self.signers: Final = tuple(Signer(secret) for secret in secrets)
        own = "" if custom_header is None else custom_header[0].lower()
        self.agent: Final[Pairs] = () if own == "user-agent" else (("user-agent", user_agent()),)
        self.traced: Final = own != "traceparent"
        made = [("authorization", basic_auth(login, password))] if login or password else []
        if custom_header is not None:
            made.append(custom_header)
        self.secret: Final[Pairs] = tuple(made)
        """What may be a secret: all that we did not make ourselves."""
        self.shown: Final[Pairs] = tuple((name, mask(name, value)) for name, value in made)

    def message(
        self,
        body: str,
        *,
        event: str,
        mode: str,
        msg_id: str,
        attempt: int,
        sent_at_s: int,
        occurred_at_ms: int,
        deadline_ms: int | None = None,
        depth: int = 1,
        traceparent: str | None = None,
        replay_of: str | None = None,
        test: bool = False,
        shadow: bool = False,
        candidate: bool = False,
        tap: bool = False,
        signatures: int | None = None,
    ) -> Message:
        """The whole request: a POST of that body.

        Args:
            msg_id: the delivery's public id, `msg_…`: the same over retries and redeliveries.
            attempt: 1 for the first request of the delivery.
            sent_at_s: seconds since 1970 of this attempt.
            occurred_at_ms: when `fire()` was called.
            deadline_ms: milliseconds that the receiver has; sent by blocking hooks only.
            depth: how many hooks the receiver's own calls come through: this one, and those of the call that led to it.
            traceparent: the span that this request belongs to (W3C Trace Context).
            replay_of: the public id of the firing that is replayed.
            signatures: how many of the secrets sign; None: all.
        """
        content = body.encode()
        made = [
            ("content-type", "application/json"),
            ("accept-encoding", "identity"),
            *self.agent,
            ("webhook-id", msg_id),
            ("webhook-timestamp", str(sent_at_s)),
        ]
        if self.signers:
            made.append(("webhook-signature", signature(self.signers[:signatures], msg_id, sent_at_s, content)))
        made += (
            ("hook-event", event),
            ("hook-mode", mode),
            ("hook-attempt", str(attempt)),
            ("hook-depth", str(depth)),
            ("hook-occurred-at", str(rfc3339(occurred_at_ms))),
        )
        if traceparent is not None and self.traced:
            made.append(("traceparent", traceparent))
        if deadline_ms is not None and mode in WAITING:
            made.append(("hook-deadline-ms", str(deadline_ms)))
        if replay_of is not None:
            made.append(("hook-replay-of", replay_of))
        if test:
            made.append(("hook-test", "1"))
        if shadow:
            made.append(("hook-shadow", "1"))
        if candidate:
            made.append(("hook-revision", "candidate"))
        if tap:
            made.append(("hook-tap", "1"))
        return Message("POST", self.url, (*made, *self.secret), content, (*made, *self.shown))


def mask(name: str, value: str) -> str:
    """Only the scheme of our own authentication stays readable."""
    if name.lower() == "authorization" and value.startswith("Basic "):
        return f"Basic {MASK}"
    return MASK
