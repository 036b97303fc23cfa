"""Which database is meant: every spelling wherever one is given, and what is wrong with it by its own name."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from hookrow import Hook, HookEngine
from hookrow.errors import NoDatabase, StorageError
from hookrow.store.database.address import address_of

AFTER = "after_registration"


@pytest.mark.parametrize(
    "spelled",
    [str, Path, lambda path: f"sqlite:///{path}", lambda path: os.path.relpath(path)],
    ids=["text", "path", "url", "relative"],
)
def test_a_file_by_any_spelling(tmp_path: Path, spelled: Callable[[Path], str | Path]) -> None:
    """As `--db` takes it; a name may hold what means something in a URL."""
    path = tmp_path / "hooks?now=1#a.db"
    if str(spelled(path)).startswith("sqlite"):
        path = tmp_path / "hooks.db"
    with HookEngine(spelled(path), worker=False) as engine:
        assert engine.path is not None
        assert engine.path.resolve() == path
    assert path.exists()


def test_a_server_by_any_spelling() -> None:
    """By whatever driver's name: ours is psycopg."""
    for url in ("postgres://u@h/d", "postgresql://u@h/d", "postgresql+psycopg2://u@h/d"):
        assert address_of(url).render_as_string() == "postgresql+psycopg://u@h/d"


def test_a_password_that_ends_too_early_is_not_told() -> None:
    """An unescaped @: what stands behind it looks like the host's name, and is not repeated."""
    with pytest.raises(NoDatabase, match="%40") as caught:
        HookEngine("postgresql://shop:tell@nobody@db.test/shop", worker=False)
    assert "nobody" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"database": "not_there"}, NoDatabase, "CREATE DATABASE"),
        ({"username": "nobody_here"}, StorageError, "does not let this user in"),
        ({"host": "127.0.0.1", "port": 1, "query": {}}, StorageError, "Connection refused"),
        ({"query": {"host": ["127.0.0.1:1", "127.0.0.2:1"]}}, StorageError, "Connection refused"),
        (
            {"host": "127.0.0.1", "port": 1, "query": {"sslmode": "verify-full", "sslrootcert": "/not/there"}},
            StorageError,
            "sslrootcert|Connection refused",
        ),
    ],
    ids=["no database", "no user", "nobody listens", "two hosts", "no certificate"],
)
def test_what_is_wrong_is_said_with_its_own_way_out(
    postgres_url: str, change: dict[str, object], kind: type[StorageError], said: str
) -> None:
    """Not «make one with hookrow init», which would help nobody here."""
    address = make_url(postgres_url).set(**change)  # type: ignore[arg-type]
    with pytest.raises(kind, match=said) as caught:
        HookEngine(address.render_as_string(hide_password=False), worker=False)
    assert type(caught.value) is kind
    assert "create one with hookrow init" not in str(caught.value)


@pytest.mark.parametrize("given", ["0", "100", "many", "-1", "1.5"])
def test_a_number_of_connections_that_is_none(given: str) -> None:
    """Refused with what it can be."""
    with pytest.raises(NoDatabase, match=r"hookrow_connections .* 1 … 99"):
        address_of(f"postgresql://u@h/d?hookrow_connections={given}")


def test_no_more_connections_than_the_url_allows(postgres_url: str) -> None:
    """Eight threads that fire and read: as many as are allowed for reading, and those for writing."""
    url = make_url(postgres_url).update_query_dict({"hookrow_connections": "2"})
    ours = "datname = current_database() AND application_name = 'hookrow'"
    most = 0
    with (
        HookEngine(url.render_as_string(hide_password=False), worker=False) as engine,
        psycopg.connect(postgres_url, autocommit=True) as other,
        ThreadPoolExecutor(8) as threads,
    ):
        engine.hooks.add(Hook(name="a", event=AFTER, url="http://receiver.test/a"))

        def work(number: int) -> None:
            engine.fire(AFTER, {"n": number})
            engine.log.page()

        under_way = [threads.submit(work, number) for number in range(24)]
        while not all(each.done() for each in under_way):
            found = other.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {ours}").fetchone()
            most = max(most, 0 if found is None else found[0])
        for each in under_way:
            each.result()
    assert 2 <= most <= 4


def test_of_several_hosts_the_one_that_can_be_written_is_taken(postgres_url: str) -> None:
    """The URL for a failover: whichever of them is there and no standby."""
    address = make_url(postgres_url)
    host = str(address.query.get("host") or address.host)
    among = {"host": ["127.0.0.1:1", f"{host}:{address.port or 5432}"], "target_session_attrs": "read-write"}
    url = address.set(host=None, port=None, query={**address.query, **among})
    with HookEngine(url.render_as_string(hide_password=False), worker=False) as engine:
        assert engine.hooks.list() == []
