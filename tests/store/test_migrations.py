"""Migrations: what they make is what a new database gets; an older one is upgraded, a newer one left alone."""

from __future__ import annotations

import hashlib
import multiprocessing
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from hookrow.errors import DatabaseDamaged, NoDatabase, SchemaTooNew, StorageError
from hookrow.store import schema
from hookrow.store.database import Database
from hookrow.store.migrations import run
from outbox_rows import add_hook, change_hook

SECOND_VERSION = '''
"""A later schema: hook gets a column, by making the table anew."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    anew = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("hook", recreate=anew) as hook:
        hook.add_column(sa.Column("note", sa.Text()))
'''

SQLITE_CATALOGUE = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2"
PG_CATALOGUE = (
    "SELECT 'column', table_name, column_name, data_type || is_nullable || coalesce(character_maximum_length, 0)"
    " FROM information_schema.columns WHERE table_schema = 'hookrow' UNION ALL"
    " SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'hookrow' UNION ALL"
    " SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'hookrow'::regnamespace UNION ALL"
    " SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
    " ORDER BY 1, 2, 3"
)


def catalogue(database: Database) -> list[Any]:
    """Everything that the database says of its own shape."""
    statement = SQLITE_CATALOGUE if database.dialect == "sqlite" else PG_CATALOGUE
    with database.read() as connection:
        rows = [tuple(row) for row in connection.execute(text(statement))]
    return [tuple(" ".join(part.split()) if isinstance(part, str) else part for part in row) for row in rows]


def emptied(database: Database) -> None:
    """Take every table away, but leave the table that says there is none."""
    with database.engine("write").begin() as connection:
        if database.dialect == "postgresql":
            connection.exec_driver_sql("DROP SCHEMA hookrow CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA hookrow")
        else:
            connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
            names = connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
            for name in list(names.scalars()):
                connection.exec_driver_sql(f"DROP TABLE {name}")


def test_a_migrated_database_is_shaped_as_a_new_one(database: Database) -> None:
    """Tables, columns, constraints, indexes and triggers, as the database itself spells them."""
    fresh = catalogue(database)
    emptied(database)
    with database.engine("write").begin() as connection:
        schema.VERSIONS.create(connection)
    run.upgrade(database)
    assert catalogue(database) == fresh
    with database.read() as connection:
        assert schema.version_of(connection) == schema.HEAD
        assert connection.execute(text("SELECT n FROM config_version")).scalar() == 1


def test_the_head_is_the_newest_script() -> None:
    """What the engine takes for current is what the scripts lead to."""
    config = Config()
    config.set_main_option("script_location", str(run.SCRIPTS))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """The shipped scripts, and one more."""
    folder = tmp_path / "scripts"
    shutil.copytree(run.SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "v0002.py").write_text(SECOND_VERSION)
    return folder


def with_a_hook(path: Path) -> Database:
    """A database with a hook and a row that points at it."""
    made = Database(f"sqlite:///{path}")
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
    kept = run.upgrade(database, scripts=scripts, target="0002")
    with database.read() as connection:
        assert connection.execute(text("SELECT hook_id FROM hook_revision")).scalar() == 1
        assert connection.execute(text("SELECT note FROM hook")).scalar() is None
        assert schema.version_of(connection) == "0002"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    database.close()
    assert kept is not None
    assert kept.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(kept)) as copy, copy:
        assert copy.execute("SELECT version_num FROM hookrow_version").fetchone() == ("0001",)
        assert copy.execute("SELECT count(*) FROM hook").fetchone() == (1,)


def to_second(url: str, scripts: Path, all_open: Any, answers: Any) -> None:
    """In a child: upgrade, and tell whether a copy was made, or what was raised."""
    database = Database(url)
    all_open.wait(30)
    try:
        answers.put(run.upgrade(database, scripts=scripts, target="0002") is not None)
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
    children = [fork.Process(target=to_second, args=(url, scripts, all_open, answers)) for _ in range(4)]
    for child in children:
        child.start()
    told = [answers.get(timeout=60) for _ in children]
    for child in children:
        child.join(30)
    assert told.count(False) == (3 if database.path else 4), told
    assert told.count(True) == (1 if database.path else 0), told
    with database.read() as connection:
        assert schema.version_of(connection) == "0002"
        assert connection.execute(text("SELECT id FROM hook WHERE note IS NULL")).scalar() == hook
    if database.path is not None:
        with closing(sqlite3.connect(database.path.with_name("hooks.db.schema-0001"))) as copy:
            assert copy.execute("SELECT version_num FROM hookrow_version").fetchone() == ("0001",)


def test_a_table_made_anew_keeps_its_triggers(tmp_path: Path, scripts: Path) -> None:
    """The hook cache lives by them: a migration that loses them would hide every later edit."""
    database = with_a_hook(tmp_path / "hooks.db")
    run.upgrade(database, scripts=scripts, target="0002")
    with database.read() as connection:
        before = connection.execute(text("SELECT n FROM config_version")).scalar()
    change_hook(database, 1, name="B")
    with database.read() as connection:
        assert connection.execute(text("SELECT n FROM config_version")).scalar() != before
    database.close()


def test_an_upgrade_that_would_orphan_rows_is_taken_back(tmp_path: Path, scripts: Path) -> None:
    """Foreign keys are off while tables are made anew, so they are checked before the commit."""
    database = with_a_hook(tmp_path / "hooks.db")
    broken = SECOND_VERSION.replace("with op", 'op.execute("DELETE FROM hook")\n    with op')
    (scripts / "versions" / "v0002.py").write_text(broken)
    with pytest.raises(DatabaseDamaged, match="was undone"):
        run.upgrade(database, scripts=scripts, target="0002")
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM hook")).scalar() == 1
        assert schema.version_of(connection) == "0001"
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
        with pytest.raises(SchemaTooNew, match=r"9999.*0001"):
            Database(f"sqlite:///{path}", create=create)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


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
        Database(f"sqlite:///{path}")
    assert path.read_bytes() == NO_DATABASES[kind]


def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    """As a shell's redirection leaves it."""
    path = tmp_path / "hooks.db"
    path.touch()
    Database(f"sqlite:///{path}").close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_hosts_database_takes_our_tables_beside_its_own(tmp_path: Path) -> None:
    """Which is what `connection=` is for."""
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as host, host:
        host.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
        host.execute("INSERT INTO customers DEFAULT VALUES")
    Database(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as host, host:
        assert host.execute("SELECT count(*) FROM customers").fetchone() == (1,)


def test_a_folder_or_a_missing_one_is_a_declared_error(tmp_path: Path) -> None:
    """Never a traceback of the driver's."""
    with pytest.raises(StorageError):
        Database(f"sqlite:///{tmp_path}")
    with pytest.raises(NoDatabase):
        Database(f"sqlite:///{tmp_path}/nowhere/hooks.db")
    with pytest.raises(NoDatabase):
        Database(f"sqlite:///{tmp_path}/hooks.db", create=False)


def open_it(url: str, go: Any, errors: Any) -> None:
    """In a child: open, and tell what was raised."""
    go.wait()
    try:
        Database(url).close()
    except Exception as error:  # noqa: BLE001 (whatever it is, the parent is told)
        errors.put(repr(error))


def open_at_once(url: str, many: int) -> list[str]:
    """Open a database in that many processes at the same moment; what they raised."""
    fork = multiprocessing.get_context("fork")
    go, errors = fork.Event(), fork.SimpleQueue()
    children = [fork.Process(target=open_it, args=(url, go, errors)) for _ in range(many)]
    for child in children:
        child.start()
    go.set()
    for child in children:
        child.join(30)
    assert [child.exitcode for child in children] == [0] * many
    raised = []
    while not errors.empty():
        raised.append(errors.get())
    return raised


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_start_at_once_make_one_schema(kind: str, request: Any, tmp_path: Path) -> None:
    """Who comes second finds it made. SQLite's files come and go meanwhile: many rounds, since few of them collide."""
    if kind == "postgresql":
        urls = [request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg://")]
    else:
        urls = [f"sqlite:///{tmp_path}/hooks-{number}.db" for number in range(20)]
    for url in urls:
        assert open_at_once(url, 6) == []
        database = Database(url, create=False)
        with database.read() as connection:
            assert schema.version_of(connection) == schema.HEAD
        database.close()


def test_whoever_reads_an_empty_database_delays_its_making(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Going into WAL needs a moment alone, for which SQLite's busy handler does not wait: we do."""
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM customers").fetchall()
        monkeypatch.setattr(
            "hookrow.store.locks.time",
            SimpleNamespace(perf_counter=time.perf_counter, sleep=lambda _: reader.rollback()),
        )
        Database(f"sqlite:///{path}").close()
        assert not reader.in_transaction, "it waited for the reader"


@pytest.mark.parametrize(("zone", "kept"), [("Asia/Vladivostok", "Asia/Vladivostok"), ("Nowhere/Land", "UTC")])
def test_a_new_database_speaks_the_machines_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str, kept: str
) -> None:
    """The zone in which periods are typed is the machine's when the database was made, and stays."""
    monkeypatch.setenv("TZ", zone)
    Database(f"sqlite:///{tmp_path}/hooks.db").close()
    monkeypatch.setenv("TZ", "Europe/Berlin")
    database = Database(f"sqlite:///{tmp_path}/hooks.db")
    with database.read() as connection:
        assert connection.execute(text("SELECT value FROM setting WHERE name = 'timezone'")).scalar() == kept
    database.close()
