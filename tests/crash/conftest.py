"""A nursery of processes to kill, a receiver that writes down what came, and the checker of both."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

import crash_children
from crash_sizes import until
from hookrow import HookEngine
from hookrow.ids import delivery_id
from warm import Warm

PROGRAM = Path(crash_children.__file__)
TESTS = PROGRAM.parent


class Nursery:
    """Starts children by fork, or by exec; ends those that are left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = [TESTS, TESTS.parent / "engine", TESTS.parent / "tui"]
        self.env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
        self.process = Warm(
            [sys.executable, str(PROGRAM), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.env,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        self.born: list[int] = []
        self.execs: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *, by_exec: bool = False, **given: Any) -> int:
        """Start a child; its process id."""
        errors = str(self.folder / "errors.txt")
        if by_exec:
            made = subprocess.Popen([sys.executable, PROGRAM, name, json.dumps(given), errors], env=self.env)
            self.execs[made.pid] = made
            number = made.pid
        else:
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            self.process.stdin.write(json.dumps([name, given, errors]) + "\n")
            self.process.stdin.flush()
            number = int(self.process.stdout.readline())
        self.born.append(number)
        return number

    def kill(self, number: int, how: int = signal.SIGKILL) -> None:
        """Send a signal; after SIGKILL see the process gone."""
        os.kill(number, how)
        if how == signal.SIGKILL:
            self.gone(number)

    def gone(self, number: int, seconds: float = 20.0) -> None:
        """Wait until a process has ended."""
        if number in self.execs:
            self.execs[number].wait(seconds)
        until(lambda: not alive(number), seconds)
        self.born.remove(number)

    def errors(self) -> str:
        """What children said on their standard error."""
        said = self.folder / "errors.txt"
        return said.read_text() if said.exists() else ""

    def close(self) -> None:
        for number in [each for each in self.born if alive(each)]:
            os.kill(number, signal.SIGKILL)
        for each in self.execs.values():
            each.wait(10)
        with self.process:
            assert self.process.stdin is not None
            self.process.stdin.close()
            self.process.wait(10)


def alive(number: int) -> bool:
    """Whether the process runs."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


class Court:
    """One database, its receiver, and what is to be judged."""

    def __init__(self, nursery: Nursery, folder: Path, *, slow: float = 0.0, postgres: str | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.nursery, self.path, self.postgres = nursery, folder / "hooks.db", postgres
        self.db = f"sqlite:///{self.path}" if postgres is None else postgres.replace("://", "+psycopg://", 1)
        self.acks, self.log = folder / "acks.txt", folder / "receiver.txt"
        ready = folder / "port.txt"
        self.receiver = nursery.start("receiver", log=str(self.log), ready=str(ready), slow=slow)
        until(lambda: ready.exists() and ready.read_text().endswith("\n"))
        self.url = f"http://127.0.0.1:{int(ready.read_text())}"

    def hooks(self, *paths: str, **given: Any) -> None:
        """Hooks at these paths of the receiver."""
        with HookEngine(self.db, worker=False) as engine:
            for path in paths:
                engine.hooks.add(crash_children.hook_at(f"{self.url}/{path}", path, **given))

    def fire_fast(self, speed: float, count: int = 1) -> None:
        """Firings that are committed, and acknowledged."""
        clock = crash_children.FastClock(speed)
        with HookEngine(self.db, worker=False, clock=clock) as engine, self.acks.open("a") as acks:
            for number in range(count):
                for delivery in engine.fire(crash_children.EVENT, {"number": number}).deliveries:
                    print(delivery.id, file=acks)

    def ask(self, statement: str) -> list[Any]:
        """Rows of the database, read by the driver itself."""
        if self.postgres is not None:
            with psycopg.connect(self.postgres, options="-csearch_path=hookrow,public") as asking:
                return asking.execute(statement).fetchall()
        plain = sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=30)
        try:
            return plain.execute(statement).fetchall()
        finally:
            plain.close()

    def leased(self) -> set[tuple[int, int]]:
        """Rows in flight, or held: their ids and fences, so that a dead worker's row counts once."""
        return set(self.ask("SELECT id, fence FROM delivery WHERE state = 'leased'"))

    def done(self) -> bool:
        """Whether every delivery is finished."""
        return not self.ask("SELECT 1 FROM delivery WHERE state NOT IN ('ok', 'sent') LIMIT 1")

    def sends(self) -> Counter[str]:
        """How often each delivery came to the receiver, by its `webhook-id`."""
        return Counter(each.split()[0] for each in words(self.log))

    def stop(self, number: int) -> None:
        """SIGSTOP outside a write transaction: the lock on a file stays with a process that stands still (once in some
        hundred times), and nobody can take it away."""
        until(lambda: self.stopped_without_lock(number))

    def stopped_without_lock(self, number: int) -> bool:
        os.kill(number, signal.SIGSTOP)
        if self.postgres is not None:
            return True  # the server ends the session of such a process
        with closing(sqlite3.connect(self.path, timeout=0.5, isolation_level=None)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(number, signal.SIGCONT)
                return False
            other.execute("ROLLBACK")
        return True

    def quiet(self) -> None:
        """Wait until what the dead were committing is committed or rolled back: the server learns of them later."""
        if self.postgres is not None:
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            until(lambda: not self.ask(f"SELECT 1 FROM pg_stat_activity WHERE {others}"))

    def connected(self, workers: int) -> None:
        """Wait until so many workers are ready: connecting to a server takes a new process longer than a file does."""
        if self.postgres is not None:
            listening = "datname = current_database() AND query LIKE 'NOTIFY%'"
            number = [(workers,)]
            until(lambda: self.ask(f"SELECT count(*) FROM pg_stat_activity WHERE {listening}") == number)

    def whole(self) -> None:
        """The file has no fault. PostgreSQL holds its foreign keys itself."""
        if self.postgres is None:
            assert self.ask("PRAGMA integrity_check") == [("ok",)]
            assert self.ask("PRAGMA foreign_key_check") == []

    def judge(self, in_flight: int, *, cut: bool = False) -> tuple[int, int, int]:
        """Hold the history: nothing lost, few duplicates, the file whole. Gives deliveries, duplicates, most sends.

        Args:
            cut: connections were cut, of which SQLAlchemy and psycopg log tracebacks of their own.
        """
        sends = self.sends()
        acknowledged = set(words(self.acks))
        rows = self.ask("SELECT f.uid, d.seq, d.fence FROM delivery d JOIN firing f ON f.id = d.firing_id")
        kept = {delivery_id(uid, seq): fence for uid, seq, fence in rows}
        [[failures]] = self.ask("SELECT count(*) FROM attempt WHERE error IS NOT NULL")
        duplicates = sends.total() - len(sends)
        assert acknowledged <= set(kept), "acknowledged, and not in the database"
        assert acknowledged <= set(sends), f"lost: {sorted(acknowledged - set(sends))[:5]}"
        assert set(sends) == set(kept), "sent and not kept, or kept and not sent"
        assert duplicates <= in_flight + failures
        assert all(count <= kept[name] for name, count in sends.items()), "a row was sent without a claim of its own"
        self.whole()
        said = self.nursery.errors()
        assert not any(words in said for words in ("never retrieved", "task failed")), said
        assert cut or "Traceback" not in said, said
        return len(kept), duplicates, max(sends.values())


def words(path: Path) -> list[str]:
    """The whole lines of a file that others write."""
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """One warmed parent for a file of tests."""
    made = Nursery(tmp_path_factory.mktemp("nursery"))
    yield made
    made.close()


@pytest.fixture
def court(courts: Callable[..., Court]) -> Court:
    """A database without hooks yet, and its receiver. `courts` says on which database."""
    return courts()


@pytest.fixture
def courts(request: pytest.FixtureRequest, nursery: Nursery, tmp_path: Path) -> Iterator[Callable[..., Court]]:
    """As many courts as are asked for; on PostgreSQL, where the test says so (indirectly), but one."""
    made: list[Court] = []
    url = {
        "sqlite": lambda: None,
        "postgresql": lambda: request.getfixturevalue("postgres_url"),
        "own postgresql": lambda: request.getfixturevalue("own_postgres").url,
    }[getattr(request, "param", "sqlite")]()

    def make(**given: Any) -> Court:
        assert url is None or not made
        made.append(Court(nursery, tmp_path / str(len(made)), postgres=url, **given))
        return made[-1]

    yield make
    for each in made:
        nursery.kill(each.receiver)


class Dice(random.Random):
    """Chance that can be had again."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        print("seed", number)


@pytest.fixture
def dice() -> Dice:
    """Chance whose seed is printed."""
    return Dice(int(os.environ.get("HOOKROW_SEED", random.randrange(10**6))))
