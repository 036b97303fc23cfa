"""The trace of a firing (W3C Trace Context): from the caller, stored with the row, to every receiver, an hour later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, text

from hookrow import Hook, HookEngine
from hookrow.core.arrival import traceparent_of
from hookrow.testing import HookReceiver, MemoryEngine, fails
from hookrow.testing.fixtures import hook_clock, hook_engine, hook_receiver
from hosting import ADD, ORDER, gate, served, served_wsgi

__all__ = ["hook_clock", "hook_engine", "hook_receiver"]
BEFORE, AFTER = "before_order_update", "after_registration"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
OTHER = f"00-{TRACE[::-1]}-{SPAN[::-1]}-00"


@pytest.mark.parametrize(
    ("headers", "known"),
    [
        ([PARENT], PARENT),
        ([f" {PARENT}\t"], PARENT),
        ([f"00-{TRACE}-{SPAN}-02"], f"00-{TRACE}-{SPAN}-02"),
        # A later version: what 00 knows of it, and of its flags `sampled` alone.
        ([f"cc-{TRACE}-{SPAN}-ff-what=will.be"], f"00-{TRACE}-{SPAN}-01"),
        ([f"01-{TRACE}-{SPAN}-02"], f"00-{TRACE}-{SPAN}-00"),
        ([f"01-{TRACE}-{SPAN}-01x"], None),
        ([f"ff-{TRACE}-{SPAN}-01"], None),
        ([f"{PARENT}-more"], None),
        ([f"00-{'0' * 32}-{SPAN}-01"], None),
        ([f"00-{TRACE}-{'0' * 16}-01"], None),
        ([f"00-{TRACE.upper()}-{SPAN}-01"], None),
        ([f"00-{TRACE[:-1]}٣-{SPAN}-01"], None),
        ([f"{PARENT}\n"], None),
        ([f"{PARENT}\r\nx-evil: 1"], None),
        ([f"{PARENT}\x00"], None),
        ([f"cc-{TRACE}-{SPAN}-01-{'x' * 500}"], None),
        ([PARENT, PARENT], None),
        ([PARENT, OTHER], None),
        ([""], None),
        ([None], None),
        ([b"00"], None),
        ([], None),
    ],
)
def test_only_one_header_that_can_be_read_is_a_trace(headers: Any, known: str | None) -> None:
    """Anybody can send it; what says nothing for sure is left out, and a new trace may begin."""
    assert traceparent_of(*headers) == known


def test_every_request_of_a_firing_has_its_trace(hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """Waiting, queued, retried, redelivered; the log shows it. A replay is another firing, and none is none."""
    hook_engine.hooks.add(gate(BEFORE, hook_receiver.url))
    hook_engine.hooks.add(Hook(key="erp", name="ERP", event=BEFORE, url=hook_receiver.on("erp", fails()), position=90))
    hook_engine.hooks.update("erp", fire_and_forget=False)
    firing = hook_engine.fire(BEFORE, {"order": {"id": 7}}, traceparent=PARENT)
    hook_engine.deliver()
    hook_engine.clock.forward(10)
    hook_engine.deliver()
    hook_engine.redeliver(firing.deliveries[1].id)
    hook_engine.replay(firing.id)
    hook_engine.fire(BEFORE, {})
    hook_engine.fire(BEFORE, {}, traceparent="nothing")
    known = hook_engine.log.get(firing.id)
    assert (firing.traceparent, known.traceparent, firing.as_json()["traceparent"]) == (PARENT, PARENT, PARENT)
    assert [each.headers.get("traceparent") for each in hook_receiver.received] == [PARENT] * 4 + [None] * 3
    [attempt, *_] = hook_engine.log.attempts(firing.deliveries[0].id)
    assert ("traceparent", PARENT) in attempt.request_headers
    [again] = hook_engine.redeliver(firing.deliveries[1].id, dry_run=True)
    assert again.request is not None
    assert ("traceparent", PARENT) in again.request.headers


def test_a_header_of_the_hooks_own_wins(hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """Whoever set it meant it, and one name stands in a request once. It is masked in the log, as every own header."""
    hook_engine.hooks.add(gate(BEFORE, hook_receiver.url, custom_header=f"Traceparent: {OTHER}"))
    firing = hook_engine.fire(BEFORE, {}, traceparent=PARENT)
    assert [value for name, value in hook_receiver.received[0].headers.items() if name.lower() == "traceparent"] == [
        OTHER
    ]
    [attempt] = hook_engine.log.attempts(firing.deliveries[0].id)
    assert [name for name, _ in attempt.request_headers if name.lower() == "traceparent"] == ["Traceparent"]


def test_a_repeated_call_has_the_trace_of_the_first(hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """Under one idempotency key: nothing is asked again."""
    hook_engine.hooks.add(gate(BEFORE, hook_receiver.url))
    for given in (PARENT, OTHER):
        firing = hook_engine.fire(BEFORE, {}, idempotency_key="7", traceparent=given)
        assert firing.traceparent == PARENT
    assert len(hook_receiver.received) == 1


@pytest.fixture
def engine(either_url: str) -> Iterator[HookEngine]:
    """An engine on each kind of database, without a worker."""
    with HookEngine(either_url, worker=False) as made:
        yield made


def test_who_sends_reads_it_from_the_database(engine: HookEngine, either_url: str, hook_receiver: HookReceiver) -> None:
    """Queued, deferred, written in the caller's transaction; a row changed by hand has none."""
    engine.hooks.add(Hook(key="erp", name="ERP", event=AFTER, url=hook_receiver.url))
    engine.hooks.add(Hook(key="erp2", name="ERP", event=BEFORE, url=hook_receiver.url))
    database = create_engine(either_url)
    firings = [
        engine.fire(AFTER, {}, traceparent=PARENT),
        engine.fire(BEFORE, {}, traceparent=PARENT, defer=True),
    ]
    with database.begin() as connection:
        firings[1].enqueue(connection)
        firings.append(engine.fire(AFTER, {}, connection=connection, traceparent=PARENT))
    for firing in firings:
        assert engine.log.get(firing.id).traceparent == firing.traceparent == PARENT
    assert engine.drain(10)
    assert [each.headers.get("traceparent") for each in hook_receiver.received] == [PARENT] * 3
    hook_receiver.received.clear()
    bent = engine.fire(AFTER, {}, traceparent=PARENT)
    with engine.runtime.database.write() as writing:
        table = "firing" if engine.path else "hookrow.firing"
        writing.execute(text(f"UPDATE {table} SET traceparent = :bent"), {"bent": f"{PARENT[:-9]}\r\nx: 1"})
    database.dispose()
    assert [each.outcome for each in engine.send_own(bent).deliveries] == ["sent"]
    assert "traceparent" not in hook_receiver.received[0].headers


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_the_middleware_takes_it_from_the_call(
    kind: str, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """Before, after, and what the handler fires itself; of two headers none counts."""
    from starlette.applications import Starlette

    from hookrow import asgi, wsgi

    def handler(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        hook_engine.fire("on_subscription", {})
        start_response("200 OK", [("content-type", "application/json")])
        return [b"{}"]

    middleware: Any
    if kind == "wsgi":
        middleware = wsgi.HookMiddleware(handler, hook_engine)
        host = served_wsgi(middleware)
    else:
        from starlette.requests import Request
        from starlette.responses import JSONResponse
        from starlette.routing import Route

        async def handle(request: Request) -> JSONResponse:
            await hook_engine.afire("on_subscription", {})
            return JSONResponse({})

        middleware = asgi.HookMiddleware(Starlette(routes=[Route(ADD, handle, methods=["POST"])]), hook_engine)
        host = served(middleware)
    for event in ("before_order_add", "on_subscription"):
        hook_engine.hooks.add(gate(event, hook_receiver.url, key=event.replace("_", "-")))
    with host as url:
        httpx.post(url + ADD, json=ORDER, headers={"traceparent": PARENT})
        httpx.post(url + ADD, json=ORDER, headers=[("traceparent", PARENT), ("traceparent", OTHER)])
        httpx.post(url + ADD, json=ORDER, headers={"traceparent": PARENT.upper()})
    assert [each.traceparent for each in hook_engine.fired] == [PARENT] * 2 + [None] * 4
    assert [each.headers.get("traceparent") for each in hook_receiver.received] == [PARENT] * 2 + [None] * 4
