"""In the caller's own transaction: hooks go out with its commit and vanish with its rollback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.orm import Session

from engine_bench import Bench
from hookrow import AsyncHookEngine, Hook, HookEngine
from hookrow.errors import DatabaseBusy, StorageError, TransactionMisuse, WrongDatabase
from schemas import in_public, ours
from scripted import HandClock, Network, answer

pytestmark = pytest.mark.anyio
AFTER = "after_registration"
BEFORE = "before_order_add"
PAYLOAD = {"user": {"id": 7}}


def add_hooks(engine: HookEngine) -> None:
    """Two background hooks and a waiting one of an `after` event."""
    for name in ("a", "b"):
        engine.hooks.add(Hook(name=name, event=AFTER, url=f"http://receiver.test/{name}"))
    engine.hooks.add(
        Hook(
            name="w",
            event=AFTER,
            url="http://receiver.test/w",
            wait_for_response=True,
            response_has_data=True,
            position=5,
        )
    )


@pytest.fixture
def network() -> Network:
    """Receivers that allow everything."""
    return Network()


@pytest.fixture
def engine(either_url: str, network: Network, clock: HandClock) -> Iterator[HookEngine]:
    """An engine without a worker, with those hooks."""
    with HookEngine(either_url, worker=False, transport=network, clock=clock) as made:
        add_hooks(made)
        yield made


@pytest.fixture
def host(either_url: str, engine: HookEngine) -> Iterator[Engine]:
    """The caller's own engine on the same database, as SQLAlchemy makes it, with a table of its own."""
    made = create_engine(either_url, connect_args=in_public(either_url))
    with made.begin() as connection:
        connection.execute(text("CREATE TABLE member (id INTEGER)"))
    yield made
    made.dispose()


@pytest.mark.parametrize("kind", ["connection", "session"])
def test_a_commit_sends_everything(engine: HookEngine, host: Engine, network: Network, kind: str) -> None:
    """No request inside; after the commit all deliveries go out, the waiting hook's too, and its reply is kept."""
    network.on("w", answer(body={"result": 5}))
    with host.begin() if kind == "connection" else Session(host) as connection:
        connection.execute(text("INSERT INTO member VALUES (1)"))
        firing = engine.fire(AFTER, PAYLOAD, connection=connection)
        connection.execute(text("INSERT INTO member VALUES (2)"))
        assert network.requests == []
        if isinstance(connection, Session):
            connection.commit()
    sent = engine.send_own(engine.log.get(firing.id))
    assert sorted(network.paths()) == ["a", "b", "w"]
    assert [each.outcome for each in sent.deliveries] == ["ok", "sent", "sent"]
    [attempt] = engine.log.attempts(sent.deliveries[0].id)
    assert attempt.response_body == b'{"result": 5}'
    with host.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM member")).scalar() == 2


@pytest.mark.parametrize("kind", ["connection", "session"])
@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_a_firing_as_the_first_statement_shares_its_end(engine: HookEngine, host: Engine, kind: str, ends: str) -> None:
    """It begins the transaction for SQLAlchemy, too: a rollback takes it along, whatever is committed afterwards."""
    with host.connect() if kind == "connection" else Session(host) as connection:
        connection.execute(text("INSERT INTO member VALUES (1)"))
        connection.commit()
        firing = engine.fire(AFTER, PAYLOAD, connection=connection)
        assert firing.allowed
        getattr(connection, ends)()
        if ends == "rollback":
            connection.execute(text("INSERT INTO member VALUES (2)"))
            connection.commit()
    assert [each.id for each in engine.log.page()] == ([firing.id] if ends == "commit" else [])


def test_a_rolled_back_savepoint_leaves_nothing_and_the_rest_stands(engine: HookEngine, host: Engine) -> None:
    """The caller's own statements before and after still mean its own tables."""
    with host.begin() as connection:
        connection.execute(text("INSERT INTO member VALUES (1)"))
        savepoint = connection.begin_nested()
        engine.fire(AFTER, PAYLOAD, connection=connection)
        savepoint.rollback()
        connection.execute(text("INSERT INTO member VALUES (2)"))
        kept = engine.fire(AFTER, PAYLOAD, connection=connection)
    assert [each.id for each in engine.log.page()] == [kept.id]


def test_what_a_transaction_fires_for_a_paused_hook_waits_until_it_is_resumed(
    engine: HookEngine, host: Engine, network: Network
) -> None:
    """A claim parks it, after the commit."""
    paused = engine.hooks.list(event=AFTER)[1]
    engine.hooks.pause(paused.id, "maintenance")
    with host.begin() as connection:
        firing = engine.fire(AFTER, PAYLOAD, connection=connection)
    assert engine.drain(10)
    assert [each.outcome for each in engine.log.get(firing.id).deliveries] == ["ok", "parked", "sent"]
    engine.hooks.resume(paused.id)
    assert engine.drain(10)
    assert network.paths() == ["w", "b", "a"]


@pytest.mark.parametrize("key", ["", "/user/id"], ids=["without a key", "by a key"])
def test_what_stands_behind_a_paused_hook_goes_at_once(
    engine: HookEngine, host: Engine, network: Network, key: str
) -> None:
    """The claim that parks the row before it has looked already whether it is due."""
    for place, name in enumerate(("first", "second")):
        url = f"http://receiver.test/{name}"
        engine.hooks.add(Hook(key=name, name=name, event="on_subscription", url=url, position=place, order_key=key))
    engine.hooks.pause("first", "maintenance")
    with host.begin() as connection:
        engine.fire("on_subscription", PAYLOAD, connection=connection)
    assert engine.drain(10)
    assert network.paths() == ["second"]


@pytest.mark.parametrize("either_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("change", ["resume", "remove"])
def test_an_open_transaction_that_fired_for_a_paused_hook_keeps_nobody_from_it(
    engine: HookEngine, host: Engine, network: Network, change: str
) -> None:
    """It may go on for minutes. On SQLite it keeps everybody from everything."""
    paused = engine.hooks.list(event=AFTER)[1]
    engine.hooks.pause(paused.id, "maintenance")
    with host.begin() as connection:
        firing = engine.fire(AFTER, PAYLOAD, connection=connection)
        getattr(engine.hooks, change)(paused.id)
    assert engine.drain(10)
    its = engine.log.get(firing.id).deliveries[1]
    assert (its.outcome, its.skipped) == (("sent", None) if change == "resume" else ("cancelled", "hook_deleted"))


def test_a_before_event_in_a_transaction_is_misuse(engine: HookEngine, host: Engine) -> None:
    """Whatever hooks there are, also none: the hooks must be asked before."""
    with host.connect() as connection, pytest.raises(TransactionMisuse, match="defer"):
        engine.fire(BEFORE, {"order": {}}, connection=connection)


def test_something_else_than_a_connection_is_misuse(engine: HookEngine) -> None:
    """The kind that was given is named."""
    with pytest.raises(TransactionMisuse, match="str"):
        engine.fire(AFTER, PAYLOAD, connection="hooks.db")


def test_a_connection_that_commits_by_itself_is_misuse(engine: HookEngine, host: Engine) -> None:
    """Without a transaction there is nothing that the hooks could go out with. It is left as it was."""
    with host.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        with pytest.raises(TransactionMisuse, match="open transaction"):
            engine.fire(AFTER, PAYLOAD, connection=connection)
        if connection.dialect.name == "postgresql":
            assert not connection.in_transaction()
    assert engine.log.page() == []


def deferred(engine: HookEngine, network: Network) -> Any:
    """A firing whose waiting hook was asked and whose other hook is kept back."""
    engine.hooks.add(Hook(name="g", event=BEFORE, url="http://receiver.test/g", wait_for_response=True))
    engine.hooks.add(Hook(name="d", event=BEFORE, url="http://receiver.test/d"))
    firing = engine.fire(BEFORE, {"order": {"id": 1}}, defer=True)
    assert network.paths() == ["g"]
    return firing


def test_what_was_deferred_goes_out_with_the_callers_commit(engine: HookEngine, host: Engine, network: Network) -> None:
    """The waiting hooks are asked before the transaction, the background deliveries written inside it."""
    firing = deferred(engine, network)
    with host.connect() as connection:
        firing.enqueue(connection)
        connection.commit()
    sent = engine.send_own(engine.log.get(firing.id))
    assert (network.paths(), [each.outcome for each in sent.deliveries]) == (["g", "d"], ["ok", "sent"])


def test_a_rolled_back_enqueue_can_be_done_again(engine: HookEngine, host: Engine, network: Network) -> None:
    """The rollback gives the deliveries back to the firing."""
    firing = deferred(engine, network)
    with host.connect() as connection:
        firing.enqueue(connection)
        connection.rollback()
        connection.execute(text("INSERT INTO member VALUES (1)"))
        connection.commit()
    assert engine.log.get(firing.id).deliveries[1].skipped == "not_enqueued"
    firing.enqueue()
    assert engine.log.get(firing.id).deliveries[1].outcome == "queued"


def test_never_enqueued_is_never_sent(engine: HookEngine, network: Network) -> None:
    """The log says so."""
    firing = deferred(engine, network)
    engine.send_own(engine.log.get(firing.id))
    logged = engine.log.get(firing.id).deliveries[1]
    assert (network.paths(), logged.outcome, logged.skipped) == (["g"], "cancelled", "not_enqueued")


def test_enqueued_twice_is_misuse(engine: HookEngine, host: Engine, network: Network) -> None:
    """With a connection and without; the caller's transaction can still be used."""
    firing = deferred(engine, network)
    firing.enqueue()
    with pytest.raises(TransactionMisuse, match=firing.id):
        firing.enqueue()
    with host.begin() as connection:
        with pytest.raises(TransactionMisuse, match=firing.id):
            firing.enqueue(connection)
        connection.execute(text("INSERT INTO member VALUES (1)"))


@pytest.mark.parametrize("beside", [{"idempotency_key": "k"}, {"defer": True}])
def test_what_a_transaction_cannot_hold_is_refused(engine: HookEngine, host: Engine, beside: dict[str, Any]) -> None:
    """An idempotency key, a deferral: to pass over them in silence would fire twice, or too early."""
    with host.begin() as connection:
        with pytest.raises(TransactionMisuse, match="neither idempotency_key"):
            engine.fire(AFTER, PAYLOAD, connection=connection, **beside)
        connection.execute(text("INSERT INTO member VALUES (1)"))
    assert engine.log.page() == []


def test_another_database_is_refused(engine: HookEngine, tmp_path: Path) -> None:
    """Rows that our worker never reads would be lost in silence."""
    other = create_engine(f"sqlite:///{tmp_path}/other.db")
    with other.connect() as connection, pytest.raises(WrongDatabase):
        engine.fire(AFTER, PAYLOAD, connection=connection)
    other.dispose()


@pytest.mark.parametrize("either_url", ["postgresql"], indirect=True)
def test_a_time_zone_of_the_callers_own(engine: HookEngine, host: Engine) -> None:
    """The database is known for the engine's all the same: Django sets one on each of its connections."""
    with host.begin() as connection:
        connection.execute(text("SET LOCAL TimeZone = 'Asia/Tokyo'"))
        engine.fire(AFTER, PAYLOAD, connection=connection)
    assert [firing.payload for firing in engine.log.page()] == [PAYLOAD]


def test_a_failing_write_raises_and_is_a_storage_error(
    engine: HookEngine, host: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `connection=` also an `after` event raises: the caller must roll back."""

    def broken(run: object, connection: Connection) -> None:
        ours(connection, "INSERT INTO main.firing (id) VALUES (1)")

    monkeypatch.setattr("hookrow.core.firing.Run.enqueue", broken)
    with host.connect() as connection, pytest.raises(StorageError):
        engine.fire(AFTER, PAYLOAD, connection=connection)


def test_a_fire_inside_ones_own_transaction_says_what_to_do(
    tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite has one writer: it can only time out, and names `connection=` and `defer=True`."""
    monkeypatch.setattr("hookrow.store.database.locks.LOCK", 0.1)
    url = f"sqlite:///{tmp_path}/hooks.db"
    with HookEngine(url, worker=False, transport=network) as engine:
        add_hooks(engine)
        engine.hooks.add(Hook(name="g", event=BEFORE, url="http://receiver.test/g", wait_for_response=True))
        host = create_engine(url)
        with host.begin() as connection:
            connection.execute(text("CREATE TABLE member (id INTEGER)"))
            connection.execute(text("INSERT INTO member VALUES (1)"))
            with pytest.raises(DatabaseBusy, match=r"connection=.*defer=True"):
                engine.fire(BEFORE, {"order": {}})
            firing = engine.fire(AFTER, PAYLOAD)
            assert isinstance(firing.error, DatabaseBusy)
        host.dispose()
        assert [each.id for each in engine.log.page()] == []


# -- async ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def async_host(postgres_url: str) -> Any:
    """SQLAlchemy's asyncio classes want greenlet, which nothing else here needs."""
    pytest.importorskip("greenlet")
    from sqlalchemy.ext.asyncio import create_async_engine

    url = postgres_url.replace("postgresql://", "postgresql+psycopg://")
    return create_async_engine(url, connect_args=in_public(url))


@pytest.mark.parametrize("kind", ["connection", "session"])
@pytest.mark.parametrize("ends", ["commit", "rollback"])
async def test_async_connections_and_sessions(
    async_host: Any, postgres_url: str, network: Network, kind: str, ends: str
) -> None:
    """The same through SQLAlchemy's async classes (PostgreSQL): a commit sends, a rollback leaves nothing."""
    from sqlalchemy.ext.asyncio import AsyncSession

    url = postgres_url.replace("postgresql://", "postgresql+psycopg://")
    async with AsyncHookEngine(url, worker=False, transport=network) as engine:
        await Bench(engine, network, HandClock()).hook("a", event=AFTER)
        async with async_host.connect() if kind == "connection" else AsyncSession(async_host) as connection:
            firing = await engine.fire(AFTER, PAYLOAD, connection=connection)
            await (connection.commit() if ends == "commit" else connection.rollback())
            if ends == "rollback":
                await connection.execute(text("CREATE TABLE member (id INTEGER)"))
                await connection.commit()
        logged = await engine.log.page()
        assert [each.id for each in logged] == ([firing.id] if ends == "commit" else [])
        for each in logged:
            await engine.send_own(each)
        assert network.paths() == (["a"] if ends == "commit" else [])
    await async_host.dispose()


async def test_an_async_deferred_firing_is_enqueued_through_an_async_connection(
    async_host: Any, postgres_url: str, network: Network
) -> None:
    """`await firing.enqueue(conn)`."""
    url = postgres_url.replace("postgresql://", "postgresql+psycopg://")
    async with AsyncHookEngine(url, worker=False, transport=network) as engine:
        await Bench(engine, network, HandClock()).hook("d", event=BEFORE)
        firing = await engine.fire(BEFORE, {"order": {}}, defer=True)
        async with async_host.begin() as connection:
            await firing.enqueue(connection)
        assert (await engine.log.get(firing.id)).deliveries[0].outcome == "queued"
    await async_host.dispose()


async def test_the_sync_engine_takes_no_async_connection(async_host: Any, engine: HookEngine) -> None:
    """It says which engine does."""
    async with async_host.connect() as connection:
        with pytest.raises(TransactionMisuse, match="AsyncHookEngine"):
            engine.fire(AFTER, PAYLOAD, connection=connection)
    await async_host.dispose()
