"""Inside a host's own PostgreSQL database: its schema, its rights, its transactions; and no password in any word."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError

from hookrow import Hook, HookEngine
from hookrow.errors import DatabaseReadOnly, HookrowError, NoDatabase, StorageError
from hookrow.store.database.failures import translate
from postgres_roles import role
from scripted import Network

AFTER = "after_registration"


@pytest.fixture
def url(postgres_url: str) -> str:
    """The test's database, for SQLAlchemy."""
    return postgres_url.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def host(url: str) -> Iterator[Engine]:
    """The host's own connections: a schema of its own on the path, and a table in it with a name that we use too."""
    made = create_engine(url, connect_args={"options": "-csearch_path=shop"})
    with made.begin() as connection:
        connection.execute(text("CREATE SCHEMA shop"))
        connection.execute(text("CREATE TABLE delivery (address TEXT)"))
    yield made
    made.dispose()


@pytest.fixture
def owner_of_schema(postgres_url: str) -> Iterator[str]:
    """A user to whom the schema `hookrow` was given, and who may make none."""
    with role(postgres_url, "CREATE SCHEMA hookrow AUTHORIZATION {role}") as url:
        yield url


@pytest.fixture
def stranger(postgres_url: str) -> Iterator[str]:
    """A user without any right."""
    with role(postgres_url) as url:
        yield url


def test_the_hosts_tables_and_ours_don_t_meet(url: str, host: Engine) -> None:
    """Whatever search path the host's connection has, a firing goes to our tables, and its names still mean its own."""
    network = Network()
    with HookEngine(url, worker=False, transport=network) as engine:
        engine.hooks.add(Hook(name="a", event=AFTER, url="http://receiver.test/a"))
        with host.begin() as connection:
            connection.execute(text("INSERT INTO delivery VALUES ('before')"))
            firing = engine.fire(AFTER, {"user": 1}, connection=connection)
            connection.execute(text("INSERT INTO delivery VALUES ('after')"))
        engine.send_own(engine.log.get(firing.id))
        assert network.paths() == ["a"]
    with host.connect() as connection:
        assert connection.execute(text("SELECT address FROM shop.delivery")).scalars().all() == ["before", "after"]
        ours = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop'"
        assert connection.execute(text(ours)).scalars().all() == ["delivery"]


def test_an_open_transaction_of_the_host_holds_up_nobody(url: str, host: Engine) -> None:
    """Keyed hooks too: other firings and workers go on while the host has not committed; then its rows go, in order."""
    network = Network()
    with HookEngine(url, worker=False, transport=network) as engine:
        engine.hooks.add(Hook(name="a", event=AFTER, url="http://receiver.test/a", order_key="/user"))
        with host.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            inside = engine.fire(AFTER, {"user": 1}, connection=connection)
            deferred = engine.fire("before_registration", {"user": 1}, defer=True)
            assert not deferred.deferred
            beside = engine.fire(AFTER, {"user": 1})
            assert engine.send_own(beside).deliveries[0].outcome == "sent"
        assert engine.send_own(engine.log.get(inside.id)).deliveries[0].outcome == "sent"
    assert network.paths() == ["a", "a"]


def test_a_deferred_firing_enqueued_in_an_open_transaction_holds_up_nobody(url: str, host: Engine) -> None:
    """`firing.enqueue(connection)` takes no lock that others need before the caller's commit."""
    network = Network()
    with HookEngine(url, worker=False, transport=network) as engine:
        engine.hooks.add(Hook(name="a", event="before_registration", url="http://receiver.test/a", order_key="/user"))
        deferred = engine.fire("before_registration", {"user": 1}, defer=True)
        with host.begin() as connection:
            deferred.enqueue(connection)
            beside = engine.fire("before_registration", {"user": 1})
        for each in (beside, engine.log.get(deferred.id)):  # in the order of their commits
            assert [delivery.outcome for delivery in engine.send_own(each).deliveries] == ["sent"]


def test_a_schema_that_was_given_is_enough(owner_of_schema: str) -> None:
    """No right to make schemas is needed where the administrator has made ours."""
    with HookEngine(owner_of_schema, worker=False) as engine:
        engine.hooks.add(Hook(name="a", event=AFTER, url="http://receiver.test/a"))
        assert [each.name for each in engine.hooks.list()] == ["a"]


def test_without_rights_it_says_so_and_tells_no_password(stranger: str) -> None:
    """Neither the words nor the traceback's reprs hold it."""
    with pytest.raises(DatabaseReadOnly) as caught:
        HookEngine(stranger, worker=False)
    assert "permission denied" in str(caught.value)
    assert "tell-nobody" not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:tell-nobody@127.0.0.1:1/shop",
        "postgresql+psycopg://127.0.0.1:1/shop?user=me&password=tell-nobody",
        "postgresql+psycopg://me:tell-nobody@127.0.0.1:1/shop?options=-cstatement_timeout%3D5s",
    ],
)
def test_a_server_that_is_not_there(url: str) -> None:
    """It is said which, without the password, wherever the URL has it."""
    with pytest.raises(StorageError) as caught:
        HookEngine(url, worker=False)
    said: HookrowError = caught.value
    assert "127.0.0.1" in str(said)
    assert "tell-nobody" not in repr(said) + str(said)


def test_the_urls_own_options_are_kept(url: str) -> None:
    """What the administrator set for their connections stands; nothing of ours is set beside it."""
    own = {"options": "-cstatement_timeout=7s", "application_name": "shop"}
    given = make_url(url).update_query_dict(own).render_as_string(hide_password=False)
    with HookEngine(given, worker=False) as engine, engine.runtime.database.read() as connection:
        assert connection.execute(text("SHOW statement_timeout")).scalar() == "7s"
        assert connection.execute(text("SHOW application_name")).scalar() == "shop"
        assert connection.execute(text("SHOW search_path")).scalar() == '""'


def test_our_transactions_are_those_that_we_say(url: str) -> None:
    """The tests' databases know no schema by itself and are serializable: neither reaches our statements."""
    with HookEngine(url, worker=False) as engine:
        for opened in (engine.runtime.database.read(), engine.runtime.database.write()):
            with opened as connection:
                said = (connection.execute(text(f"SHOW {name}")).scalar_one() for name in SESSION)
                assert list(said) == ['""', "serializable", "read committed"]


SESSION = ("search_path", "default_transaction_isolation", "transaction_isolation")


def test_what_we_set_ends_with_the_transaction(url: str) -> None:
    """Behind a pooler the connection is somebody else's a moment later."""
    with HookEngine(url, worker=False) as engine:
        engine.hooks.add(Hook(name="a", event=AFTER, url="http://receiver.test/a"))
        database = engine.runtime.database
        asked = "SELECT name, setting FROM pg_settings WHERE source = 'session' AND name <> 'client_encoding'"
        for purpose in ("read", "write"):
            with database.engine(purpose).connect() as connection:
                driver = connection.connection.driver_connection
                assert isinstance(driver, psycopg.Connection)
                assert driver.execute(asked).fetchall() == []
                locks = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
                assert driver.execute(locks).fetchall() == []


def test_the_callers_connection_stays_as_it_was(url: str, host: Engine) -> None:
    """Its options, its settings, and what listens to its statements."""
    heard: list[str] = []
    with HookEngine(url, worker=False) as engine, host.connect() as connection:
        engine.hooks.add(Hook(name="a", event=AFTER, url="http://receiver.test/a"))
        connection.execution_options(stream_results=False)
        options = dict(connection.get_execution_options())
        settings = connection.execute(text(SETTINGS)).all()
        event.listen(connection, "before_cursor_execute", lambda *given: heard.append(given[2]))
        engine.fire(AFTER, {"user": 1}, connection=connection)
        assert heard == []
        assert dict(connection.get_execution_options()) == options
        assert connection.execute(text(SETTINGS)).all() == settings


SETTINGS = "SELECT name, setting FROM pg_settings WHERE name ~ 'timeout|search_path|seqscan|isolation' ORDER BY name"


# -- poolers ----------------------------------------------------------------------------------------------------------


def pooled(url: str, mode: str = "transaction") -> str:
    """The same database, behind a pooler."""
    return make_url(url).update_query_dict({"hookrow_pooler": mode}).render_as_string(hide_password=False)


def test_behind_a_pooler_nothing_belongs_to_a_connection(url: str) -> None:
    """No prepared statement, and no listening, which would hear nothing and say nothing of it."""
    with HookEngine(pooled(url), transport=Network()) as engine:
        engine.hooks.add(Hook(name="a", event=AFTER, url="http://receiver.test/a"))
        for _ in range(8):  # psycopg prepares what is said for the sixth time
            engine.fire(AFTER, {"user": 1})
        database = engine.runtime.database
        assert not database.notifies
        with database.write() as connection:
            assert connection.execute(text("SELECT name FROM pg_prepared_statements")).all() == []
    with pytest.raises(NoDatabase, match="transaction"):
        HookEngine(pooled(url, "sometimes"), worker=False)


@pytest.mark.parametrize("code", ["26000", "42P05"])
def test_a_pooler_that_nobody_named_is_named(code: str) -> None:
    """Prepared statements that are not there, or are there already, are another connection's."""
    error = psycopg.errors.lookup(code)('prepared statement "_pg3_2"')
    assert "hookrow_pooler=transaction" in str(translate(DBAPIError(None, None, error)))


# -- encodings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["WIN1251", "SQL_ASCII"])
def test_an_encoding_that_lacks_characters_is_refused(postgres_url: str, url: str, encoding: str) -> None:
    """Before anything is made in it, with the way out."""
    name = f"{urlsplit(postgres_url).path[1:]}_{encoding.lower()}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
        try:
            with pytest.raises(NoDatabase, match=f"{encoding}.*UTF8"):
                HookEngine(make_url(url).set(database=name).render_as_string(hide_password=False), worker=False)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_whatever_encoding_the_client_is_told_to_speak(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the environment or in the URL: what a payload holds comes back."""
    monkeypatch.setenv("PGCLIENTENCODING", "WIN1251")
    told = make_url(url).update_query_dict({"client_encoding": "LATIN1"}).render_as_string(hide_password=False)
    for each in (url, told):
        with HookEngine(each, worker=False, transport=Network()) as engine:
            engine.hooks.ensure(Hook(key="a", name="Ж ✓ 🎈", event=AFTER, url="http://receiver.test/a"))
            engine.fire(AFTER, {"user": "Ж ✓ 🎈"})
            assert engine.log.page()[0].payload == {"user": "Ж ✓ 🎈"}
            assert engine.hooks.get("a").name == "Ж ✓ 🎈"


# -- what is not ours -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("CREATE TABLE public.hookrow_version (version_num text)", "schema public"),
        ("CREATE SCHEMA hookrow; CREATE TABLE hookrow.orders (id int)", "table orders"),
        ("CREATE SCHEMA hookrow; CREATE TABLE hookrow.hook (id int)", "table hook"),
    ],
)
def test_nothing_is_made_beside_what_is_not_ours(postgres_url: str, url: str, made: str, said: str) -> None:
    """A second, empty Hookrow would ask nobody's hooks; and a schema of our name may be somebody else's."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(made)
        tables = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'hookrow')"
        before = connection.execute(tables).fetchall()
        with pytest.raises(NoDatabase, match=said):
            HookEngine(url, worker=False)
        assert connection.execute(tables).fetchall() == before
