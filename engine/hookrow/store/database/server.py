"""PostgreSQL's connections: psycopg's own, whose every wait ends, and transactions that say how long they wait.

Each statement costs a round trip, and takes the interpreter's lock from the event loop several times. So what needs no
answer waits until one is needed, or the commit, and goes with it in one round trip (libpq's pipeline mode).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from math import inf
from typing import Any

import psycopg
from psycopg import waiting
from psycopg.conninfo import conninfo_attempts
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, PipelineStatus, TransactionStatus
from psycopg.waiting import Wait
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from hookrow.lang import Text
from hookrow.store.aside import apart
from hookrow.store.database.address import IN_OURS, Login, for_driver, parameters, reading
from hookrow.store.database.locks import (
    ANSWER,
    CONNECT,
    GREETING,
    INTERRUPTS,
    LOCK,
    PAUSE,
    RESTART,
    SLACK,
    STILL,
    BoundedPool,
    Until,
    here,
    left,
    let_go_by,
    ms,
    now,
)
from hookrow.store.database.moments import StorageClock
from hookrow.store.database.rows import Numbers

__all__ = ["TICK", "NoAnswer", "Server", "begun", "engine_for"]

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
"""Said, whatever the role's default is: what is written counts on seeing what others committed meanwhile."""
LIMITED = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
LIMITS = "SELECT " + ", ".join(f"set_config('{name}', ${n}, true)" for n, name in enumerate(LIMITED, 1))
OWN_LIMITS = "SELECT " + ", ".join(f"extract(epoch FROM current_setting('{name}')::interval)" for name in LIMITED)  # noqa: S608 - names of our own
MOMENT = "; SELECT extract(epoch FROM clock_timestamp()) * 1000"
INDEXED = "; SET LOCAL enable_seqscan = off; SET LOCAL max_parallel_workers_per_gather = 0"
"""What is asked for is a page or less, and may be rare: an index, whatever the statistics expect, and no worker of the
server's beside us, whose start takes longer than all the rest."""
LATELY = 0.05
"""Seconds for which a connection that has answered is taken for alive: BEGIN goes with what follows it."""
TICK = 0.02
"""Seconds after which psycopg asks whether to wait on; a tenth, as it would, is added to every limit."""
KEPT = 5
"""Connections for reading that are kept when nobody needs them."""
WRITING = 2
"""Connections for writing: the writer's, and one for upkeep beside it."""


class NoAnswer(psycopg.OperationalError):
    """The server has not answered within the limit: it is gone without a word, or takes no end."""

    sqlstate: str | None = "57014"  # as where it ended the statement by itself


class Server(psycopg.Connection[Any]):
    """A connection that is given up, from this side, where the server says nothing for too long."""

    own_limits: tuple[float, ...] = (inf,) * len(LIMITED)
    """The administrator's, in seconds: for locks, for a statement, for standing still."""
    is_new: bool = True
    """Its server, of which there may be several, has not told the time yet."""
    heard: float = -inf
    """When it last answered, by `locks.now`."""
    numbers: Numbers

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.queue: deque[tuple[str, Sequence[str]]] = deque()
        """Statements that no answer is needed of: they go before whatever goes next."""
        self.prepared: dict[str, bytes] = {}
        """The server's names for statements of the queue."""
        self.last_failed: bool = False
        """Of what was said last, it was the last statement that the server refused."""

    def begin(self, besides: str, clock: StorageClock) -> None:
        """Begin a transaction with its limits. Nothing of them outlives it.

        It is one round trip; none where the connection, which may be gone without a word, has answered lately.

        Args:
            clock: is told what the server's says, with the same round trip.
        """
        words, waits = BEGIN, None
        asks, since = clock.asks and (self.is_new or clock.stale), clock.monotonic()
        if here.until is not None:
            lock = left(min(LOCK, here.lock))
            ours = (lock, left(ANSWER), inf if besides else STILL)  # a reader holds nobody up
            waits = [ms(min(each)) for each in zip(ours, self.own_limits, strict=True)]
            if not besides and not asks and now() - self.heard < LATELY:
                self.queue += (words, ()), (LIMITS, list(map(str, waits)))
                return
            words += "".join(f"; SET LOCAL {name} = {wait}" for name, wait in zip(LIMITED, waits, strict=True))
        with Until(GREETING):
            answer: Any = self.execute(words + besides + (MOMENT if asks else ""), prepare=False)
        if asks:
            while answer.nextset():
                pass
            clock.heard(float(answer.fetchone()[0]), since)
            self.is_new = False

    def later(self, words: str, *values: str) -> None:
        """Say this (parameters `$1` …) before whatever is said next, at the latest with the commit."""
        self.queue.append((words, values))

    def say(self, words: str, *values: str) -> list[tuple[str | None, ...]]:
        """Say this, after what waits; the answer's rows, as text. Raises psycopg.Error, the first of all."""
        self.queue.append((words, values))
        return self.let_out()

    def let_out(self) -> list[tuple[str | None, ...]]:
        """Say what waits, in one round trip; the rows of the last answer. Raises psycopg.Error."""
        said, self.queue = self.queue, deque()
        return self.wait(self.piped(said))  # type: ignore[no-any-return]

    def piped(self, said: Sequence[tuple[str, Sequence[str]]]) -> Generator[Any, Any, list[tuple[str | None, ...]]]:
        """The steps of that: `psycopg`'s own pipeline waits for the socket at each statement.

        Where the connection ends after the last answer, as by a server that shuts down just then, the answer stands.
        """
        wire, fresh, answers = self.pgconn, dict[str, bytes](), list[Any]()
        order: list[str] = []  # of what answers: a statement, or the preparing of one
        wire.enter_pipeline_mode()
        for words, given in said:
            values = [value.encode() for value in given]
            if self.prepare_threshold is None or not values:
                wire.send_query_params(words.encode(), values)
            else:
                name = self.prepared.get(words) or fresh.get(words)
                if name is None:
                    name = fresh[words] = b"hookrow_%d" % (len(self.prepared) + len(fresh))
                    wire.send_prepare(name, words.encode())
                    order.append(words)
                wire.send_query_prepared(name, values)
            order.append("")
        wire.pipeline_sync()
        failed: Any = None
        try:
            while wire.flush():
                yield Wait.RW
                wire.consume_input()
            while True:
                while wire.is_busy():
                    yield Wait.R
                    wire.consume_input()
                found = wire.get_result()
                if found is None:
                    if wire.status == ConnStatus.BAD:
                        raise psycopg.OperationalError(str(Text("the connection was lost")))
                    continue
                if found.status == ExecStatus.PIPELINE_SYNC:
                    break
                if len(answers) == len(order):
                    raise error_from_result(found)
                if found.status == ExecStatus.FATAL_ERROR:
                    failed, self.last_failed = failed or found, failed is None and len(answers) == len(order) - 1
                elif found.status == ExecStatus.COMMAND_OK and order[len(answers)]:
                    self.prepared[order[len(answers)]] = fresh[order[len(answers)]]
                answers.append(found)
        except psycopg.Error:
            self.close()
            if failed is None and len(answers) < len(order):
                raise
        else:
            wire.exit_pipeline_mode()
        if failed is not None:  # it said why, and has perhaps hung up
            raise error_from_result(failed)
        return rows_in(answers[-1])

    def cursor(self, *given: Any, **named: Any) -> Any:
        """For whatever else is said."""
        if self.queue:
            self.let_out()
        return super().cursor(*given, **named)

    def commit(self) -> None:
        """Commit, together with what waits: where that is refused, nothing is."""
        if not self.queue and self.pgconn.transaction_status == TransactionStatus.IDLE:
            return
        try:
            self.say("COMMIT")
        except psycopg.Error:
            if not self.closed:
                self.rollback()
            raise

    def rollback(self) -> None:
        """What waits was never said."""
        self.queue.clear()
        if self.closed or self.pgconn.transaction_status == TransactionStatus.IDLE:
            return
        super().rollback()
        if self.prepared:  # psycopg has let go of all that it prepared, if anything, and of ours with it
            self.prepared.clear()
            self.execute("DEALLOCATE ALL", prepare=False)

    def wait(self, gen: Any, *given: Any, **named: Any) -> Any:
        """Wait for one answer, as long as this thread may."""
        if here.until is not None:
            gen = self.ending(gen, min(here.until, now() + ANSWER) + SLACK)
        try:
            answer = waiting.wait(gen, self.pgconn.socket, *(given or (TICK,)), **named)
        except INTERRUPTS as error:
            let_go_by(error)  # its time runs from here
            self.end_statement(gen)
            raise
        self.heard = now()
        return answer

    def end_statement(self, gen: Generator[Any, Any, Any]) -> None:
        """After an interrupt: have the server end it, which takes a moment where it lives; else the connection is given
        up. By itself psycopg would wait for ten seconds."""
        try:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.cancel_safe(timeout=SLACK)
                waiting.wait(self.ending(gen, now() + SLACK), self.pgconn.socket, TICK)
        except psycopg.errors.QueryCanceled:
            pass
        except BaseException:  # noqa: BLE001 (what it is interrupted by once more is not more than what was)
            self.close()
        # The interrupt may have hit the steps themselves: nobody goes on with them.
        wire = self.pgconn
        if wire.pipeline_status != PipelineStatus.OFF or wire.transaction_status == TransactionStatus.ACTIVE:
            self.close()

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


def rows_in(answer: Any) -> list[tuple[str | None, ...]]:
    """The rows of an answer, as text."""
    found: list[tuple[str | None, ...]] = []
    for row in range(answer.ntuples):
        values = [answer.get_value(row, column) for column in range(answer.nfields)]
        found.append(tuple(None if value is None else value.decode() for value in values))
    return found


def engine_for(address: URL, purpose: str, clock: StorageClock, login: Login | None) -> Engine:
    """The engine for `read` or `write`. Whether a connection still stands is asked by its transaction's BEGIN."""
    most = reading(address) if purpose == "read" else WRITING
    made = create_engine(
        for_driver(address),
        execution_options={"schema_translate_map": IN_OURS},
        pool_size=min(KEPT, most),
        max_overflow=max(most - KEPT, 0),
        poolclass=BoundedPool,
        hide_parameters=True,
    )
    numbers = Numbers()
    event.listen(made, "do_connect", lambda *_: connect(partial(parameters, address, login), numbers))
    besides = INDEXED if purpose == "read" else ""
    event.listen(made, "begin", lambda connection: begin(connection, besides, clock))
    return made


def connect(words: Callable[[], dict[str, Any]], numbers: Numbers) -> Server:
    """A new connection, made in threads of their own: a name server that hangs can't be interrupted, nor a host's
    function that gives a password.

    Of several addresses (hosts of the URL, addresses of a name) each has its share of the time before the next is
    tried beside it: one that is gone without a word takes nothing from the others, and a slow one is not given up.
    """
    end = now() + left(CONNECT)
    tried: list[Future[Server]] = []
    failed: list[BaseException] = []
    found: Future[Server] | None = None
    try:
        attempts = deque(apart(lambda: conninfo_attempts(words())).result(left(CONNECT)))
        pending: set[Future[Server]] = set()
        while attempts or pending:
            if attempts:
                tried.append(apart(partial(reach, attempts.popleft(), numbers)))
                pending.add(tried[-1])
            ended, pending = wait(pending, max(end - now(), 0) / (len(attempts) + 1), FIRST_COMPLETED)
            for each in ended:
                if (error := each.exception()) is None:
                    found = each
                    return each.result()
                failed.append(error)
            if not ended and not attempts:
                raise TimeoutError
    except TimeoutError:
        raise NoAnswer(str(Text("no connection in time"))) from None
    finally:
        for each in tried:
            if each is not found:
                each.add_done_callback(let_go)
    last = failed[-1]
    if len(failed) == 1 or not isinstance(last, psycopg.Error):
        raise last
    raise type(last)("\n".join(str(each) for each in reversed(failed)))


def reach(words: dict[str, Any], numbers: Numbers) -> Server:
    """A connection to one address, and what it has to be asked first. Raises psycopg.Error."""
    try:
        made = Server.connect(**words)
        made.numbers = numbers
        made.own_limits = tuple(float(each) or inf for each in made.execute(OWN_LIMITS).fetchone() or ())
    except psycopg.errors.ConnectionTimeout as error:
        raise NoAnswer(str(error)) from None
    return made


def let_go(late: Future[Server]) -> None:
    """Close what came after another, or too late."""
    if late.exception() is None:
        late.result().close()


def begun(engine: Engine, *, again: bool) -> Connection:
    """A connection whose transaction is begun.

    Args:
        again: try anew for a while where the server ended one, or is not there: it was there before.
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
