"""A database's file replaced, removed, damaged or copied over, open or not: nothing is said to be kept that is not."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hookrow import Hook, HookEngine
from hookrow.core.care.restoring import check
from hookrow.errors import DatabaseDamaged, NoDatabase, StorageError
from hookrow.store.database import database as databases
from hookrow.store.database.backup import back_up
from hookrow.store.database.opening import open_database

EVENT = "before_order_add"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[HookEngine]:
    """With one hook whose firings are finished at once, and a firing."""
    with HookEngine(f"sqlite:///{tmp_path / 'hooks.db'}", worker=False) as made:
        made.hooks.add(Hook(key="a", name="a", event=EVENT, url="http://receiver.test/", condition="false"))
        made.fire(EVENT, {"n": 1})
        yield made


@pytest.fixture(autouse=True)
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers look at each question, instead of each five seconds."""
    monkeypatch.setattr(databases, "LOOK_AT_FILE", 0.0)


def kept(path: Path) -> int:
    """The firings that a file holds."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as plain:
        return int(plain.execute("SELECT count(*) FROM firing").fetchone()[0])


def test_nothing_is_acknowledged_into_a_removed_file(engine: HookEngine, tmp_path: Path) -> None:
    """Every call says so, and makes no new one; once the file is back it goes on."""
    path = tmp_path / "hooks.db"
    path.rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(StorageError, match=r"file_replaced|no Hookrow database"):
            engine.fire(EVENT, {"n": 2})
        with pytest.raises(StorageError):
            engine.log.page(limit=10)
    assert not path.exists()
    (tmp_path / "away").rename(path)
    engine.fire(EVENT, {"n": 3})
    assert len(engine.log.page(limit=10)) >= 2


def test_a_good_file_in_its_place_is_opened_anew(
    engine: HookEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What went into the old one is refused; then hooks, log and firings are those of the new one."""
    monkeypatch.setattr(databases, "LOOK_AT_FILE", 60.0)  # who writes does not wait for the next look
    path = tmp_path / "hooks.db"
    back_up(engine.runtime.database, tmp_path / "copy.db")
    engine.hooks.update("a", name="later")
    engine.fire(EVENT, {"n": 2})
    assert engine.hooks.get("a").name == "later"
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink()
    (tmp_path / "copy.db").replace(path)
    with pytest.raises(StorageError, match="file_replaced"):
        engine.fire(EVENT, {"n": 3})
    assert kept(path) == 1
    assert engine.hooks.get("a").name == "a"
    engine.fire(EVENT, {"n": 4})
    assert kept(path) == len(engine.log.page(limit=10)) == 2


def test_what_is_no_database_of_this_schema_is_not_opened(engine: HookEngine, tmp_path: Path) -> None:
    """Every call says so, for as long as it lies there."""
    path = tmp_path / "hooks.db"
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as plain:
        plain.execute("CREATE TABLE t (a)")
    other.replace(path)
    for _ in range(3):
        with pytest.raises(StorageError):
            engine.fire(EVENT, {"n": 2})
        with pytest.raises(StorageError, match="file_replaced"):
            engine.log.page(limit=1)


def test_from_a_damaged_file_nobody_answers(engine: HookEngine, tmp_path: Path) -> None:
    """Once anybody has met the damage: this process, another one, a new one; until `check` finds it whole."""
    path = tmp_path / "hooks.db"
    other = HookEngine(f"sqlite:///{path}", worker=False)
    for number in range(200):
        engine.fire(EVENT, {"n": number, "text": "x" * 500})
    engine.runtime.database.checkpoint()
    whole = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xff" * 4096 * 20)
    with pytest.raises(DatabaseDamaged, match=r"db restore FILE"):
        check(path)
    for each in (engine, other):
        with pytest.raises(DatabaseDamaged, match="db check"):
            each.log.page(limit=1)
        with pytest.raises(DatabaseDamaged):
            each.fire(EVENT, {"n": 2})
    with pytest.raises(DatabaseDamaged):
        open_database(f"sqlite:///{path}")
    with path.open("r+b") as file:
        file.write(whole)
    check(path)
    assert engine.log.page(limit=1)
    other.close()


def test_a_backup_beside_another_file_s_wal_is_refused(tmp_path: Path) -> None:
    """`cp backup.db hooks.db` after a crash: the WAL would be written over it."""
    path = tmp_path / "hooks.db"
    with HookEngine(f"sqlite:///{path}", worker=False) as engine:
        engine.fire(EVENT, {})
        back_up(engine.runtime.database, tmp_path / "copy.db")
        engine.hooks.add(Hook(key="a", name="a", event=EVENT, url="http://receiver.test/"))
        shutil.copy(f"{path}-wal", tmp_path / "wal")
    shutil.copy(tmp_path / "copy.db", path)
    shutil.copy(tmp_path / "wal", f"{path}-wal")
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(DatabaseDamaged, match="db restore FILE"):
            open_database(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_check_needs_a_file(tmp_path: Path) -> None:
    """Which is not made."""
    with pytest.raises(NoDatabase):
        check(tmp_path / "hooks.db")
    assert list(tmp_path.iterdir()) == []
