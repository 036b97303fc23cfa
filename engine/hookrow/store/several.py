"""The same change to several hooks, in one transaction: all of them or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import Connection, select

from hookrow.store.configuration.revisions import Author
from hookrow.store.database.tables import HOOKS
from hookrow.store.hooks import change, hold
from hookrow.store.moving import Goal, move

__all__ = ["Several", "change_several", "move_several"]

Several = Literal["enable", "disable", "pause", "resume", "remove"]


def change_several(
    connection: Connection, revisions: Mapping[int, int], what: Several, reason: str, author: Author
) -> list[int]:
    """Change hooks whose revisions are these; gives the ids of those that were another thing before.

    Raises:
        HookNotFound, ChangedMeanwhile: one of them is no more, or another one by now; nothing is changed then.
    """
    action, values = meaning(what, reason, author.at_ms)
    changed = []
    hold(connection, revisions)
    for number, revision in sorted(revisions.items()):
        paused = connection.execute(select(HOOKS.c.paused_by).where(HOOKS.c.id == number)).scalar()
        stands = (what == "pause" and paused not in (None, "breaker", "key")) or (
            what == "resume" and paused in (None, "key")  # one for a key ends by itself
        )
        if not stands and change(connection, number, values, author, action=action, revision=revision):
            changed.append(number)
    return changed


def meaning(what: Several, reason: str, now_ms: int) -> tuple[str, dict[str, Any]]:
    """The action as a revision names it, and the columns."""
    if what == "remove":
        return "remove", {"deleted_ms": now_ms}
    if what == "pause":
        return "pause", {"paused_by": "person", "paused_reason": reason, "paused_ms": now_ms}
    if what == "resume":
        return "resume", {"paused_by": None, "paused_reason": None, "paused_ms": None}
    return "edit", {"active": what == "enable"}


def move_several(connection: Connection, numbers: Sequence[int], by: int, author: Author) -> None:
    """Move hooks so many places among their event's hooks, each past those that are not moved; they keep their order.

    Raises:
        HookNotFound
    """
    alive = HOOKS.c.deleted_ms.is_(None)
    events = connection.execute(select(HOOKS.c.event).where(HOOKS.c.id.in_(numbers), alive).distinct()).scalars().all()
    hold(connection, select(HOOKS.c.id).where(HOOKS.c.event.in_(events), alive), events)
    rows = connection.execute(
        select(HOOKS.c.id, HOOKS.c.event, HOOKS.c.position)
        .where(HOOKS.c.id.in_(numbers), alive)
        .order_by(HOOKS.c.event, HOOKS.c.position, HOOKS.c.id)
    ).all()
    for row in reversed(rows) if by > 0 else rows:
        ordered = (
            connection.execute(
                select(HOOKS.c.id)
                .where(HOOKS.c.event == row.event, HOOKS.c.deleted_ms.is_(None))
                .order_by(HOOKS.c.position, HOOKS.c.id)
            )
            .scalars()
            .all()
        )
        place = ordered.index(row.id)
        neighbour = place + (1 if by > 0 else -1)
        if 0 <= neighbour < len(ordered) and ordered[neighbour] not in numbers:
            move(connection, row.id, Goal(by=by), author)
