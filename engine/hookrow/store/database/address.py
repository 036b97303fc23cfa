"""Where a database is: what its URL means, how it may be shown, and what a connection to PostgreSQL is made with.

A host's own SQLAlchemy engine says where it leads, and how it logs in (docs/decisions/0018-the-hosts-engine.md).
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, InvalidRequestError

from hookrow.errors import NoDatabase
from hookrow.lang import Text

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = [
    "IN_OURS",
    "PG_PLACE",
    "PG_SCHEMA",
    "POOLER",
    "Login",
    "address_of",
    "for_driver",
    "login_of",
    "parameters",
    "path_of",
    "reading",
    "shown",
]

PG_SCHEMA = "hookrow"
"""Our tables' place inside the host's PostgreSQL database: every statement names it, whatever `search_path` says."""
IN_OURS: dict[str | None, str | None] = {None: PG_SCHEMA}
"""What SQLAlchemy puts before our tables' names (`schema_translate_map`)."""
PG_PLACE = "SELECT current_database() || '/' || (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint"
"""Which database of which running server this is, however it was reached; no setting of the connection shows in it."""
POOLER = "hookrow_pooler"
"""In a URL: `transaction` where a pooler gives every transaction another connection of the server's."""
CONNECTIONS = "hookrow_connections"
"""In a URL: how many connections an engine reads by, at the most; besides these it has one to write and one that
listens."""
EACH = 15
"""As many, where the URL doesn't say."""
PG_DRIVER = "postgresql+psycopg"
PG_PARAMETERS: dict[str, Any] = {
    "application_name": "hookrow",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""A server that is gone without a word is noticed in 15 to 25 s (libpq's connection parameters)."""


Login = Callable[[], dict[str, Any]]
"""Gives the words that a connection to PostgreSQL is made with, asked for each one: a password may have changed."""


def address_of(url: str | os.PathLike[str] | URL | Engine | AsyncEngine) -> URL:
    """A database's URL, taken apart; PostgreSQL's by whatever driver's name, since ours is psycopg.

    A path, or a text without `://`, is an SQLite file's name, as `--db` takes it. Of a host's engine it is the engine's
    own, with our words out of its execution options.

    Raises:
        NoDatabase: it is no URL, of neither SQLite nor PostgreSQL, or PostgreSQL's driver is not installed. What was
            given is not repeated: it may hold a password.
    """
    if (host := engine_in(url)) is not None:
        options = host.get_execution_options()
        url = host.url.update_query_dict(
            {name: str(options[name]) for name in (POOLER, CONNECTIONS) if name in options}
        )
    address = url if isinstance(url, URL) else read(url)
    kind = address.drivername.partition("+")[0]
    if kind == "postgresql":
        if find_spec("psycopg") is None:
            raise NoDatabase(Text("PostgreSQL needs its driver: pip install 'hookrow[postgres]'"))
        if "@" in (address.host or ""):  # which is not repeated: it may be the end of a password
            raise NoDatabase(Text("in the password of a database URL, write {at} instead of @", at="%40"))
        if address.query.get(POOLER, "transaction") != "transaction":
            raise NoDatabase(Text("{name} in a database URL can only be {value}", name=POOLER, value="transaction"))
        if not re.fullmatch("[1-9][0-9]?", str(address.query.get(CONNECTIONS, EACH))):
            raise NoDatabase(Text("{name} in a database URL can only be {value}", name=CONNECTIONS, value="1 … 99"))
        return address.set(drivername=PG_DRIVER)
    if kind != "sqlite":
        raise NoDatabase(Text("Hookrow works on SQLite or PostgreSQL, not on {kind}", kind=kind))
    return address


def read(url: Any) -> URL:
    """A URL or a file's name as it is written. Raises NoDatabase."""
    try:
        if b"\0" in os.fsencode(url):  # which refuses halves of characters that no file name has
            raise ValueError(url)
        if not isinstance(url, str) or "://" not in url:
            return URL.create("sqlite", database=os.fspath(url))
        return make_url(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url)
    except (ArgumentError, ValueError):
        raise NoDatabase(
            Text("not a database URL; examples: sqlite:///hooks.db, postgresql://user@host/name")
        ) from None


def engine_in(given: Any) -> Engine | None:
    """The host's engine, where it is one; an async one has another inside."""
    found = getattr(given, "sync_engine", given)
    return found if isinstance(found, Engine) else None


def login_of(given: Any) -> Login | None:
    """How a host's engine logs in to its server; None for a URL, a path, and for SQLite.

    Raises:
        NoDatabase: it is an engine of another driver than psycopg and psycopg2, whose words are not libpq's.
    """
    host = engine_in(given)
    if host is None or host.dialect.name != "postgresql":
        return None
    if host.dialect.driver not in LIBPQ:
        text = Text("Hookrow can't log in as an engine on {driver} does: give the URL", driver=host.dialect.driver)
        raise NoDatabase(text)
    if not event.contains(host, "do_connect", hand_over):
        event.listen(host, "do_connect", hand_over)
    return partial(login, host)


LIBPQ = ("psycopg", "psycopg2")
"""Drivers that connect by libpq's words."""


class Asking(threading.local):
    """Whether this thread wants no connection of a host's engine, but what it would be made with."""

    now: bool = False


asking: Asking = Asking()


class HandedOver(Exception):
    """In place of a connection: what it would have been made with."""


def hand_over(dialect: Any, record: Any, given: list[Any], named: dict[str, Any]) -> Any:
    """A host's listener to `do_connect` that hears those after it first; the host's own connections pass it by."""
    if not asking.now:
        return None
    listeners = list(dialect.dispatch.do_connect)
    for each in listeners[listeners.index(hand_over) + 1 :]:  # added since the host gave us its engine
        if (made := each(dialect, record, given, named)) is not None:
            return made
    raise HandedOver(dict(named))


def login(host: Engine) -> dict[str, Any]:
    """What the host's engine would connect with now, its own listeners heard (`do_connect`: a password of the hour).

    Raises:
        NoDatabase: it has a function of its own that connects (`creator=`).
        psycopg.OperationalError: a listener failed.
    """
    import psycopg  # an extra

    found: dict[str, Any] | None = None
    asking.now = True
    try:
        # A pool of nobody's: the host's own has connections that it would give.
        host.pool.recreate().connect().invalidate()
    except HandedOver as handed:
        found = handed.args[0]
    except InvalidRequestError:  # an async engine's `async_creator`, which can't be awaited here
        pass
    except Exception as error:  # noqa: BLE001 - whatever a host's listener raises: no connection can be made
        raise psycopg.OperationalError(f"the engine's listener to do_connect failed: {type(error).__name__}") from None
    finally:
        asking.now = False
    if found is None:
        raise NoDatabase(Text("Hookrow can't log in by the creator= of an engine: give the URL"))
    known = {each.keyword.decode() for each in psycopg.pq.Conninfo.get_defaults()}
    return {name: value for name, value in found.items() if name in known and value is not None}


def reading(address: URL) -> int:
    """How many connections an engine reads by, at the most."""
    return int(str(address.query.get(CONNECTIONS, EACH)))


def for_driver(address: URL) -> URL:
    """A URL without our own words."""
    return address.difference_update_query([POOLER, CONNECTIONS])


def shown(address: URL) -> str:
    """A URL as people may see it: without its password, wherever that stands."""
    return address.difference_update_query(["password", "sslpassword"]).render_as_string(hide_password=True)


def path_of(address: URL) -> Path:
    """The file of a SQLite URL.

    Raises:
        NoDatabase: it names none: in memory each connection would see another database.
    """
    named = address.database
    if not named or named == ":memory:":
        said = shown(address)
        raise NoDatabase(Text("no Hookrow database here: {reason}; create one with hookrow init", reason=said))
    return Path(named).absolute()


def parameters(address: URL, login: Login | None = None) -> dict[str, Any]:
    """What a connection to PostgreSQL is made with now, for psycopg; words of the URL or the host go before ours.

    There is no session state behind a pooler: transactions are begun by our own words, and prepared statements, which
    belong to one connection of the server's, are for those who reach it directly.
    """
    url = for_driver(address)
    theirs = login() if login is not None else url.get_dialect()().create_connect_args(url)[1]
    ours: dict[str, Any] = {"client_encoding": "UTF8"}  # whatever PGCLIENTENCODING, the URL or the role says
    if POOLER in address.query:
        ours["prepare_threshold"] = None
    return {**PG_PARAMETERS, **theirs, **ours, "autocommit": True}
