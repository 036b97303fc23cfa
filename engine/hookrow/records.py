"""What the front door hands out: frozen records, without a connection to anything.

The words are those of docs/reference/outcomes.md; `as_json()` gives the shapes that `--json` prints.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Union, cast

from hookrow.clock import from_ms, rfc3339
from hookrow.errors import InvalidInput, Problem, StorageError, Vetoed
from hookrow.events import redact
from hookrow.hook.modes import Mode
from hookrow.hook.stored import HookRef
from hookrow.lang import Text
from hookrow.payload import Json, JsonObject
from hookrow.reasons.reason import Reason, kept_value, reason_json
from hookrow.words import DeliveryOutcome, FiringOutcome

__all__ = [
    "FIRING_OUTCOMES",
    "Attempt",
    "CallerConnection",
    "Deed",
    "Delivery",
    "Enqueuer",
    "Firing",
    "LogFilter",
    "Revision",
    "Veto",
    "as_of",
    "loads",
    "rfc3339",
]

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
    from sqlalchemy.orm import Session

FIRING_OUTCOMES = frozenset({"allowed", "vetoed", "failed", "cancelled"})


class DjangoConnection(Protocol):
    """`django.db.connection`, as far as it says by itself what it is: it hands everything on to the thread's own."""

    def __getattr__(self, item: str) -> Any: ...


# A Union of names: loads nothing, and a service may write `CallerConnection | None` where annotations are evaluated.
CallerConnection: TypeAlias = Union["Connection", "Session", "AsyncConnection", "AsyncSession", "DjangoConnection"]
"""What `connection=` takes: SQLAlchemy's connections and sessions, and Django's connection (docs/transactions.md)."""
Enqueuer: TypeAlias = "Callable[[Firing, CallerConnection | None], Awaitable[None] | None]"


class Nothing:
    """The answer of `enqueue` where nothing was kept back: it may be awaited."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


NOTHING = Nothing()
AS_IT_IS: Json = object()
QUEUED = ("blocked", "queued", "leased")
"""States that are shown as `queued`, after an attempt as `retrying`."""


@dataclass(frozen=True, slots=True)
class Veto:
    """A refusal: by a hook that said no, or by the failure of a hook set to `stop` (docs/reference/outcomes.md)."""

    by: str
    hook: HookRef
    message: str
    code: str = ""
    status: int = 422
    errors: Sequence[Json] = ()
    reason: Reason | None = None
    """Of a failure whose hook has no message of its own: what `message` says, for readers of another language."""

    def as_kept(self) -> JsonObject:
        """The shape in which the log keeps it: a reason as code and values in the message's place."""
        shown = self.as_json()
        del shown["reason"]
        return shown if self.reason is None else {**shown, "message": kept_value(self.reason)}

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {
            "by": self.by,
            "hook": self.hook.as_json(),
            "message": self.message,
            "code": self.code,
            "status": self.status,
            "errors": list(self.errors),
            "reason": reason_json(self.reason),
        }


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP request: what was sent, where, and the response. Times in milliseconds."""

    number: int
    at_ms: int
    url: str
    origin: str = "fire"
    elsewhere: bool = False
    address: str | None = None
    status: int | None = None
    error: str | None = None
    detail: str | None = None
    reason: Reason | None = None
    """What `detail` says, by code and values; None where it is no reason of Hookrow's."""
    ms: int = 0
    times: dict[str, float] = field(default_factory=dict)
    """Milliseconds of each phase, `total`, and `limit`: how long it might have taken (the hook's timeout)."""
    request_headers: Sequence[tuple[str, str]] = ()
    request_body: str | None = None
    response_headers: Sequence[tuple[str, str]] = ()
    response_body: bytes | None = None
    response_length: int | None = None
    asked_by: str | None = None

    @property
    def at(self) -> datetime:
        """The same moment as an aware datetime in UTC."""
        return from_ms(self.at_ms)

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        body = self.response_body
        return {
            "number": self.number,
            "at": rfc3339(self.at_ms),
            "origin": self.origin,
            "url": self.url,
            "elsewhere": self.elsewhere,
            "address": self.address,
            "status": self.status,
            "error": self.error,
            "detail": self.detail,
            "reason": reason_json(self.reason),
            "ms": self.ms,
            "times": self.times,
            "request_headers": [list(pair) for pair in self.request_headers],
            "request_body": self.request_body,
            "response_headers": [list(pair) for pair in self.response_headers],
            "response_body": None if body is None else body.decode("utf-8", "replace"),
            "response_length": self.response_length,
            "asked_by": self.asked_by,
        }


@dataclass(frozen=True, slots=True)
class Delivery:
    """One hook's share of a firing. Moments in milliseconds since 1970; `ms` is how long it took, in milliseconds."""

    id: str
    firing_id: str
    hook: HookRef
    seq: int
    position: int
    mode: Mode
    state: str
    at_ms: int
    error: str | None = None
    detail: str | None = None
    reason: Reason | None = None
    """What `detail` says, by code and values; None where it is a receiver's or a person's text."""
    skipped: str | None = None
    status: int | None = None
    ms: int | None = None
    attempts: int = 0
    due_ms: int | None = None
    done_ms: int | None = None
    changes: Sequence[tuple[str, Json, Json]] = ()
    body: str | None = None
    order_key: str | None = None
    warnings: Sequence[str] = ()
    takeovers: int = 0
    """How often a process ended while it had this delivery, so that whether a request left is not known."""
    shadow: bool = False
    """Asked in the background for what its answer would have done; it decided nothing."""
    would: str | None = None
    """Of a shadow, once it is known: allow, veto, change, fail."""
    candidate: bool = False
    """Asked as the hook's candidate, in shadow, beside the hook's own delivery."""
    compared: str | None = None
    """Of a candidate, once it is known: same, decision, refusal, data (docs/trusting.md)."""
    row_id: int = 0

    @property
    def at(self) -> datetime:
        """The same moment as an aware datetime in UTC."""
        return from_ms(self.at_ms)

    @property
    def outcome(self) -> DeliveryOutcome:
        """The state in the words of docs/reference/outcomes.md: what waits for a worker is `queued`, after an attempt
        `retrying`."""
        if self.state in QUEUED:
            return "retrying" if self.attempts else "queued"
        return "cancelled" if self.state == "dropped" else cast(DeliveryOutcome, self.state)

    @property
    def failed(self) -> bool:
        """Whether it was tried and has not arrived: these are what a firing's id stands for in a redelivery. A shadow
        is asked once: nothing of it is missing."""
        return not self.shadow and (
            self.outcome in ("dead", "failed", "retrying") or (self.state == "parked" and self.attempts > 0)
        )

    def withholds(self, attempt: Attempt) -> bool:
        """Whether the response's body is what the mode stores, and only its length is stored all the same.

        It may repeat private values or a secret, in a form from which they can't be taken out.
        """
        stored = self.mode in ("record", "transform") or (
            self.mode == "gate" and (attempt.error is not None or self.outcome in ("vetoed", "refused"))
        )
        return stored and attempt.response_body is None and bool(attempt.response_length)

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {
            "id": self.id,
            "hook": self.hook.as_json(),
            "position": self.position,
            "mode": self.mode,
            "outcome": self.outcome,
            "error": self.error,
            "skipped": self.skipped,
            "status": self.status,
            "ms": self.ms,
            "attempts": self.attempts,
            "takeovers": self.takeovers,
            "shadow": self.shadow,
            "would": self.would,
            "candidate": self.candidate,
            "compared": self.compared,
            "reason": reason_json(self.reason),
        }


@dataclass(frozen=True, slots=True)
class Firing:
    """One `fire()`: the result that a service acts on, and what is stored. In milliseconds, `at_ms` since 1970."""

    id: str
    event: str
    moment: str
    at_ms: int
    outcome: FiringOutcome | None
    """None while blocking hooks run; where the process died then, until that is found."""
    payload: JsonObject = field(repr=False)
    data: JsonObject = field(repr=False)
    """The payload as the blocking hooks left it."""
    result: Json = field(default=None, repr=False)
    has_result: bool = False
    veto: Veto | None = None
    warnings: Sequence[str] = ()
    reason: Reason | None = None
    """Read from the log: why it was cancelled, by code and values, where no caller did that."""
    deliveries: Sequence[Delivery] = ()
    ms: int | None = None
    hidden: Sequence[str] = ()
    """JSON Pointers whose values are null here: only blocking hooks received them."""
    replay_of: str | None = None
    replayed: bool = False
    """Read from the log: whether a firing that the log holds is a replay of this one."""
    asked_by: str | None = None
    depth: int = 0
    """How many hooks its call came through, by the header `hook-depth`."""
    traceparent: str | None = None  # the span to which its requests belong; None: its caller had no trace
    reused: bool = False
    """The outcome of an earlier `fire()` of the same event and idempotency key."""
    error: StorageError | None = None
    """Why an `after` or `on` firing could not be recorded; see `raise_for_error`."""
    deferred: bool = False
    """Fired with `defer=True`: background deliveries are held until `enqueue`."""
    row_id: int = 0
    enqueuer: Enqueuer | None = field(default=None, repr=False, compare=False)
    shown_result: Json = field(default=AS_IT_IS, repr=False, compare=False)
    """`result` without secrets and private values that a receiver repeated in it; the log keeps no other."""

    @property
    def public_result(self) -> Json:
        """`result` as it is stored, printed and shown."""
        return self.result if self.shown_result is AS_IT_IS else self.shown_result

    @property
    def at(self) -> datetime:
        """The same moment as an aware datetime in UTC."""
        return from_ms(self.at_ms)

    @property
    def allowed(self) -> bool:
        """Whether the operation may go on."""
        return self.veto is None and self.outcome != "cancelled"

    def raise_for_veto(self) -> None:
        """Raise `Vetoed` where a hook said no, or a hook set to `stop` failed."""
        if self.veto is not None:
            text = Text('hook "{hook}" vetoed: {message}', hook=self.veto.hook.name, message=self.veto.message)
            raise Vetoed(text, self.veto, self)

    def enqueue(self, connection: CallerConnection | None = None) -> Awaitable[None]:
        """Release what `defer=True` kept back: in the caller's transaction, or without one at once.

        Awaited with AsyncHookEngine. A firing that kept nothing back has nothing to release.

        Raises:
            TransactionMisuse, WrongDatabase: as `fire(connection=)`.
        """
        return (self.enqueuer and self.enqueuer(self, connection)) or NOTHING

    def raise_for_error(self) -> None:
        """Raise the `StorageError` where an `after` or `on` firing could not be recorded."""
        if self.error is not None:
            raise self.error

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {
            "id": self.id,
            "event": self.event,
            "at": rfc3339(self.at_ms),
            "outcome": self.outcome,
            "allowed": self.allowed,
            "data": redact(self.data, self.hidden)[0],
            "result": self.public_result,
            "veto": None if self.veto is None else self.veto.as_json(),
            "warnings": list(self.warnings),
            "reason": reason_json(self.reason),
            "reused": self.reused,
            "replay_of": self.replay_of,
            "depth": self.depth,
            "traceparent": self.traceparent,
            "ms": self.ms,
            "deliveries": [delivery.as_json() for delivery in self.deliveries],
        }


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which firings of the log: every condition given must hold. Moments in milliseconds since 1970.

    Raises:
        InvalidInput: `code` is no status.
    """

    event: str | None = None
    hook: int | None = None
    outcome: str | None = None
    """A firing's or a delivery's outcome, `running` before there is one; or a delivery's error or skip reason; or
    `problem`: a delivery that failed, is dead, or waits for another attempt."""
    since_ms: int | None = None
    until_ms: int | None = None
    search: str | None = None  # text that occurs in the payload
    code: str | None = None  # a delivery's HTTP status: `404`, or a class of them: `5xx`
    would: str | None = None  # what a delivery in shadow would have done: `allow`, `change`, `veto`, `fail`

    def __post_init__(self) -> None:
        if self.code is not None and not re.fullmatch(r"[1-5]([0-9]{2}|xx)", self.code, re.IGNORECASE):
            raise InvalidInput([Problem("code", Text("a response status such as 404 or 5xx"))])

    @property
    def codes(self) -> tuple[int, int] | None:
        """The lowest and the highest status that `code` means."""
        if self.code is None:
            return None
        code = self.code.lower()
        if code.endswith("xx"):
            return int(code[0]) * 100, int(code[0]) * 100 + 99
        return int(code), int(code)


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that somebody did: `action` is `drop`, `redeliver`, `replay`, `setting`, `keys`, or `hook add` and the
    like; `subject` a delivery's or firing's id, a setting, a key's id, a hook's key, whose `revision` it made.
    `at_ms` is in milliseconds since 1970."""

    at_ms: int
    who: str
    action: str
    subject: str
    revision: int | None = None

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {
            "at": rfc3339(self.at_ms),
            "who": self.who,
            "action": self.action,
            "subject": self.subject,
            "revision": self.revision,
        }


@dataclass(frozen=True, slots=True)
class Revision:
    """One change of a hook, without secrets. `at_ms` is in milliseconds since 1970."""

    revision: int
    at_ms: int
    who: str
    action: str
    before: JsonObject | None
    after: JsonObject | None

    @property
    def at(self) -> datetime:
        """The same moment as an aware datetime in UTC."""
        return from_ms(self.at_ms)

    def changes(self) -> list[tuple[str, Json, Json]]:
        """What changed: (field, before, after)."""
        before, after = self.before or {}, self.after or {}
        return [
            (name, before.get(name), after.get(name))
            for name in dict.fromkeys([*before, *after])
            if before.get(name) != after.get(name)
        ]

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {
            "revision": self.revision,
            "at": rfc3339(self.at_ms),
            "who": self.who,
            "action": self.action,
            "changes": {name: [old, new] for name, old, new in self.changes()},
        }


@dataclass(frozen=True, slots=True)
class UndonePart:
    """One hook's share of a change that can be taken back."""

    hook_id: int
    name: str
    revision: int
    """That of the change."""
    before: JsonObject | None
    """The fields before it, as a revision keeps them; None where the hook did not exist."""
    after: JsonObject
    lost: tuple[str, ...] = ()
    """Secrets that the change replaced or removed: they do not come back."""
    since: str | None = None
    """Who changed the hook after that; then nothing can be taken back."""


@dataclass(frozen=True, slots=True)
class OwnChange:
    """What one person did last: `action` is that of its revisions, and its hooks were changed in one transaction."""

    action: str
    at_ms: int
    parts: tuple[UndonePart, ...]

    @property
    def changed_since(self) -> tuple[UndonePart, ...]:
        """The hooks that were changed by somebody since."""
        return tuple(part for part in self.parts if part.since is not None)

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {
            "action": self.action,
            "at": rfc3339(self.at_ms),
            "hooks": [
                {"id": part.hook_id, "name": part.name, "lost": list(part.lost), "changed_since_by": part.since}
                for part in self.parts
            ],
        }


def as_of(history: Sequence[Revision], number: int) -> Revision | None:
    """What a hook was at that revision (`history`: newest first); None if it has had no such one.

    Where retention took the engine's own pause or resumption, the revision before it says what the fields were.
    """
    if not history or number > history[0].revision:
        return None
    return next((each for each in history if each.revision <= number), None)


def loads(value: str | None) -> Json:
    """The value of a kept JSON text; None where nothing was kept."""
    return None if value is None else json.loads(value)
