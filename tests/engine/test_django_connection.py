"""Django's own connection as `connection=`: hooks go out with its transaction and vanish with it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DatabaseError, IntegrityError, transaction

from django_host import connected
from hookrow import Hook, HookEngine
from hookrow.errors import TransactionMisuse, WrongDatabase
from scripted import HandClock, Network

AFTER, BEFORE = "after_registration", "before_order_add"


@pytest.fixture
def engine(either_url: str) -> Iterator[HookEngine]:
    """An engine without a worker, with a hook of an `after` event."""
    with HookEngine(either_url, worker=False, transport=Network(), clock=HandClock()) as made:
        made.hooks.add(Hook(key="crm", name="crm", event=AFTER, url="http://receiver.test/crm"))
        yield made


@pytest.fixture
def connection(either_url: str, engine: HookEngine) -> Iterator[Any]:
    """Django's connection to the same database, with a table of its own."""
    with connected(either_url) as made:
        with made.cursor() as cursor:
            cursor.execute("CREATE TABLE member (id INTEGER PRIMARY KEY)")
        yield made


def members(connection: Any) -> list[int]:
    """What the host's own table holds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM member ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


def join(connection: Any, number: int) -> None:
    """A row in the host's own table."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO member VALUES (%s)", [number])


def test_a_commit_sends_and_a_rollback_leaves_nothing(engine: HookEngine, connection: Any) -> None:
    """The host's rows and the hooks stand or fall together; between, its names mean its own tables."""
    with transaction.atomic(using=connection.alias):
        join(connection, 1)
        kept = engine.fire(AFTER, {"user": {"id": 1}}, connection=connection)
        join(connection, 2)
    with transaction.atomic(using=connection.alias):
        engine.fire(AFTER, {"user": {"id": 3}}, connection=connection)
        join(connection, 3)
        transaction.set_rollback(True, using=connection.alias)
    assert members(connection) == [1, 2]
    assert [each.id for each in engine.log.page()] == [kept.id]
    assert [each.outcome for each in engine.send_own(engine.log.get(kept.id)).deliveries] == ["sent"]


def test_a_rolled_back_savepoint_takes_its_hooks_along(engine: HookEngine, connection: Any) -> None:
    """`atomic` inside `atomic`; the outer one goes on."""
    with transaction.atomic(using=connection.alias):
        join(connection, 1)
        with suppress(IntegrityError), transaction.atomic(using=connection.alias):
            engine.fire(AFTER, {"user": {"id": 1}}, connection=connection)
            join(connection, 1)
        kept = engine.fire(AFTER, {"user": {"id": 2}}, connection=connection)
    assert (members(connection), [each.id for each in engine.log.page()]) == ([1], [kept.id])


def test_what_was_deferred_goes_out_with_djangos_commit(engine: HookEngine, connection: Any) -> None:
    """`firing.enqueue(django.db.connection)`."""
    engine.hooks.add(Hook(key="erp", name="erp", event=BEFORE, url="http://receiver.test/erp"))
    firing = engine.fire(BEFORE, {"order": {}}, defer=True)
    with transaction.atomic(using=connection.alias):
        firing.enqueue(connection)
    assert engine.log.get(firing.id).deliveries[0].outcome == "queued"


def test_outside_atomic_is_misuse(engine: HookEngine, connection: Any) -> None:
    """Each statement would be committed by itself."""
    with pytest.raises(TransactionMisuse, match="open transaction"):
        engine.fire(AFTER, {}, connection=connection)
    assert engine.log.page() == []


def test_a_lost_transaction_stays_djangos_matter(engine: HookEngine, connection: Any) -> None:
    """The connection is not closed, and serves on."""
    with pytest.raises(TransactionMisuse), transaction.atomic(using=connection.alias):
        engine.fire(BEFORE, {}, connection=connection)
    join(connection, 1)
    assert members(connection) == [1]


def test_another_thread_is_refused_by_django(engine: HookEngine, connection: Any) -> None:
    """Its connection belongs to one thread."""
    caught: list[Exception] = []

    def elsewhere() -> None:
        try:
            engine.fire(AFTER, {}, connection=connection)
        except DatabaseError as error:
            caught.append(error)

    with transaction.atomic(using=connection.alias):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert "thread" in str(caught[0])


@pytest.mark.anyio
async def test_on_a_loop_django_refuses(engine: HookEngine, connection: Any) -> None:
    """Its connections are for threads: fire in `sync_to_async`."""
    with pytest.raises(SynchronousOnlyOperation):
        engine.fire(AFTER, {}, connection=connection)


def test_another_database_is_refused(connection: Any, tmp_path: Path) -> None:
    """Of another kind, or another file."""
    with (
        HookEngine(f"sqlite:///{tmp_path}/other.db", worker=False) as other,
        transaction.atomic(using=connection.alias),
        pytest.raises(WrongDatabase),
    ):
        other.fire(AFTER, {}, connection=connection)
