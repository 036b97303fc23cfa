"""Through a real PgBouncer, whose connections to the server are nobody's own: session and transaction pooling."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import create_engine, make_url, text

from hookrow import AsyncHookEngine, Hook, HookEngine
from pgbouncer import missing, pgbouncer
from scripted import Network
from worker_bench import seen

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(missing(), reason="pgbouncer is not installed"),
]
BEFORE, AFTER = "before_order_add", "after_registration"


@pytest.fixture(params=["session", "transaction"])
def pooled(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[str]:
    """The test's database through a PgBouncer, as a user writes its URL."""
    with pgbouncer(postgres_url, request.param) as address:
        query = {"hookrow_pooler": "transaction"} if request.param == "transaction" else {}
        yield address.update_query_dict(query).render_as_string(hide_password=False)


def plain(url: str) -> str:
    """For a host's own engine, which knows nothing of our word in the URL."""
    return make_url(url).difference_update_query(["hookrow_pooler"]).render_as_string(hide_password=False)


def kill_connections(url: str) -> None:
    """End all that PgBouncer has with this database's server."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


async def test_hooks_run_through_it(pooled: str, postgres_url: str) -> None:
    """Asked, sent by a worker, edited by a colleague and seen; its server connections ended three times meanwhile."""
    async with AsyncHookEngine(pooled, transport=Network()) as engine:
        gate = Hook(key="g", name="g", event=BEFORE, url="http://r.test/gate", wait_for_response=True)
        gate = await engine.hooks.add(gate)
        await engine.hooks.add(Hook(key="a", name="a", event=AFTER, url="http://r.test/a", fire_and_forget=False))
        sent: list[str] = []
        for _ in range(3):
            assert (await engine.fire(BEFORE, {"n": 1})).outcome == "allowed"
            sent += [each.id for each in (await engine.fire(AFTER, {"n": 1})).deliveries]
            await asyncio.to_thread(kill_connections, postgres_url)
        log = engine.log.inner
        await seen(lambda: [log.delivery(each).outcome for each in sent] == ["ok"] * 3)
        async with AsyncHookEngine(pooled, worker=False) as colleague:
            await colleague.hooks.update(gate.id or 0, active=False)
        async with asyncio.timeout(20):
            while (await engine.fire(BEFORE, {"n": 2})).deliveries[0].outcome != "skipped":  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.05)


def test_the_hosts_own_transaction_goes_through_it(pooled: str) -> None:
    """Sent after its commit, gone with its rollback; the host's limits are as it left them."""
    host = create_engine(plain(pooled), connect_args={"prepare_threshold": None})
    with HookEngine(pooled, worker=False, transport=Network()) as engine:
        engine.hooks.add(Hook(key="a", name="a", event=AFTER, url="http://r.test/told", fire_and_forget=False))
        with host.connect() as connection:
            engine.fire(AFTER, {"n": 1}, connection=connection)
            connection.rollback()
        with host.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '77s'"))
            engine.fire(AFTER, {"n": 2}, connection=connection)
            assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "77s"
        assert [each.payload for each in engine.log.page()] == [{"n": 2}]
    host.dispose()
