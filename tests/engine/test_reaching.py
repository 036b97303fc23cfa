"""How a server of PostgreSQL is reached: several that one URL names, of which one is gone without a word."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import wait
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, make_url

from hookrow import Hook, HookEngine
from hookrow.errors import DatabaseBusy
from hookrow.store.database import server
from hookrow.store.database.database import Database
from scripted import Network
from silent import Silent

pytestmark = pytest.mark.anyio
AFTER = "after_registration"
SHORT = 0.3


@pytest.fixture
def ways(pg: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Silent]]:
    """Three ways to the server, the first two of them silent; a share of the time is over at once."""
    monkeypatch.setattr(
        server, "wait", lambda those, seconds, when: wait(those, 0.02 if seconds < 3 else seconds, when)
    )
    with Silent(make_url(pg)) as first, Silent(make_url(pg)) as second, Silent(make_url(pg)) as third:
        first.silent.set()
        second.silent.set()
        yield [first, second, third]


def through(pg: str, ways: list[Silent]) -> URL:
    """The URL that names all of them."""
    hosts = tuple(f"127.0.0.1:{way.port}" for way in ways)
    wanted = {"host": hosts, "target_session_attrs": "read-write"}
    return make_url(pg).set(host=None, port=None).update_query_dict(wanted)


def test_the_next_host_is_reached(pg: str, ways: list[Silent]) -> None:
    """The time for a connection is shared, also with a name's several addresses: psycopg's limit is for each alone."""
    url = through(pg, ways).render_as_string(hide_password=False)
    with HookEngine(url, worker=False, transport=Network()) as engine:
        engine.hooks.add(Hook(name="a", event=AFTER, url="http://receiver.test/a"))
        assert engine.fire(AFTER, {"n": 1}).error is None
        assert [firing.payload for firing in engine.log.page()] == [{"n": 1}]


def test_a_host_that_answers_late_is_hung_up_on(pg: str, ways: list[Silent]) -> None:
    """It is still waited for while others are tried, and two connections are never made for one."""
    database = Database(through(pg, ways))
    with database.connected("read"):
        for late in ways[:2]:
            assert late.wires
            late.silent.clear()
        end = time.monotonic() + 30
        while any(late.wires for late in ways[:2]):
            assert time.monotonic() < end
            time.sleep(0.01)
        assert ways[2].wires
    database.close()


async def test_all_hosts_silent(pg: str, ways: list[Silent], lag: Any) -> None:
    """No longer than for one."""
    ways[2].silent.set()
    database = Database(through(pg, ways))

    def asked() -> float:
        began = time.monotonic()
        with pytest.raises(DatabaseBusy), database.read(SHORT):
            pass
        return time.monotonic() - began

    assert await asyncio.to_thread(asked) <= lag.bound(SHORT + 0.2)
    database.close()


def test_what_each_host_said(pg: str) -> None:
    """Not only the last."""
    nobody = make_url(pg).set(username="nobody")
    closed = nobody.set(host=None, port=None).update_query_dict({"host": ("127.0.0.1:1", "127.0.0.1:1")})
    with pytest.raises(psycopg.OperationalError) as raised:
        Database(closed).engine("read").raw_connection()
    assert str(raised.value).count("port 1 failed") == 2
