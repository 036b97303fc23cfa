"""Migrations: what they make is what a new database gets; an older one is upgraded, a newer one left alone."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import hookrow
from hookrow import Hook, HookEngine
from hookrow.errors import DatabaseDamaged, NoDatabase, SchemaTooNew, StorageError
from hookrow.records import LogFilter
from hookrow.store.database import opening, schema
from hookrow.store.database.database import Database
from hookrow.store.database.migrations import HEAD, SCRIPTS, run
from hookrow.store.database.opening import open_database
from outbox_rows import add_hook, change_hook, fire
from schemas import NEXT, NEXT_VERSION, make_oldest, ours, scripts_with, shape


def test_the_head_is_the_newest_script() -> None:
    """What the engine takes for current is what the scripts lead to."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """The shipped scripts, and one more."""
    return scripts_with(tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def oldest(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of the oldest schema, with data in every table."""
    if request.param == "sqlite":
        return make_oldest(tmp_path / "oldest.db")
    return make_oldest(request.getfixturevalue("postgres_url"))


def contents(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table of the oldest schema."""
    found = {}
    for table in ("hook", "hook_revision", "event", "firing", "delivery", "attempt", "breaker"):
        order = {"event": "code", "breaker": "hook_id"}.get(table, "id")
        rows = ours(connection, f"SELECT * FROM main.{table} ORDER BY {order}")
        found[table] = [dict(row._mapping) for row in rows]
        assert found[table], table
    return found


def test_the_oldest_schema_becomes_todays(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the database itself tells it: columns, keys, foreign keys, CHECKs, indexes and their conditions, triggers,
    sequences. And no row is lost or changed."""
    todays = shape(database)
    if database.path is not None:
        oldest = make_oldest(tmp_path / "oldest.db")
    else:
        with database.engine("write").begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA hookrow CASCADE")
        oldest = make_oldest(database.address.render_as_string(hide_password=False).replace("+psycopg", ""))
    with monkeypatch.context() as patched:
        patched.setattr(opening, "HEAD", "0001")
        upgraded = open_database(oldest)
    with upgraded.read() as connection:
        before = contents(connection)
    run.upgrade(upgraded)
    found = shape(upgraded)
    assert {kind: found[kind] ^ todays[kind] for kind in todays if found[kind] != todays[kind]} == {}
    with upgraded.read() as connection:
        assert schema.version_of(connection) == HEAD
        after = contents(connection)
    upgraded.close()
    for table, rows in before.items():
        assert [{name: row[name] for name in rows[0]} for row in after[table]] == rows, table


def test_when_a_table_is_vacuumed_stays_its_administrators(postgres_url: str) -> None:
    """What was set before the upgrade is not set anew."""
    oldest = make_oldest(postgres_url)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("ALTER TABLE hookrow.delivery SET (autovacuum_vacuum_scale_factor = 0.4)")
    with closing(open_database(oldest)) as database:
        options = dict(shape(database)["options"])
    assert options["delivery"] == "autovacuum_vacuum_scale_factor=0.4"
    assert options["firing"] == options["attempt"] == "autovacuum_vacuum_scale_factor=0.05"


def test_an_upgraded_database_is_opened_and_works(oldest: str) -> None:
    """At the first start, by whoever comes: it fires, reads what was recorded before, and pauses and resumes hooks."""
    with HookEngine(oldest, worker=False) as engine:
        assert len(engine.log.page(LogFilter())) == 5
        firing = engine.fire("shop.shipped", {"order": {"id": 8}})
        assert [each.outcome for each in firing.deliveries] == ["parked", "queued"]
        engine.hooks.resume("crm")
        assert {each.outcome for each in engine.log.get(firing.id).deliveries} == {"queued"}


def test_no_id_of_a_deleted_hook_is_given_again(oldest: str) -> None:
    """AUTOINCREMENT outlives the upgrade, by deed: the newest hook is taken away for good, a new one has a new id."""
    with HookEngine(oldest, worker=False) as engine:
        hooks = engine.hooks
        newest = hooks.add(Hook(key="new", name="New", event="before_order_add", url="http://receiver.example/"))
        with engine.runtime.database.write() as connection:
            ours(connection, "DELETE FROM main.hook WHERE id = :id", id=newest.id)
        again = hooks.add(Hook(key="new", name="New", event="before_order_add", url="http://receiver.example/"))
        assert (again.id or 0) > (newest.id or 0) > 0


def test_a_new_word_needs_no_migration(database: Database) -> None:
    """What states, outcomes and modes there are is held by the code: the database takes any."""
    hook = add_hook(database, "a", paused_by="somebody", on_failure="ask")
    _, [row] = fire(database, [hook], mode="silent")
    with database.write() as connection:
        ours(connection, "UPDATE main.delivery SET state = 'thinking' WHERE id = :id", id=row)
        ours(connection, "UPDATE main.firing SET outcome = 'unsure'")


def with_a_hook(path: Path) -> Database:
    """A database with a hook and a row that points at it."""
    made = open_database(f"sqlite:///{path}")
    with made.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO hook (key, name, url, event, position, timeout, active, fire_and_forget, wait_for_response,"
            " response_has_data, body, auth_login, condition, on_failure, fallback_message, order_key, uid,"
            " custom_header, revision, created_ms) VALUES ('a', 'A', 'http://a/', 'e', 10, 5, 1, 1, 0, 0, '', '', '',"
            " 'continue', '', '', 'u', '', 1, 0)"
        )
        connection.exec_driver_sql(
            "INSERT INTO hook_revision (hook_id, revision, at_ms, who, action, event) VALUES (1, 1, 0, 'x', 'add', 'e')"
        )
    return made


def test_an_upgrade_keeps_children_and_a_copy(tmp_path: Path, scripts: Path) -> None:
    """A table made anew loses nobody who points at it; the file as it was lies beside it, for its owner alone."""
    database = with_a_hook(tmp_path / "hooks.db")
    kept = run.upgrade(database, scripts=scripts, target=NEXT)
    with database.read() as connection:
        assert ours(connection, "SELECT hook_id FROM main.hook_revision").scalar() == 1
        assert ours(connection, "SELECT note FROM main.hook").scalar() is None
        assert schema.version_of(connection) == NEXT
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    database.close()
    assert kept is not None
    assert kept.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(kept)) as copy, copy:
        assert copy.execute("SELECT version_num FROM hookrow_version").fetchone() == (HEAD,)
        assert copy.execute("SELECT count(*) FROM hook").fetchone() == (1,)


def to_next(url: str, scripts: Path, all_open: Any, answers: Any) -> None:
    """In a child: upgrade, and tell whether a copy was made, or what was raised."""
    database = open_database(url)
    all_open.wait(30)
    try:
        answers.put(run.upgrade(database, scripts=scripts, target=NEXT) is not None)
    except Exception as error:  # noqa: BLE001 (whatever it is, the parent is told)
        answers.put(f"{type(error)}: {error}")
    database.close()


def test_processes_that_upgrade_at_once_make_one_upgrade(database: Database, scripts: Path) -> None:
    """On both databases. On SQLite the one that upgrades makes the copy: a late one must not put the new over it."""
    hook = add_hook(database, "a")
    database.disconnect()
    url = database.address.render_as_string(hide_password=False)
    fork = multiprocessing.get_context("fork")
    all_open, answers = fork.Barrier(4), fork.Queue()
    children = [fork.Process(target=to_next, args=(url, scripts, all_open, answers)) for _ in range(4)]
    for child in children:
        child.start()
    told = [answers.get(timeout=60) for _ in children]
    for child in children:
        child.join(30)
    assert told.count(False) == (3 if database.path else 4), told
    assert told.count(True) == (1 if database.path else 0), told
    with database.read() as connection:
        assert schema.version_of(connection) == NEXT
        assert ours(connection, "SELECT id FROM main.hook WHERE note IS NULL").scalar() == hook
    if database.path is not None:
        with closing(sqlite3.connect(database.path.with_name(f"hooks.db.schema-{HEAD}"))) as copy:
            assert copy.execute("SELECT version_num FROM hookrow_version").fetchone() == (HEAD,)


def test_a_table_made_anew_keeps_its_triggers(tmp_path: Path, scripts: Path) -> None:
    """The hook cache lives by them: a migration that loses them would hide every later edit."""
    database = with_a_hook(tmp_path / "hooks.db")
    run.upgrade(database, scripts=scripts, target=NEXT)
    with database.read() as connection:
        before = ours(connection, "SELECT n FROM main.config_version").scalar()
    change_hook(database, 1, name="B")
    with database.read() as connection:
        assert ours(connection, "SELECT n FROM main.config_version").scalar() != before
    database.close()


def test_an_upgrade_that_would_orphan_rows_is_taken_back(tmp_path: Path, scripts: Path) -> None:
    """Foreign keys are off while tables are made anew, so they are checked before the commit."""
    database = with_a_hook(tmp_path / "hooks.db")
    broken = NEXT_VERSION.replace("with op", 'op.execute("DELETE FROM hook")\n    with op')
    (scripts / "versions" / f"v{NEXT}.py").write_text(broken)
    with pytest.raises(DatabaseDamaged, match="was undone"):
        run.upgrade(database, scripts=scripts, target=NEXT)
    with database.read() as connection:
        assert ours(connection, "SELECT count(*) FROM main.hook").scalar() == 1
        assert schema.version_of(connection) == HEAD
    with database.write() as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    database.close()


def test_a_newer_schema_is_left_untouched(tmp_path: Path) -> None:
    """Not a byte changes, and the message says both versions."""
    path = tmp_path / "hooks.db"
    database = with_a_hook(path)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE hookrow_version SET version_num = '9999'")
    database.close()
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    for create in (True, False):
        with pytest.raises(SchemaTooNew, match=rf"9999.*{HEAD}"):
            open_database(f"sqlite:///{path}", create=create)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_a_newer_schema_is_said_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may only read is not told that the database needs an upgrade."""
    monkeypatch.setattr(opening, "look", lambda *_: "9999")
    database: Any = SimpleNamespace(read_only=True, path=None)
    with pytest.raises(SchemaTooNew):
        opening.prepare(database, create=False)


REFUSED = """
import sys
from hookrow.errors import SchemaTooNew
from hookrow.store.database.opening import open_database
from hookrow.store.database.migrations import HEAD
try:
    open_database(sys.argv[1])
except SchemaTooNew as error:
    print(HEAD, error)
"""


def test_a_process_that_knows_one_version_less_refuses_todays(database: Database, tmp_path: Path) -> None:
    """Yesterday's package, the newest version's file taken out, on today's database: not a byte of it is changed."""
    yesterdays = shutil.copytree(Path(hookrow.__file__).parent, tmp_path / "old" / "hookrow")
    (yesterdays / "store" / "database" / "migrations" / "versions" / f"v{HEAD}.py").unlink()
    url = database.address.render_as_string(hide_password=False)
    database.close()
    before = [path.read_bytes() for path in tmp_path.glob("hooks.db")]
    child = subprocess.run(
        [sys.executable, "-c", REFUSED, url],
        env={**os.environ, "PYTHONPATH": str(yesterdays.parent), "HOOKROW_LANG": "en"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout.startswith(f"{int(HEAD) - 1:04} the database has schema {HEAD}, made by a newer Hookrow")
    assert [path.read_bytes() for path in tmp_path.glob("hooks.db")] == before


def test_a_process_that_runs_meanwhile_goes_on(database: Database, scripts: Path) -> None:
    """It has asked at its start, and asks no more: what it fires, edits and reads is right on the next schema too."""
    url = database.address.render_as_string(hide_password=False)
    database.disconnect()
    with HookEngine(url, worker=False) as running:
        running.hooks.add(Hook(key="a", name="A", event="after_registration", url="http://receiver.example/"))
        running.fire("after_registration", {"number": 1})
        fork = multiprocessing.get_context("fork")
        all_open, answers = fork.Barrier(1), fork.Queue()
        newer = fork.Process(target=to_next, args=(url, scripts, all_open, answers))
        newer.start()
        assert answers.get(timeout=60) is (database.path is not None)
        newer.join(30)
        running.hooks.update("a", {"name": "B"})
        firing = running.fire("after_registration", {"number": 2})
        assert [each.hook.name for each in firing.deliveries] == ["B"]
        assert [each.payload["number"] for each in running.log.page(LogFilter())] == [2, 1]
    with pytest.raises(SchemaTooNew):
        HookEngine(url, worker=False).hooks.list()


NO_DATABASES = {
    "random bytes": bytes(range(256)) * 40,
    "text": b"hooks: []\n" * 100,
    "a header cut short": b"SQLite format 3\x00" + b"\x10\x00" * 3,
    "zeros": bytes(8192),
}


@pytest.mark.parametrize("kind", NO_DATABASES)
def test_what_is_no_database_is_refused_as_it_is(tmp_path: Path, kind: str) -> None:
    """A declared error, and the file stays."""
    path = tmp_path / "hooks.db"
    path.write_bytes(NO_DATABASES[kind])
    with pytest.raises(DatabaseDamaged):
        open_database(f"sqlite:///{path}")
    assert path.read_bytes() == NO_DATABASES[kind]


def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    """As a shell's redirection leaves it."""
    path = tmp_path / "hooks.db"
    path.touch()
    open_database(f"sqlite:///{path}").close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_hosts_database_takes_our_tables_beside_its_own(tmp_path: Path) -> None:
    """Which is what `connection=` is for."""
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as host, host:
        host.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
        host.execute("INSERT INTO customers DEFAULT VALUES")
    open_database(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as host, host:
        assert host.execute("SELECT count(*) FROM customers").fetchone() == (1,)


def test_a_folder_or_a_missing_one_is_a_declared_error(tmp_path: Path) -> None:
    """Never a traceback of the driver's."""
    with pytest.raises(StorageError):
        open_database(f"sqlite:///{tmp_path}")
    with pytest.raises(NoDatabase):
        open_database(f"sqlite:///{tmp_path}/nowhere/hooks.db")
    with pytest.raises(NoDatabase):
        open_database(f"sqlite:///{tmp_path}/hooks.db", create=False)


def open_them(urls: list[str], all_ready: Any, errors: Any) -> None:
    """In a child: open one after another, and tell what was raised."""
    for url in urls:
        all_ready.wait(30)
        try:
            open_database(url).close()
        except Exception as error:  # noqa: BLE001 (whatever it is, the parent is told)
            errors.put(f"{error!r}: {error}")


def open_at_once(urls: list[str], many: int) -> list[str]:
    """Open each database in that many processes at the same moment; what they raised."""
    fork = multiprocessing.get_context("fork")
    all_ready, errors = fork.Barrier(many), fork.SimpleQueue()
    children = [fork.Process(target=open_them, args=(urls, all_ready, errors)) for _ in range(many)]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
    assert [child.exitcode for child in children] == [0] * many
    raised = []
    while not errors.empty():
        raised.append(errors.get())
    return raised


@pytest.mark.parametrize(
    ("kind", "rounds"), [("sqlite", 8), ("postgresql", 1), pytest.param("sqlite", 20, marks=pytest.mark.torture)]
)
def test_processes_that_start_at_once_make_one_schema(kind: str, rounds: int, request: Any, tmp_path: Path) -> None:
    """Who comes second finds it made. SQLite's files come and go meanwhile: many rounds, since few of them collide."""
    if kind == "postgresql":
        urls = [request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg://")]
    else:
        urls = [f"sqlite:///{tmp_path}/hooks-{number}.db" for number in range(rounds)]
    assert open_at_once(urls, 6) == []
    for url in urls:
        database = open_database(url, create=False)
        with database.read() as connection:
            assert schema.version_of(connection) == HEAD
        database.close()


def test_whoever_reads_an_empty_database_delays_its_making(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Going into WAL needs a moment alone, for which SQLite's busy handler does not wait: we do."""
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM customers").fetchall()
        monkeypatch.setattr(
            "hookrow.store.database.locks.time",
            SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: reader.rollback()),
        )
        open_database(f"sqlite:///{path}").close()
        assert not reader.in_transaction, "it waited for the reader"


@pytest.mark.parametrize(("zone", "kept"), [("Asia/Vladivostok", "Asia/Vladivostok"), ("Nowhere/Land", "UTC")])
def test_a_new_database_speaks_the_machines_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str, kept: str
) -> None:
    """The zone in which periods are typed is the machine's when the database was made, and stays."""
    monkeypatch.setenv("TZ", zone)
    open_database(f"sqlite:///{tmp_path}/hooks.db").close()
    monkeypatch.setenv("TZ", "Europe/Berlin")
    database = open_database(f"sqlite:///{tmp_path}/hooks.db")
    with database.read() as connection:
        assert ours(connection, "SELECT value FROM main.setting WHERE name = 'timezone'").scalar() == kept
    database.close()
