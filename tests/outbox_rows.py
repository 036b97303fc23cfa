"""What the outbox's tests share: hooks and firings written as core writes them, and results as attempts give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select, update

from hookrow.delivery import states
from hookrow.ids import new_uid
from hookrow.store import outbox
from hookrow.store.database.database import Database
from hookrow.store.outbox.claims import Claimed, Taken
from hookrow.store.outbox.parking import BREAKERS, HOOKS
from hookrow.store.outbox.release import admit
from hookrow.store.outbox.settling import Settle, Settled
from hookrow.store.outbox.writing import ATTEMPTS, DELIVERIES, NewDelivery, Rows

SECOND = 1000
T0 = 1_800_000_000_000
"""The tests' first moment, in milliseconds."""


@dataclass(frozen=True)
class Reply:
    """An answer's kind."""

    kind: str = "ok"


@dataclass(frozen=True)
class Result:
    """What came of an attempt, as `attempt.AttemptResult`."""

    answer: Reply = field(default_factory=Reply)
    error: str | None = None
    detail: str | None = None
    status: int | None = 200
    ms: int = 5
    countable: bool = False
    retry_after: float | None = None
    gone: bool = False
    values: dict[str, Any] = field(default_factory=dict)


def result(kind: str = "ok", at_ms: int = T0, **given: Any) -> Result:
    """A result with the columns of its attempt."""
    values = {"at_ms": at_ms, "url": "http://receiver.example/", "error": given.get("error")}
    return Result(Reply(kind), **{"values": values, **given})


def failed(status: int = 500, at_ms: int = T0, **given: Any) -> Result:
    """A failure by its status; 5xx and 429 count for the breaker."""
    given = {"error": "bad_status", "status": status, "countable": status >= 500 or status == 429, **given}
    return result("failed", at_ms, **given)


def add_hook(database: Database, key: str, **given: Any) -> int:
    """A hook; returns its id."""
    values = {
        "uid": key.ljust(8, "0"),
        "key": key,
        "name": key,
        "url": "http://receiver.example/",
        "event": "after_order_add",
        "created_ms": T0,
        **given,
    }

    def job(connection: Connection) -> int:
        return int(connection.execute(insert(HOOKS).values(**values)).inserted_primary_key[0])

    return database.writer.write(job)


def set_hook(connection: Connection, hook: int, **given: Any) -> None:
    """Change a hook's columns."""
    connection.execute(update(HOOKS).where(HOOKS.c.id == hook).values(**given))


def fire(
    database: Database,
    hooks: Sequence[int],
    now_ms: int = T0,
    *,
    keys: Sequence[str | None] | None = None,
    event: str = "after_order_add",
    owner: str | None = None,
    timeout: float = 5.0,
    mode: str = "notify",
) -> tuple[int, list[int]]:
    """A firing with a background delivery for each hook; its row id and theirs."""
    uid = new_uid(now_ms)
    firing = {"uid": uid, "event": event, "moment": "after", "at_ms": now_ms, "deadline_ms": now_ms + 30_000}
    firing |= {"payload": '{"order": {"id": 7}}', "outcome": "allowed", "deferred": False}
    keyed = keys is not None and any(key is not None for key in keys)
    born = states.births([False] * len(hooks), now_ms, lease=[timeout] * len(hooks) if owner else None)
    deliveries = []
    for index, (hook, birth) in enumerate(zip(hooks, born, strict=True)):
        values: dict[str, Any] = {"seq": index + 1, "hook_id": hook, "hook_revision": 1, "position": 10, "mode": mode}
        values |= {"body": '{"id": 7}', "order_key": keys[index] if keys else None}
        if keyed:
            values |= {"state": "blocked"}
        else:
            values |= {"state": birth.state, "due_ms": birth.due_ms, "released_ms": birth.released_ms}
            if birth.state == "leased":
                values |= {"lease_ms": birth.lease_ms, "owner": owner, "fence": 1}
        deliveries.append(NewDelivery(values))

    def job(connection: Connection) -> tuple[int, list[int]]:
        written = Rows(now_ms, firing, None, deliveries)(connection)
        if keyed:
            admit(connection, [written.firing], now_ms)
        return written.firing, list(written.deliveries)

    return database.writer.write(job)


def rows(database: Database, ids: Sequence[int] | None = None) -> dict[int, Any]:
    """The deliveries by id."""
    query = select(DELIVERIES).order_by(DELIVERIES.c.id)
    with database.read() as connection:
        found = connection.execute(query if ids is None else query.where(DELIVERIES.c.id.in_(ids))).all()
    return {row.id: row for row in found}


def state(database: Database, row: int) -> str:
    """One delivery's state."""
    return str(rows(database, [row])[row].state)


def attempts(database: Database, row: int | None = None) -> list[Any]:
    """The attempts, of one delivery or all."""
    with database.read() as connection:
        found = connection.execute(select(ATTEMPTS).order_by(ATTEMPTS.c.id)).all()
    return [each for each in found if row is None or each.delivery_id == row]


def breaker(database: Database, hook: int) -> Any:
    """The hook's breaker row, None if it has none."""
    with database.read() as connection:
        return connection.execute(select(BREAKERS).where(BREAKERS.c.hook_id == hook)).first()


def hook_row(database: Database, hook: int) -> Any:
    """The hook as it is kept."""
    with database.read() as connection:
        return connection.execute(select(HOOKS).where(HOOKS.c.id == hook)).one()


def settle(database: Database, claimed: Any, made: Result, now_ms: int = T0, **given: Any) -> Settled:
    """Record one result."""
    return database.writer.write(Settle(claimed, made, now_ms, **given))


def claim(database: Database, now_ms: int = T0, **given: Any) -> Taken:
    """One claim; ten rows of a hook at most unless said otherwise."""
    values: dict[str, Any] = {"owner": "w1", "limit": 100, "per_hook": {}, "otherwise": 10, **given}
    return database.writer.write(lambda connection: outbox.claim(connection, now_ms=now_ms, **values))


def one(database: Database, now_ms: int = T0, **given: Any) -> Claimed:
    """The only row that is due."""
    (claimed,) = claim(database, now_ms, **given).rows
    return claimed


def ids(taken: Taken) -> list[int]:
    """Which rows were claimed."""
    return [claimed.row_id for claimed in taken.rows]


def change_hook(database: Database, hook: int, then: Any = None, now_ms: int = T0, **given: Any) -> Any:
    """Change a hook and let its deliveries follow, in one transaction."""

    def job(connection: Connection) -> Any:
        set_hook(connection, hook, **given)
        return then(connection, hook, now_ms) if then else None

    return database.writer.write(job)


def pause(database: Database, hook: int, now_ms: int = T0) -> int:
    """As a person pauses it."""
    return change_hook(database, hook, outbox.park, now_ms, paused_by="person")  # type: ignore[no-any-return]


def resume(database: Database, hook: int, now_ms: int = T0) -> int:
    """As a person resumes it."""
    return change_hook(database, hook, outbox.unpark, now_ms, paused_by=None)  # type: ignore[no-any-return]


def waiting(postgres_url: str) -> int:
    """How many transactions of this database wait for another."""
    import psycopg

    asked = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        return len(connection.execute(asked).fetchall())
