"""What the front door's questions give back: a plan explained, a replay, a redelivery, a test."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hookrow.hook.stored import HookRef
from hookrow.payload import Json, JsonObject
from hookrow.records import Attempt, Delivery, Firing
from hookrow.safetext import UNSAFE, in_shell
from hookrow.secrets.secret import MASK

__all__ = ["MASK", "Explained", "Redelivered", "Replayed", "Request", "Tapped", "Tested", "curl_line", "gives_result"]


@dataclass(frozen=True, slots=True)
class Request:
    """A request that did not leave: secrets are masked."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {
            "method": self.method,
            "url": self.url,
            "headers": [list(pair) for pair in self.headers],
            "body": self.body,
        }


@dataclass(frozen=True, slots=True)
class Explained:
    """What a hook would do: `act` is `call`, `queue`, `park`, `skip` or `fail`, `reason` why it does not run."""

    hook: HookRef
    position: int
    mode: str
    state: str
    act: str
    reason: str | None = None
    detail: str | None = None
    request: Request | None = None
    now: Mapping[str, Any] | None = None
    """What `now` means to its body or condition: hour, weekday, date. None where neither asks."""
    together: int | None = None
    """Hooks of the same number are asked at the same time (1, 2, …); None: this one is asked alone, or not at all."""
    candidate: Explained | None = None
    """What its candidate would do, in shadow beside it; None where it has none, or that is not asked."""

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {
            "hook": self.hook.as_json(),
            "position": self.position,
            "mode": self.mode,
            "state": self.state,
            "act": self.act,
            "reason": self.reason,
            "detail": self.detail,
            "request": None if self.request is None else self.request.as_json(),
            "now": None if self.now is None else dict(self.now),
            "together": self.together,
            "candidate": None if self.candidate is None else self.candidate.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay: the recorded firing beside the new one; with `dry_run` only the plan."""

    recorded: Firing
    firing: Firing | None
    plan: tuple[Explained, ...] = ()
    now: Mapping[str, Any] | None = None
    """What `now` meant to bodies and conditions: the time of the replay. None where none asks."""


@dataclass(frozen=True, slots=True)
class Redelivered:
    """A delivery sent again: the new attempt, or with `dry_run` the request that would leave."""

    delivery: Delivery
    attempt: Attempt | None
    request: Request | None = None
    ok: bool = False


@dataclass(frozen=True, slots=True)
class Tapped:
    """A copy of a recorded request, and the answers to both.

    `delivery` is the delivery as the recorded attempt left it, `answered` as the copy's answer would have left it, with
    `result` where that gave one; `copy` is the request that was made. All None where the copy was only to be shown.
    """

    firing: Firing
    delivery: Delivery
    attempt: Attempt
    request: Request
    copy: Attempt | None = None
    answered: Delivery | None = None
    has_result: bool = False
    result: Json = None

    @property
    def same(self) -> bool:
        """Whether the copy was answered as the original was: status, outcome, words, changes and result."""
        if self.answered is None:
            return True
        was, now = (
            (each.status, each.outcome, each.error, each.detail, list(each.changes))
            for each in (self.delivery, self.answered)
        )
        given = (self.firing.has_result, self.firing.public_result) if gives_result(self.delivery, self.firing) else ()
        return was == now and given in ((), (self.has_result, self.result))

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {
            "event": self.firing.event,
            "firing": self.firing.id,
            "recorded": self.delivery.as_json(),
            "answered": None if self.answered is None else self.answered.as_json(),
            "same": self.same,
            "result": self.result,
            "attempt": self.attempt.as_json(),
            "request": self.request.as_json(),
            "copy": None if self.copy is None else self.copy.as_json(),
        }


def gives_result(delivery: Delivery, firing: Firing) -> bool:
    """Whether this is the hook whose result stands: the last one that could give any."""
    able = [each for each in firing.deliveries if each.mode == "transform" and each.outcome in ("ok", "changed")]
    return bool(able) and able[-1].seq == delivery.seq


@dataclass(frozen=True, slots=True)
class Tested:
    """A test: what was sent, what came back, and what the hook would have done to the payload."""

    request: Request
    attempt: Attempt
    outcome: str
    data: JsonObject | None
    result: Json
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the receiver took it."""
        return self.attempt.error is None


def curl_line(request: Request) -> str:
    """A request as a `curl` line that can be run: what is secret in it stands as a shell variable.

    Variables: HOOK_LOGIN and HOOK_PASSWORD for basic auth, HOOK_… by the name of any other secret.

    `-g`: curl would take brackets and braces of the URL for several URLs. `--data-raw`: a body that begins with @ is no
    file's name. Names stand in single quotes, apart from the variable of their value: they come from outside as well.
    """
    names = Variables()
    parts = ["curl", "-g", "-X", request.method, url_part(request.url, names)]
    for name, value in request.headers:
        if name.lower() == "authorization" and value.startswith("Basic "):
            parts += ["--user", '"$HOOK_LOGIN:$HOOK_PASSWORD"']
        elif MASK in value:
            parts += ["-H", f'{quoted(name + ": ")}"${names.new(name)}"']
        else:
            parts += ["-H", quoted(f"{name}: {value}")]
    return " ".join([*parts, "--data-raw", quoted(request.body)])


class Variables:
    """Names of shell variables: one a value, whatever the names of what they stand for have in common."""

    def __init__(self) -> None:
        self.used: Final = {"HOOK_LOGIN", "HOOK_PASSWORD"}

    def new(self, name: str) -> str:
        """A variable for a secret of this name."""
        plain = "HOOK_" + re.sub(r"\W", "_", name, flags=re.ASCII).upper()
        found, number = plain, 1
        while found in self.used:
            number += 1
            found = f"{plain}_{number}"
        self.used.add(found)
        return found


def url_part(url: str, names: Variables) -> str:
    """The URL; what is masked in its query becomes a variable: named by its parameter, HOOK_QUERY where it has none."""
    if MASK not in url:
        return quoted(url)
    pieces = re.split(rf"([^?&=]+=)?{re.escape(MASK)}", url)
    text = quoted(pieces[0])
    for name, rest in zip(pieces[1::2], pieces[2::2], strict=True):
        text += (quoted(name) if name else "") + f'"${names.new(name[:-1] if name else "QUERY")}"'
        text += quoted(rest) if rest else ""
    return text


def quoted(text: str) -> str:
    """A shell word; control characters are written by `$'…'`, so that the line is safe to print and to paste."""
    if not UNSAFE.search(text.replace("\t", "")):
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\t", "\\t")
    return f"$'{in_shell(escaped)}'"
