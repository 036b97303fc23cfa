"""Everything that the engine raises, as one tree.

HookrowError
├── InvalidInput              what was given can't be accepted; `.problems`, one sentence a field
│   ├── InvalidHook           a hook's fields
│   ├── InvalidImport         a file of hooks; each problem names its line, hook and field
│   ├── InvalidPayload        a payload that is no JSON object, or holds what JSON can't; `.pointer`
│   ├── InvalidSetting        a setting's name or value
│   └── InvalidTemplate       a body or a condition that can't be compiled, or failed on this payload; `.code`
├── NotFound
│   ├── HookNotFound
│   ├── EventNotFound         an event code that the catalogue does not hold
│   ├── FiringNotFound
│   └── DeliveryNotFound
├── Ambiguous                 a name that several hooks bear; `.candidates`
├── Refused                   valid, but not now
│   ├── KeyTaken              another hook has this key
│   ├── ChangedMeanwhile      the hook's revision is no longer the one that was edited; `.current`
│   ├── CandidateInTheWay     the hook's candidate does not go with the change (docs/trusting.md)
│   ├── IdempotencyConflict   another payload under the same idempotency key
│   └── NotRedeliverable      a delivery that can't be sent again as asked
├── Vetoed                    by `raise_for_veto()`; `.veto`, `.firing`
├── StorageError              the database could not do it; `.firing` where the result is already known
│   ├── DatabaseBusy          another writer held the lock for the whole limit
│   ├── DatabaseReadOnly
│   ├── DiskFull              the disk takes no page more; the message names what makes room now
│   ├── DatabaseDamaged       not a database, or a damaged one
│   ├── Unrecorded            a request was sent by hand, its result could not be recorded; `.deliveries`
│   ├── NoDatabase            the file does not exist, or was never made by Hookrow
│   └── SchemaTooNew          made by a newer Hookrow; left untouched
├── KeyProblem                secrets can't be encrypted or decrypted
│   ├── KeyMissing            encrypted values exist, their key is not here
│   ├── KeyUnsafe             the key file can be read by others
│   └── KeyWrong              the key does not open what it should
└── Misuse                    a mistake in the calling program
    ├── TransactionMisuse     `connection=`, `defer=` or `enqueue()` where they can't hold
    ├── WrongDatabase         the connection does not reach the engine's own tables
    ├── UseAsyncEngine        the sync engine called on a running event loop
    ├── UnsupportedHost       threads replaced by gevent or eventlet
    └── EngineClosed
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hookrow.lang import Text

__all__ = [
    "Ambiguous",
    "CandidateInTheWay",
    "ChangedMeanwhile",
    "DatabaseBusy",
    "DatabaseDamaged",
    "DatabaseReadOnly",
    "DeliveryNotFound",
    "DiskFull",
    "EngineClosed",
    "EventNotFound",
    "FiringNotFound",
    "HookNotFound",
    "HookrowError",
    "IdempotencyConflict",
    "InvalidHook",
    "InvalidImport",
    "InvalidInput",
    "InvalidPayload",
    "InvalidSetting",
    "InvalidTemplate",
    "KeyMissing",
    "KeyProblem",
    "KeyTaken",
    "KeyUnsafe",
    "KeyWrong",
    "Misuse",
    "NoDatabase",
    "NotFound",
    "NotRedeliverable",
    "Problem",
    "Refused",
    "SchemaTooNew",
    "StorageError",
    "TransactionMisuse",
    "Unrecorded",
    "UnsupportedHost",
    "UseAsyncEngine",
    "Vetoed",
    "WrongDatabase",
]


# What errors carry (a `Hook`, a `Veto`, a `Firing`) is Any here: these records stand above the errors, and firings hold
# errors themselves. A protocol in its place could not be handed on as the record that it is.


class HookrowError(Exception):
    """The root: `except HookrowError` catches everything that Hookrow raises."""

    def __init__(self, text: Text | str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return str(self.text)


@dataclass(frozen=True, slots=True)
class Problem:
    """One field's fault, in one sentence."""

    field: str
    text: Text | str

    def __str__(self) -> str:
        return f"{self.field}: {self.text}"


class InvalidInput(HookrowError):
    """Invalid input. `problems` has one sentence for each field at fault."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("")
        self.problems: Final = tuple(problems)

    def __str__(self) -> str:
        return "; ".join(str(problem) for problem in self.problems)


class InvalidHook(InvalidInput):
    """A hook's fields are invalid."""


class InvalidImport(InvalidInput):
    """A file of hooks can't be imported; each problem names its line, hook and field. Nothing was changed."""


class InvalidPayload(InvalidInput):
    """No JSON object, too large, or with a value that JSON can't represent; `pointer` (RFC 6901) says where."""

    def __init__(self, pointer: str, text: Text | str) -> None:
        super().__init__([Problem(pointer or "payload", text)])
        self.pointer = pointer


class InvalidSetting(InvalidInput):
    """A setting's name or value is invalid."""


class InvalidTemplate(InvalidInput):
    """A body or condition can't be compiled, or failed on this payload (`code`: template_error or condition_error).

    `line` and `column` are where in its text, from 1; None where no place is to blame. `reason` is the sentence without
    the line.
    """

    def __init__(
        self,
        code: str,
        text: Text | str,
        *,
        field: str = "body",
        line: int | None = None,
        column: int | None = None,
        reason: Text | str = "",
    ) -> None:
        super().__init__([Problem(field, text)])
        self.code = code
        self.line = line
        self.column = column
        self.reason: Final = reason or text


class NotFound(HookrowError):
    """Something that was named does not exist."""


class HookNotFound(NotFound):
    """No such hook."""


class EventNotFound(NotFound):
    """No such event type."""


class FiringNotFound(NotFound):
    """No such firing in the log."""


class DeliveryNotFound(NotFound):
    """No such delivery in the log."""


class Ambiguous(HookrowError):
    """Several hooks have this name, or digits are the ID of one and the key of another: use another ID or key."""

    def __init__(self, text: Text | str, candidates: Sequence[str]) -> None:
        super().__init__(text)
        self.candidates: Final = tuple(candidates)


class Refused(HookrowError):
    """Valid, but not now."""


class KeyTaken(Refused):
    """Another hook has this key."""


class ChangedMeanwhile(Refused):
    """The hook was changed after it was read.

    `current` is the hook as it stands now, where its fields were to be changed; else None.
    """

    def __init__(self, text: Text | str, current: Any = None) -> None:
        super().__init__(text)
        self.current = current


class CandidateInTheWay(Refused):
    """The hook has a candidate, which does not go with the change: promote it, or drop it, first or with the change."""


class IdempotencyConflict(Refused):
    """The idempotency key was used with another payload."""


class NotRedeliverable(Refused):
    """The delivery can't be sent again: its hook was deleted, or no request was ever sent."""


class Vetoed(HookrowError):
    """A firing was stopped. `veto` says by which hook and why, `firing` is the whole of it."""

    def __init__(self, text: Text | str, veto: Any, firing: Any = None) -> None:
        super().__init__(text)
        self.veto = veto
        self.firing = firing


class StorageError(HookrowError):
    """The database failed. `firing` has result and data if the hooks were already called."""

    def __init__(self, text: Text | str, *, firing: Any = None) -> None:
        super().__init__(text)
        self.firing = firing


class DatabaseBusy(StorageError):
    """Another held a lock, or the server did not answer, for the whole time limit (docs/reference/waits.md)."""


class DatabaseReadOnly(StorageError):
    """This user may not write to the database."""


class DiskFull(StorageError):
    """The disk is full."""


class DatabaseDamaged(StorageError):
    """Not a database, or a damaged one."""


class Unrecorded(StorageError):
    """Requests were sent, but their results could not be recorded. `deliveries` are their IDs."""

    def __init__(self, deliveries: Sequence[str], reason: Text | str) -> None:
        text = Text(
            "{deliveries}: sent, but the result could not be recorded ({reason}); a worker may send it again",
            deliveries=", ".join(deliveries),
            reason=reason,
        )
        super().__init__(text)
        self.deliveries: Final = tuple(deliveries)
        self.reason: Final = reason


class NoDatabase(StorageError):
    """The file does not exist, or holds no Hookrow tables."""


class SchemaTooNew(StorageError):
    """The database was made by a newer Hookrow. Nothing was changed."""


class KeyProblem(HookrowError):
    """Secrets can't be encrypted or decrypted."""


class KeyMissing(KeyProblem):
    """There are encrypted values, but their key is not here."""


class KeyUnsafe(KeyProblem):
    """Other users can read or write the key file."""


class KeyWrong(KeyProblem):
    """The key can't decrypt a value: it is another key, or the value was tampered with."""


class Misuse(HookrowError):
    """A mistake in the calling program."""


class TransactionMisuse(Misuse):
    """`connection=`, `defer=` or `enqueue()` outside the transaction that they need."""


class WrongDatabase(Misuse):
    """The given connection doesn't reach the engine's tables."""


class UseAsyncEngine(Misuse):
    """`HookEngine` would block a running event loop."""


class UnsupportedHost(Misuse):
    """The process's threads were replaced by gevent or eventlet."""


class EngineClosed(Misuse):
    """The engine was closed."""

    def __init__(self) -> None:
        super().__init__(Text("the engine is closed"))
