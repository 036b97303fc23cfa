"""Copies of a database in use: whole, of one moment, for their owner alone, under their name only when verified."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from hookrow.errors import Refused, StorageError
from hookrow.store.database import backup
from hookrow.store.database.backup import back_up
from hookrow.store.database.database import Database
from hookrow.store.database.opening import open_database
from hookrow.store.database.tables import SETTINGS
from outbox_rows import add_hook


@contextmanager
def of_pages(folder: Path, count: int) -> Iterator[Database]:
    """A database of so many pages at least."""
    with closing(open_database(f"sqlite:///{folder}/hooks.db")) as made:
        given = [{"name": f"s{number}", "value": "x" * 3000} for number in range(count)]
        made.writer.write(lambda connection: connection.execute(insert(SETTINGS), given) and None)
        yield made


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database that one step does not copy."""
    monkeypatch.setattr(backup, "PAGES", 20)
    with of_pages(tmp_path, 100) as made:
        yield made


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Database]:
    """Neither is this one, by steps as long as they are."""
    with of_pages(tmp_path, 3000) as made:
        yield made


def ask(path: Path, statement: str) -> object:
    """One value of a file."""
    with closing(sqlite3.connect(path)) as plain:
        return plain.execute(statement).fetchone()[0]


def test_a_busy_writer_neither_delays_the_copy_nor_is_in_it(large: Database, tmp_path: Path) -> None:
    """Commits of another process between all steps: the copy ends after one pass, and shows the moment it began."""
    steps = 0

    def commit(done: int, total: int) -> None:
        nonlocal steps
        steps += 1
        assert steps <= 100, "the copy begins anew after every commit"
        other.execute("UPDATE setting SET value = 'changed' WHERE name = 's1'")

    with closing(sqlite3.connect(tmp_path / "hooks.db", isolation_level=None)) as other:
        back_up(large, tmp_path / "copy.db", progress=commit)
    assert steps > 1
    assert ask(tmp_path / "copy.db", "SELECT count(*) FROM setting WHERE value = 'changed'") == 0
    assert ask(tmp_path / "hooks.db", "SELECT count(*) FROM setting WHERE value = 'changed'") == 1


def test_what_is_still_in_the_wal_is_copied(tmp_path: Path) -> None:
    """A plain copy of the file would miss it; the copy is one file of mode 0600 and passes SQLite's check."""
    made = open_database(f"sqlite:///{tmp_path}/hooks.db")
    for number in range(10):
        add_hook(made, f"h{number}")
    before = os.umask(0)
    try:
        back_up(made, tmp_path / "copies.db")
    finally:
        os.umask(before)
    made.close()
    assert [path.name for path in tmp_path.iterdir() if "copies" in path.name] == ["copies.db"]
    assert (tmp_path / "copies.db").stat().st_mode & 0o777 == 0o600
    assert ask(tmp_path / "copies.db", "SELECT count(*) FROM hook") == 10
    assert ask(tmp_path / "copies.db", "PRAGMA integrity_check") == "ok"


def test_a_copy_that_fails_leaves_nothing(filled: Database, tmp_path: Path) -> None:
    """Neither a half-made file under the name nor a part beside it; what had the name keeps it."""
    folder = tmp_path / "copies"
    folder.mkdir()
    (folder / "copy.db").write_text("the copy of yesterday")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(filled, folder / "copy.db", replace=True, progress=stop)
    assert [path.name for path in folder.iterdir()] == ["copy.db"]
    assert (folder / "copy.db").read_text() == "the copy of yesterday"


def test_a_name_that_is_taken_is_refused(filled: Database, tmp_path: Path) -> None:
    """Unless asked for; a folder that does not exist is a declared error."""
    (tmp_path / "copy.db").write_text("mine")
    with pytest.raises(Refused):
        back_up(filled, tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "mine"
    back_up(filled, tmp_path / "copy.db", replace=True)
    assert ask(tmp_path / "copy.db", "SELECT count(*) FROM hookrow_version") == 1
    with pytest.raises(StorageError):
        back_up(filled, tmp_path / "nowhere" / "copy.db")


def test_a_link_stays_one_and_a_pipe_is_no_file(filled: Database, tmp_path: Path) -> None:
    """The copy comes where the link leads; what is no file is not replaced."""
    (tmp_path / "old.db").write_text("the copy of yesterday")
    (tmp_path / "copy.db").symlink_to("old.db")
    back_up(filled, tmp_path / "copy.db", replace=True)
    assert (tmp_path / "copy.db").is_symlink()
    assert ask(tmp_path / "old.db", "SELECT count(*) FROM hookrow_version") == 1
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Refused):
        back_up(filled, tmp_path / "pipe", replace=True)
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("link", [None, os.link, os.symlink])
def test_the_database_is_no_copy_of_itself(filled: Database, tmp_path: Path, link: Any) -> None:
    """Under its own name or another one: its file would change under all who have it open."""
    name = tmp_path / "hooks.db"
    if link is not None:
        name = tmp_path / "other.db"
        link(tmp_path / "hooks.db", name)
    before = (tmp_path / "hooks.db").stat().st_ino
    with pytest.raises(Refused, match="the database itself"):
        back_up(filled, name, replace=True)
    assert (tmp_path / "hooks.db").stat().st_ino == before


def test_a_database_in_use_is_not_replaced(filled: Database, tmp_path: Path) -> None:
    """SQLite would read what stands in its WAL into the copy."""
    with closing(sqlite3.connect(tmp_path / "other.db", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE mine (id)")
        with pytest.raises(Refused, match=r"other\.db-wal is there"):
            back_up(filled, tmp_path / "other.db", replace=True)
        assert other.execute("SELECT count(*) FROM mine").fetchone() == (0,)
    back_up(filled, tmp_path / "other.db", replace=True)
    assert ask(tmp_path / "other.db", "SELECT count(*) FROM hookrow_version") == 1


def test_a_file_made_meanwhile_is_not_replaced(filled: Database, tmp_path: Path) -> None:
    """Two copies of one name at once: the first to be ready stands."""
    target = tmp_path / "copy.db"

    def theirs(done: int, total: int) -> None:
        target.write_text("theirs")

    with pytest.raises(Refused, match="exists already"):
        back_up(filled, target, progress=theirs)
    assert target.read_text() == "theirs"
    assert [each.name for each in tmp_path.glob("*part*")] == []
