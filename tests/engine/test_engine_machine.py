"""The whole engine against a small model of it, whatever happens in whatever order.

People fire, edit, switch off, delete, undo, let hooks expire, pause, redeliver; workers work and are killed; receivers
change their mood; the clock runs, and is set. Nothing is lost, nothing goes to a hook that is off, order is kept.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hookrow import AsyncHookEngine, Hook
from hookrow.clock import from_ms
from hookrow.delivery.states import UNFINISHED
from hookrow.errors import NotRedeliverable
from hookrow.ids import delivery_id
from hookrow.store.database.writer import Waiting
from hookrow.store.outbox import Settle, Settled, Taken
from hookrow.worker import Worker
from scripted import HandClock

EVENT = "before_order_add"
HOOKS = ("first", "gate", "keyed", "last")
"""In the order of the row: in background, a waiting one, one with an order key, one that forgets."""
SUCCESS = {"ok", "sent"}
ATTEMPTS = 10
hooks = st.sampled_from(HOOKS)
DAY = 86_400


class Killed(Exception):
    """What stands for `kill -9`: nothing of the worker runs after it."""


@dataclass
class Receiver:
    """A hook as people left it, and what its receiver answers."""

    path: str
    mood: str = "ok"
    active: bool = True
    paused: bool = False
    deleted: bool = False
    until_ms: int | None = None

    @property
    def on(self) -> bool:
        return self.active and not self.paused and not self.deleted


@dataclass
class Share:
    """A delivery that was promised to a receiver."""

    hook: str
    firing: int
    key: int | None
    quiet: int
    """The number of disturbances at its firing."""
    state: str = "open"
    attempts: int = 0
    successes: int = 0
    excused: int = 0
    """How often it may have gone again: a worker was killed after sending it, or a person asked for it."""
    bodies: set[bytes] = field(default_factory=set)


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Any:
    """Killed workers' tasks say so in the log, thousands of times."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


TEMPLATE = tempfile.TemporaryDirectory()


def template() -> Path:
    """A database with the hooks, made once."""
    path = Path(TEMPLATE.name) / "hooks.db"
    if not path.exists():
        asyncio.run(make(path))
    return path


async def make(path: Path) -> None:
    """Four hooks in a row."""
    given: dict[str, dict[str, Any]] = {
        "first": {"fire_and_forget": False},
        "gate": {"wait_for_response": True},
        "keyed": {"fire_and_forget": False, "response_has_data": True, "order_key": "/order/id"},
        "last": {},
    }
    async with AsyncHookEngine(f"sqlite:///{path}", worker=False, clock=HandClock()) as engine:
        for number, key in enumerate(HOOKS):
            hook = Hook(
                key=key, name=key, event=EVENT, url=f"http://r.test/{key}/0", position=number, timeout=5, **given[key]
            )
            await engine.hooks.add(hook)


class Engine(RuleBasedStateMachine):
    """The rules are what may happen; each looks at the engine through its front door."""

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(shutil.copy(template(), self.folder.name))
        self.clock = HandClock()
        self.receivers = {key: Receiver(f"/{key}/0") for key in HOOKS}
        self.shares: dict[str, Share] = {}
        self.gates: set[str] = set()
        self.asked: list[str] = []
        self.firings = self.disturbed = self.edits = 0
        self.by_hand = False
        self.faults: list[AssertionError] = []
        self.kill = ""
        self.results: dict[str, str] = {}
        """What a receiver answered to a delivery, until that is recorded."""
        self.open()
        self.fires([7, 7])

    def open(self) -> None:
        """A process starts."""
        self.engine = AsyncHookEngine(
            f"sqlite:///{self.path}", worker=False, clock=self.clock, transport=httpx.MockTransport(self.receive)
        )
        self.worker: Worker | None = None
        writer = self.engine.runtime.database.writer

        def at_once(job: Any) -> Any:
            """A commit of its own for each job: which of them a thread would commit together is chance.

            Where it pauses or resumes a hook, the turn of what is leased already was given by what held before.
            """
            answer = writer.write(job)
            if isinstance(job, Settle) and not job.by_hand and answer.accepted:
                name = delivery_id(job.claimed.uid, job.claimed.seq)
                self.recorded(self.shares[name], self.results.pop(name))
            if isinstance(answer, Settled):
                self.disturbed += answer.resumed or answer.paused is not None
            elif isinstance(answer, Taken):
                self.disturbed += bool(answer.resumed)
            return answer

        async def awaited(job: Any) -> Any:
            return at_once(job)

        def posted(job: Any, back: Any) -> None:
            waiting = Waiting(job, None, None, 0.0)
            waiting.answer = at_once(job)
            asyncio.get_running_loop().call_soon(back, waiting)

        writer.awrite = awaited  # type: ignore[method-assign]
        writer.post = posted  # type: ignore[method-assign]

    # -- the receivers ------------------------------------------------------------------------------------------------

    def receive(self, request: httpx.Request) -> httpx.Response:
        """Hold every request against the model, and answer as its receiver is in the mood to."""
        try:
            return self.answer(request)
        except AssertionError as fault:
            self.faults.append(fault)  # raised here it would be just another failed request
            raise

    def answer(self, request: httpx.Request) -> httpx.Response:
        """As `receive`."""
        key = request.url.path.split("/")[1]
        receiver, name = self.receivers[key], request.headers["webhook-id"]
        assert request.url.path == receiver.path, "sent to an address that is no longer the hook's"
        if key == "gate":
            assert receiver.on
            assert name not in self.gates, "a waiting hook is asked once"
            self.gates.add(name)
            self.asked.append(receiver.mood)
        else:
            self.judge(name, self.shares[name], request.content)
        if receiver.mood == "down":
            raise httpx.ConnectError("refused", request=request)
        if receiver.mood == "veto":
            return httpx.Response(200, json={"allow": False})
        status = 200 if receiver.mood == "ok" else int(receiver.mood)
        if status == 200 and key != "gate":
            self.shares[name].successes += 1
        return httpx.Response(status, json={})

    def judge(self, name: str, share: Share, body: bytes) -> None:
        """Whether this delivery may be sent at all, and now."""
        share.bodies.add(body)
        assert len(share.bodies) == 1, "one webhook-id, one body"
        if self.by_hand:
            return
        assert self.receivers[share.hook].on, "sent to a hook that is off, paused or deleted"
        assert share.state == "open", f"sent though it is {share.state}"
        assert share.attempts < ATTEMPTS
        for other in self.shares.values():
            if other.state != "open":
                continue
            if share.key is not None and (other.hook, other.key) == (share.hook, share.key):
                assert other.firing >= share.firing, "an order key's earlier delivery was passed over"
            before = HOOKS.index(other.hook) < HOOKS.index(share.hook)
            if other.firing == share.firing and before and share.quiet == self.disturbed and other.key is None:
                assert other.attempts or not self.works_now(other.hook), "out of the row's order"

    def works_now(self, key: str) -> bool:
        """Whether the hook's deliveries go out: neither people nor its own breaker hold them."""
        open_ones = {hook.key for hook in self.engine.runtime.config().hooks.values() if hook.paused_by == "breaker"}
        return self.receivers[key].on and key not in open_ones

    # -- what people do -----------------------------------------------------------------------------------------------

    @rule(numbers=st.lists(st.sampled_from([7, 7, 8]), min_size=1, max_size=3))
    def fires(self, numbers: list[int]) -> None:
        for number in numbers:
            self.fire(number)

    @rule(numbers=st.lists(st.sampled_from([7, 8]), min_size=1, max_size=2))
    def fires_and_is_served(self, numbers: list[int]) -> None:
        self.fires(numbers)
        self.works([])

    def fire(self, number: int) -> None:
        """One firing, and what the plan must have made of it."""
        self.firings += 1
        self.asked.clear()
        firing = self.runner.run(self.engine.fire(EVENT, {"order": {"id": number, "n": self.firings}}))
        found = {each.hook.key: each for each in firing.deliveries}
        vetoed = self.asked == ["veto"]
        assert firing.allowed == (not vetoed)
        for key, receiver in self.receivers.items():
            if receiver.deleted:
                assert key not in found
                continue
            delivery = found[key]
            over = receiver.until_ms is not None and self.clock.now_ms() >= receiver.until_ms
            late = vetoed and HOOKS.index(key) > HOOKS.index("gate")
            if late or not receiver.active or over:
                assert delivery.state == "skipped"
                assert delivery.skipped in {"after_veto", "inactive", "expired"}
            elif key == "gate":
                assert delivery.outcome in {"ok", "failed", "vetoed"}
                if self.asked == ["410"]:
                    receiver.paused = True
                    self.disturbed += 1
            else:
                key_of = number if key == "keyed" else None
                self.shares[delivery.id] = Share(key, self.firings, key_of, self.disturbed)

    def known(self, key: str) -> bool:
        return not self.receivers[key].deleted

    @rule(key=hooks)
    def edits_the_url(self, key: str) -> None:
        if self.known(key):
            self.edits += 1
            self.receivers[key].path = f"/{key}/{self.edits}"
            self.engine.hooks.inner.update(key, {"url": f"http://r.test/{key}/{self.edits}"})

    @rule(key=hooks, seconds=st.sampled_from([None, None, -5, 30]))
    def sets_an_end(self, key: str, seconds: int | None) -> None:
        if self.known(key):
            until = None if seconds is None else from_ms(self.clock.now_ms()) + timedelta(seconds=seconds)
            self.engine.hooks.inner.update(key, {"valid_until": until})
            self.receivers[key].until_ms = None if seconds is None else self.clock.now_ms() + seconds * 1000

    @rule(key=hooks, how=st.sampled_from(["on", "on", "off", "pause", "resume", "resume", "delete or undo"]))
    def changes(self, key: str, how: str) -> None:
        """A person switches a hook, pauses it, deletes it or takes that back."""
        receiver, door = self.receivers[key], self.engine.hooks.inner
        self.disturbed += 1
        if receiver.deleted:
            number = next(each.id for each in door.list(deleted=True) if each.key == key)
            assert number is not None
            door.restore(number)
            receiver.deleted = False
        elif how == "delete or undo":
            door.remove(key)
            receiver.deleted = True
        elif how in ("on", "off"):
            door.update(key, {"active": how == "on"})
            receiver.active = how == "on"
        else:
            (door.pause if how == "pause" else door.resume)(key)
            receiver.paused = how == "pause"

    @rule(key=hooks, mood=st.sampled_from(["ok", "ok", "500", "404", "404", "410", "down", "veto"]))
    def receiver_changes(self, key: str, mood: str) -> None:
        self.receivers[key].mood = mood if key == "gate" or mood != "veto" else "ok"

    @precondition(lambda self: self.shares)
    @rule(which=st.integers(0, 100))
    def redelivers(self, which: int) -> None:
        name = list(self.shares)[which % len(self.shares)]
        share = self.shares[name]
        self.by_hand = True
        try:
            [again] = self.runner.run(self.engine.redeliver(name))
        except NotRedeliverable:
            return
        finally:
            self.by_hand = False
        self.disturbed += 1
        share.excused += 1
        if self.receivers[share.hook].mood == "410" and share.hook != "last":
            self.receivers[share.hook].paused = True
        if again.ok and share.state in ("open", "dead"):
            share.state = "ok"

    @precondition(lambda self: any(share.state == "dead" for share in self.shares.values()))
    @rule()
    def drops_the_dead(self) -> None:
        dead = [name for name, share in self.shares.items() if share.state == "dead"]
        assert self.engine.log.inner.drop(dead) == len(dead)
        for name in dead:
            self.shares[name].state = "dropped"

    # -- time and processes -------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.4, 1.1, 6, 61, 400, 4000, DAY]))
    def time_passes(self, seconds: float) -> None:
        self.disturbed += 1
        self.clock.forward(seconds)

    @rule(seconds=st.sampled_from([-DAY, -3600, -3, 3, 3600, DAY]))
    def the_clock_is_set(self, seconds: int) -> None:
        self.disturbed += 1
        if self.worker is not None:  # between two such moments it has looked, as it does four times a second
            self.runner.run(self.worker.watch_clock())
        self.clock.wall += seconds * 1000

    @rule()
    def restarts(self) -> None:
        self.runner.run(self.engine.close())
        self.open()

    @rule(pauses=st.lists(st.sampled_from([0.0, 1.1, 6, 400]), max_size=3))
    def works(self, pauses: list[float]) -> None:
        self.runner.run(self.step())
        for seconds in pauses:
            if seconds:
                self.time_passes(seconds)
            self.runner.run(self.step())

    @rule()
    def claims_ahead(self) -> None:
        """The worker holds rows that it has not sent yet: what people do meanwhile must still count."""
        self.runner.run(self.step(start=False))

    @rule()
    def a_week_goes_by(self) -> None:
        """Time enough to give up."""
        for _ in range(16):
            self.time_passes(1.3 * DAY)
            self.runner.run(self.step())

    @rule(when=st.sampled_from(["before", "after"]))
    def is_killed(self, when: str) -> None:
        """The worker is killed before it sends, or after it sent and before the result was kept."""
        self.kill = when
        self.runner.run(self.step())
        self.kill, self.worker = "", None

    async def step(self, start: bool = True) -> None:
        """A worker claims what is due, and sends it."""
        if self.worker is None:
            self.worker = self.engine.sending.new_worker()
            self.worker.perform = self.perform
            self.worker.retention = None  # weeks go by: the model remembers all
            await self.worker.mend_clock()
        self.worker.look = True  # as if its quarter of a second had passed: rows of others are looked for, too
        self.worker.closing = not start  # so it starts nothing, but claims, holds on and lets go as ever
        await self.worker.step()
        self.worker.closing = False
        await self.worker.hand.empty.wait()

    async def perform(self, claimed: Any, hook: Any) -> Any:
        """An attempt, unless the worker is dead."""
        assert self.worker is not None
        if self.kill in ("before", "dead"):
            self.kill = "dead"
            raise Killed
        made = await self.engine.sending.send_claimed(claimed, hook)
        name = delivery_id(claimed.uid, claimed.seq)
        if self.kill:
            self.kill = "dead"
            self.shares[name].excused += 1
            raise Killed
        self.results[name] = self.receivers[hook.key].mood
        return made

    def recorded(self, share: Share, mood: str) -> None:
        """What the model makes of a result."""
        receiver = self.receivers[share.hook]
        share.attempts += 1
        if mood == "ok" or (share.hook == "last" and mood != "down"):
            share.state = "ok"
            return
        if mood == "410":
            receiver.paused = True
        if share.attempts == ATTEMPTS:
            share.state = "dead"

    # -- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def engine_and_model_agree(self) -> None:
        for fault in self.faults:
            raise fault
        for firing in self.engine.log.inner.page(limit=200):
            for delivery in firing.deliveries:
                share = self.shares.get(delivery.id)
                if share is None:
                    assert delivery.hook.key == "gate" or delivery.state == "skipped"
                    continue
                assert delivery.attempts <= ATTEMPTS
                lost = self.interrupted(delivery, share)
                if lost and share.state == "open" and delivery.state == "dead":
                    share.state = "dead"  # the schedule's end, or five in a row in the hands of processes that died
                expected = {"ok": SUCCESS, "dead": {"dead"}, "dropped": {"dropped"}}.get(share.state, set(UNFINISHED))
                if share.state == "open" and self.receivers[share.hook].deleted:
                    expected |= {"cancelled"}
                assert delivery.state in expected, (delivery.state, share)
                if share.state == "open":
                    assert delivery.attempts == share.attempts + lost

    def interrupted(self, delivery: Any, share: Share) -> int:
        """Attempts that nobody knows of but the record: a process died with the row's claim in its hands."""
        if delivery.attempts == share.attempts:
            return 0
        return sum(attempt.error == "interrupted" for attempt in self.engine.log.inner.attempts(delivery.id))

    def teardown(self) -> None:
        """In the end every hook is on and every receiver well: each delivery comes, or is dead, or was dropped."""
        try:
            self.settle_down()
            for share in self.shares.values():
                assert share.state in {"ok", "dead", "dropped"}, share
                assert share.state != "ok" or share.successes or share.hook == "last"
                assert share.successes <= 1 + share.excused, "sent again without a reason"
            self.engine_and_model_agree()
        finally:
            self.runner.run(self.engine.close())
            self.runner.close()
            self.folder.cleanup()

    def settle_down(self) -> None:
        for key, receiver in self.receivers.items():
            if receiver.deleted:
                self.changes(key, "undo")
            self.changes(key, "on")
            self.changes(key, "resume")
            receiver.mood = "ok"
        for _ in range(20):
            self.disturbed += 1
            self.clock.forward(11)
            self.runner.run(self.step())
        fresh = [share for share in self.shares.values() if share.attempts == 0 and share.key is None]
        assert all(share.state != "open" for share in fresh), "due long ago, and never tried"
        for _ in range(4 * len(self.shares)):
            if all(share.state != "open" for share in self.shares.values()):
                return
            self.disturbed += 1
            self.clock.forward(2 * DAY)
            self.runner.run(self.step())


TestEngine = Engine.TestCase
TestEngine.settings = settings(
    max_examples=8, derandomize=True, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.torture
class TestEngineLong(Engine.TestCase):
    """The same, for minutes."""

    settings = settings(
        max_examples=int(os.environ.get("HOOKROW_EXAMPLES", "1500")),
        stateful_step_count=60,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
