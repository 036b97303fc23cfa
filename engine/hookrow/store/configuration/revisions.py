"""Revisions: every change of a hook, from whatever side, with who made it and when; no secrets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection, Select, Table, insert, select, update

from hookrow.errors import HookrowError, StorageError
from hookrow.hook.candidate import HookCandidate
from hookrow.hook.modes import pause_reason
from hookrow.hook.stored import SEALED
from hookrow.lang import Text
from hookrow.records import Revision, rfc3339
from hookrow.store.database.locks import at_work
from hookrow.store.database.plain import reading, sound
from hookrow.store.database.rows import kinds_of
from hookrow.store.database.tables import HOOKS, REVISIONS

__all__ = ["ENGINE", "REVISIONS", "Author", "Changing", "history", "public", "record", "revise"]

T = TypeVar("T")
ENGINE = "hookrow"
"""Who pauses a hook whose receiver is gone or fails again and again, and who resumes it."""
HIDDEN = ("id", "uid", "revision", "created_ms", "signing_old_until_ms")


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes a hook, and when."""

    who: str
    at_ms: int
    left: list[Select[Any]] = field(default_factory=list, compare=False, repr=False)
    """Asks for each row that tells of it, as the latest try has written them."""

    def leave(self, table: Table, number: int) -> None:
        """Note a row that was written, by its id: after a commit of it another try of the same change has another."""
        self.left.append(
            select(table.c.id).where(table.c.id == number, table.c.at_ms == self.at_ms, table.c.who == self.who)
        )


class Changing(Generic[T]):
    """A job for the writer that leaves a revision or a deed, by which it is found again.

    Where a connection was lost in its commit (PostgreSQL), the next one is asked for that row: a change that is there
    is not made twice, one that is not is made.
    """

    def __init__(self, author: Author, job: Callable[[Connection], T]) -> None:
        self.author: Final = author
        self.job: Final = job
        self.lost: list[Select[Any]] = []
        """Asks for what was left in commits that were lost. What any other try has left was rolled back with it."""

    def __call__(self, connection: Connection) -> T:
        self.author.left.clear()  # SQLite gives the ids of what was rolled back again
        try:
            with at_work():
                answer = self.job(connection)
        except HookrowError:  # for instance that the hook was changed meanwhile: by the commit that was lost
            if not left(connection, self.lost):
                raise
        else:
            if not left(connection, self.lost):
                return answer
        raise StorageError(Text("this change was saved by the commit whose connection was lost"))

    def doubt(self) -> None:
        """The connection was lost in the commit of what was just left."""
        self.lost.extend(self.author.left)

    @property
    def proof(self) -> Callable[[Connection], bool] | None:
        """Tells whether the change is there, where a commit was lost; None where it changed nothing."""
        rows = self.lost
        return (lambda connection: left(connection, rows)) if rows else None


def left(connection: Connection, rows: Sequence[Select[Any]]) -> bool:
    """Whether one of these rows is there."""
    return any(connection.execute(row.limit(1)).first() is not None for row in rows)


def public(values: Mapping[str, Any]) -> dict[str, Any]:
    """A hook's fields for a revision: plain JSON, secrets only as whether they are set."""
    shown: dict[str, Any] = {}
    for name, value in values.items():
        if name in HIDDEN:
            continue
        if name == "candidate":
            tried = HookCandidate.read(value)
            shown[name] = None if tried is None else tried.shown
        elif name in SEALED:
            shown[name] = {"set": value is not None}
        elif name in ("paused_ms", "deleted_ms"):
            shown[name.removesuffix("_ms") + "_at"] = rfc3339(value)
        else:
            shown[name] = value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value
    return shown


def record(
    connection: Connection,
    author: Author,
    action: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
    resealed: tuple[str, ...] = (),
) -> None:
    """Write the revision. A secret replaced by another is marked, since both sides only say «set»."""
    old, new = (None if before is None else public(before)), public(after)
    for name in resealed:
        new[name] = {**new[name], "changed": True}
    written = connection.execute(
        insert(REVISIONS).values(
            hook_id=after["id"],
            revision=after["revision"],
            at_ms=author.at_ms,
            who=author.who,
            action=action,
            event=after["event"],
            before=None if old is None else json.dumps(old, ensure_ascii=False),
            after=json.dumps(new, ensure_ascii=False),
        )
    )
    author.leave(REVISIONS, written.inserted_primary_key[0])  # type: ignore[index]


def revise(
    connection: Connection,
    before: Mapping[str, Any],
    values: Mapping[str, Any],
    author: Author,
    action: str,
    resealed: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Change columns of a hook's row as it was read (`before`) in this transaction; gives the row as it is now."""
    after = {**before, **values, "revision": before["revision"] + 1}
    changed = {name: value for name, value in after.items() if before[name] != value}
    connection.execute(update(HOOKS).where(HOOKS.c.id == before["id"]).values(**changed))
    record(connection, author, action, before, after, resealed)
    return after


HOLDS = kinds_of(REVISIONS)


def said(kept: str | None) -> dict[str, Any] | None:
    """A side of a revision, the reason of a pause in words."""
    if kept is None:
        return None
    side: dict[str, Any] = json.loads(kept)
    if side.get("paused_reason"):
        side["paused_reason"] = str(pause_reason(side.get("paused_by"), side["paused_reason"]))
    return side


def history(connection: Connection, number: int) -> list[Revision]:
    """All revisions of a hook, newest first."""
    rows = connection.execute(
        select(REVISIONS).where(REVISIONS.c.hook_id == number).order_by(REVISIONS.c.revision.desc())
    ).all()
    with reading("hook_revision"):
        sound(HOLDS, rows)
        return [
            Revision(row.revision, row.at_ms, row.who, row.action, said(row.before), said(row.after)) for row in rows
        ]
