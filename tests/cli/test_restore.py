"""`hookrow db restore` and `db check`: a backup comes back, and sends nothing by itself."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from cli_runs import ROOT, Hookrow
from hookrow import HookEngine
from hookrow.cli.session import database_url
from hookrow.core.care.restoring import restore
from hookrow.errors import Refused
from hookrow.glance import glance
from hookrow.hook.stored import SEALED
from hookrow.store.database.database import Database
from hookrow.store.database.tables import DELIVERIES
from hookrow.store.outbox.parking import hold_restored
from outbox_rows import add_hook, fire, rows
from receivers import Receiver, reply

Add = Callable[..., dict[str, Any]]
EVENT = "after_registration"
HOLDER = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1])
held.execute("SELECT count(*) FROM hook").fetchone()
print("open", flush=True)
sys.stdin.read()
"""


def outcomes(hookrow: Hookrow) -> list[tuple[str, str | None]]:
    """What is known of every delivery, the oldest first."""
    found = [each for line in hookrow("log", "--json").lines[::-1] for each in line["deliveries"]]
    return [(each["outcome"], each["skipped"]) for each in found]


def test_a_backup_comes_back_and_sends_nothing(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """What it has as unfinished is held, counted and dated; the old file is kept; chosen ones are sent again."""
    with Receiver(reply(200)) as receiver:
        add(receiver.url, "--response-has-data", event=EVENT)
        hookrow("fire", EVENT)
        waiting = hookrow("fire", EVENT, "--no-wait", "--json").json["deliveries"][0]["id"]
        hookrow("fire", EVENT, "--no-wait")
        hookrow("db", "backup", "copy.db")
        hookrow("hooks", "edit", 1, "--name", "Later")
        hookrow("fire", EVENT, "--no-wait")
        said = hookrow("db", "restore", "copy.db", "--yes").err
        assert "Unfinished deliveries: 2, from " in said
        [old] = folder.glob("hooks.db.before-restore-*")
        assert old.name in said
        assert {each.stat().st_mode & 0o777 for each in folder.glob("hooks.db*")} == {0o600}
        assert hookrow("hooks", "show", 1, "--json").json["name"] == "Stock"
        assert outcomes(hookrow) == [("ok", None)] + [("cancelled", "restored")] * 2
        assert "restore  hold pending" in hookrow("log", "--who").out
        assert len(receiver.requests) == 1
        hookrow("redeliver", waiting, "--yes")
        assert outcomes(hookrow)[1] == ("ok", None)
        hookrow("redeliver", "--outcome", "restored", "--yes")
        assert [each.header("webhook-id") for each in receiver.requests[1:2]] == [waiting]
        assert (len(receiver.requests), outcomes(hookrow)) == (3, [("ok", None)] * 3)
    hookrow("--db", str(old), "log")


def test_all_may_be_left_to_a_worker(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """`--send-pending` says how many; asked first, and without a terminal refused."""
    add("http://127.0.0.1:9/", event=EVENT)
    hookrow("fire", EVENT, "--no-wait")
    hookrow("db", "backup", "copy.db")
    hookrow("db", "restore", "copy.db", "--send-pending", code=2)
    assert "Unfinished deliveries: 1" in hookrow("db", "restore", "copy.db", "--send-pending", "--yes").err
    assert outcomes(hookrow) == [("queued", None)]


def test_where_the_old_file_is_gone_or_broken(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """A lost one, a damaged one, one over which a backup was copied: `restore` is the way out that each names."""
    add("http://127.0.0.1:9/", event=EVENT)
    hookrow("db", "backup", "copy.db")
    (folder / "hooks.db").unlink()
    hookrow("log", code=3)
    hookrow("db", "restore", "copy.db", "--yes")
    hookrow("db", "check")
    size = (folder / "hooks.db").stat().st_size
    with (folder / "hooks.db").open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xff" * (size - 2 * 4096))
    assert "db restore FILE" in hookrow("db", "check", code=3).err
    for command in (("log",), ("fire", EVENT), ("hooks", "list")):
        assert "db restore FILE" in hookrow(*command, code=3).err
    hookrow("db", "restore", "copy.db", "--yes")
    hookrow("db", "check")
    hookrow("fire", EVENT, "--no-wait")


@pytest.mark.parametrize("what", ["no file", "no database", "itself", "no name", "damaged", "newer", "other key"])
def test_what_can_t_be_restored(add: Add, hookrow: Hookrow, folder: Path, what: str) -> None:
    """The database stays as it is, and nothing is left beside it."""
    add("http://127.0.0.1:9/", event=EVENT)
    hookrow("hooks", "secret", "new", 1)
    hookrow("db", "backup", "copy.db")
    name, code = "copy.db", 3
    if what == "no file":
        name = "none.db"
    elif what == "no database":
        (folder / "copy.db").write_text("no database, but long enough to be looked at " * 100)
    elif what == "itself":
        name, code = "hooks.db", 5
    elif what == "no name":
        name, code = "", 2
    elif what == "damaged":
        (folder / "copy.db").write_bytes((folder / "copy.db").read_bytes()[: 10 * 4096])
    elif what == "newer":
        with closing(sqlite3.connect(folder / "copy.db")) as plain, plain:
            plain.execute("UPDATE hookrow_version SET version_num = '9999'")
    else:
        (folder / "hookrow.key").unlink()
        hookrow("keys", "new", code=3)
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    assert hookrow("db", "restore", *filter(None, [name]), "--yes", code=code).err
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before


def test_not_while_another_process_has_it_open(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """Exit 5, however idle that is; and it goes on in its own file."""
    add("http://127.0.0.1:9/", event=EVENT)
    hookrow("db", "backup", "copy.db")
    holder = [sys.executable, "-c", HOLDER, str(folder / "hooks.db")]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout is not None
        assert held.stdout.readline() == "open\n"
        assert "in use" in hookrow("db", "restore", "copy.db", "--yes", code=5).err
    assert not list(folder.glob("*.before-restore-*"))
    hookrow("db", "restore", "copy.db", "--yes")


def test_not_while_this_process_has_it_open(made: Path, hookrow: Hookrow, folder: Path) -> None:
    """Whose locks would not exclude it, and would be lost with a second handle of the file; by another name too."""
    hookrow("db", "backup", "copy.db")
    (folder / "link.db").symlink_to(made)
    with HookEngine(made, worker=False) as engine:
        engine.hooks.list()
        for name in (made, folder / "link.db"):
            with pytest.raises(Refused, match="in use"):
                restore(folder / "copy.db", name, os.environ)
        engine.hooks.list()
    restore(folder / "copy.db", made, os.environ)


def test_an_older_backup_is_brought_up_to_date(hookrow: Hookrow, folder: Path) -> None:
    """As opening it would; its file stays as it is."""
    with closing(sqlite3.connect(folder / "copy.db")) as plain:
        plain.executescript((ROOT / "tests/store/migrated/0001.sqlite.sql").read_text("utf-8"))
        plain.execute("DELETE FROM hook_revision")
        for field in SEALED:
            plain.execute(f"UPDATE hook SET {field} = NULL")
        plain.commit()
    before = (folder / "copy.db").read_bytes()
    hookrow("db", "restore", "copy.db", "--yes")
    assert (folder / "copy.db").read_bytes() == before
    hookrow("log")


def test_the_same_on_both_databases(database: Database) -> None:
    """What is unfinished is held, what is finished or given up stays: by states, on SQLite and on PostgreSQL."""
    hook = add_hook(database, "a")
    for _ in range(6):
        fire(database, [hook], 1000)
    states = ["queued", "leased", "parked", "retrying", "ok", "dead"]

    def spread(connection: Any) -> None:
        for number, state in zip(sorted(rows(database)), states, strict=True):
            connection.execute(update(DELIVERIES).where(DELIVERIES.c.id == number).values(state=state))

    database.writer.write(spread)
    counted = database.writer.write(lambda connection: hold_restored(connection, 2000, only_count=True))
    held = database.writer.write(lambda connection: hold_restored(connection, 2000))
    assert counted == held
    assert held.deliveries == 4
    assert sorted(row.state for row in rows(database).values()) == ["cancelled"] * 4 + ["dead", "ok"]
    assert {row.skipped for row in rows(database).values()} == {"restored", None}


@pytest.mark.parametrize("name", ["a?b", "a%41b"])
def test_a_folder_whose_name_means_something_in_a_url(hookrow: Hookrow, folder: Path, name: str) -> None:
    """Everything is done in it, and nothing beside it."""
    path = folder / name / "hooks.db"
    path.parent.mkdir()
    hookrow("--db", path, "init")
    hookrow("--db", path, "hooks", "add", "--name", "a", "--url", "http://127.0.0.1:9/", "--event", EVENT)
    hookrow("--db", path, "db", "backup", folder / name / "backup.db")
    hookrow("--db", path, "db", "restore", folder / name / "backup.db", "--yes")
    hookrow("--db", path, "db", "copy", "--to", folder / name / "copy.db")
    seen = glance(database_url(str(path)))
    assert seen is not None
    assert [hook.name for hook in seen.hooks] == ["a"]
    assert [each.name for each in folder.iterdir()] == [name]
