"""`hookrow db copy`: one database's rows in another, of either kind, compared; what is unfinished stays where it is."""

from __future__ import annotations

import asyncio
import re
import shlex
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bench.log_rows import grow, sown
from sqlalchemy import func, make_url, select, update

from cli_runs import ROOT, Hookrow, program
from hookrow import Hook, HookEngine
from hookrow.core.care.copying import copy_database, see_same
from hookrow.store import copying
from hookrow.store.database.database import Database
from hookrow.store.database.moments import KEPT_AS
from hookrow.store.database.opening import open_database
from hookrow.store.database.tables import BREAKERS, DELIVERIES, FIRINGS, TABLES, VERSION_NUMBER
from receivers import Receiver, reply
from silent import Silent

Add = Callable[..., dict[str, Any]]
EVENT = "after_registration"
OWN = {BREAKERS, VERSION_NUMBER}
"""What each database has for itself."""
ROWS = 4000
"""Eight pieces of a copy."""


def contents(url: str) -> Mapping[str, list[tuple[Any, ...]]]:
    """All rows, in order."""
    with closing(open_database(url, create=False)) as database, database.read(None) as connection:
        found = {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in TABLES
            if table not in OWN
        }
    found["setting"] = [row for row in found["setting"] if row[0] != KEPT_AS]
    return found


def url_of(path: Path) -> str:
    """A file as a URL."""
    return f"sqlite:///{path}"


@pytest.fixture
def key(hookrow: Hookrow, made: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A key for both databases."""
    said = hookrow("--db", "postgresql://nowhere/none", "keys", "new").out.strip()
    monkeypatch.setenv("HOOKROW_KEYS", said)
    return said


@pytest.fixture
def used(add: Add, hookrow: Hookrow, key: str, monkeypatch: pytest.MonkeyPatch, made: Path) -> Path:
    """A database with a life behind it: secrets, a deleted hook, revisions, settings, texts and bytes of all kinds."""
    monkeypatch.setenv("PASSWORD", "тайна")
    secret = ("--auth-login", "me", "--auth-password-env", "PASSWORD", "--response-has-data")
    with Receiver(reply(200, b'{"ok": "\\u0000 \xd1\x91"}')) as receiver, Receiver(reply(500)) as broken:
        add(receiver.url, *secret, event=EVENT, name="Склад")
        add(broken.url, "--wait-for-response", event=EVENT, name="Касса")
        add(receiver.url, event=EVENT, name="gone")
        hookrow("hooks", "rm", 3, "--yes")
        hookrow("hooks", "edit", 1, "--valid-from", "2026-01-01T10:00:00+03:00")
        hookrow("settings", "set", "retention_days", 20)
        for _ in range(3):
            hookrow("fire", EVENT)
    return made


def test_there_and_back(used: Path, hookrow: Hookrow, postgres_url: str, folder: Path) -> None:
    """A file to a server, the server to a new file: value by value; numbering goes on; a used target is refused."""
    said = hookrow("db", "copy", "--to", postgres_url, "--log").err
    assert "Hooks: 3. Firings in the log: 3." in said
    assert "both are equal" in said
    there = contents(postgres_url)
    assert there == contents(url_of(used))
    assert [len(there[name]) for name in ("hook", "firing", "delivery", "attempt")] == [3, 3, 6, 6]
    assert hookrow("--db", postgres_url, "keys", "check").err.count("decrypted: 1.") == 1
    back = folder / "back.db"
    hookrow("--db", postgres_url, "db", "copy", "--to", back, "--log")
    assert contents(url_of(back)) == contents(postgres_url)
    hookrow("--db", back, "hooks", "list")

    new = ("hooks", "add", "--name", "new", "--url", "http://127.0.0.1:9/", "--event", EVENT, "--json")
    assert hookrow("--db", postgres_url, *new).json["id"] == 4
    assert "its own" in hookrow("db", "copy", "--to", postgres_url, code=5).err


def test_without_the_log(used: Path, hookrow: Hookrow, folder: Path) -> None:
    """Hooks, revisions, settings, deeds; what changed in the source since comes along with the next run."""
    copy = folder / "copy.db"
    hookrow("db", "copy", "--to", copy)
    hookrow("hooks", "edit", 1, "--timeout", 9)
    hookrow("hooks", "rm", 2, "--yes")
    hookrow("settings", "set", "retention_days", "30")
    hookrow("db", "copy", "--to", copy)
    found, source = contents(url_of(copy)), contents(url_of(used))
    assert found["firing"] == []
    assert all(found[name] == source[name] for name in ("hook", "hook_revision", "event", "setting", "deed"))


@pytest.mark.parametrize("kind", ["file", "server"])
def test_keys_that_went_to_other_hooks(key: str, tmp_path: Path, postgres_url: str, kind: str) -> None:
    """A key that was used again, two that were swapped: a later run takes them over, and one more finds it the same."""
    source = url_of(tmp_path / "source.db")
    copy = postgres_url if kind == "server" else url_of(tmp_path / "copy.db")
    copied = partial(copy_database, source, copy, {"HOOKROW_KEYS": key})

    def hook(name: str) -> Hook:
        return Hook(name=name, key=name, event=EVENT, url="http://127.0.0.1:9/")

    with HookEngine(source, worker=False) as engine:
        for name in "abc":
            engine.hooks.add(hook(name))
        copied()
        for one, to in (("a", "x"), ("b", "a"), ("x", "b")):
            engine.hooks.update(one, key=to, name=to)
        engine.hooks.remove("c")
        engine.hooks.add(hook("c"))
    for _ in range(2):
        copied()
        assert contents(copy)["hook"] == contents(source)["hook"]
    with HookEngine(copy, worker=False) as engine:
        assert {each.key: each.id for each in engine.hooks.list()} == {"a": 2, "b": 1, "c": 4}


def test_the_unfinished_stay(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """They are counted, and come along once they are sent; a firing that changed since is replaced."""
    copy = folder / "copy.db"
    with Receiver(reply(200)) as receiver:
        add(receiver.url, "--response-has-data", event=EVENT)
        done = hookrow("fire", EVENT, "--json").json
        waiting = hookrow("fire", EVENT, "--no-wait", "--json").json
        said = hookrow("db", "copy", "--to", copy, "--log").err
        assert "left here: firings 1, deliveries 1" in said
        assert [each["id"] for each in hookrow("--db", copy, "log", "--json").lines] == [done["id"]]
        hookrow("redeliver", waiting["deliveries"][0]["id"], "--yes")
        hookrow("redeliver", done["deliveries"][0]["id"], "--yes")
        assert "left here" not in hookrow("db", "copy", "--to", copy, "--log").err
        assert len(receiver.requests) == 3
    assert contents(url_of(copy)) == contents(url_of(folder / "hooks.db"))


def test_the_targets_keys_are_asked_first(add: Add, hookrow: Hookrow, folder: Path, postgres_url: str) -> None:
    """Exit 3 with the way out, and nothing is made."""
    add("http://127.0.0.1:9/", event=EVENT)
    hookrow("hooks", "secret", "new", 1)
    for target in (postgres_url, folder / "elsewhere" / "copy.db"):
        said = hookrow("db", "copy", "--to", target, code=3).err
        assert "HOOKROW_KEYS" in said
        assert str(folder / "hooks.key").removesuffix("s.key") in said
    hookrow("--db", postgres_url, "hooks", "list", code=3)


NONE = [("hooks.db", 5), ("./hooks.db", 5), ("http://x/", 3), ("no/folder.db", 3)]


@pytest.mark.parametrize(("target", "code"), NONE)
def test_a_target_that_is_none(add: Add, hookrow: Hookrow, target: str, code: int) -> None:
    """The database itself, another protocol, a folder that is not there: one line, and the exit code."""
    add("http://127.0.0.1:9/", event=EVENT)
    said = hookrow("db", "copy", "--to", target, code=code).err
    assert len(said.splitlines()) == 1


def test_the_database_by_another_name(hookrow: Hookrow, key: str, postgres_url: str) -> None:
    """A server has several: which database of which server it is says the server, not a URL."""
    hookrow("--db", postgres_url, "init")
    with Silent(make_url(postgres_url)) as another_way:
        said = hookrow("--db", postgres_url, "db", "copy", "--to", another_way.url(make_url(postgres_url)), code=5).err
        assert "the database itself" in said


def test_another_database_whose_url_differs_only_in_parameters(postgres_url: str) -> None:
    """They may name the server, and the database too."""
    url = make_url(postgres_url).set(database=None)
    source, target = (
        Database(url.update_query_dict({"dbname": name})) for name in (str(make_url(postgres_url).database), "postgres")
    )
    with closing(source), closing(target):
        see_same(source, target)


def test_a_link_is_the_file_itself(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """One that is followed, and a second name."""
    add("http://127.0.0.1:9/", event=EVENT)
    (folder / "soft.db").symlink_to(folder / "hooks.db")
    (folder / "hard.db").hardlink_to(folder / "hooks.db")
    for name in ("soft.db", "hard.db"):
        assert "the database itself" in hookrow("db", "copy", "--to", name, code=5).err


def test_a_used_target_is_refused(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """Whether it has a firing or an edit that the source never had."""
    copy, other = folder / "copy.db", folder / "other.db"
    add("http://127.0.0.1:9/", event=EVENT)
    for target, words in ((copy, ("hooks", "edit", 1, "--timeout", 9)), (other, ("fire", EVENT, "--no-wait"))):
        hookrow("db", "copy", "--to", target, "--log")
        hookrow("--db", target, *words)
        assert "its own" in hookrow("db", "copy", "--to", target, "--log", code=5).err


def test_a_change_meanwhile_is_said(
    used: Path, hookrow: Hookrow, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compared means compared: what the first walk took and the second finds other is counted, exit 1, and mended."""
    transfer = copying.transfer

    def interfered(*given: Any) -> int:
        changed = transfer(*given)
        with closing(open_database(url_of(used), create=False)) as database, database.write() as connection:
            connection.execute(update(DELIVERIES).values(ms=DELIVERIES.c.ms + 1))
        return changed

    monkeypatch.setattr(copying, "transfer", interfered)
    words = ("db", "copy", "--to", folder / "copy.db", "--log")
    assert "Changed here meanwhile: 3" in hookrow(*words, code=1).err
    monkeypatch.setattr(copying, "transfer", transfer)
    assert "both are equal" in hookrow(*words).err


@pytest.mark.parametrize("kind", ["file", "server"])
def test_killed_on_the_way(hookrow: Hookrow, folder: Path, postgres_url: str, kind: str) -> None:
    """`kill -9` in the midst of the log; run again, it goes on, and all is there once."""
    path = folder / "hooks.db"
    asyncio.run(sown(url_of(path), 40))
    grow(path, ROWS)
    target = postgres_url if kind == "server" else url_of(folder / "copy.db")
    hookrow("--db", target, "init")

    with closing(open_database(target, create=False)) as database:

        def copied() -> int:
            with database.read(None) as connection:
                return connection.execute(select(func.count()).select_from(FIRINGS)).scalar_one()

        with program("db", "copy", "--to", target, "--log", cwd=folder) as running:
            while copied() == 0:
                assert running.poll() is None
                time.sleep(0.01)
            running.send_signal(signal.SIGKILL)
        before = copied()
    assert 0 < before < ROWS
    hookrow("db", "copy", "--to", target, "--log", code=None)
    source = contents(url_of(path))
    assert contents(target) == source
    assert len(source["firing"]) == ROWS


def test_the_pages_five_commands(
    add: Add, hookrow: Hookrow, made: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/postgresql.md as it stands: what was waiting is sent once, and the server has all of it."""
    page = (ROOT / "docs" / "postgresql.md").read_text("utf-8")
    [block] = re.findall(r"## Move in five steps\n.*?```\n(.*?)```", page, re.DOTALL)
    commands = block.replace("postgresql://shop@db.internal/shop", postgres_url).splitlines()
    with Receiver(reply(200)) as receiver:
        number = add(receiver.url, "--response-has-data", event=EVENT)["id"]
        hookrow("hooks", "secret", "new", number)
        hookrow("fire", EVENT, "--no-wait")
        assert commands.pop(0) == 'export HOOKROW_KEYS="$(cat hookrow.key)"'
        monkeypatch.setenv("HOOKROW_KEYS", made.with_name("hookrow.key").read_text())
        said = [hookrow(*shlex.split(line)[1:]).err for line in commands]
        assert "left here: firings 1" in said[0]
        assert "left here" not in said[2]
        assert "both are equal" in said[2]
        assert len(receiver.requests) == 1
    assert contents(postgres_url) == contents(url_of(made))
    assert len(commands) == 4
