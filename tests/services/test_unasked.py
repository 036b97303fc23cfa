"""docs/unasked.md, walked: each way lets an operation pass, and does not any more once the setting is made."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hookrow import Event, Hook, Vetoed
from hookrow.asgi import ApiCall, HookMiddleware, Shape
from hookrow.testing import HookReceiver, MemoryEngine, allows, fails, vetoes
from hookrow.testing.server import Answer
from hosting import ADD, gate, raw, served

PAGE = Path(__file__).parents[2] / "docs" / "unasked.md"
EVENT = "before_order_add"
ORDER = {"order": {"id": 7, "sum": 5000}}
NO = vetoes("no")
WAYS: dict[str, Callable[[Bench], None]] = {}


class Bench:
    """A gate that would say no if it were asked, an operation that asks it, and an API that does."""

    def __init__(self, engine: MemoryEngine, receiver: HookReceiver) -> None:
        self.engine, self.receiver = engine, receiver
        receiver.script = NO

    def gate(self, **more: Any) -> None:
        self.engine.hooks.add(gate(more.pop("event", EVENT), more.pop("url", self.receiver.url), **more))

    def set(self, **more: Any) -> None:
        self.engine.hooks.update("gate", more)

    def passes(self, **how: Any) -> bool:
        """Whether `fire()` allows it."""
        return self.engine.fire(EVENT, ORDER, **how).allowed

    def forbidden_by_stop(self) -> None:
        """It passes under `continue`, and not under `stop`."""
        assert self.passes()
        self.set(on_failure="stop")
        assert not self.passes()

    def call(
        self, path: str = ADD, *, content: bytes = b'{"order": {"sum": 5000}}', kind: str = "", **options: Any
    ) -> bool:
        """Whether a call reaches the handler behind a middleware with these options."""

        async def handler(request: Request) -> Response:
            return JSONResponse({})

        app = Starlette(routes=[Route("/{path:path}", handler, methods=["POST", "PUT"])])
        with served(HookMiddleware(app, self.engine, **options)) as url:
            headers = {"content-type": kind or "application/json"}
            return httpx.post(url + path, content=content, headers=headers).status_code == 200


@pytest.fixture
def bench(hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> Bench:
    """With nothing set up yet."""
    return Bench(hook_engine, hook_receiver)


def way(function: Callable[[Bench], None]) -> Callable[[Bench], None]:
    """The walk of the page's line of this name."""
    WAYS[function.__name__] = function
    return function


@way
def no_answer(bench: Bench) -> None:
    """The receiver can't be reached, is too slow, or its address is blocked."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    bench.gate(url=f"http://127.0.0.1:{port}/")
    bench.forbidden_by_stop()


@way
def bad_answer(bench: Bench) -> None:
    """It answers with another status (a proxy's 403 page too), a redirect, or a reply that can't be obeyed."""
    bench.gate()
    for answer in (
        fails(),
        Answer(403, b"<html>"),
        Answer(302, headers={"location": "/"}),
        Answer(200, b'{"allow": 1}'),
    ):
        bench.receiver.script = answer
        bench.set(on_failure="continue")
        bench.forbidden_by_stop()


@way
def paused(bench: Bench) -> None:
    """The hook is paused: by hand, by 410, by the circuit breaker."""
    bench.gate()
    bench.engine.hooks.pause("gate")
    bench.forbidden_by_stop()


@way
def lost_key(bench: Bench) -> None:
    """Its secrets can't be decrypted."""
    bench.gate(auth_login="a", auth_password="s3cret")
    with bench.engine.runtime.database.write() as connection:
        connection.exec_driver_sql("UPDATE hook SET auth_password = replace(auth_password, 'v1.', 'v1.0')")
    bench.engine.runtime.cache.forget()  # others' edits are seen within 5 ms, which a test is too quick for
    bench.forbidden_by_stop()


@way
def broken_condition(bench: Bench) -> None:
    """Its condition gives neither true nor false on this payload."""
    bench.gate(condition='order.number == "A-1"')  # this payload has none
    bench.forbidden_by_stop()


@way
def broken_body(bench: Bench) -> None:
    """Its body can't be made from this payload."""
    bench.gate(body='{"number": "{{ order.number }}"}')
    bench.forbidden_by_stop()


@way
def out_of_time(bench: Bench) -> None:
    """Earlier hooks have used up the deadline of the firing."""
    bench.gate()
    assert bench.passes(deadline=0.01)
    bench.set(on_failure="stop")
    assert not bench.passes(deadline=0.01)


@way
def switched_off(bench: Bench) -> None:
    """The hook is switched off."""
    bench.gate(active=False)
    assert bench.passes()
    bench.set(active=True)
    assert not bench.passes()


@way
def out_of_period(bench: Bench) -> None:
    """Its period has not begun or is over."""
    now = bench.engine.clock.now
    for period in ({"valid_from": now + timedelta(days=1)}, {"valid_until": now - timedelta(days=1)}):
        bench.engine.hooks.ensure(gate(EVENT, bench.receiver.url))
        bench.set(**period)
        assert bench.passes()
        bench.set(valid_from=None, valid_until=None)
        assert not bench.passes()


@way
def condition_false(bench: Bench) -> None:
    """Its condition is false on this payload."""
    bench.gate(condition="order.sum > 10000")
    assert bench.passes()
    bench.set(condition="")
    assert not bench.passes()


@way
def background_mode(bench: Bench) -> None:
    """Nobody waits for it: wait_for_response is off, or fire_and_forget overrules it (doctor lists such hooks)."""
    bench.engine.hooks.add(Hook(key="gate", name="Gate", event=EVENT, url=bench.receiver.url))
    assert bench.passes()
    bench.engine.hooks.update("gate", {"wait_for_response": True}, stored=True)
    assert bench.passes()  # overruled
    bench.set(fire_and_forget=False, wait_for_response=True)
    assert not bench.passes()


@way
def too_late(bench: Bench) -> None:
    """Its event comes after the operation: a no is recorded as refused."""
    bench.gate(event="after_registration", on_failure="stop")
    firing = bench.engine.fire("after_registration", {})
    assert (firing.allowed, firing.deliveries[0].outcome) == (True, "refused")
    bench.set(event=EVENT)
    assert not bench.passes()


@way
def any_text(bench: Bench) -> None:
    """A gate takes any 2xx reply without JSON for a yes, an empty one too."""
    bench.gate(response_has_data=False)
    bench.receiver.script = Answer(200, b"Sign in", headers={"content-type": "text/html"})
    assert bench.passes()
    bench.set(response_has_data=True, on_failure="stop")
    assert not bench.passes()
    bench.receiver.script = Answer(200, b"")
    assert bench.passes()


@way
def other_call(bench: Bench) -> None:
    """The call means no event: another path or method, a websocket; what runs without a call (a cron job)."""
    bench.gate()
    assert bench.call("/shop/order")
    assert not bench.call("/shop/order", bind={EVENT: ["POST /shop/order"]})
    assert not bench.passes()


@way
def left_to_you(bench: Bench) -> None:
    """Bind={event: []}, or before_registration, leaves the event to the handler, which does not fire it."""
    bench.gate()
    assert bench.call(bind={EVENT: []})
    assert not bench.call()
    bench.set(event="before_registration")
    new = "/organization/user/new"
    assert bench.call(new)
    assert not bench.call(new, bind={"before_registration": [f"POST {new}"]})


@way
def condition_of_host(bench: Bench) -> None:
    """A condition of the middleware (conditions) says that the call does not mean the event."""
    bench.gate(event="before_order_setstatus")
    for holds in (False, True):
        assert (
            bench.call("/user/sber_get_status", conditions={"order_sum_authorised": lambda call, h=holds: h})
            is not holds
        )


@way
def verdict_ignored(bench: Bench) -> None:
    """The code that calls fire() does not look at firing.allowed."""
    bench.gate()
    firing = bench.engine.fire(EVENT, ORDER)  # and whoever goes on here
    with pytest.raises(Vetoed):
        firing.raise_for_veto()
    assert not bench.call()


@way
def same_key(bench: Bench) -> None:
    """Idempotency_key was used within 10 minutes: the outcome of then stands, no hook is asked again."""
    bench.gate()
    bench.receiver.script = allows()
    assert bench.passes(idempotency_key="order-7")
    bench.receiver.script = NO
    assert bench.passes(idempotency_key="order-7")
    assert not bench.passes(idempotency_key="order-7-again")
    assert not bench.passes()


@way
def half_a_request(bench: Bench) -> None:
    """The client left in the middle of its body: the handler learns of that, hooks are not asked."""
    bench.gate()
    reached: list[str] = []

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        whole = ""
        while (message := await receive())["type"] == "http.request":
            whole += message["body"].decode()
            if not message.get("more_body"):
                reached.append(whole)
                break

    head = f"POST {ADD} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n"
    with served(HookMiddleware(handler, bench.engine), lifespan="off") as url, raw(url) as sock:
        sock.sendall(head.encode() + b'{"order": ')
    assert (reached, bench.engine.fired) == ([], [])


@way
def unseen_ask(bench: Bench) -> None:
    """Unseen='ask': hooks are asked about {} in the place of a body that they can't see."""
    bench.gate(condition="order is defined and order.sum > 1000")
    assert bench.call(kind="text/plain", unseen="ask")
    assert not bench.call(kind="text/plain")


@way
def unseen_on_failure(bench: Bench) -> None:
    """Unseen='on_failure' and a hook set to continue."""
    bench.gate()
    assert bench.call(kind="text/plain", unseen="on_failure")
    assert not bench.call(kind="text/plain")
    bench.set(on_failure="stop")
    assert not bench.call(kind="text/plain", unseen="on_failure")


@way
def own_shape(bench: Bench) -> None:
    """A Shape of your own makes a payload of a body that hooks can't see."""

    def strict(call: ApiCall) -> dict[str, Any]:
        if not call.seen:
            raise ValueError("unseen")
        return dict(call.body)

    bench.gate(condition="order is defined and order.sum > 1000")
    assert bench.call(kind="text/plain", shapes={EVENT: Shape(lambda call: call.body or {})})
    assert not bench.call(kind="text/plain", shapes={EVENT: Shape(strict)})


@way
def no_depth(bench: Bench) -> None:
    """A receiver calls your service without handing on hook-depth: the guard against loops does not see it."""
    bench.gate()
    bench.receiver.script = allows()
    assert bench.passes()  # the twentieth of a circle looks like the first
    assert not bench.passes(depth="20")


def lines() -> list[str]:
    """The names of the page's ways."""
    return re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)


def test_every_line_of_the_page_is_walked() -> None:
    """And nothing is walked that the page does not tell."""
    assert sorted(lines()) == sorted(WAYS)
    assert len(lines()) == len(set(lines()))


@pytest.mark.parametrize("name", WAYS)
def test_a_way_passes_and_can_be_forbidden(bench: Bench, name: str) -> None:
    """As the page says."""
    WAYS[name](bench)


def test_what_the_client_chooses_passes_under_no_setting_of_a_hook(bench: Bench) -> None:
    """A spelling, and a chain of calls: `continue` says nothing of them."""
    bench.gate(on_failure="continue")
    assert not bench.call(kind="text/plain")
    assert not bench.passes(depth=6)


def test_an_event_of_ones_own_is_no_exception(hook_receiver: HookReceiver) -> None:
    """What holds for the document's events holds for a service's."""
    own = Event("order.paid", "Order paid", "before", (f"POST {ADD}",))
    with MemoryEngine(events=[own]) as engine:
        bench = Bench(engine, hook_receiver)
        bench.gate(event="order.paid")
        assert not bench.call(kind="text/plain")
        assert not engine.fire("order.paid", {}, depth=6).allowed
