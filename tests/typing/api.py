"""Never run: what a service's author writes, read by mypy and pyright in strict mode. A wrong type here is a defect."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, assert_type

from fastapi import FastAPI, Request
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from hookrow import (
    AsyncHookEngine,
    Attempt,
    AttemptObserved,
    ConditionMatches,
    Delivery,
    Event,
    Explained,
    Firing,
    FiringObserved,
    Hook,
    HookEngine,
    HookOutcome,
    HookRef,
    HookStatistics,
    LogFilter,
    Observer,
    Replayed,
    Revision,
    Secret,
    Tested,
    Veto,
    Vetoed,
)
from hookrow.asgi import ApiCall, HookMiddleware, Shape, fired
from hookrow.hook.modes import Mode
from hookrow.testing import (
    AsyncMemoryEngine,
    HookReceiver,
    ManualClock,
    MemoryEngine,
    Received,
    assert_allowed,
    assert_fired,
    assert_received,
    assert_vetoed,
    vetoes,
)


def threads(connection: Connection) -> None:
    """The sync engine."""
    own = Event("invoice.paid", "Invoice paid", "after", ("POST /invoice/{id}/pay",), private=("/card",))
    with HookEngine("sqlite:///hooks.db", worker=False, events=[own], egress="public") as engine:
        hook = engine.hooks.ensure(
            Hook(key="stock", name="Stock", event="before_order_add", url="https://stock.example/")
        )
        assert_type(hook, Hook)
        assert_type(hook.mode, Mode)
        assert_type(hook.auth_password, Secret | None)
        assert_type(engine.hooks.list("before_order_add"), list[Hook])
        assert_type(engine.hooks.update("stock", {"timeout": 3}, revision=hook.revision), Hook)
        assert_type(engine.hooks.history("stock"), list[Revision])
        assert_type(engine.hooks.move("stock", by=1), list[Hook])
        assert_type(engine.hooks.rollback("stock", 1, current=hook.revision), Hook)
        assert_type(engine.hooks.new_secret("stock", rotate=True), str)
        firing = engine.fire("before_order_add", {"order": {"id": 7}}, idempotency_key="7", deadline=10.0)
        assert_type(firing, Firing)
        assert_type(firing.allowed, bool)
        assert_type(firing.data, dict[str, Any])
        assert_type(firing.veto, Veto | None)
        assert_type(firing.deliveries, Sequence[Delivery])
        try:
            firing.raise_for_veto()
        except Vetoed as refused:
            print(refused.veto)
        engine.fire("before_order_add", {}, defer=True).enqueue(connection)
        engine.fire("invoice.paid", {}, connection=connection).raise_for_error()
        assert_type(engine.explain("before_order_add", at=datetime.now(UTC)), list[Explained])
        assert_type(engine.replay(firing.id, hook="stock", dry_run=True), Replayed)
        assert_type(engine.log.page(LogFilter(event="before_order_add"), limit=10), list[Firing])
        assert_type(engine.log.attempts(firing.deliveries[0].id), list[Attempt])
        assert_type(engine.log.statistics(), dict[int, HookStatistics])
        assert_type(engine.condition_matches("before_order_add", "order.sum > 1000", last=50), ConditionMatches)
        assert_type(engine.last_payload("before_order_add"), dict[str, Any] | None)
        assert_type(engine.test(hook), Tested)
        assert_type(engine.events.match("POST", "/invoice/7/pay"), tuple[Event, ...])


def doors(engine: HookEngine, own: Session) -> None:
    """Lent connections of every kind, and keywords of a hook."""
    engine.fire("invoice.paid", {}, connection=own)
    engine.fire("invoice.paid", {}, connection=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Hook("stock")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Hook(name="Stock", event="e", url="https://stock.example/", timout=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    engine.hooks.update("stock", timeout=3)


async def loops(own: AsyncSession) -> None:
    """The async engine has the same methods, awaited."""
    async with AsyncHookEngine() as engine:
        assert_type(await engine.hooks.get("stock"), Hook)
        assert_type(await engine.hooks.list(), list[Hook])
        firing = await engine.fire("before_order_add", {"order": {"id": 7}})
        await engine.fire("invoice.paid", {}, connection=own)
        await firing.enqueue(own)
        assert_type(firing, Firing)
        assert_type(await engine.log.page(), list[Firing])
        assert_type(await engine.log.statistics(), dict[int, HookStatistics])
        assert_type(await engine.condition_matches("before_order_add", "order.sum > 1000"), ConditionMatches)
        assert_type(await engine.replay(firing.id), Replayed)


class Figures:
    """An observer: no base class is needed."""

    def on_firing(self, seen: FiringObserved) -> None:
        assert_type(seen.hooks, tuple[HookOutcome, ...])
        assert_type(seen.refused_by, HookRef | None)

    def on_attempt(self, seen: AttemptObserved) -> None:
        assert_type(seen.status, int | None)


def observed() -> None:
    """Observers of both engines."""
    observers: list[Observer] = [Figures()]
    HookEngine(observers=observers)
    AsyncHookEngine(observers=[Figures()])


def kit() -> None:
    """A service's test: an engine of the kit stands in the place of the service's own."""
    with MemoryEngine(clock=ManualClock(datetime.now(UTC))) as engine, HookReceiver(vetoes("no")) as receiver:
        own: HookEngine = engine
        assert_type(own.fire("before_order_add", {}), Firing)
        firings = assert_fired(engine, "before_order_add")
        assert_type(firings, list[Firing])
        assert_type(assert_vetoed(firings[0], by="stock"), Veto)
        assert_type(assert_received(receiver, "before_order_add"), Sequence[Received])
        assert_type(engine.outcomes(firings[0]), dict[str, str])
        engine.clock.forward(5)
        assert_type(engine.deliver(), int)
        receiver.on("crm", lambda came: vetoes(code=came.path))


async def awaited_kit() -> None:
    """The same for a loop; and the engine for threads, awaited."""
    async with AsyncMemoryEngine() as engine:
        assert_allowed(await engine.fire("before_order_add", {}))
        assert_fired(engine, "before_order_add")
        assert_type(await engine.deliver(), int)
    with HookEngine() as threads:
        assert_type(await threads.afire("before_order_add", {}, defer=True), Firing)


async def holds(call: ApiCall) -> bool:
    """A condition."""
    return call.header("x-paid") == "1"


def hosts(app: FastAPI, request: Request) -> None:
    """The middleware, as FastAPI takes it and around any application."""
    shapes = {"before_order_update": Shape(lambda call: {"order": call.body}, lambda call, data: data["order"])}
    app.add_middleware(HookMiddleware, engine=HookEngine(), conditions={"paid": holds}, shapes=shapes, defer=["x"])
    HookMiddleware(app, AsyncHookEngine(), bind={"before_registration": ["POST /organization/user/new"]}, limit=1000)
    assert_type(fired(request), Mapping[str, Firing])
