"""Who did what, newest first: what people and programs did by hand, and what they changed of hooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Integer, cast, insert, literal, null, select, union_all

from hookrow.records import Deed
from hookrow.store.configuration.revisions import ENGINE, Author
from hookrow.store.database.plain import NUMBER, TEXT, reading, sound
from hookrow.store.database.tables import DEEDS, HOOKS, REVISIONS

__all__ = ["note", "read"]

HOLD = {"at_ms": NUMBER, "who": TEXT, "action": TEXT, "subject": TEXT, "revision": NUMBER}


def note(connection: Connection, author: Author, action: str, subjects: Iterable[str]) -> None:
    """Record that somebody did something to each of these."""
    rows = [{"at_ms": author.at_ms, "who": author.who, "action": action, "subject": subject} for subject in subjects]
    if rows:
        for number in connection.execute(insert(DEEDS).returning(DEEDS.c.id), rows).scalars().all()[:1]:
            author.leave(DEEDS, number)


def read(connection: Connection, limit: int, who: str | None = None) -> list[Deed]:
    """The newest deeds, of everybody or of one person; the engine's own changes of hooks are none."""

    def newest(statement: Any, table: Any) -> Any:
        if who is not None:
            statement = statement.where(table.c.who == who)
        return statement.order_by(table.c.id.desc()).limit(limit).subquery().select()

    by_hand = select(
        DEEDS.c.at_ms, DEEDS.c.who, DEEDS.c.action, DEEDS.c.subject, cast(null(), Integer).label("revision")
    )
    changed = (
        select(
            REVISIONS.c.at_ms,
            REVISIONS.c.who,
            (literal("hook ") + REVISIONS.c.action).label("action"),
            HOOKS.c.key.label("subject"),
            REVISIONS.c.revision,
        )
        .join_from(REVISIONS, HOOKS, HOOKS.c.id == REVISIONS.c.hook_id)
        .where(REVISIONS.c.who != ENGINE)
    )
    both = union_all(newest(by_hand, DEEDS), newest(changed, REVISIONS)).subquery()
    rows = connection.execute(select(both).order_by(both.c.at_ms.desc()).limit(limit)).all()
    with reading("deed"):
        sound(HOLD, rows)
    return [Deed(*row) for row in rows]
