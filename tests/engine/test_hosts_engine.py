"""The host's own SQLAlchemy engine in place of a URL: its server, its login, and connections of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from hookrow import AsyncHookEngine, Hook, HookEngine
from hookrow.errors import NoDatabase, StorageError
from hookrow.store.database.address import login_of
from scripted import Network

AFTER = "after_registration"


@pytest.fixture
def url(postgres_url: str) -> str:
    """The test's database, for SQLAlchemy."""
    return postgres_url.replace("postgresql://", "postgresql+psycopg://")


def test_it_logs_in_as_the_host_does(url: str) -> None:
    """By `connect_args` and by what a listener says at each connection: never by a password of an hour ago."""
    asked: list[str] = []
    host = create_engine(make_url(url).set(username="nobody"), connect_args={"application_name": "shop"}, pool_size=1)

    @event.listens_for(host, "do_connect")
    def of_the_hour(dialect: Any, record: Any, given: list[Any], named: dict[str, Any]) -> None:
        asked.append(named["user"])
        named["user"] = make_url(url).username

    with host.connect() as held, HookEngine(host, transport=Network()) as engine:  # all that the host's pool has
        engine.hooks.add(Hook(key="a", name="a", event=AFTER, url="http://r.test/a"))
        assert engine.drain(timeout=30) or engine.fire(AFTER, {"n": 1}).error is None
        with engine.runtime.database.read() as connection:
            assert connection.exec_driver_sql("SHOW application_name").scalar_one() == "shop"
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "5s"
        assert held.exec_driver_sql("SELECT 1").scalar_one() == 1
        assert "nobody" in engine.url
    assert len(asked) >= 3
    assert set(asked) == {"nobody"}
    with host.connect() as connection:  # its own listener is heard, and ours says nothing
        assert isinstance(connection.connection.driver_connection, psycopg.Connection)
    host.dispose()


def test_a_listener_that_is_added_later_is_heard(url: str) -> None:
    """After the engine was given, as where modules are imported in another order."""
    host = create_engine(make_url(url).set(username="nobody"))
    ask = login_of(host)
    assert ask is not None

    @event.listens_for(host, "do_connect")
    def of_the_hour(dialect: Any, record: Any, given: list[Any], named: dict[str, Any]) -> None:
        named["user"] = make_url(url).username

    assert [ask()["user"] for _ in range(2)] == [make_url(url).username] * 2
    with host.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
    event.listen(host, "do_connect", lambda *_: psycopg.connect(plain(url)))
    with pytest.raises(NoDatabase, match="creator="):
        ask()
    host.dispose()


def test_our_words_stand_in_its_options(url: str) -> None:
    """As they stand in a URL."""
    host = create_engine(url).execution_options(hookrow_pooler="transaction", hookrow_connections=3)
    with HookEngine(host, worker=False) as engine:
        assert not engine.runtime.database.notifies
        assert engine.runtime.database.engine("read").pool.size() == 3  # type: ignore[attr-defined]
    with pytest.raises(NoDatabase, match="hookrow_connections"):
        HookEngine(host.execution_options(hookrow_connections="many"), worker=False)


@pytest.mark.anyio
async def test_an_async_engine(url: str) -> None:
    """Also with its session's connection."""
    host = create_async_engine(url)
    async with AsyncHookEngine(host, worker=False, transport=Network()) as engine:
        await engine.hooks.add(Hook(key="a", name="a", event=AFTER, url="http://r.test/a"))
        async with host.begin() as connection:
            await engine.fire(AFTER, {"n": 1}, connection=connection)
        assert [each.payload for each in await engine.log.page()] == [{"n": 1}]
    await host.dispose()


def test_an_engine_on_a_file(tmp_path: Path) -> None:
    """The same file."""
    with HookEngine(create_engine(f"sqlite:///{tmp_path}/shop.db"), worker=False) as engine:
        assert engine.path == tmp_path / "shop.db"


def refused(*given: Any) -> Any:
    """A listener whose source of passwords is away."""
    raise ConnectionError("no token")


def with_listener(url: str) -> Engine:
    """The host's, with that listener."""
    made = create_engine(url)
    event.listen(made, "do_connect", refused)
    return made


class Created:
    """What makes an async engine's connections gives, for somebody to wait for."""

    def __await__(self) -> Iterator[Any]:
        yield


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda url: create_engine(url, creator=lambda: psycopg.connect(plain(url))), NoDatabase, "creator="),
        (lambda url: create_async_engine(url, async_creator=Created), NoDatabase, "creator="),
        (with_listener, StorageError, "ConnectionError"),
    ],
    ids=["creator", "async creator", "listener"],
)
def test_what_it_can_t_do_is_said(url: str, make: Callable[[str], Any], error: type[StorageError], said: str) -> None:
    """With the way out."""
    with pytest.raises(error, match=said):
        HookEngine(make(url), worker=False)


def plain(url: str) -> str:
    """For psycopg itself."""
    return url.replace("+psycopg", "")
