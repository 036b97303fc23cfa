"""The workers of one engine: its own, those of `drain()`, `run_worker()` and `send_own()`; who ends which."""

from __future__ import annotations

import asyncio
import gc
import shutil
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import Context, ContextVar
from pathlib import Path
from typing import Any

import httpx
import pytest

from hookrow import AsyncHookEngine, Hook, HookEngine
from hookrow.core.sending import idle
from hookrow.errors import EngineClosed
from hookrow.store.database.database import Database
from hookrow.store.database.writer import Writer
from hookrow.store.outbox.writing import Rows
from hookrow.worker import Worker
from outbox_rows import rows
from scripted import Network
from worker_bench import seen

pytestmark = pytest.mark.anyio
EVENT, OTHER = "after_registration", "before_order_add"
whose: ContextVar[Any] = ContextVar("whose", default="nobody's")


class Held:
    """A receiver that answers when it is told to."""

    def __init__(self, network: Network, path: str) -> None:
        self.network = network
        self.answering = asyncio.Event()
        network.on(path, self.respond)

    async def respond(self, request: httpx.Request) -> httpx.Response:
        await self.answering.wait()
        return httpx.Response(200)

    async def asked(self) -> None:
        await seen(lambda: bool(self.network.requests))


@pytest.fixture
def url(tmp_path: Path, sqlite_template: Path) -> str:
    """A database with a hook for each of two events."""
    shutil.copyfile(sqlite_template, tmp_path / "hooks.db")
    made = f"sqlite:///{tmp_path}/hooks.db"
    with HookEngine(made, worker=False) as engine:
        for name, event in (("a", EVENT), ("b", OTHER)):
            engine.hooks.add(Hook(name=name, event=event, url=f"http://receiver.test/{name}", timeout=30))
    return made


@contextmanager
def within(seconds: float = 20) -> Iterator[None]:
    """No test waits for ever where the engine does."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    timer = loop.call_later(seconds, task.cancel, "it waits for ever")
    try:
        yield
    finally:
        timer.cancel()


async def outcomes(engine: AsyncHookEngine) -> list[str]:
    """The outcomes of all deliveries, the oldest first."""
    return [each.outcome for firing in reversed(await engine.log.page()) for each in firing.deliveries]


async def drain_of(engine: AsyncHookEngine, **how: Any) -> tuple[Worker, asyncio.Task[bool]]:
    """A `drain()` under way, and its worker."""
    workers: list[Worker] = []
    drain = asyncio.create_task(engine.drain(started=workers.append, **how))
    await seen(lambda: bool(workers) and not workers[0].look)  # it has looked, and has in hand what it found
    return workers[0], drain


@asynccontextmanager
async def unstarted(url: str, network: Network) -> AsyncIterator[AsyncHookEngine]:
    """An engine that has not started its worker yet."""
    engine = AsyncHookEngine(url, transport=network)
    try:
        yield engine
    finally:
        await engine.close()


# -- each ends its own ------------------------------------------------------------------------------------------------


async def test_two_drains_at_once(url: str, network: Network) -> None:
    """Each waits for what the other sends, and ends its own worker."""
    held = Held(network, "a")
    async with AsyncHookEngine(url, worker=False, transport=network) as engine:
        await engine.fire(EVENT, {"n": 1})
        _, first = await drain_of(engine)
        await held.asked()
        worker, second = await drain_of(engine)
        await seen(lambda: idle(worker, engine.runtime.clock.now_ms()))
        await asyncio.wait([second], timeout=0.1)
        assert not second.done(), "what is due is not sent yet"
        held.answering.set()
        with within():
            assert [await first, await second] == [True, True]
        assert await outcomes(engine) == ["sent"]


async def test_what_one_drain_gives_back_is_sent_by_the_other(url: str, network: Network) -> None:
    """It may have looked already, and does so again as the first one's worker leaves."""
    held = Held(network, "a")
    async with AsyncHookEngine(url, worker=False, transport=network) as engine:
        for event in (EVENT, OTHER):
            await engine.fire(event, {"n": 1})
        first, ended = await drain_of(engine, concurrency=1)
        await held.asked()
        assert len(first.slots.unsent()) == 1
        second, whole = await drain_of(engine)
        second.poll = 60
        ending = asyncio.create_task(first.drain(60))
        await seen(lambda: first.closing)
        held.answering.set()
        with within():
            await ending
            assert [await ended, await whole] == [False, True]
        assert await outcomes(engine) == ["sent", "sent"]


async def test_a_drain_leaves_the_engines_own_worker_alone(url: str, network: Network) -> None:
    """Which the first firing starts while it runs."""
    held = Held(network, "a")
    async with AsyncHookEngine(url, worker=False, transport=network) as beside:
        await beside.fire(EVENT, {"n": 0})
    async with unstarted(url, network) as engine:
        worker, drain = await drain_of(engine, timeout=20)
        await held.asked()
        await engine.fire(OTHER, {"n": 1})
        own = engine.sending.worker
        held.answering.set()
        with within():
            assert await drain
        assert own is not None
        assert (worker is own, worker.closing, own.closing, engine.sending.takes_over) == (False, True, False, True)
        await engine.fire(OTHER, {"n": 2})
        await seen(lambda: network.paths().count("b") == 2)


# -- close() ends all -------------------------------------------------------------------------------------------------


async def run(engine: AsyncHookEngine) -> None:
    """`run_worker()`, to its end."""
    await engine.run_worker()


async def drained(engine: AsyncHookEngine) -> None:
    """`drain()`, ended before its time."""
    assert await engine.drain() is False


async def sent(engine: AsyncHookEngine) -> None:
    """`send_own()`, to its end."""
    [firing] = await engine.log.page()
    with suppress(EngineClosed):  # what is recorded could not be read any more
        await engine.send_own(firing)


@pytest.mark.parametrize("sending", [run, drained, sent])
async def test_close_ends_whatever_worker_runs(
    url: str, network: Network, sending: Callable[[AsyncHookEngine], Awaitable[None]]
) -> None:
    """Its request may end within the grace and is recorded, and no other begins to send."""
    held = Held(network, "a")
    engine = AsyncHookEngine(url, worker=False, transport=network)
    await engine.fire(EVENT, {"n": 1})
    work = asyncio.create_task(sending(engine))  # type: ignore[arg-type]
    await held.asked()
    closing = asyncio.create_task(engine.close())
    await seen(lambda: engine.sending.ending)
    with pytest.raises(EngineClosed):
        await engine.drain()
    held.answering.set()
    with within():
        await closing
        await work
    async with AsyncHookEngine(url, worker=False) as later:
        assert await outcomes(later) == ["sent"]
    assert len(network.requests) == 1


def test_close_ends_a_worker_that_a_thread_runs(url: str) -> None:
    """Nothing more is begun, and its call returns."""
    network, asked, answering = Network(), threading.Event(), threading.Event()

    async def late(request: httpx.Request) -> httpx.Response:
        asked.set()
        await asyncio.to_thread(answering.wait, 20)
        return httpx.Response(200)

    network.on("a", late)
    engine, raised = HookEngine(url, worker=False, transport=network), list[BaseException]()
    for number in range(3):
        engine.fire(EVENT, {"n": number})

    def work() -> None:
        try:
            engine.run_worker(concurrency=1)
        except BaseException as error:  # noqa: BLE001 (which one it is, is the question)
            raised.append(error)

    threads = [threading.Thread(target=each) for each in (work, engine.close)]
    threads[0].start()
    assert asked.wait(20)
    threads[1].start()
    while not engine.sending.ending:
        threading.Event().wait(0.005)
    answering.set()
    for each in threads:
        each.join(20)
    assert raised == []
    with HookEngine(url, worker=False) as later:
        assert [each.deliveries[0].outcome for each in later.log.page()] == ["queued", "queued", "sent"]
    assert len(network.requests) == 1


async def test_close_ends_a_worker_on_the_loop_of_another_thread(url: str, network: Network) -> None:
    """Where the engine was used before."""
    engine = AsyncHookEngine(url, transport=network)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        there = asyncio.run_coroutine_threadsafe(engine.fire(EVENT, {"n": 1}), loop)
        await asyncio.wrap_future(there)
        await seen(lambda: bool(network.requests))
        with within():
            await engine.close()
        assert engine.sending.worker_task is not None
        assert engine.sending.worker_task.result() is None
    finally:
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join)
        loop.close()


async def test_no_worker_begins_while_the_engine_closes(url: str, network: Network) -> None:
    """What comes then is refused, or queued for the next one."""
    engine = AsyncHookEngine(url, transport=network)
    await engine.fire(EVENT, {"n": 1})
    own, closing = engine.sending.worker, engine.runtime.aclose
    await seen(lambda: bool(network.requests))

    async def fired_meanwhile() -> None:
        with pytest.raises(EngineClosed):
            await engine.fire(EVENT, {"n": 2})
        engine.sending.start_worker()
        await closing()

    engine.runtime.aclose = fired_meanwhile  # type: ignore[method-assign]
    await engine.close()
    assert (engine.sending.worker, engine.sending.at_work) == (own, {})
    async with AsyncHookEngine(url, worker=False) as later:
        assert await outcomes(later) == ["sent"]


# -- a loop that was closed under its worker --------------------------------------------------------------------------


def lost(url: str, network: Network, monkeypatch: pytest.MonkeyPatch) -> AsyncHookEngine:
    """An engine whose worker has a row, and no loop any more: nobody cancelled its task."""
    engine = AsyncHookEngine(url, transport=network)

    async def never(worker: Worker) -> None:
        await asyncio.Event().wait()

    loop = asyncio.new_event_loop()
    with monkeypatch.context() as patch:
        patch.setattr(engine.sending, "work", never)
        loop.run_until_complete(engine.fire(EVENT, {"n": 1}))
    loop.close()
    task = engine.sending.worker_task
    assert engine.sending.worker is not None
    assert task is not None
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # as it is collected, in whatever test
    assert len(engine.sending.worker.slots.unsent()) == 1
    return engine


def test_another_worker_follows_one_whose_loop_is_closed(
    url: str, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends what that one had not begun, and what is fired from then on."""
    engine = lost(url, network, monkeypatch)

    async def second() -> None:
        await engine.fire(EVENT, {"n": 2})
        await seen(lambda: len(network.requests) == 2)
        with within():
            await engine.close()

    asyncio.run(second())


def test_an_engine_closes_whose_workers_loop_is_closed(
    url: str, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for nobody there; the row is due at once."""
    engine = lost(url, network, monkeypatch)

    async def second() -> None:
        with within():
            await engine.close()

    asyncio.run(second())
    with HookEngine(url, worker=False) as later:
        assert [each.state for each in rows(later.runtime.database).values()] == ["queued"]


# -- commits under way as the engine closes ---------------------------------------------------------------------------


@contextmanager
def kept(writer: Writer) -> Iterator[None]:
    """Nothing is committed; for a while only, since closing a writer waits for it on the loop."""
    taken, done = threading.Event(), threading.Event()

    def keep() -> None:
        with writer.running:
            taken.set()
            done.wait(2)

    keeping = threading.Thread(target=keep)
    keeping.start()
    taken.wait()
    yield
    done.set()
    keeping.join()


def fires(writer: Writer) -> bool:
    """Whether a firing is to be written; a worker may have something, too."""
    return any(isinstance(each.job, Rows) for each in list(writer.waiting))


def at_rest(engine: AsyncHookEngine | HookEngine) -> Worker:
    """Its worker looks for nothing by itself: no claim of its own stands before the firing's commit."""

    async def never() -> bool:
        return False

    worker = engine.sending.worker
    assert worker is not None
    worker.changed = never  # type: ignore[method-assign]
    return worker


async def test_a_commit_under_way_as_the_engine_closes(database: Database, network: Network) -> None:
    """The row was to be handed over to its worker: it is given back, for the next one to send at once."""
    url = database.address.render_as_string(hide_password=False)
    engine = AsyncHookEngine(url, transport=network)
    await engine.hooks.add(Hook(name="a", event=EVENT, url="http://receiver.test/a"))
    await engine.fire(EVENT, {"n": 1})
    await seen(lambda: bool(network.requests))
    writer, worker = engine.runtime.database.writer, at_rest(engine)
    await seen(lambda: not writer.waiting and not worker.hand.rows and not worker.claiming)
    with kept(writer):
        firing = asyncio.create_task(engine.fire(EVENT, {"n": 2}))
        await seen(lambda: fires(writer))
        closing = asyncio.create_task(engine.close())
        await seen(lambda: engine.sending.worker_task is None or engine.sending.worker_task.done())
    await closing
    assert (await firing).allowed
    row = rows(database)[(await firing).deliveries[0].row_id]
    assert (row.state, row.fence, row.owner) == ("queued", 1, None)


def test_a_threads_commit_under_way_as_the_engine_closes(url: str) -> None:
    """The same where the worker's loop is gone by then."""
    network, fired = Network(), list[Any]()
    engine = HookEngine(url, transport=network)
    engine.fire(EVENT, {"n": 1})
    while not network.requests:
        threading.Event().wait(0.005)
    writer, worker = engine.runtime.database.writer, at_rest(engine)
    while writer.waiting or worker.hand.rows or worker.claiming:
        threading.Event().wait(0.005)
    threads = [threading.Thread(target=lambda: fired.append(engine.fire(EVENT, {"n": 2})))]
    threads.append(threading.Thread(target=engine.close))
    with writer.running:
        threads[0].start()
        while not fires(writer):
            threading.Event().wait(0.005)
        threads[1].start()
        while engine.portal.started:
            threading.Event().wait(0.005)
    for each in threads:
        each.join(20)
    with HookEngine(url, worker=False) as later:
        assert [each.deliveries[0].outcome for each in later.log.page()] == ["queued", "sent"]
        assert later.drain(5)


def test_a_worker_that_has_ended_declines_rows(url: str) -> None:
    """At once: its loop may have been stopped, and is not closed yet."""
    declined: list[Any] = []
    loop = asyncio.new_event_loop()
    with HookEngine(url, worker=False) as engine:
        worker = engine.sending.new_worker()
        worker.loop, worker.closing, worker.decline = loop, True, declined.extend  # type: ignore[method-assign]
        worker.take(["a row"])  # type: ignore[list-item]
    loop.close()
    assert declined == ["a row"]


# -- whose context ----------------------------------------------------------------------------------------------------


async def test_the_engines_own_worker_has_nobodys_context(url: str, network: Network) -> None:
    """Not that of the call which was the first to need it: neither its requests nor what it does by itself."""
    contexts: dict[str, set[Any]] = {"request": set(), "tend": set()}

    def noted(request: httpx.Request) -> httpx.Response:
        contexts["request"].add(whose.get())
        return httpx.Response(200)

    async def tend() -> set[int]:
        contexts["tend"].add(whose.get())
        return set()

    network.on("a", noted)
    async with unstarted(url, network) as engine:
        engine.sending.key_pauses.tend = tend  # type: ignore[method-assign]
        whose.set("the first call's")
        await engine.fire(EVENT, {"n": 1})
        await seen(lambda: all(contexts.values()))
    assert contexts == {"request": {"nobody's"}, "tend": {"nobody's"}}


async def test_a_worker_that_is_waited_for_has_its_callers_context(url: str, network: Network) -> None:
    """Who runs one may want to know its requests by it."""
    contexts: list[Any] = []

    def noted(request: httpx.Request) -> httpx.Response:
        contexts.append(whose.get())
        return httpx.Response(200)

    network.on("a", noted)
    async with AsyncHookEngine(url, worker=False, transport=network) as engine:
        await engine.fire(EVENT, {"n": 1})
        whose.set("mine")
        assert await engine.drain()
    assert contexts == ["mine"]


def test_a_threads_loop_keeps_no_context(url: str) -> None:
    """It serves other calls afterwards: what a service keeps of the first one in its context is free."""

    class Request: ...

    with HookEngine(url, worker=False) as engine:

        def call() -> tuple[weakref.ref[Request], asyncio.AbstractEventLoop | None]:
            request = Request()
            whose.set(request)
            return weakref.ref(request), engine.loops.take()

        request, loop = Context().run(call)
        assert loop is not None
        gc.collect()
        assert request() is None
        engine.loops.give_back(loop, sound=True)


# -- send_own() -------------------------------------------------------------------------------------------------------


async def test_a_report_of_progress_that_fails(url: str, network: Network) -> None:
    """The request under way ends and is recorded before its caller learns of it."""
    held = Held(network, "a")

    def progress(firing: Any) -> None:
        held.answering.set()
        raise BrokenPipeError("nobody reads")

    async with AsyncHookEngine(url, worker=False, transport=network) as engine:
        firing = await engine.fire(EVENT, {"n": 1})
        with within(), pytest.raises(BrokenPipeError):
            await engine.send_own(firing, progress)
        assert engine.sending.at_work == {}
        assert await outcomes(engine) == ["sent"]
