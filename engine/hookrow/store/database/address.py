"""Where a database is: what its URL means, how it may be shown, and what a connection to PostgreSQL is made with."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from hookrow.errors import NoDatabase
from hookrow.lang import Text

__all__ = [
    "IN_OURS",
    "PG_SCHEMA",
    "POOLER",
    "address_of",
    "for_driver",
    "path_of",
    "reading",
    "server_settings",
    "shown",
]

PG_SCHEMA = "hookrow"
"""Our tables' place inside the host's PostgreSQL database: every statement names it, whatever `search_path` says."""
IN_OURS: dict[str | None, str | None] = {None: PG_SCHEMA}
"""What SQLAlchemy puts before our tables' names (`schema_translate_map`)."""
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


def address_of(url: str | os.PathLike[str] | URL) -> URL:
    """A database's URL, taken apart; PostgreSQL's by whatever driver's name, since ours is psycopg.

    A path, or a text without `://`, is an SQLite file's name, as `--db` takes it.

    Raises:
        NoDatabase: it is no URL, of neither SQLite nor PostgreSQL, or PostgreSQL's driver is not installed. What was
            given is not repeated: it may hold a password.
    """
    if isinstance(url, URL):
        return url
    try:
        if b"\0" in os.fsencode(url):  # which refuses halves of characters that no file name has
            raise ValueError(url)
        if not isinstance(url, str) or "://" not in url:
            return URL.create("sqlite", database=os.fspath(url))
        address = make_url(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url)
    except (ArgumentError, ValueError):
        raise NoDatabase(
            Text("not a database URL; examples: sqlite:///hooks.db, postgresql://user@host/name")
        ) from None
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


def server_settings(address: URL) -> dict[str, Any]:
    """What every connection to PostgreSQL is made with; the URL's own words go before ours.

    There is no session state behind a pooler: transactions are begun by our own words, and prepared statements, which
    belong to one connection of the server's, are for those who reach it directly.
    """
    ours = {name: value for name, value in PG_PARAMETERS.items() if name not in address.query}
    ours["client_encoding"] = "UTF8"  # whatever PGCLIENTENCODING, the URL or the role says: hooks hold any character
    return {**ours, "autocommit": True, **({"prepare_threshold": None} if POOLER in address.query else {})}
