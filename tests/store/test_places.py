"""Where a database file lies: unsafe file systems are named, refused for a new one, warned of for one that is there."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from hookrow import HookEngine
from hookrow.errors import NoDatabase, StorageError
from hookrow.store.database import opening, places
from hookrow.store.database.opening import open_database

UNSAFE = ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "vboxsf", "virtiofs"]
LOCAL = ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuseblk", "zfs", "fuse.mergerfs"]


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the tests' folder lie on a file system of a kind."""

    def mount(kind: str, place: Path = tmp_path) -> None:
        octal = os.path.realpath(place).replace(" ", r"\040")
        (tmp_path / "mounts").write_text(
            "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
            f"40 21 0:45 / {octal} rw,noatime shared:7 master:2 - {kind} host:/export rw\n"
            f"41 21 0:46 / {octal}-other rw - nfs4 host:/other rw\n"
            "42 21 0:4 / /proc rw - proc proc rw\n"
        )
        monkeypatch.setattr(places, "MOUNTS", str(tmp_path / "mounts"))

    return mount


@pytest.mark.parametrize("kind", UNSAFE)
def test_no_database_is_made_there(kind: str, tmp_path: Path, mounted: Any) -> None:
    """Nothing is left behind, and PostgreSQL is named."""
    mounted(kind)
    with pytest.raises(NoDatabase, match=f"(?s) {kind}, .*PostgreSQL"):
        open_database(f"sqlite:///{tmp_path / 'hooks.db'}")
    assert [each.name for each in tmp_path.iterdir()] == ["mounts"]


@pytest.mark.parametrize("kind", LOCAL)
def test_these_are_local(kind: str, tmp_path: Path, mounted: Any) -> None:
    """Of overlay and fuseblk, too, nothing is said."""
    mounted(kind)
    assert places.misplaced(tmp_path / "hooks.db") is None


def test_the_mount_that_holds_the_file_counts(tmp_path: Path, mounted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deepest one, by the path without links; of two at one place the later. Spaces are read; no list, no word."""
    deep = tmp_path / "a b"
    deep.mkdir()
    (tmp_path / "link").symlink_to(deep)
    mounted("nfs4", deep)
    assert places.misplaced(tmp_path / "link" / "hooks.db") is not None
    assert places.misplaced(tmp_path / "hooks.db") is None
    with open(tmp_path / "mounts", "a") as file:
        file.write(f"50 40 8:2 / {str(deep).replace(' ', chr(92) + '040')} rw - ext4 /dev/sdb rw\n")
    assert places.misplaced(deep / "hooks.db") is None
    monkeypatch.setattr(places, "MOUNTS", str(tmp_path / "none"))
    assert places.misplaced(deep / "hooks.db") is None


def test_one_that_is_there_opens_with_a_warning(tmp_path: Path, mounted: Any, caplog: pytest.LogCaptureFixture) -> None:
    """One line an opening."""
    url = f"sqlite:///{tmp_path / 'hooks.db'}"
    open_database(url).close()
    mounted("fuse.sshfs")
    caplog.clear()
    with HookEngine(url, worker=False) as engine:
        assert "fuse.sshfs" in str(engine.health.place())
    [line] = caplog.records
    assert (line.levelno, "fuse.sshfs" in line.getMessage()) == (logging.WARNING, True)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_SHMMAP, sqlite3.SQLITE_IOERR_SHMOPEN, None])
def test_memory_that_can_t_be_shared_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None) -> None:
    """By SQLite's code, or by another mode than was asked for; nothing half-made is left, what was there stays."""

    def insist(plain: sqlite3.Connection, statement: str) -> None:
        if code is not None:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = code
            raise error

    monkeypatch.setattr(opening, "insist", insist)
    path = tmp_path / "hooks.db"
    for there in (False, True):
        if there:
            path.touch()
        with pytest.raises(StorageError, match=r"(?s)share memory.*PostgreSQL"):
            open_database(f"sqlite:///{path}")
        assert [each.name for each in tmp_path.iterdir()] == (["hooks.db"] if there else [])
