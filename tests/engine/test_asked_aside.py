"""What an event loop wants to know of a database is asked in threads, which are the engine's own. On PostgreSQL no
silent server holds the loop up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from math import inf
from pathlib import Path
from typing import Any

import httpx
import pytest

from hookrow import AsyncHookEngine, Hook
from hookrow.asgi import HookMiddleware
from hookrow.errors import DatabaseBusy
from hookrow.store.database.failures import late
from hookrow.store.database.locks import here, now
from scripted import Network
from worker_bench import seen

pytestmark = pytest.mark.anyio
BEFORE, AFTER = "before_order_add", "after_registration"


class Server:
    """A server that keeps silent until it is told to speak; who asked it, and whether on the loop."""

    def __init__(self, engine: AsyncHookEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache = engine.runtime.cache
        self.asked, self.speaks = threading.Semaphore(0), threading.Event()
        self.threads: list[str] = []
        self.error: Exception | None = None
        self.read = self.cache.read
        monkeypatch.setattr(self.cache, "read", self.answer)

    def answer(self, known: Any) -> Any:
        assert threading.current_thread() is not threading.main_thread(), "the loop stands still"
        self.threads.append(threading.current_thread().name)
        self.asked.release()
        while not self.speaks.wait(0.01):
            if here.until is not None and now() > here.until:
                raise late("")
        error, self.error = self.error, None
        if error is not None:
            raise error
        return self.read(known)

    async def was_asked(self) -> None:
        """A look is under way. Who asks from now on takes nothing that is known for new enough."""
        assert await asyncio.to_thread(self.asked.acquire, timeout=10)
        self.cache.forget()


@pytest.fixture
async def engine(pg: str) -> AsyncIterator[AsyncHookEngine]:
    """With a gate and a hook behind."""
    async with AsyncHookEngine(pg, worker=False, transport=Network()) as made:
        await made.hooks.add(
            Hook(key="g", name="g", event=BEFORE, url="http://receiver.test/g", wait_for_response=True)
        )
        await made.hooks.add(Hook(key="a", name="a", event=AFTER, url="http://receiver.test/a"))
        yield made


@pytest.fixture
def server(engine: AsyncHookEngine, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The engine's."""
    return Server(engine, monkeypatch)


async def status_of(middleware: HookMiddleware, method: str, path: str, **headers: str) -> int:
    """What a client is answered."""
    said: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        said.append(message)

    named = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": named, "query_string": b""}
    await middleware(scope, receive, send)
    status: int = said[0]["status"]
    return status


async def test_the_middleware_asks_aside_what_a_call_means(
    engine: AsyncHookEngine, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not for long; then it goes by what it knew, also to refuse a call that goes round in a circle."""
    monkeypatch.setattr("hookrow.asgi.middleware.MEANT", 0.02)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    server.speaks.set()
    bound = {AFTER: ["POST /users"]}
    middleware = HookMiddleware(app, engine, bind=bound)
    server.threads.clear()
    server.speaks.clear()
    engine.runtime.cache.forget()
    assert await status_of(middleware, "GET", "/health") == 204
    engine.runtime.cache.forget()
    refused = await status_of(middleware, "POST", "/users", content_type="application/json", hook_depth="99")
    assert (refused, {name.partition("_")[0] for name in server.threads}) == (508, {"hookrow-read"})
    server.speaks.set()


async def test_people_are_answered_aside_too(
    engine: AsyncHookEngine, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What explains, tests, replays and redelivers reads nothing on the loop."""
    server.speaks.set()
    fired = await engine.fire(BEFORE, {"n": 1})
    database, here = engine.runtime.database, threading.current_thread()
    read = database.read

    def reading(*args: Any) -> Any:
        assert threading.current_thread() is not here
        return read(*args)

    monkeypatch.setattr(database, "read", reading)
    server.threads.clear()
    for call in (
        lambda: engine.explain(BEFORE, {"n": 1}),
        lambda: engine.test("g"),
        lambda: engine.replay(fired.id, hook="g"),
        lambda: engine.replay(fired.id, dry_run=True),
        lambda: engine.redeliver(fired.deliveries[0].id),
        lambda: engine.redeliver(fired.deliveries[0].id, dry_run=True),
        lambda: engine.drain(5),
    ):
        engine.runtime.cache.forget()
        await call()
    assert {name.partition("_")[0] for name in server.threads} == {"hookrow-read"}


async def test_a_shared_look_is_as_patient_as_who_waits_longest(engine: AsyncHookEngine, server: Server) -> None:
    """One that asked for a moment is refused; whoever asked beside it is answered when the server is."""
    engine.runtime.cache.forget()
    short = asyncio.create_task(engine.runtime.config_asked(0.03))
    await server.was_asked()
    long = asyncio.create_task(engine.runtime.config_asked(30))
    with pytest.raises(DatabaseBusy):
        await short
    await asyncio.sleep(0.03)  # what would have ended it is over by now
    assert not long.done()
    server.speaks.set()
    assert BEFORE in (await long).rows
    assert len(server.threads) == 1


async def test_a_look_that_began_before_is_not_the_last_word(engine: AsyncHookEngine, server: Server) -> None:
    """It fails when its own time is up: who came later has more, and looks again."""
    engine.runtime.cache.forget()
    first = asyncio.create_task(engine.runtime.config_asked(30))
    await server.was_asked()
    later = [asyncio.create_task(engine.runtime.config_asked(seconds)) for seconds in (30, inf)]
    await asyncio.sleep(0)
    server.error = late("")
    server.speaks.set()
    with pytest.raises(DatabaseBusy):
        await first
    for task in later:
        assert BEFORE in (await task).rows
    assert len(server.threads) == 2


async def test_the_services_own_calls_hold_no_thread_of_ours(tmp_path: Path) -> None:
    """They keep all of the loop's executor busy: failures are noted, old firings go, observers are told."""
    told = threading.Event()

    class Observer:
        def on_firing(self, seen: object) -> None:
            told.set()

        def on_attempt(self, seen: object) -> None: ...

    freed = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(executor)
        loop.run_in_executor(None, freed.wait, 20)
        network = Network(g=lambda request: httpx.Response(500), a=lambda request: httpx.Response(500))
        engine = AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db", transport=network, observers=[Observer()])
        try:
            door = engine.hook_door
            gate = door.add(Hook(name="g", event=BEFORE, url="http://receiver.test/g", wait_for_response=True))
            behind = door.add(Hook(name="a", event=AFTER, url="http://receiver.test/a", fire_and_forget=False))
            async with asyncio.timeout(15):
                await engine.fire(BEFORE, {"n": 1})
                await engine.fire(AFTER, {"n": 1})
                await seen(lambda: {gate.id, behind.id} <= set(engine.runtime.failing.rows))
                assert engine.sending.worker is not None
                assert engine.sending.worker.retention is not None
                await engine.sending.worker.retention.run()
                await engine.close()
            assert told.is_set()
            assert not freed.is_set()
        finally:
            freed.set()
