"""A hook with thousands of deliveries is switched by a few statements, and each comes out as if it were alone.

Else the transaction of a switch holds their locks for as many round trips as there are deliveries, and whoever fires
for the hook waits for it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, update

from hookrow.store import outbox
from hookrow.store.database.database import Database
from hookrow.store.database.tables import DELIVERIES
from hookrow.store.outbox import parking
from outbox_rows import SECOND, T0, add_hook, change_hook, claim, failed, fire, pause, result, resume, rows, settle

SWITCHES: dict[str, Callable[[Database, int, int], Any]] = {
    "pause": pause,
    "resume": resume,
    "delete": lambda database, hook, now: change_hook(database, hook, outbox.cancel, now, deleted_ms=now),
    "restore": lambda database, hook, now: change_hook(database, hook, outbox.uncancel, now, deleted_ms=None),
}


@contextmanager
def counted() -> Iterator[list[str]]:
    """What SQLAlchemy runs meanwhile."""
    found: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        found.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def backlog(database: Database, hooks: list[int], count: int, dice: random.Random | None = None) -> list[list[int]]:
    """Firings of three hooks, the second with order keys; with dice some were claimed, and some of them failed."""
    made = []
    for number in range(count):
        keys = [None, f"k{number % 5}", None] if dice is None or dice.random() < 0.7 else None
        made.append(fire(database, hooks, T0 + number, keys=keys)[1])
        if dice is not None and dice.random() < 0.3:
            for claimed in claim(database, T0 + number, otherwise=1).rows:
                if dice.random() < 0.7:
                    settle(database, claimed, dice.choice([result, failed])(), T0 + number)
    return made


def test_rows_behind_their_key_are_written_once(database: Database) -> None:
    """When their hook goes on: each row stands in a dozen indexes."""
    hooks = [add_hook(database, key) for key in "abc"]
    written: list[int] = []
    backlog(database, hooks, 60)
    for name in ("pause", "resume"):
        SWITCHES[name](database, hooks[0], T0 + 100 * SECOND)  # now it is the turn of the keyed
    pause(database, hooks[1], T0 + 100 * SECOND)

    def note(_: Any, cursor: Any, statement: str, *__: Any) -> None:
        if statement.startswith("UPDATE"):
            written.append(cursor.rowcount)

    event.listen(Engine, "after_cursor_execute", note)
    try:
        resume(database, hooks[1], T0 + 101 * SECOND)
    finally:
        event.remove(Engine, "after_cursor_execute", note)
    assert 60 <= sum(written) <= 60 + 10, written


@pytest.mark.parametrize("order", [["pause", "resume"], ["delete", "restore"]])
def test_statements_do_not_grow_with_the_deliveries(database: Database, order: list[str]) -> None:
    """Of each of the three hooks: the first, behind which others wait for their turn, the keyed one, the last."""
    found: dict[int, list[int]] = {}
    for number, many in enumerate((10, 60)):
        hooks = [add_hook(database, f"{number}{key}") for key in "abc"]
        backlog(database, hooks, many)
        found[many] = []
        for hook in hooks:
            for name in order:
                with counted() as statements:
                    SWITCHES[name](database, hook, T0 + 100 * SECOND)
                found[many].append(len(statements))
    assert found[10] == found[60]
    assert max(found[10]) < 20


@pytest.mark.parametrize("seed", range(2))
def test_together_as_each_alone(database: Database, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Two backlogs alike: of one the firings go on together, of the other one after another."""
    together = parking.advance

    def alone(connection: Connection, firings: Collection[int], now_ms: int) -> list[int]:
        return [row for firing in sorted(firings) for row in together(connection, [firing], now_ms)]

    alike = []
    for name in ("together", "alone"):
        dice = random.Random(seed)
        hooks = [add_hook(database, f"{name}{key}", event=name) for key in "abc"]
        deliveries = [row for firing in backlog(database, hooks, 12, dice) for row in firing]
        monkeypatch.setattr(parking, "advance", together if name == "together" else alone)
        story = [standing(database, deliveries)]
        for step in range(8):
            now = T0 + 100 * SECOND * step
            SWITCHES[dice.choice(list(SWITCHES))](database, dice.choice(hooks), now)
            story.append(standing(database, deliveries))
        database.writer.write(finish)  # nothing is left to the other's claims
        alike.append(story)
    assert alike[0] == alike[1]


COLUMNS = ("seq", "state", "due_ms", "released_ms", "done_ms", "skipped", "fence", "attempts", "order_key", "lease_ms")


def standing(database: Database, deliveries: list[int]) -> list[tuple[Any, ...]]:
    """These deliveries, but for their ids."""
    found = rows(database, deliveries)
    return [tuple(getattr(found[row], name) for name in COLUMNS) for row in deliveries]


def finish(connection: Connection) -> None:
    """All of them, by nobody."""
    connection.execute(update(DELIVERIES).values(state="dropped", lease_ms=None))
