"""Every public name at work that docs/ has no example of."""

# ruff: noqa: D103, PT017, PT018 - a program to be read, as those of docs/

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from starlette.requests import HTTPConnection

from hookrow import (
    Ambiguous,
    Attempt,
    AttemptObserved,
    AttemptSeen,
    CallerConnection,
    CandidateFigures,
    CandidateInTheWay,
    ChangedMeanwhile,
    Clock,
    ConditionMatches,
    Deed,
    Delivery,
    DeliveryObserved,
    Egress,
    EventNotFound,
    Events,
    Explained,
    Figures,
    Firing,
    FiringObserved,
    Found,
    Hook,
    HookCandidate,
    HookEngine,
    HookFigures,
    HookNotFound,
    HookOutcome,
    HookRef,
    HookrowError,
    HookStatistics,
    IdempotencyConflict,
    InvalidHook,
    InvalidPayload,
    Json,
    JsonObject,
    KeyRing,
    LogFilter,
    Observer,
    Overview,
    Payload,
    Purged,
    Redelivered,
    Rehearsal,
    RehearsedBody,
    RehearsedFailure,
    Replayed,
    Request,
    Revision,
    Secret,
    SettingValue,
    ShadowFigures,
    Step,
    StorageError,
    Stretch,
    Summary,
    Tapped,
    Tested,
    Veto,
    Vetoed,
    Worker,
    errors,
)
from hookrow.asgi import problem
from hookrow.contrib import django as in_django
from hookrow.contrib.fastapi import get_blocking_engine
from hookrow.testing import (
    Answer,
    AsyncMemoryEngine,
    HookReceiver,
    ManualClock,
    MemoryEngine,
    Received,
    allows,
    changes,
    delays,
    fails,
    gives,
)


def refused_with(kind: type[HookrowError], call) -> HookrowError:
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(kind)


def enqueue(fired: Firing, connection: CallerConnection | None = None) -> None:  # in your transaction, or without one
    fired.enqueue(connection)


def reply(came: Received) -> Answer:  # what a receiver answers may depend on the request
    return gives({"cost": 390}) if came.event == "before_delivery_service_calculate" else allows()


outcomes: list[HookOutcome] = []
delivered: list[str] = []


class Watcher:  # an Observer needs no base class
    def on_firing(self, seen: FiringObserved) -> None:
        outcomes.extend(seen.hooks)

    def on_attempt(self, seen: AttemptObserved) -> None: ...

    def on_delivery(self, seen: DeliveryObserved) -> None:  # need not be there
        delivered.append(seen.outcome)


watcher: Observer = Watcher()
clock = ManualClock(datetime(2026, 11, 25, 12, tzinfo=UTC))
keys = KeyRing.new()  # or a HOOKROW_KEYS value: KeyRing.parse(os.environ["MY_KEYS"])
bench = MemoryEngine(clock=clock, observers=[watcher], egress=Egress("private"), keys=keys)
shop = HookReceiver(reply)
shop.on("late", delays(0.2)), shop.on("broken", fails(503))

# hooks: who changed what, conflicts, secrets that can't be read back
stored = bench.hooks.add(
    Hook(
        key="cost",
        name="Cost",
        event="before_delivery_service_calculate",
        url=shop.url,
        wait_for_response=True,
        response_has_data=True,
        auth_login="shop",
        auth_password=Secret("s3cret"),
        condition="order.weight > 100",
        valid_until=clock.now + timedelta(days=1),
    )
)
assert stored.auth_password.is_kept
assert "s3cret" not in repr(stored)
bench.hooks.update("cost", timeout=2, revision=stored.revision)
conflict = refused_with(ChangedMeanwhile, lambda: bench.hooks.update("cost", timeout=3, revision=stored.revision))
assert conflict.current.timeout == 2
newest: Revision = bench.hooks.history("cost")[0]
assert newest.changes() == [("timeout", 5.0, 2.0)]
for name in ("a", "b"):
    bench.hooks.add(Hook(key=name, name="Twice", event="on_subscription", url=shop.url))
assert refused_with(Ambiguous, lambda: bench.hooks.get("Twice")).candidates
refused_with(HookNotFound, lambda: bench.hooks.get("none"))
refused_with(InvalidHook, lambda: bench.hooks.update("cost", timeout=-1))
refused_with(EventNotFound, lambda: bench.fire("before_order_ad", {}))
assert refused_with(InvalidPayload, lambda: bench.fire("on_subscription", {"sum": float("nan")})).pointer == "/sum"

# before: what would happen; then it happens
payload: Payload = {"order": {"weight": 780}}
[step] = bench.explain("before_delivery_service_calculate", payload)
assert isinstance(step, Explained)
assert step.act == "call"
assert isinstance(step.request, Request)
firing: Firing = bench.fire("before_delivery_service_calculate", payload, idempotency_key="7")
result: Json = firing.result
data: JsonObject = firing.data
assert (result, data) == ({"cost": 390}, payload)
assert firing.veto is None
refused_with(IdempotencyConflict, lambda: bench.fire("before_delivery_service_calculate", {}, idempotency_key="7"))
delivery: Delivery = firing.deliveries[0]
assert delivery.hook == HookRef(stored.id, "cost", "Cost")
assert delivery.outcome == "ok"

# afterwards: the log, its figures, the same once more
[logged] = bench.log.page(LogFilter(event="before_delivery_service_calculate", outcome="ok"))
[attempt] = bench.log.attempts(logged.deliveries[0].id)
assert isinstance(attempt, Attempt)
assert attempt.status == 200
summary: Summary = bench.log.summary()
figures_of: dict[int, HookFigures] = bench.log.hook_figures()
statistics: dict[int, HookStatistics] = bench.log.statistics()
deeds: list[Deed] = bench.log.deeds()
assert any(deed.action == "hook add" for deed in deeds)
last_day: Figures = statistics[stored.id].day
assert last_day.calls == 1
in_shadow: ShadowFigures | None = bench.log.shadow(stored.id)
assert in_shadow is None
candidate: HookCandidate | None = bench.hooks.try_candidate(stored.id, timeout=3).candidate
assert candidate is not None
assert candidate.fields == {"timeout": 3.0}
compared: CandidateFigures | None = bench.log.candidate(stored.id)
assert compared is None
refused_with(CandidateInTheWay, lambda: bench.hooks.update(stored.id, timeout=4))
bench.hooks.promote(stored.id)
assert summary.dead == 0
assert figures_of[stored.id].calls == 1
assert stored.id in statistics
matches: ConditionMatches = bench.condition_matches("before_delivery_service_calculate", "order.weight > 1000")
assert (matches.matched, matches.total) == (0, 1)
rehearsed: Rehearsal = bench.rehearse(stored)
failing: list[RehearsedFailure] = list(rehearsed.failures)
differing: list[RehearsedBody] = list(rehearsed.bodies)
assert (rehearsed.firings, failing, differing) == (1, [], [])
again: Replayed = bench.replay(firing.id)
assert again.firing.replay_of == firing.id
sent: list[Redelivered] = bench.redeliver(delivery.id)
copied: Tapped = bench.tap(bench.log.newest_attempt())
newer: list[AttemptSeen] = bench.log.attempts_since(after=bench.log.newest_attempt())
assert bench.log.changed(LogFilter(outcome="dead"), after=0, before=bench.log.newest_attempt()) == []
assert (copied.delivery.hook.key, newer) == ("cost", [])
found: Found = bench.log.search(LogFilter(search="780"))
kept: SettingValue = bench.settings.set("retention_days", "14")
deleted: Purged = bench.log.prune()
seen: Overview = bench.log.overview()
day: Stretch = seen.day
steps: list[Step] = list(day.steps)
catalogue: Events = bench.events.current()
assert len(found.ids) == 2 and kept.value == "14" and deleted.firings == 0 and "on_subscription" in catalogue
ticking: Clock = clock
assert ticking.now_ms() == firing.at_ms and hasattr(Worker, "drain")
tried: Tested = bench.test("cost", payload)
assert sent[0].ok
assert tried.ok
assert tried.result == {"cost": 390}

# a refusal, and the database in trouble
bench.hooks.update("cost", url=shop.url + "broken", on_failure="stop", fallback_message="Later")
firing = bench.fire("before_delivery_service_calculate", payload)
veto: Veto = firing.veto
assert (veto.by, veto.status, problem(firing)["detail"]) == ("failure", 503, "Later")
try:
    firing.raise_for_veto()
except Vetoed as refused:
    assert (refused.veto, refused.firing) == (veto, firing)
bench.close()
assert [each.outcome for each in outcomes] == ["ok", "ok", "failed"]
refused_with(errors.EngineClosed, lambda: bench.fire("on_subscription", {}))
refused_with(StorageError, lambda: HookEngine("sqlite:///nowhere.db", create=False))


async def with_a_loop() -> None:
    async with AsyncMemoryEngine() as engine:
        await engine.hooks.add(Hook(key="late", name="Late", event="on_subscription", url=shop.url + "late"))
        await engine.fire("on_subscription", {"subscription": {"id": 905}})
        await engine.deliver()


asyncio.run(with_a_loop())
shop.close()
with MemoryEngine() as altered, HookReceiver(changes({"order": {"id": 8}})) as editor:
    altered.hooks.add(
        Hook(name="Edit", event="before_order_add", url=editor.url, wait_for_response=True, response_has_data=True)
    )
    assert altered.fire("before_order_add", {"order": {"id": 7}}).data == {"order": {"id": 8}}

# in frameworks: what docs/django.md and docs/frameworks.md only name
refused_with(errors.Misuse, lambda: get_blocking_engine(HTTPConnection({"type": "http", "state": {}})))
in_django.close()
