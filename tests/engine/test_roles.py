"""Roles of a PostgreSQL server with few rights, and with limits of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import create_engine, text

from hookrow import Hook, HookEngine
from hookrow.cli.app import run
from hookrow.errors import DatabaseBusy, DatabaseReadOnly
from postgres_roles import documented, role
from scripted import Network

BEFORE, AFTER = "before_order_add", "after_registration"


@pytest.fixture
def made(postgres_url: str) -> str:
    """A database that its owner has made, with a gate and a hook that is told."""
    with HookEngine(postgres_url, worker=False) as engine:
        engine.hooks.add(Hook(key="gate", name="g", event=BEFORE, url="http://r.test/gate", wait_for_response=True))
        engine.hooks.add(Hook(key="told", name="t", event=AFTER, url="http://r.test/told", fire_and_forget=False))
    return postgres_url


def test_a_role_that_may_work(made: str) -> None:
    """Fires, sends, edits, purges; makes no table, and an upgrade that it meets it refuses in words."""
    with role(made, *documented("work")) as url:
        network = Network()
        with HookEngine(url, worker=False, transport=network) as engine:
            assert not engine.read_only
            assert engine.fire(BEFORE, {"n": 1}, idempotency_key="a").allowed
            engine.fire(AFTER, {"n": 1})
            assert engine.drain(timeout=30)
            assert network.paths() == ["gate", "told"]
            engine.hooks.update("told", name="new")
            engine.hooks.pause("told")
            engine.settings.set("retention_days", "7")
            assert engine.log.prune(days=0).firings > 0
        plain = url.replace("+psycopg", "")
        with psycopg.connect(plain) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE hookrow.mine (id int)")
        with psycopg.connect(made, autocommit=True) as connection:
            [[newest]] = connection.execute("SELECT version_num FROM hookrow.hookrow_version").fetchall()
            connection.execute("UPDATE hookrow.hookrow_version SET version_num = '0009'")
            with pytest.raises(DatabaseReadOnly, match="must be owner"):
                HookEngine(url, worker=False)
            [[left]] = connection.execute("SELECT version_num FROM hookrow.hookrow_version").fetchall()
            assert left == "0009" < newest


def test_a_role_that_may_only_fire(made: str) -> None:
    """In the host's transaction, whose user has these rights and no more."""
    with HookEngine(made, worker=False, transport=Network()) as engine, role(made, *documented("fire")) as url:
        host = create_engine(url)
        deferred = engine.fire(BEFORE, {"n": 1}, defer=True)
        with host.begin() as connection:
            engine.fire(AFTER, {"n": 2}, connection=connection)
            if deferred.deferred:
                deferred.enqueue(connection)
        with host.connect() as connection, pytest.raises(Exception, match="permission denied"):
            connection.execute(text("DELETE FROM hookrow.firing"))
        host.dispose()
        assert [each.payload for each in engine.log.page()] == [{"n": 2}, {"n": 1}]


def test_a_role_that_may_only_look(made: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands read; what would change something is refused in words. The interface: tests/tui/test_read_only.py."""
    with HookEngine(made, worker=False, transport=Network()) as engine:
        engine.fire(AFTER, {"order": "A-1"})
    with role(made, *documented("look")) as url:
        for line in ("log", "hooks list", "hooks stats", "settings list"):
            ended = run(["--lang", "en", "--db", url, *line.split()])
            assert (line, ended, capsys.readouterr().err) == (line, 0, "")
        for line in ("hooks pause told", "settings set retention_days 7", f"fire {AFTER}"):
            ended = run(["--lang", "en", "--db", url, *line.split()])
            said = capsys.readouterr().err
            assert (line, ended, "no right to write" in said or "only read" in said) == (line, 3, True), said
        with HookEngine(url, worker=False) as engine:
            assert engine.read_only


LIMITS = ("statement_timeout = '400ms'", "lock_timeout = '300ms'", "idle_session_timeout = '200ms'")


@pytest.fixture
def hurried(made: str) -> Iterator[str]:
    """The role that may work, with limits that end statements, waits and idle sessions."""
    with role(made, *documented("work"), *(f"ALTER ROLE {{role}} SET {each}" for each in LIMITS)) as url:
        yield url


def test_a_role_in_a_hurry(made: str, hurried: str) -> None:
    """Its limits hold, and sessions that the server has ended cost nobody an error."""
    with HookEngine(hurried, worker=False, transport=Network()) as engine:
        assert engine.fire(AFTER, {"n": 0}).error is None
        with psycopg.connect(made, autocommit=True) as asking:
            until = time.monotonic() + 20
            while asking.execute(OURS).fetchall():
                assert time.monotonic() < until
                time.sleep(0.02)
        assert engine.fire(AFTER, {"n": 1}).error is None
        assert engine.drain(timeout=30)
        assert len(engine.log.page()) == 2
        with psycopg.connect(made) as other:
            other.execute("LOCK TABLE hookrow.firing")
            with pytest.raises(DatabaseBusy):
                engine.fire(BEFORE, {"n": 2})
        with engine.runtime.database.write() as connection:  # theirs, which are shorter than ours
            said = [
                connection.exec_driver_sql(f"SHOW {name}").scalar_one()
                for name in ("lock_timeout", "statement_timeout")
            ]
            assert said == ["300ms", "400ms"]


OURS = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'hookrow'"
