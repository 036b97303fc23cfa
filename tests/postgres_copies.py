"""Databases on a PostgreSQL, each as its template is, lent to one test after another.

Making one and dropping it costs the server many times what emptying one does. A test cannot tell: each gets a name of
its own, and one in which more than rows has changed is not lent again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg

from hookrow.store.database.tables import METADATA

__all__ = ["Copies", "make", "url_of"]

MANY = 500
"""Rows from which on their dead remains would cost the next test more than a new database."""
TABLES = ["hookrow.hookrow_version", *(f"hookrow.{each.name}" for each in reversed(METADATA.sorted_tables))]
"""Those that others refer to come last."""
# What a database is besides its rows: whatever is ours (numbers from 16384 on), schemas, rights, settings; and that
# nobody has counted its rows for the planner.
SHAPE = """
SELECT md5(string_agg(line, ',' ORDER BY line)) FROM (
    SELECT (relname, relnamespace, relkind, relowner, relacl, relpersistence, relnatts, relchecks, reloptions,
        relrowsecurity, relreplident, reltablespace, reltuples < 0 OR relkind = 'S')::text AS line
        FROM pg_class WHERE oid >= 16384
    UNION ALL SELECT a::text FROM pg_attribute a WHERE attrelid >= 16384
    UNION ALL SELECT a::text FROM pg_attrdef a
    UNION ALL SELECT c::text FROM pg_constraint c WHERE oid >= 16384
    UNION ALL SELECT (indexrelid, indkey, indisunique, indisvalid, indisready)::text
        FROM pg_index WHERE indexrelid >= 16384
    UNION ALL SELECT t::text FROM pg_trigger t
    UNION ALL SELECT p::text FROM pg_proc p WHERE oid >= 16384
    UNION ALL SELECT t::text FROM pg_type t WHERE oid >= 16384
    UNION ALL SELECT r::text FROM pg_rewrite r WHERE oid >= 16384
    UNION ALL SELECT p::text FROM pg_policy p
    UNION ALL SELECT e::text FROM pg_event_trigger e
    UNION ALL SELECT e::text FROM pg_extension e
    UNION ALL SELECT n::text FROM pg_namespace n WHERE nspname !~ '^pg_(temp|toast)'
    UNION ALL SELECT a::text FROM pg_default_acl a
    UNION ALL SELECT s::text FROM pg_sequence s
    UNION ALL SELECT setconfig::text FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase
        WHERE datname = current_database()
    UNION ALL SELECT (datdba, datallowconn, datconnlimit, datacl)::text
        FROM pg_database WHERE datname = current_database()
) AS all_of_it
"""


def url_of(server: str, name: str) -> str:
    """The URL (`postgresql://…`, for SQLAlchemy and psycopg alike) of this database there."""
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def make(connection: psycopg.Connection, template: str) -> str:
    """The name of a new database, a copy of this one."""
    name = f"hookrow_{secrets.token_hex(6)}"
    connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    # What says no schema finds nothing, and what counts on seeing others' commits fails: our statements do neither.
    connection.execute(f"ALTER DATABASE {name} SET search_path = ''")
    connection.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    return name


class Copies:
    """Copies of the template: one after another, or several at a time."""

    def __init__(self, server: str, template: str) -> None:
        self.server = server
        self.template = template
        self.connection = psycopg.connect(server, autocommit=True)
        self.free: list[str] = []
        self.made: set[str] = set()
        self.shape = self.empty = ""

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The URL of one in which nothing has happened."""
        name = self.free.pop() if self.free else self.new()
        yield url_of(self.server, name)
        renamed = self.renamed(name)
        if renamed is not None and self.emptied(renamed):
            self.free.append(renamed)
        else:
            self.drop(renamed or name)

    def new(self) -> str:
        name = make(self.connection, self.template)
        self.made.add(name)
        if not self.shape:
            self.learn(name)
        return name

    def learn(self, name: str) -> None:
        """What an untouched one is like, and the statements that make one so again."""
        with psycopg.connect(url_of(self.server, name), autocommit=True) as connection:
            self.shape = self.asked(connection, SHAPE)
            statements = [f"DELETE FROM {each}" for each in TABLES]
            for each in TABLES:  # again: what is deleted raises the version of the configuration
                rows = self.asked(connection, f"SELECT quote_nullable(jsonb_agg(to_jsonb(t))) FROM {each} AS t")
                statements.append(f"DELETE FROM {each}")
                statements.append(f"INSERT INTO {each} SELECT * FROM jsonb_populate_recordset(NULL::{each}, {rows})")
            restart = "setval(seqrelid::regclass, seqstart, false)"
            statements.append(f"SELECT {restart} FROM pg_catalog.pg_sequence")
            self.empty = ";".join(statements)

    @staticmethod
    def asked(connection: psycopg.Connection, question: str) -> str:
        found = connection.execute(question).fetchone()
        assert found is not None
        return str(found[0])

    def renamed(self, name: str) -> str | None:
        """Its new name; none if it cannot have one. Whoever was connected is not any more, nor can be again."""
        new = f"hookrow_{secrets.token_hex(6)}"
        try:
            self.connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            self.connection.execute(f"ALTER DATABASE {name} RENAME TO {new}")
        except psycopg.Error:  # somebody came back
            return None
        self.made = self.made - {name} | {new}
        return new

    def emptied(self, name: str) -> bool:
        """Whether it is again as it was made."""
        try:
            with psycopg.connect(url_of(self.server, name)) as connection:
                if self.asked(connection, SHAPE) != self.shape:
                    return False
                cursor = connection.execute(self.empty)
                deleted = 0
                for _ in TABLES:
                    deleted += cursor.rowcount
                    cursor.nextset()
                return deleted <= MANY
        except psycopg.Error:  # what was changed does not let us
            return False

    def drop(self, name: str) -> None:
        self.connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        self.made.discard(name)

    def close(self) -> None:
        for each in list(self.made):
            self.drop(each)
        self.connection.close()
