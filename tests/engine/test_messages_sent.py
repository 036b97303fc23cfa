"""What leaves, as httpx sees it: headers, credentials, bodies, retries."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pytest_httpx import HTTPXMock

from engine_bench import Bench
from hookrow import AsyncHookEngine
from scripted import HandClock, Network

pytestmark = pytest.mark.anyio
ALWAYS = {
    "content-type",
    "webhook-id",
    "webhook-timestamp",
    "hook-event",
    "hook-mode",
    "hook-attempt",
    "hook-depth",
    "hook-occurred-at",
}
OF_HTTP = {"host", "content-length", "user-agent", "accept-encoding", "accept", "connection"}


@pytest.fixture
async def sending(tmp_path: Path, clock: HandClock, anyio_backend: str) -> AsyncIterator[Bench]:
    """An engine on httpx's own transport, which pytest-httpx answers for."""
    transport = httpx.AsyncHTTPTransport()
    engine = AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False, transport=transport, clock=clock)
    async with engine:
        yield Bench(engine, Network(), clock)


async def test_a_waiting_hooks_headers_are_these_and_no_others(sending: Bench, httpx_mock: HTTPXMock) -> None:
    """With its limit in milliseconds; identity is asked for; no cookie, no secret that is not set."""
    httpx_mock.add_response()
    await sending.gate("h", timeout=3)
    await sending.fire()
    [request] = httpx_mock.get_requests()
    assert set(request.headers) - OF_HTTP == ALWAYS | {"hook-deadline-ms"}
    assert request.method == "POST"
    assert (request.headers["hook-deadline-ms"], request.headers["accept-encoding"]) == ("3000", "identity")
    assert (request.headers["hook-event"], request.headers["hook-mode"]) == ("before_order_add", "gate")


async def test_a_background_hook_has_no_deadline_header(sending: Bench, httpx_mock: HTTPXMock) -> None:
    """Nobody waits."""
    httpx_mock.add_response()
    await sending.hook("h")
    await sending.engine.send_own(await sending.fire())
    [request] = httpx_mock.get_requests()
    assert set(request.headers) - OF_HTTP == ALWAYS


async def test_credentials_and_the_custom_header(sending: Bench, httpx_mock: HTTPXMock) -> None:
    """Basic auth by RFC 7617 in UTF-8; the header by its name."""
    httpx_mock.add_response()
    await sending.gate("h", auth_login="анна", auth_password="па:роль", custom_header="X-Source: crm")
    await sending.fire()
    [request] = httpx_mock.get_requests()
    assert request.headers["authorization"] == httpx.BasicAuth("анна", "па:роль")._auth_header
    assert request.headers["x-source"] == "crm"


async def test_the_envelope(sending: Bench, httpx_mock: HTTPXMock) -> None:
    """An empty body is the standard one, with the firing's id."""
    httpx_mock.add_response()
    await sending.gate("h")
    firing = await sending.fire()
    body = json.loads(httpx_mock.get_requests()[0].content)
    assert body == {
        "id": firing.id,
        "type": "before_order_add",
        "timestamp": body["timestamp"],
        "data": {"order": {"id": 7, "sum": 100}},
    }
    assert body["timestamp"].startswith("2026-11-25T12:00:00")


async def test_a_template(sending: Bench, httpx_mock: HTTPXMock) -> None:
    """Outside quotes a JSON value, inside a piece of the string."""
    httpx_mock.add_response(is_reusable=True)
    await sending.gate("h")
    await sending.fire()  # bodies are tried on the last recorded payload
    await sending.engine.hooks.update("h", body='{"n": {{ order.id }}, "s": "sum {{ order.sum }}"}')
    await sending.fire()
    assert json.loads(httpx_mock.get_requests()[1].content) == {"n": 7, "s": "sum 100"}


async def test_tests_and_replays_are_marked(sending: Bench, httpx_mock: HTTPXMock) -> None:
    """`hook-test: 1`, `hook-replay-of` with the recorded firing's id."""
    httpx_mock.add_response(is_reusable=True)
    await sending.gate("h")
    firing = await sending.fire()
    await sending.engine.test("h")
    await sending.engine.replay(firing.id)
    plain, test, replay = (request.headers for request in httpx_mock.get_requests())
    assert [each.get("hook-test") for each in (plain, test, replay)] == [None, "1", None]
    assert [each.get("hook-replay-of") for each in (plain, test, replay)] == [None, None, firing.id]


async def test_a_retry_sends_the_same_bytes_with_the_next_number(sending: Bench, httpx_mock: HTTPXMock) -> None:
    """The same `webhook-id`, a new timestamp; an edit of the body meanwhile changes nothing."""
    httpx_mock.add_response(500)
    httpx_mock.add_response(200)
    await sending.hook("h", fire_and_forget=False)
    firing = await sending.engine.send_own(await sending.fire())
    await sending.engine.hooks.update("h", body='{"other": 1}')
    sending.clock.forward(60)
    worker = sending.engine.sending.new_worker()
    await worker.send_firings({firing.row_id}, first_only=False)
    first, second = httpx_mock.get_requests()
    assert first.content == second.content
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert [each.headers["hook-attempt"] for each in (first, second)] == ["1", "2"]
    stamps = [int(each.headers["webhook-timestamp"]) for each in (first, second)]
    assert stamps[1] - stamps[0] == 60
