"""The hook cache: what changed is seen, what could not be read is asked for again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from hookrow.errors import DatabaseBusy
from hookrow.store.configuration.cache import ConfigCache
from hookrow.store.database.database import Database
from hookrow.store.database.moments import StorageClock
from hookrow.store.database.opening import open_database
from outbox_rows import add_hook
from scripted import HandClock


@pytest.mark.usefixtures("looking_each_time")
def test_a_reading_that_failed_is_repeated(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an edit that was just out of reach would stay unseen until the next one."""
    clock = HandClock()
    database.clock = StorageClock(clock)
    cache = ConfigCache(database)
    cache.get()
    hook = add_hook(database, "a")
    clock.forward(1.1)

    @contextmanager
    def busy() -> Iterator[Connection]:
        raise DatabaseBusy("busy")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(database, "read", busy)
        with pytest.raises(DatabaseBusy):
            cache.get()
    assert list(cache.get().hooks) == [hook]


@pytest.mark.usefixtures("looking_each_time")
def test_another_processs_edit_is_seen_in_time(database: Database) -> None:
    """SQLite: by the next look. PostgreSQL: within a second, and asked no oftener."""
    clock = HandClock()
    database.clock = StorageClock(clock)
    other = open_database(database.address.render_as_string(hide_password=False))
    cache = ConfigCache(database)
    cache.get()
    hook = add_hook(other, "a")
    if database.dialect == "postgresql":
        clock.forward(0.9)
        assert cache.get().hooks == {}
        clock.forward(0.2)
    assert list(cache.get().hooks) == [hook]
    other.close()
