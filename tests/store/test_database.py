"""A database's life: where it lies, who may open it, what its errors tell, what a fork and a full disk leave of it."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert

from hookrow.errors import DatabaseBusy, DatabaseReadOnly, NoDatabase, StorageError
from hookrow.store.configuration import settings
from hookrow.store.configuration.cache import ConfigCache
from hookrow.store.database.backup import back_up
from hookrow.store.database.database import Database
from hookrow.store.database.opening import open_database
from hookrow.store.database.tables import HOOKS
from hookrow.store.outbox.writing import FIRINGS
from outbox_rows import T0, add_hook, fire
from schemas import ours

NOBODY = 65534


def url_of(database: Database) -> str:
    """The URL, by which another process opens it."""
    return database.address.render_as_string(hide_password=False)


def scalar(database: Database, statement: str) -> Any:
    """One value."""
    with database.read() as connection:
        return ours(connection, statement).scalar()


def test_a_relative_path_stays_the_file_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that changes its folder later does not begin a second database there."""
    monkeypatch.chdir(tmp_path)
    database = open_database("sqlite:///hooks.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    database.disconnect()
    add_hook(database, "a")
    assert scalar(database, "SELECT count(*) FROM main.hook") == 1
    database.close()
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    """Each connection and each process would see another one."""
    with pytest.raises(NoDatabase, match="no Hookrow database here"):
        open_database(url)


@pytest.fixture
def tomsk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is there."""
    monkeypatch.setenv("TZ", "Asia/Tomsk")


@pytest.mark.usefixtures("tomsk")
def test_the_zone_of_the_machine_is_kept_at_the_making(new_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """On both databases; opened elsewhere later it stays."""
    monkeypatch.setenv("TZ", "Europe/Paris")
    again = open_database(url_of(new_database))
    assert scalar(again, "SELECT value FROM main.setting WHERE name = 'timezone'") == "Asia/Tomsk"
    again.close()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter (pytest's own belong to one)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def opened_by_nobody(path: Path, answers: Any) -> None:
    """In a child: open as a user without rights, and tell what was raised."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    try:
        open_database(f"sqlite:///{path}").close()
    except Exception as error:  # noqa: BLE001 (whatever it is, the parent is told)
        answers.put((type(error), str(error)))
    else:
        answers.put((None, ""))


def prepared(folder: Path, kind: str) -> Path:
    """A database that another user may not, or may only partly, reach."""
    path = folder / "hooks.db"
    if kind == "a folder that is closed":
        path = folder / "closed" / "hooks.db"
        path.parent.mkdir(mode=0o700)
    if kind != "no database in a folder of another":
        open_database(f"sqlite:///{path}").close()
    return path


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(
    ("kind", "error", "says"),
    [
        ("a file of another", StorageError, "Permission denied"),
        ("a folder that is closed", NoDatabase, "Permission denied"),
        ("no database in a folder of another", NoDatabase, "Permission denied"),
    ],
)
def test_a_user_without_rights_is_told_so(open_folder: Path, kind: str, error: type[Exception], says: str) -> None:
    """A declared error that says which right is missing; not a byte changes."""
    path = prepared(open_folder, kind)
    before = path.read_bytes() if path.exists() else None
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    child = fork.Process(target=opened_by_nobody, args=(path, answers))
    child.start()
    raised, said = answers.get(timeout=30)
    child.join(30)
    assert raised is error
    assert says in said
    assert (path.read_bytes() if path.exists() else None) == before


def test_a_restored_copy_goes_back_into_wal(tmp_path: Path) -> None:
    """A backup is one file without a WAL; written to as the database, it is used with a WAL again."""
    made = open_database(f"sqlite:///{tmp_path}/hooks.db")
    back_up(made, tmp_path / "copy.db")
    made.close()
    shutil.copy(tmp_path / "copy.db", tmp_path / "restored.db")
    before = (tmp_path / "restored.db").read_bytes()
    restored = open_database(f"sqlite:///{tmp_path}/restored.db")
    assert scalar(restored, "SELECT count(*) FROM main.hook") == 0
    assert (tmp_path / "restored.db").read_bytes() == before, "who only reads changes nothing"
    add_hook(restored, "a")
    restored.disconnect()  # a connection knows the mode of its own beginning
    assert scalar(restored, "PRAGMA journal_mode") == "wal"
    restored.close()


def test_a_copy_that_another_holds_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Going into WAL needs a moment alone with the file; who does not get it is told the usual way, and tries again."""
    monkeypatch.setattr("hookrow.store.database.locks.LOCK", 0.05)
    made = open_database(f"sqlite:///{tmp_path}/hooks.db")
    back_up(made, tmp_path / "copy.db")
    made.close()
    copy = open_database(f"sqlite:///{tmp_path}/copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusy):
            add_hook(copy, "a")
        other.rollback()
    add_hook(copy, "a")
    copy.close()


def test_a_copy_that_another_reads_goes_into_wal_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's busy handler waits only for some locks; the first write waits for the others itself."""
    made = open_database(f"sqlite:///{tmp_path}/hooks.db")
    back_up(made, tmp_path / "copy.db")
    made.close()
    copy = open_database(f"sqlite:///{tmp_path}/copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM hook").fetchall()
        clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: reader.rollback())
        monkeypatch.setattr("hookrow.store.database.locks.time", clock)
        monkeypatch.setattr("hookrow.store.database.database.LOCK", 0.05)
        add_hook(copy, "a")
        assert not reader.in_transaction, "it waited for the reader"
    copy.close()


# -- errors -----------------------------------------------------------------------------------------------------------


def test_an_error_never_tells_the_row(database: Database) -> None:
    """PostgreSQL's details hold the whole row: neither its secrets nor its words for other errors get out."""
    with pytest.raises(StorageError) as raised:
        add_hook(database, "a", timeout=99.0, auth_password="v1.CANARY", body="disk is full")
    assert type(raised.value) is StorageError
    assert "hook_timeout" in str(raised.value)
    assert "CANARY" not in str(raised.value)
    assert "disk is full" not in str(raised.value)


def test_a_database_for_reading_is_said_to_be_one(database: Database) -> None:
    """By the database's own code for it, whatever language it speaks."""

    def job(connection: Connection) -> None:
        read_only = {"sqlite": "PRAGMA query_only = ON", "postgresql": "SET TRANSACTION READ ONLY"}
        connection.exec_driver_sql(read_only[database.dialect])
        settings.store(connection, "x", "1")

    with pytest.raises(DatabaseReadOnly):
        database.writer.write(job)


def test_a_connection_in_use_while_its_database_is_closed_is_closed_after(database: Database) -> None:
    """What a cancelled caller's thread still reads: nobody empties the pool that it goes back to."""
    with database.read() as connection:
        driver: Any = connection.connection.driver_connection
        database.close()
    with pytest.raises(Exception, match="closed"):
        driver.execute("SELECT 1")


def test_a_full_disk_is_said_and_got_over(tmp_path: Path) -> None:
    """What does not fit is refused whole; with room again, all goes on and nothing is damaged."""
    database = open_database(f"sqlite:///{tmp_path}/hooks.db")

    def room(pages: int) -> None:
        database.writer.write(lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}"))

    def big(connection: Connection) -> None:
        row = {"uid": "u", "event": "e", "moment": "on", "at_ms": T0, "deadline_ms": T0, "payload": "x" * 500_000}
        connection.execute(insert(FIRINGS).values(id=1, deferred=False, **row))

    room(1)  # SQLite takes the pages that there are
    with pytest.raises(StorageError, match=r"disk is full.*hookrow prune"):
        database.writer.write(big)
    assert scalar(database, "SELECT count(*) FROM main.firing") == 0
    room(1_000_000)
    database.writer.write(big)
    assert database.writer.failed is None
    assert scalar(database, "PRAGMA integrity_check") == "ok"
    database.close()


# -- forks ------------------------------------------------------------------------------------------------------------


def test_a_fork_does_not_hide_an_edit(database: Database) -> None:
    """Connections are made anew at a fork: what others wrote around it is seen by the next look."""
    cache = ConfigCache(database)
    assert cache.get().hooks == {}
    child = multiprocessing.get_context("fork").Process(target=int)
    child.start()
    child.join(30)
    other = open_database(url_of(database))
    hook = add_hook(other, "a")
    other.close()
    cache.forget()  # PostgreSQL is asked once a second
    assert list(cache.get().hooks) == [hook]


def test_a_new_look_never_repeats_an_old_number(database: Database) -> None:
    """`data_version` counts for one connection; a follower compares numbers of several."""
    seen = {database.data_version()}
    for number in range(3):
        database.disconnect()
        database.writer.write(lambda connection, n=number: settings.store(connection, "n", str(n)))  # type: ignore[misc]
        fresh = database.data_version()
        assert fresh not in seen
        seen.add(fresh)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_empty_wal_is_not_emptied_again(database: Database) -> None:
    """What a transaction left that wrote nothing; SQLite itself counts that as a change, and who follows looks anew."""
    add_hook(database, "a")
    for _ in range(2):
        assert database.checkpoint()
        assert os.stat(f"{database.path}-wal").st_size == 0
        before = database.data_version()
        database.writer.write(lambda connection: None)
        assert database.checkpoint()
        assert database.data_version() == before
        add_hook(database, "b")
        assert database.data_version() != before
        database.writer.write(lambda connection: connection.execute(delete(HOOKS).where(HOOKS.c.key == "b")))


def write_firings(database: Database, hook: int, count: int) -> None:
    """In a child, or in the parent meanwhile."""
    for _ in range(count):
        fire(database, [hook])


def test_parent_and_children_of_a_fork_all_write(database: Database) -> None:
    """A server that forks after its first use: nothing is lost, nobody hangs."""
    hook = add_hook(database, "a")
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=write_firings, args=(database, hook, 20)) for _ in range(3)]
    for child in children:
        child.start()
    write_firings(database, hook, 20)
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * 3
    assert scalar(database, "SELECT count(*) FROM main.delivery") == 80
    assert scalar(database, "SELECT count(DISTINCT uid) FROM main.firing") == 80


def test_what_the_pool_says_is_no_line_of_ours(database: Database) -> None:
    """SQLAlchemy logs under the name of a pool's class: a traceback of a connection that the server has ended."""
    assert database.engine("read").pool.logger.name.startswith("sqlalchemy.pool.")
