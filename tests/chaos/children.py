"""The processes of chaos: workers, a service that is killed, callers that are cancelled or interrupted, a receiver.

Each calls `quiet` and opens its engine as a supervisor would: again and again. Every call of `fire()` of callers is a
line: `name word began elapsed bound lag told…` (see `Call` in judge.py).
"""

from __future__ import annotations

import asyncio
import faulthandler
import hashlib
import json
import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import make_url

from chaos.lag import Sentinel
from crash_children import FastClock, line, serving
from hookrow import AsyncHookEngine, Firing, HookEngine, StorageError
from hookrow.hook.modes import WAITING
from hookrow.store.database.locks import FIRE, LET_GO, RECORD
from hookrow.worker import Worker
from silent import Silent

__all__ = [
    "ASKED",
    "FED",
    "GATE_TIMEOUT",
    "OPENING",
    "WITHIN",
    "cancelled",
    "feeder",
    "interrupted",
    "moody_receiver",
    "worker",
]

FED, ASKED = "before_order_add", "before_order_update"
"""Events: of the service that is killed; of the callers, with a hook that is waited for."""
GATE_TIMEOUT = 2
WITHIN = 0.25
"""Seconds that a promise about waits leaves beside its limit."""
OPENING = 10.0
"""Seconds within which opening a database answers, whatever it answers."""

log = logging.getLogger("chaos")
E = TypeVar("E", HookEngine, AsyncHookEngine)


class Said(logging.Formatter):
    """Log lines that can be put in order with those of the receiver and of the run."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{time.monotonic():.3f} {os.getpid()} {super().format(record)}"


def where(*_: Any) -> None:
    """Say where each thread and each task of this process stands: it was told to end, and does not."""
    faulthandler.dump_traceback(sys.stderr)
    with suppress(RuntimeError):  # no loop runs in this thread
        for task in asyncio.all_tasks():
            step: Any = task.get_coro()
            print(task.get_name(), file=sys.stderr)
            while getattr(step, "cr_frame", None) is not None:
                print(f"  {step.cr_code.co_filename}:{step.cr_frame.f_lineno} {step.__name__}", file=sys.stderr)
                step = step.cr_await
            print(f"  waits for {step!r}", file=sys.stderr, flush=True)


class Child:
    """What all children are given: the database, the clock, and the folder in which they write."""

    def __init__(self, folder: str, speed: float, seed: int) -> None:
        self.folder, self.speed = Path(folder), speed
        self.dice = random.Random(seed)
        self.name = f"{os.getpid()}-{time.monotonic():.3f}"
        """Nobody else's in the run: in half an hour the system gives a process's number again."""
        self.sentinel = Sentinel(self.folder / f"lag-{os.getpid()}")
        signal.signal(signal.SIGUSR1, where)
        said = logging.StreamHandler()
        said.setFormatter(Said())
        logging.basicConfig(handlers=[said], level=logging.WARNING)
        for name in ("sqlalchemy", "psycopg"):  # their own tracebacks of connections that were cut
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def listens(self) -> None:
        """Signals are looked after from now on."""
        (self.folder / f"listens-{os.getpid()}").touch()

    def call(self, name: str, word: str, began: float, bound: float, *told: str) -> None:
        """One line of a call."""
        elapsed = time.monotonic() - began
        lag = self.sentinel.largest(began)
        line(str(self.folder / "calls.txt"), name, word, f"{began:.3f} {elapsed:.3f} {bound:.3f} {lag:.3f}", *told)

    def acknowledged(self, firing: Firing) -> None:
        """What was promised to be sent: background deliveries of a firing that is recorded."""
        for delivery in firing.deliveries:
            if delivery.mode not in WAITING and delivery.state not in ("skipped", "cancelled"):
                line(str(self.folder / "acks.txt"), delivery.id)

    def open(self, make: type[E], db: str, *, works: bool, ended: Callable[[], bool] = lambda: False) -> E:
        """An engine; opening it has a bound as well. Told to end meanwhile, it is not tried once more."""
        while True:
            began = time.monotonic()
            word = "opened"
            try:
                clock = FastClock(self.speed, str(self.folder / "clock.txt"))
                return make(db, worker=works, clock=clock)
            except StorageError:
                word = "unopened"
                if ended():
                    raise SystemExit(0) from None
                time.sleep(0.2)
            finally:
                self.call(f"open-{os.getpid()}", word, began, OPENING + 0.2)


def unending(engine: HookEngine | AsyncHookEngine) -> None:
    """Nothing is purged: what is finished is evidence."""
    if engine.sending.worker is not None:
        engine.sending.worker.retention = None


def worker(db: str, folder: str, speed: float, seed: int) -> None:
    """Drain the outbox until SIGTERM, or until killed."""
    mine = Child(folder, speed, seed)

    async def main() -> None:
        engine = mine.open(AsyncHookEngine, db, works=False)
        loop = asyncio.get_running_loop()

        def started(running: Worker) -> None:
            running.retention = None
            loop.add_signal_handler(signal.SIGTERM, partial(lambda: loop.create_task(running.drain(2.0))))

        try:
            await engine.run_worker(concurrency=4, started=started)
        finally:
            await engine.close()

    while True:
        try:
            return asyncio.run(main())
        except StorageError:  # as it started: its supervisor starts it again
            time.sleep(0.2)


def feeder(db: str, folder: str, speed: float, seed: int, pause: float) -> None:
    """Fire until killed; what `fire()` returned for stands in `acks.txt`, delivery by delivery."""
    mine = Child(folder, speed, seed)
    with mine.open(HookEngine, db, works=False) as engine:
        number = 0
        while True:
            number += 1
            began, word = time.monotonic(), "returned"
            try:
                firing = engine.fire(FED, {"number": number, "key": number % 5})
                mine.acknowledged(firing)
            except StorageError:
                word = "refused"
            mine.call(f"{mine.name}-feeder-{number}", word, began, FIRE + WITHIN)
            time.sleep(pause)


class Callers:
    """What a call of callers is, blocking or awaited."""

    def __init__(self, mine: Child, who: str, dice: random.Random) -> None:
        self.mine, self.who, self.dice = mine, who, dice
        self.number = 0

    def next(self) -> dict[str, Any]:
        """The arguments of the next call; a third have an idempotency key, and are committed as running first."""
        self.number += 1
        name = f"{self.mine.name}-{self.who}-{self.number}"
        given: dict[str, Any] = {"event": ASKED, "payload": {"call": name}}
        if self.dice.random() < 0.33:
            given["idempotency_key"] = name
        if self.dice.random() < 0.2:
            given["deadline"] = 3.0 * self.mine.speed  # it is counted by the engine's clock
        return given

    def bound(self, given: dict[str, Any]) -> float:
        """Seconds: all waits for the database, the record, and what the hook that is waited for may take."""
        database = min(FIRE, given.get("deadline", 30.0) / self.mine.speed) + WITHIN
        return database + RECORD + GATE_TIMEOUT

    def over(self, given: dict[str, Any], began: float, result: Firing | BaseException, cut: float) -> None:
        """Write down how it ended; `cut`: when it was cancelled or interrupted."""
        name = given["payload"]["call"]
        error = result if isinstance(result, BaseException) else result.error
        if isinstance(result, Firing) and error is None:
            # Where all hooks of the event are off there is nothing to record.
            self.mine.call(name, "returned" if result.deliveries else "idle", began, self.bound(given))
            self.mine.acknowledged(result)
        elif isinstance(error, StorageError):
            log.warning("%s: %s", name, error)
            known = getattr(error, "firing", None)
            told = [each.id for each in known.deliveries] if known is not None else []
            self.mine.call(name, "refused", began, self.bound(given), *told)
        else:
            word = "cancelled" if isinstance(error, TimeoutError) else "interrupted"
            self.mine.call(name, word, began, cut - began + LET_GO + WITHIN)


def cancelled(db: str, folder: str, speed: float, seed: int) -> None:
    """Tasks around whose calls time runs out at random; the engine has its own worker. Until SIGTERM."""
    mine = Child(folder, speed, seed)

    async def main() -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        mine.listens()

        async def calling(who: int, engine: AsyncHookEngine) -> None:
            callers = Callers(mine, f"task{who}", random.Random(seed + who))
            while not ended.is_set():
                given = callers.next()
                limit = callers.dice.random() ** 2 * 0.3 if callers.dice.random() < 0.4 else 3600.0
                began = time.monotonic()
                result: Firing | BaseException
                try:
                    async with asyncio.timeout(limit):
                        result = await engine.fire(**given)
                except (TimeoutError, StorageError) as error:
                    result = error
                callers.over(given, began, result, began + limit)
                with suppress(TimeoutError):
                    async with asyncio.timeout(callers.dice.uniform(0.02, 0.3)):
                        await ended.wait()

        engine = await asyncio.to_thread(mine.open, AsyncHookEngine, db, works=True, ended=ended.is_set)
        async with engine:
            unending(engine)
            await asyncio.gather(*(calling(who, engine) for who in range(4)))

    asyncio.run(main())


def interrupted(db: str, folder: str, speed: float, seed: int) -> None:
    """A thread of its own fires, and the main thread, which SIGINT interrupts in its calls. Until SIGTERM."""
    mine = Child(folder, speed, seed)
    ended = threading.Event()
    armed = False
    struck = 0.0

    def interrupt(*_: Any) -> None:
        nonlocal armed, struck
        if armed:
            armed, struck = False, time.monotonic()
            raise KeyboardInterrupt

    def unraisable(said: Any) -> None:
        """Where an interrupt hits a destructor Python says so, and it is over: no traceback of ours."""
        if said.exc_type is not KeyboardInterrupt:
            sys.__unraisablehook__(said)

    sys.unraisablehook = unraisable
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    mine.listens()

    def call(callers: Callers, engine: HookEngine, arm: Callable[[bool], None]) -> None:
        given = callers.next()
        began = time.monotonic()
        result: Firing | BaseException
        try:
            arm(True)
            result = engine.fire(**given)
            arm(False)
        except (KeyboardInterrupt, StorageError) as error:
            arm(False)
            result = error
        callers.over(given, began, result, struck)
        time.sleep(callers.dice.uniform(0.02, 0.2))

    def set_armed(to: bool) -> None:
        nonlocal armed
        armed = to

    def beside(engine: HookEngine) -> None:
        callers = Callers(mine, "thread", random.Random(seed + 1))
        while not ended.is_set():
            call(callers, engine, lambda to: None)

    with mine.open(HookEngine, db, works=True, ended=ended.is_set) as engine:
        unending(engine)
        other = threading.Thread(target=beside, args=(engine,))
        other.start()
        callers = Callers(mine, "main", mine.dice)
        while not ended.is_set():
            call(callers, engine, set_armed)
        other.join()


def proxy(db: str, ready: str, silent: str) -> None:
    """Passes bytes on to PostgreSQL; nothing while the file `silent` is there. Its port is told in `ready`."""
    with Silent(make_url(db)) as passing:
        line(ready, passing.port)
        while True:
            (passing.silent.set if Path(silent).exists() else passing.silent.clear)()
            time.sleep(0.02)


def moody_receiver(log: str, ready: str, seed: int, well: str) -> None:
    """A receiver of many faults, until the file `well` is there.

    A line for each request: `webhook-id path attempt answer moment digest call`; the moment is the monotonic clock's,
    the call is the one that its payload names.
    """
    dice, healed = random.Random(seed), Path(well).exists
    moods = ("200", "200", "200", "200", "200", "slow", "500", "429", "cut", "404")

    async def answer(path: str, headers: dict[str, str], body: bytes) -> bytes | None:
        mood = "200" if healed() else dice.choice(moods)
        status = "200" if mood == "slow" else mood
        digest = hashlib.sha256(body).hexdigest()[:16]
        call = json.loads(body)["data"].get("call", "-")
        line(log, headers["webhook-id"], path, headers["hook-attempt"], status, time.monotonic(), digest, call)
        if mood == "cut":
            return None
        await asyncio.sleep(0.3 if mood == "slow" else 0.002)
        return f"HTTP/1.1 {status} .\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\n{{}}".encode()

    asyncio.run(serving(ready, answer))
