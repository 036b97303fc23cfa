"""PostgreSQL's connections: psycopg's own, whose every wait ends, and transactions that say how long they wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from functools import partial
from math import inf
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from hookrow.errors import DatabaseBusy
from hookrow.lang import Text
from hookrow.store.database.address import IN_OURS, Login, for_driver, parameters, reading
from hookrow.store.database.locks import (
    ANSWER,
    CONNECT,
    GREETING,
    LOCK,
    PAUSE,
    RESTART,
    SLACK,
    Until,
    here,
    left,
    ms,
    now,
)
from hookrow.store.database.moments import StorageClock

__all__ = ["NoAnswer", "Server", "begun", "engine_for"]

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
"""Said, whatever the role's default is: what is written counts on seeing what others committed meanwhile."""
OWN_LIMITS = (
    "SELECT extract(epoch FROM current_setting('lock_timeout')::interval),"
    " extract(epoch FROM current_setting('statement_timeout')::interval)"
)
MOMENT = "; SELECT extract(epoch FROM clock_timestamp()) * 1000"
INDEXED = "; SET LOCAL enable_seqscan = off; SET LOCAL max_parallel_workers_per_gather = 0"
"""What is asked for is a page or less, and may be rare: an index, whatever the statistics expect, and no worker of the
server's beside us, whose start takes longer than all the rest."""
KEPT = 5
"""Connections for reading that are kept when nobody needs them."""
WRITING = 2
"""Connections for writing: the writer's, and one for upkeep beside it."""


class NoAnswer(psycopg.OperationalError):
    """The server has not answered within the limit: it is gone without a word, or takes no end."""

    sqlstate: str | None = "57014"  # as where it ended the statement by itself


class Server(psycopg.Connection[Any]):
    """A connection that is given up, from this side, where the server says nothing for too long."""

    own_limits: tuple[float, float] = (inf, inf)
    """The administrator's, in seconds: for locks, for a statement."""
    is_new: bool = True
    """Its server, of which there may be several, has not told the time yet."""

    def begin(self, besides: str, clock: StorageClock) -> None:
        """Begin a transaction with its limits, in one round trip. Nothing of them outlives it.

        Args:
            clock: is told what the server's says, with the same round trip.
        """
        words = BEGIN
        if here.until is not None:
            locks, statement = self.own_limits
            words += f"; SET LOCAL lock_timeout = {ms(min(left(LOCK), locks))}"
            words += f"; SET LOCAL statement_timeout = {ms(min(left(ANSWER), statement))}"
        asks, since = clock.asks and (self.is_new or clock.stale), clock.monotonic()
        with Until(GREETING):
            answer: Any = self.execute(words + besides + (MOMENT if asks else ""), prepare=False)
        if asks:
            while answer.nextset():
                pass
            clock.heard(float(answer.fetchone()[0]), since)
            self.is_new = False

    def wait(self, gen: Any, *given: Any, **named: Any) -> Any:
        """Wait for one answer, as long as this thread may; `psycopg` asks ten times a second whether to go on."""
        until = None if here.until is None else min(here.until, now() + ANSWER) + SLACK
        return super().wait(gen if until is None else self.ending(gen, until), *given, **named)

    def ending(self, gen: Generator[Any, Any, Any], until: float) -> Generator[Any, Any, Any]:
        """The same steps, ended where nothing comes."""
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and now() > until:
                    gen.close()
                    self.close()
                    raise NoAnswer(str(Text("no answer in time")))
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value


def engine_for(address: URL, purpose: str, clock: StorageClock, login: Login | None) -> Engine:
    """The engine for `read` or `write`. Whether a connection still stands is asked by its transaction's BEGIN."""
    most = reading(address) if purpose == "read" else WRITING
    made = create_engine(
        for_driver(address),
        execution_options={"schema_translate_map": IN_OURS},
        pool_size=min(KEPT, most),
        max_overflow=max(most - KEPT, 0),
        pool_timeout=LOCK,
        hide_parameters=True,
    )
    event.listen(made, "do_connect", lambda *_: connect(partial(parameters, address, login)))
    besides = INDEXED if purpose == "read" else ""
    event.listen(made, "begin", lambda connection: begin(connection, besides, clock))
    return made


def connect(words: Callable[[], dict[str, Any]]) -> Server:
    """A new connection, in a thread of its own: a name server that hangs can't be interrupted, nor a host's function
    that gives a password."""
    made: list[Any] = []
    guard = threading.Lock()
    awaited = True

    def connecting() -> None:
        try:
            found: Any = Server.connect(**words())
            found.own_limits = tuple(float(each) or inf for each in found.execute(OWN_LIMITS).fetchone())
        except psycopg.errors.ConnectionTimeout as error:
            found = NoAnswer(str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised to who waits
            found = error
        with guard:
            made.append(found)
            if not awaited and isinstance(found, Server):
                found.close()

    thread = threading.Thread(target=connecting, name="hookrow-connect", daemon=True)
    thread.start()
    thread.join(left(CONNECT))
    with guard:
        awaited = bool(made)
    if not made:
        raise NoAnswer(str(Text("no connection in time")))
    if isinstance(made[0], Exception):
        raise made[0]
    found: Server = made[0]
    return found


def begun(engine: Engine, *, again: bool) -> Connection:
    """A connection whose transaction is begun.

    Args:
        again: try anew for a while where the server ended one, or is not there: it was there before.

    Raises:
        DatabaseBusy: all are in use.
    """
    started, end = now(), inf
    while True:
        try:
            connection = engine.connect()
            try:
                connection.begin()
            except DBAPIError as error:
                if error.connection_invalidated:
                    connection.invalidate()
                connection.close()
                raise
        except PoolTimeout:
            raise DatabaseBusy(Text("all connections to the database are in use; try again")) from None
        except DBAPIError:
            moment = now()
            end = min(end, moment + RESTART)
            # A connection that can't be had within its limit is not waited for once more.
            if not again or moment >= min(end, started + CONNECT) or not left(PAUSE):
                raise
            time.sleep(PAUSE)
        else:
            return connection


def begin(connection: Connection, besides: str, clock: StorageClock) -> None:
    """Begin this connection's transaction."""
    driver: Any = connection.connection.driver_connection
    try:
        driver.begin(besides, clock)
    except psycopg.Error as error:
        gone = driver.closed or driver.broken
        raise DBAPIError("BEGIN", None, error, connection_invalidated=gone) from None  # hooks' errors are not wrapped
