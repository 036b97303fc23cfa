"""Everything at once, by a seed; then the history is held against what was promised, by the receiver's own log.

Workers are killed and stopped, hooks edited and switched, the database locked, the clock set; the receiver has many
faults.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import crash_children
from crash_sizes import until
from hookrow import HookEngine
from hookrow.delivery.states import LONGEST_LEASE
from hookrow.errors import DatabaseBusy
from hookrow.ids import delivery_id

SPEED = 8
BEFORE, SHADOW = "before_order_add", "shadow"
HOUR = 3_600_000
IN_FLIGHT = 2.0
"""Seconds within which a request may still come that left before its hook was switched off."""
SECONDS = [pytest.param(12, id="check"), pytest.param(600, marks=pytest.mark.torture, id="torture")]


@dataclass(frozen=True)
class Request:
    """A line of the receiver's log."""

    name: str
    path: str
    number: int
    status: str
    moment: float
    digest: str


class Chaos:
    """One run: what is made to happen, and what must be remembered of it to judge."""

    def __init__(self, nursery: Any, folder: Path, dice: random.Random) -> None:
        self.nursery, self.dice, self.folder = nursery, dice, folder
        self.path = folder / "hooks.db"
        self.db = f"sqlite:///{self.path}"
        self.acks, self.log, self.well = folder / "acks.txt", folder / "receiver.txt", folder / "well"
        self.set_by = folder / "clock.txt"
        self.moved = 0
        self.set_clock(0)
        ready = folder / "port.txt"
        self.receiver = nursery.start(
            "moody_receiver", log=str(self.log), ready=str(ready), seed=dice.randrange(10**6), well=str(self.well)
        )
        until(lambda: ready.exists() and ready.read_text().endswith("\n"))
        url = f"http://127.0.0.1:{int(ready.read_text())}"
        clock = crash_children.FastClock(SPEED, str(self.set_by))
        self.engine = HookEngine(self.db, worker=False, clock=clock)
        for key, given in (
            ("plain", {"fire_and_forget": False}),
            ("keyed", {"fire_and_forget": False, "order_key": "/key"}),
            ("forget", {}),
            (SHADOW, {"wait_for_response": True, "shadow": True, "on_failure": "stop"}),
        ):
            self.engine.hooks.add(crash_children.hook_at(f"{url}/{key}", key, event=BEFORE, **given))
        self.ids = {str(hook.key): int(hook.id or 0) for hook in self.engine.hooks.list()}
        self.off: dict[str, float] = {}
        self.silences: list[tuple[str, float, float]] = []
        self.in_flight: set[tuple[int, int]] = set()
        self.stopped: list[int] = []
        self.stops = self.deeds = 0
        self.feeder = self.start("feeder", acks=str(self.acks), pause=0.02, event=BEFORE)
        self.workers = [self.start("worker", concurrency=4) for _ in range(2)]

    def start(self, name: str, **given: Any) -> int:
        number: int = self.nursery.start(name, db=self.db, speed=SPEED, set_by=str(self.set_by), **given)
        return number

    def ask(self, statement: str) -> list[Any]:
        """Rows of the database."""
        with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=30)) as plain:
            return plain.execute(statement).fetchall()

    def set_clock(self, ms: int) -> None:
        """Set everybody's wall clock; a whole file takes the old one's bytes at once."""
        self.moved += ms
        handle = os.open(self.set_by, os.O_WRONLY | os.O_CREAT)
        os.pwrite(handle, f"{self.moved:+030d}".encode(), 0)
        os.close(handle)

    def remember(self) -> None:
        """What is in flight now may go twice."""
        self.in_flight |= set(self.ask("SELECT id, fence FROM delivery WHERE state = 'leased'"))

    # -- deeds --------------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """A worker is killed, another begins."""
        self.nursery.kill(self.workers.pop(self.dice.randrange(len(self.workers))))
        self.remember()
        self.workers.append(self.start("worker", concurrency=4))

    def kill_feeder(self) -> None:
        """The service is killed, and starts again."""
        self.nursery.kill(self.feeder)
        self.feeder = self.start("feeder", acks=str(self.acks), pause=0.02, event=BEFORE)

    def stop(self) -> None:
        """A worker stands still, often past its leases."""
        if not self.stopped:
            self.stops += 1
            self.stopped.append(self.workers.pop(0))
            os.kill(self.stopped[0], signal.SIGSTOP)
            self.workers.append(self.start("worker", concurrency=4))

    def go_on(self) -> None:
        """The zombie wakes, and is one too many."""
        if self.stopped:
            self.remember()
            zombie = self.stopped.pop()
            os.kill(zombie, signal.SIGCONT)
            self.workers.append(zombie)
            self.nursery.kill(self.workers.pop(0))
            self.remember()

    def lock(self) -> None:
        """Another program holds the lock."""
        if self.stopped:
            return  # perhaps inside a transaction
        with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(self.dice.uniform(0.1, 1.0))
            other.execute("ROLLBACK")

    def edit(self) -> None:
        """A person changes something that doesn't matter for what was promised."""
        key = self.dice.choice(list(self.ids))
        if key not in self.off:
            self.engine.hooks.update(key, {"timeout": self.dice.choice([1.5, 2, 3])})

    def switch(self) -> None:
        """A person switches a hook off, pauses or deletes it; or takes that back."""
        key = self.dice.choice(list(self.ids))
        if key in self.off:
            self.on(key)
            return
        how = self.dice.choice(["off", "pause", "delete"])
        if how == "off":
            self.engine.hooks.update(key, {"active": False})
        elif how == "pause":
            self.engine.hooks.pause(key)
        else:
            self.engine.hooks.remove(key)
        self.off[key] = time.monotonic()

    def on(self, key: str) -> None:
        """As it was before, whatever was done to it."""
        ended = time.monotonic()
        if key not in {hook.key for hook in self.engine.hooks.list()}:
            self.engine.hooks.restore(self.ids[key])
        self.engine.hooks.update(key, {"active": True})
        self.engine.hooks.resume(key)
        self.silences.append((key, self.off.pop(key), ended))

    def jump(self) -> None:
        """Somebody sets the clock."""
        self.set_clock(self.dice.choice([-HOUR, HOUR, HOUR]))

    def run(self, seconds: float) -> None:
        """Deeds until the time is over; then all is well, and the work is ended."""
        weighed = [self.kill] * 6 + [self.stop] * 3 + [self.go_on] * 3 + [self.switch] * 6 + [self.edit] * 2
        weighed += [self.lock] * 2 + [self.kill_feeder, self.jump]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            deed = self.dice.choice(weighed)
            try:
                deed()
            except DatabaseBusy:
                # Whoever was stopped was so inside a transaction: until it goes on nobody can write.
                assert self.stopped
                self.go_on()
            self.deeds += 1
            time.sleep(self.dice.uniform(0.05, 0.4))  # the random moment
        self.nursery.kill(self.feeder)
        for each in (*self.workers, *self.stopped):
            self.nursery.kill(each)
        self.remember()
        for key in list(self.off):
            self.on(key)
        self.well.touch()
        for key in self.ids:
            self.engine.hooks.resume(key)  # the breaker may have paused it
        last = self.start("worker")
        left = None
        while left != (left := self.left()):
            self.set_clock(30 * HOUR)  # for what waits to be tried again
            # After such a jump living leases look lapsed, so nobody's are taken over for the longest lease.
            look = time.monotonic() + 2 * LONGEST_LEASE / 1000 / SPEED
            while time.monotonic() < look and self.left():
                time.sleep(0.02)
        self.nursery.kill(last, signal.SIGTERM)
        self.nursery.gone(last)
        self.engine.close()
        assert left == 0, self.ask("SELECT hook_id, state, skipped, count(*) FROM delivery GROUP BY 1, 2, 3")

    def left(self) -> int:
        """How many deliveries that were promised are not finished."""
        [[count]] = self.ask(
            "SELECT count(*) FROM delivery WHERE state NOT IN ('ok', 'sent', 'skipped')"
            " AND NOT (state = 'failed' AND shadow IS NOT NULL)"
        )
        return int(count)

    # -- the judge ----------------------------------------------------------------------------------------------------

    def requests(self) -> list[Request]:
        """The receiver's log."""
        made = []
        for each in self.log.read_text().splitlines():
            name, path, number, status, moment, digest = each.split()
            made.append(Request(name, path.strip("/"), int(number), status, float(moment), digest))
        return made

    def judge(self) -> str:
        """Hold the history; what is to be said of it."""
        rows = self.ask(
            "SELECT f.uid, d.seq, d.id, d.fence, d.attempts, d.order_key, h.key FROM delivery d"
            " JOIN firing f ON f.id = d.firing_id JOIN hook h ON h.id = d.hook_id"
            " WHERE d.state <> 'skipped' ORDER BY d.id"
        )
        kept = {delivery_id(row[0], row[1]): row for row in rows}
        came: dict[str, list[Request]] = defaultdict(list)
        for request in self.requests():
            came[request.name].append(request)
        acknowledged = set(self.acks.read_text().split())
        assert acknowledged <= set(kept), "acknowledged, and not kept"
        # A shadow is asked once, or not at all where its worker was killed again.
        unsent = {name for name in set(kept) - set(came) if kept[name][6] != SHADOW}
        assert set(came) <= set(kept), "sent and not kept"
        assert not unsent, "kept and never sent"
        again = 0
        for name, requests in came.items():
            _, _, _, fence, attempts, _, key = kept[name]
            # A request on a kept connection that is cut before its answer goes once more, as the same attempt.
            cut = sum(each.status == "cut" for each in requests)
            assert len(requests) - cut <= fence, "sent without a claim of its own"
            assert attempts <= (1 if key == SHADOW else 10)
            assert {each.path for each in requests} == {key}, "one webhook-id, one hook"
            assert len({each.digest for each in requests}) == 1, "one webhook-id, one body"
            taken = [each for each in requests if each.status == "200" or (key == "forget" and each.status != "cut")]
            assert taken or key in ("forget", SHADOW), "finished, and never taken"
            again += max(len(taken) - 1, 0)
        assert again <= len(self.in_flight), "sent again without a reason"
        self.order(rows, came)
        late = sum(
            path == each.path and since + IN_FLIGHT < each.moment < until_
            for path, since, until_ in self.silences
            for requests in came.values()
            for each in requests
        )
        assert late <= self.stops, "sent to a hook that was off"
        with closing(sqlite3.connect(self.path)) as plain:
            assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert plain.execute("PRAGMA foreign_key_check").fetchall() == []
        assert "Traceback" not in self.nursery.errors(), self.nursery.errors()
        total = sum(map(len, came.values()))
        return (
            f"deeds {self.deeds}, deliveries {len(kept)}, requests {total}, lost 0, taken twice {again} "
            f"(in flight {len(self.in_flight)}), stops {self.stops}, silences {len(self.silences)}"
        )

    def order(self, rows: list[Any], came: dict[str, list[Request]]) -> None:
        """Of one order key nothing is sent before the one before it was taken."""
        before: dict[str, float] = {}
        for uid, seq, _, _, _, key, hook in rows:
            if hook != "keyed":
                continue
            requests = came[delivery_id(uid, seq)]
            assert min(each.moment for each in requests) >= before.get(key, 0.0), "an order key was overtaken"
            before[key] = min(each.moment for each in requests if each.status == "200")


@pytest.fixture
def chaos(nursery: Any, tmp_path: Path, dice: random.Random) -> Iterator[Callable[[], Chaos]]:
    """A run; its receiver ends with it."""
    made: list[Chaos] = []

    def make() -> Chaos:
        made.append(Chaos(nursery, tmp_path, dice))
        return made[-1]

    yield make
    for each in made:
        nursery.kill(each.receiver)


@pytest.mark.parametrize("seconds", SECONDS)
def test_chaos(chaos: Callable[[], Chaos], seconds: int) -> None:
    """Nothing is lost; little goes twice, and only where a process died or stood still; order is kept; off is off."""
    run = chaos()
    run.run(seconds)
    print(f"{seconds} s: {run.judge()}")
