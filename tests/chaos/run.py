"""One run of chaos: deeds by a seed, troubles beside them, then all is well and the work is ended."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

from chaos.children import ASKED, FED, GATE_TIMEOUT, OPENING
from chaos.lag import Sentinel
from chaos.places import Place
from crash_children import FastClock, hook_at, line
from crash_sizes import until
from hookrow import Hook, HookEngine, HookNotFound, StorageError
from hookrow.delivery.states import LONGEST_LEASE, MOST_ATTEMPTS
from hookrow.store.database.locks import LOCK
from hookrow.store.outbox.takeover import MOST_INTERRUPTED

__all__ = ["ANSWERED", "CANDIDATE", "GATE", "KILLED", "SHADOW", "Chaos"]

SHADOW, GATE, CANDIDATE = "shadow", "gate", "candidate"
HOUR = 3_600_000
ANSWERED = 10.0
"""Seconds within which a command's waits for storage end."""
LEAVING = OPENING + 5.0 + LOCK + 3.0
"""Seconds within which a service that is told to end has ended: a call under way or the opening, its grace, the
database, three last moments."""


class Chaos:
    """What is made to happen, and what must be remembered of it to judge.

    `speed`: how much faster than the wall's the clocks are. Leases lapse in a short test's time; but a busy machine is
    late by them, and what callers wait for is counted by them.
    """

    def __init__(self, nursery: Any, folder: Path, place: Place, dice: Any, speed: float) -> None:
        self.nursery, self.folder, self.place, self.dice = nursery, folder, place, dice
        self.seed: int = dice.number
        self.well = folder / "well"
        self.moved, self.speed = 0, speed
        self.story = folder / "story.txt"
        self.set_clock(0)
        ready = folder / "port.txt"
        told = {"log": str(folder / "receiver.txt"), "ready": str(ready), "well": str(self.well)}
        self.receiver = nursery.start("chaos.children:moody_receiver", **told, seed=self.chance())
        until(lambda: ready.exists() and ready.read_text().endswith("\n"))
        self.sentinel = Sentinel(folder / "lag")
        self.engine = HookEngine(place.db, worker=False, clock=FastClock(self.speed, str(folder / "clock.txt")))
        url = f"http://127.0.0.1:{int(ready.read_text())}"
        for hook in self.hooks(url):
            self.engine.hooks.add(hook)
        self.engine.hooks.try_candidate(GATE, {"url": f"{url}/{CANDIDATE}"})
        self.ids = {str(hook.key): int(hook.id or 0) for hook in self.engine.hooks.list()}
        self.off: dict[str, float] = {}
        self.silences: list[tuple[str, float, float]] = []
        self.in_flight: set[int] = set()
        self.stopped: list[int] = []
        self.unsure = 0.0
        """Until when processes may not know that the server's clock was set."""
        self.troubles: list[tuple[str, float, float]] = []
        """What ailed the database: its name, from when, until when (infinity: still)."""
        self.hands: dict[str, threading.Thread] = {}
        self.waits: list[tuple[str, float, float]] = []
        """What a person waited for: its name, the seconds, and the lag meanwhile."""
        self.counts: dict[str, int] = {}
        self.ended = threading.Event()
        self.watcher = threading.Thread(target=self.watch, name="watcher")
        self.watcher.start()
        self.feeder = self.start("feeder", pause=0.03)
        self.workers = [self.start("worker") for _ in range(2)]
        self.callers = {name: self.start(name) for name in ("cancelled", "interrupted")}

    def hooks(self, url: str) -> list[Hook]:
        """Background hooks of the service that is killed; of the callers' event one that is waited for, in between."""
        made = []
        for key, event, given in (
            ("plain", FED, {"fire_and_forget": False}),
            ("keyed", FED, {"fire_and_forget": False, "order_key": "/key"}),
            ("forget", FED, {}),
            (SHADOW, FED, {"wait_for_response": True, "shadow": True, "on_failure": "stop"}),
            ("first", ASKED, {"fire_and_forget": False, "position": 1}),
            (GATE, ASKED, {"wait_for_response": True, "position": 2, "timeout": GATE_TIMEOUT}),
            ("last", ASKED, {"fire_and_forget": False, "position": 3}),
        ):
            made.append(hook_at(f"{url}/{key}", key, event=event, **given))
        return made

    def tell(self, *words: object) -> None:
        """For whoever looks into a finding: what happened when."""
        line(str(self.story), f"{time.monotonic():.3f}", *words)

    def chance(self) -> int:
        return self.dice.randrange(10**6)

    def start(self, name: str, **given: Any) -> int:
        """A process on this database."""
        common = {
            "db": self.place.url(self.dice),
            "folder": str(self.folder),
            "speed": self.speed,
            "seed": self.chance(),
        }
        number: int = self.nursery.start(f"chaos.children:{name}", **common, **given)
        self.tell("start", name, number, "" if common["db"] == self.place.db else "through the proxy")
        return number

    def set_clock(self, ms: int) -> None:
        """Set everybody's wall clock; a whole file takes the old one's bytes at once."""
        self.moved += ms
        self.tell("clock", ms)
        handle = os.open(self.folder / "clock.txt", os.O_WRONLY | os.O_CREAT)
        os.pwrite(handle, f"{self.moved:+030d}".encode(), 0)
        os.close(handle)

    def remember(self) -> None:
        """What is in flight now may go twice."""
        self.in_flight |= {row for (row,) in self.place.ask("SELECT id FROM delivery WHERE state = 'leased'")}

    def watch(self) -> None:
        """In a thread: what is in flight while something ails can't be recorded, perhaps, and goes again."""
        while not self.ended.wait(0.25 if time.monotonic() > self.unsure else 0.05):
            ailing, now = any(until_ == float("inf") for _, _, until_ in self.troubles), time.monotonic()
            if ailing and now < self.unsure:  # nobody may be able to ask
                self.unsure = now + UNSURE
            if ailing or now < self.unsure:
                self.remember()

    def ailing(self, began: float, ended: float) -> bool:
        """Whether the database or the machine was in trouble at any time between these moments, or just before."""
        starved = any(began - AFTERWARDS <= moment <= ended for moment in self.sentinel.starved)
        return starved or any(since <= ended and began <= until_ + AFTERWARDS for _, since, until_ in self.troubles)

    # -- deeds --------------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """A worker is killed, another begins."""
        self.remember()
        self.end(self.workers.pop(self.dice.randrange(len(self.workers))))
        self.remember()
        self.workers.append(self.start("worker"))

    def end(self, number: int) -> None:
        """Kill a process."""
        self.tell("kill", number)
        self.nursery.kill(number)

    def kill_feeder(self) -> None:
        """The service is killed, and starts again."""
        self.end(self.feeder)
        self.feeder = self.start("feeder", pause=0.03)

    def interrupt(self) -> None:
        """Ctrl+C, now and then twice at once."""
        number, times = self.callers["interrupted"], self.dice.choice((1, 1, 1, 2))
        if self.listens(number):
            for _ in range(times):
                os.kill(number, signal.SIGINT)

    def listens(self, number: int) -> bool:
        """Whether a caller has come to look after signals."""
        return (self.folder / f"listens-{number}").exists()

    def restart_callers(self) -> None:
        """A service whose calls are cancelled or interrupted is told to end, and starts again."""
        name = self.dice.choice(sorted(self.callers))
        self.end_callers(name)
        self.callers[name] = self.start(name)

    def end_callers(self, name: str) -> None:
        """By SIGTERM: calls under way end, and what they promised is kept or handed over."""
        number = self.callers[name]
        until(lambda: self.listens(number))
        self.remember()
        self.tell("end", name, number)
        began = time.monotonic()
        self.nursery.kill(number, signal.SIGTERM)
        try:
            self.nursery.gone(number, 2 * LEAVING)
        except AssertionError:
            self.nursery.kill(number, signal.SIGUSR1)
            time.sleep(1)  # it says where it stands
            raise
        self.waited(f"{name} told to end", began, LEAVING)
        (self.folder / f"listens-{number}").unlink()  # another process may get its number
        self.remember()

    def stop(self) -> None:
        """A worker stands still, often past its leases; perhaps inside a transaction."""
        if not self.stopped:
            self.stopped.append(self.workers.pop(0))
            self.tell("stop", self.stopped[0])
            os.kill(self.stopped[0], signal.SIGSTOP)
            self.troubles.append(("stop", time.monotonic(), float("inf")))
            self.remember()
            self.workers.append(self.start("worker"))

    def go_on(self) -> None:
        """The zombie wakes, and is one too many."""
        if self.stopped:
            self.remember()
            zombie = self.stopped.pop()
            self.tell("wake", zombie)
            os.kill(zombie, signal.SIGCONT)
            self.over("stop")
            self.workers.append(zombie)
            self.remember()
            self.end(self.workers.pop(0))
            self.remember()

    def trouble(self) -> None:
        """Something ails the database for a while, perhaps besides something else."""
        names = [name for name, (weight, _, _) in self.place.troubles.items() for _ in range(weight)]
        name = self.dice.choice(names)
        if name in self.hands and self.hands[name].is_alive():
            return
        _, longest, how = self.place.troubles[name]
        seconds = self.dice.random() ** 2 * longest
        self.remember()

        def happening() -> None:
            self.tell(name, "begins")
            self.troubles.append((name, time.monotonic(), float("inf")))
            try:
                how(seconds)
            except psycopg.Error:  # two troubles at once
                pass
            finally:
                self.tell(name, "ends")
                self.over(name)

        self.counts[name] = self.counts.get(name, 0) + 1
        self.hands[name] = threading.Thread(target=happening, name=name)
        self.hands[name].start()

    def over(self, name: str) -> None:
        """A trouble has ended; what nobody could record meanwhile may go twice."""
        for number, (each, since, until_) in enumerate(self.troubles):
            if each == name and until_ == float("inf"):
                self.troubles[number] = (name, since, time.monotonic())
        if name != "stop":
            self.remember()

    def edit(self) -> None:
        """A person changes something that doesn't matter for what was promised."""
        key = self.dice.choice(list(self.ids))
        if key not in self.off:
            timeout = self.dice.choice([1.5, 2.0] if key == GATE else [1.5, 2, 3])
            self.insist("edit", lambda: self.engine.hooks.update(key, {"timeout": timeout}))

    def switch(self) -> None:
        """A person switches a hook off, pauses or deletes it; or takes that back."""
        key = self.dice.choice(list(self.ids))
        if key in self.off:
            self.on(key)
            return
        how = self.dice.choice(["off", "pause", "delete"])
        if how == "off":
            self.insist(how, lambda: self.engine.hooks.update(key, {"active": False}))
        elif how == "pause":
            self.insist(how, lambda: self.engine.hooks.pause(key))
        else:
            self.insist(how, lambda: self.engine.hooks.remove(key))
        self.off[key] = time.monotonic()
        self.tell(key, how)

    def on(self, key: str) -> None:
        """As it was before, whatever was done to it."""
        ended = time.monotonic()
        if self.insist("list", lambda: key not in {hook.key for hook in self.engine.hooks.list()}):
            self.insist("restore", lambda: self.engine.hooks.restore(self.ids[key]))
        self.insist("on", lambda: self.engine.hooks.update(key, {"active": True}))
        self.insist("resume", lambda: self.engine.hooks.resume(key))
        self.silences.append((key, self.off.pop(key), ended))
        self.tell(key, "as it was")

    def insist(self, name: str, change: Callable[[], Any]) -> Any:
        """What a person does in the end; every try is answered in time, and fails for a reason only."""
        while True:
            began = time.monotonic()
            try:
                return self.timed(name, change)
            except HookNotFound:
                return None  # the try before was committed, whatever it said
            except StorageError:
                if not self.ailing(began, time.monotonic()):
                    raise
                if self.stopped:  # perhaps inside a transaction
                    self.go_on()
                self.counts["refused"] = self.counts.get("refused", 0) + 1

    def timed(self, name: str, change: Callable[[], Any]) -> Any:
        """One try, and what it took: not what the run itself asks meanwhile of a database that others hold up."""
        began = time.monotonic()
        try:
            return change()
        finally:
            self.waited(name, began, ANSWERED)

    def waited(self, name: str, began: float, bound: float) -> None:
        """How long something took, and what of that was the machine's."""
        elapsed, lag = time.monotonic() - began, self.sentinel.largest(began)
        self.waits.append((name, elapsed, lag))
        assert elapsed <= bound + 10 * lag, f"{name} took {elapsed:.1f} s, the machine's lag was {lag:.2f} s"

    def jump(self) -> None:
        """Somebody sets the clock. Where it stands for a server's, of which row ids are, only forward: set back it
        gives newer rows the smaller ones (docs/decisions/0016)."""
        if self.place.kind == "sqlite":
            self.set_clock(self.dice.choice([-HOUR, HOUR, HOUR]))
            return
        # A worker that starts later takes living leases for lapsed (0016), those too that others take who have not
        # asked for the time since.
        self.remember()
        self.set_clock(HOUR)
        self.unsure = time.monotonic() + UNSURE

    # -- from the first deed to the last delivery ---------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Deeds until the time is over; then all is well, and the work is ended."""
        weighed = [self.kill] * 6 + [self.stop] * 3 + [self.go_on] * 3 + [self.switch] * 6 + [self.edit] * 2
        weighed += [self.trouble] * 3 + [self.interrupt] * 12 + [self.kill_feeder, self.jump, self.restart_callers]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            deed = self.dice.choice(weighed)
            deed()
            self.counts[deed.__name__] = self.counts.get(deed.__name__, 0) + 1
            time.sleep(self.dice.uniform(0.05, 0.4))  # the random moment
        self.settle()

    def settle(self) -> None:
        """Nothing fires any more, nothing ails: everything that was promised is sent."""
        for hand in self.hands.values():
            hand.join(60)
        self.go_on()
        for name in self.callers:
            self.end_callers(name)
        self.nursery.kill(self.feeder)
        for each in self.workers:
            self.nursery.kill(each)
        self.remember()
        for key in list(self.off):
            self.on(key)
        self.well.touch()
        for key in self.ids:
            self.insist("resume", lambda key=key: self.engine.hooks.resume(key))  # the breaker may have paused it
        last = self.start("worker")
        left = None
        while left != (left := self.left()):
            self.set_clock(30 * HOUR)  # for what waits to be tried again
            # After such a jump living leases look lapsed, so nobody's are taken over for the longest lease.
            look = time.monotonic() + 2 * LONGEST_LEASE / 1000 / self.speed
            while time.monotonic() < look and self.left():
                time.sleep(0.05)
        self.nursery.kill(last, signal.SIGTERM)
        self.nursery.gone(last)
        self.engine.close()
        self.sentinel.close()
        states = "SELECT hook_id, state, skipped, count(*) FROM delivery GROUP BY 1, 2, 3"
        assert left == 0, f"unfinished: {self.place.ask(states)}"

    def abandon(self) -> None:
        """Whatever became of the run: what it started ends."""
        self.ended.set()
        for hand in (self.watcher, *self.hands.values()):
            hand.join(60)
        for number in (self.receiver, self.feeder, *self.workers, *self.stopped, *self.callers.values()):
            if number in self.nursery.born:
                with suppress(ProcessLookupError):
                    self.nursery.kill(number)
        self.engine.close()
        self.sentinel.close()

    def left(self) -> int:
        """How many deliveries that were promised are not finished. One of ten thousand fails at each attempt."""
        given_up = f"state = 'dead' AND (shadow IS NOT NULL OR attempts = {MOST_ATTEMPTS} OR {KILLED})"
        [[count]] = self.place.ask(
            "SELECT count(*) FROM delivery WHERE state IN ('blocked', 'queued', 'leased', 'retrying', 'parked', 'dead')"
            f" AND NOT ({given_up}) OR state = 'cancelled' AND skipped = 'hook_deleted'"
        )
        return int(count)


KILLED = (
    "(SELECT count(*) FROM (SELECT error FROM attempt WHERE delivery_id = delivery.id ORDER BY number DESC, id DESC"
    f" LIMIT {MOST_INTERRUPTED}) AS last WHERE error = 'interrupted') = {MOST_INTERRUPTED}"
)
"""A delivery in whose last attempts its worker was killed each time is taken for what kills it: one of 200,000 here."""
AFTERWARDS = 8.0
"""Seconds after a trouble in which what it did may be felt: a connection that went silent, a pause between tries."""
UNSURE = 1.0
"""Seconds after a jump of the server's clock in which all who can ask it have done so."""
