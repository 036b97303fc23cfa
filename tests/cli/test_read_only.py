"""A user who may only read the database sees everything but secrets, and changes not a byte."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click._termui_impl  # noqa: F401  nobody may not read the folder of a Python that root keeps for itself
import psycopg
import pytest

from hookrow import Hook, HookEngine
from hookrow.cli.app import run
from hookrow.errors import DatabaseBusy, DatabaseReadOnly
from hookrow.store.database import readonly
from hookrow.store.database.database import Database
from hookrow.store.database.opening import open_database
from receivers import Receiver, reply

NOBODY = 65534
EVENT = "before_order_add"
SEES = (
    ("hooks", "list"),
    ("hooks", "show", "stock"),
    ("hooks", "history", "stock"),
    ("hooks", "stats"),
    ("events",),
    ("explain", EVENT),
    ("log",),
    ("settings", "list"),
    ("export",),
)
CHANGES = (
    ("hooks", "edit", "stock", "--timeout", "3"),
    ("hooks", "pause", "stock"),
    ("fire", EVENT),
    ("settings", "set", "egress", "public"),
    ("keys", "rotate"),
)
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may enter and read (pytest's own belong to one)."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        made.chmod(0o755)
        yield made


def made(folder: Path) -> Path:
    """A database with a hook that has secrets, and one firing; others may read it."""
    path = folder / "hooks.db"
    with HookEngine(f"sqlite:///{path}", worker=False) as engine:
        secret = {"auth_login": "bob", "auth_password": "canary", "custom_header": "X-Key: canary"}
        engine.hooks.add(Hook(key="stock", name="Stock", event=EVENT, url="http://127.0.0.1:9/", **secret))
        engine.fire(EVENT, {"order": {"id": 7}})
    path.chmod(0o644)
    return path


def run_as_nobody(path: Path, answers: Any) -> None:
    """In a child: every command as a user without rights; what each came to."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    try:
        commands(path, answers)
    except BaseException as error:
        answers.put(("child", "died", repr(error)))
        raise


def commands(path: Path, answers: Any) -> None:
    """The child's work."""
    with tempfile.TemporaryDirectory() as own:
        copy = Path(own, "copy.db")
        for arguments in (*SEES, *CHANGES, ("doctor", "--json"), ("db", "backup", str(copy))):
            out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = run(["--db", str(path), "--lang", "en", *arguments])
            told = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
            answers.put((arguments[:2], code, *told))
        if copy.exists():
            with closing(sqlite3.connect(copy)) as plain:
                answers.put((("copy",), *plain.execute("SELECT count(*), 'firings', '' FROM firing").fetchone()))
    answers.put(None)


def as_nobody(path: Path) -> dict[tuple[str, ...], tuple[int, str, str]]:
    """What the commands came to."""
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    child = fork.Process(target=run_as_nobody, args=(path, answers))
    child.start()
    found = {}
    while (each := answers.get(timeout=60)) is not None:
        found[each[0]] = each[1:]
        assert each[1] != "died", each
    child.join(30)
    return found


def judge(found: dict[tuple[str, ...], tuple[int, str, str]]) -> None:
    """All is seen, nothing is changed, no secret is told."""
    assert {command[:2]: found[command[:2]][0] for command in SEES} == {command[:2]: 0 for command in SEES}
    assert {command[:2]: found[command[:2]][0] for command in CHANGES} == {command[:2]: 3 for command in CHANGES}
    assert "Stock" in found["hooks", "list"][1]
    assert EVENT in found["log",][1]
    assert "is sent in the background" in found["explain", EVENT][1]
    assert "read_only" in found["doctor", "--json"][1]
    assert (found["db", "backup"][0], found["copy",][0]) == (0, 1), found["db", "backup"][2]
    assert "canary" not in repr(found)


def files(folder: Path) -> dict[str, bytes]:
    """The folder's files with their bytes; `-shm` holds readers' marks and may change."""
    return {each.name: each.read_bytes() for each in folder.iterdir() if not each.name.endswith("-shm")}


@needs_root
def test_a_database_that_nobody_has_open(folder: Path) -> None:
    """Its WAL is gone and can't be made by this user: the file alone is read."""
    path = made(folder)
    before = files(folder)
    judge(as_nobody(path))
    assert files(folder) == before


@needs_root
def test_a_database_that_a_service_has_open(folder: Path) -> None:
    """What stands in the WAL only is seen, too."""
    path = made(folder)
    with closing(sqlite3.connect(path)) as service:
        service.execute("UPDATE hook SET name = 'Stock 2'")
        service.commit()
        before = files(folder)
        found = as_nobody(path)
        assert files(folder) == before
    judge(found)
    assert "Stock 2" in found["hooks", "list"][1]


@needs_root
def test_a_database_that_a_crash_left(folder: Path) -> None:
    """With what a killed process left beside it; where a part of that is missing, the way out is told."""
    path = made(folder)
    (folder / "copy").mkdir()
    copy = folder / "copy" / "hooks.db"
    with closing(sqlite3.connect(path)) as service:
        service.execute("UPDATE hook SET name = 'Stock 2'")
        service.commit()
        for end in ("", "-wal", "-shm"):
            shutil.copy(f"{path}{end}", f"{copy}{end}")
            Path(f"{copy}{end}").chmod(0o644)
    found = as_nobody(copy)
    judge(found)
    assert "Stock 2" in found["hooks", "list"][1]
    Path(f"{copy}-shm").unlink()
    found = as_nobody(copy)
    assert {code for code, _, _ in found.values()} == {3}
    assert "hooks.db-shm" in found["log",][2]


def overtaken(database: Database, path: Path) -> None:
    """A reading during which somebody opens the database, writes to it and closes it."""
    with database.read() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM hook").scalar_one()
        with closing(sqlite3.connect(path)) as service:
            service.execute("UPDATE hook SET name = 'Stock 2'")
            service.commit()


def test_a_reading_that_was_overtaken_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read without its WAL, and changed meanwhile: what was read may be torn, so it is not handed out as good."""
    path = made(tmp_path)
    monkeypatch.setattr(readonly, "is_read_only", lambda path: True)
    database = open_database(f"sqlite:///{path}")
    seen = database.data_version()
    with pytest.raises(DatabaseBusy, match="try again"):
        overtaken(database, path)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT name FROM hook").scalar_one() == "Stock 2"
    assert database.data_version() != seen
    database.close()


def test_a_role_that_may_only_read(postgres_url: str) -> None:
    """On PostgreSQL the engine asks the server, once."""
    parts = urlsplit(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    with HookEngine(urlunsplit(parts), worker=False) as writer, Receiver(reply(200)) as shop:
        writer.hooks.add(Hook(name="h", event=EVENT, url=shop.url, wait_for_response=True))
        writer.fire(EVENT, {})
    role = f"reader_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute(f"GRANT USAGE ON SCHEMA hookrow TO {role}")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA hookrow TO {role}")
        host = parts.netloc.rpartition("@")[2]
        try:
            theirs = urlunsplit(parts._replace(netloc=f"{role}@{host}"))
            with HookEngine(theirs, worker=False) as engine, Receiver(reply(200)) as laptop:
                assert engine.read_only
                assert [hook.name for hook in engine.hooks.list()] == ["h"]
                tapped = engine.tap(engine.log.newest_attempt(), to=laptop.url)
                assert tapped is not None
                assert tapped.same
                with pytest.raises(DatabaseReadOnly):
                    engine.hooks.add(Hook(name="h", event=EVENT, url="http://127.0.0.1:9/"))
        finally:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")
