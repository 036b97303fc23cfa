"""Bodies that hooks can't see: the client chooses the spelling of its call, so it is refused before the handler."""

from __future__ import annotations

import gzip
import json
import os
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from hookrow import Hook
from hookrow.asgi import ApiCall, HookMiddleware, Shape
from hookrow.errors import EventNotFound, InvalidInput
from hookrow.middleware.views import BodyKind, Unseen, content_kind, view
from hookrow.testing import HookReceiver, MemoryEngine, assert_fired, changes, vetoes
from hosting import ADD, gate, raw

Host = Callable[..., AbstractContextManager[str]]
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
DEAR = b'{"order": {"sum": 5000}}'
B = "multipart/form-data; boundary=B"


def part(head: str, data: str = "5000") -> bytes:
    """A multipart body of one part."""
    return f"--B\r\n{head}\r\n\r\n{data}\r\n--B--\r\n".encode()


SUM = 'Content-Disposition: form-data; name="sum"'
SPELLINGS: dict[str, tuple[bytes, dict[str, str] | list[tuple[str, str]], int]] = {
    "a doubled key": (b'{"order": {"sum": 5}, "order": {"sum": 5000}}', JSON, 400),
    "NaN": (b'{"order": {"sum": 5000, "x": NaN}}', JSON, 400),
    "half a character": (b'{"order": {"sum": 5000, "x": "\\ud83d"}}', JSON, 400),
    "an endless number": (b'{"order": {"sum": 5000, "x": 1e400}}', JSON, 400),
    "UTF-16": (DEAR.decode().encode("utf-16"), JSON, 400),
    "too deep": (b'{"order": {"sum": 5000}, "x": ' + b"[" * 101 + b"]" * 101 + b"}", JSON, 400),
    "no object": (b"[" + DEAR + b"]", JSON, 400),
    "broken": (DEAR[:-1], JSON, 400),
    "text": (DEAR, {"content-type": "text/plain"}, 415),
    "no type": (DEAR, {}, 415),
    "another charset": (DEAR, {"content-type": "application/json; charset=windows-1251"}, 415),
    "two charsets": (DEAR, {"content-type": "application/json; charset=utf-8; charset=utf-16"}, 415),
    "compressed": (gzip.compress(DEAR), {**JSON, "content-encoding": "gzip"}, 415),
    "a false encoding": (DEAR, {**JSON, "content-encoding": "br"}, 415),
    "two types": (DEAR, [("content-type", "application/json"), ("content-type", "text/plain")], 415),
    "two types in one": (DEAR, {"content-type": "application/json, text/plain"}, 415),
    "a byte over the limit": (b'{"order": {"sum": 5000}, "x": "' + b"x" * 968 + b'"}', JSON, 413),
    "JSON that says it is a form": (DEAR, FORM, 400),
    "a doubled field": (b"sum=5&sum=5000", FORM, 400),
    "half an escape": (b"sum=5000&x=%4", FORM, 400),
    "a form in no charset": (b"sum=5000&x=%ff", FORM, 400),
    "a doubled part": (part(SUM, f"5\r\n--B\r\n{SUM}\r\n\r\n5000"), {"content-type": B}, 400),
    "a part in base64": (part(f"{SUM}\r\nContent-Transfer-Encoding: base64"), {"content-type": B}, 400),
    "a part in another charset": (part(f"{SUM}\r\nContent-Type: text/plain; charset=utf-7"), {"content-type": B}, 400),
    "a header twice": (part(f"{SUM}\r\n{SUM}x"), {"content-type": B}, 400),
    "an escaped name": (part(SUM.replace("sum", 'a\\"')), {"content-type": B}, 400),
    "a name by RFC 2231": (part(SUM.replace('name="sum"', "name*=utf-8''sum")), {"content-type": B}, 400),
    "something before the first part": (b"x\r\n" + part(SUM), {"content-type": B}, 400),
    "lines that end in LF": (part(SUM).replace(b"\r\n", b"\n"), {"content-type": B}, 400),
    "a delimiter inside a line": (part(SUM, "x--B\r\n"), {"content-type": B}, 400),
    "a part without an end": (part(SUM)[:-6], {"content-type": B}, 400),
    "another boundary": (part(SUM), {"content-type": B + "B"}, 400),
    "no boundary": (part(SUM), {"content-type": "multipart/form-data"}, 415),
}


def test_no_spelling_of_a_body_goes_past_a_gate(
    host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """Whatever the gate's `on_failure` is: it was never asked, the handler not reached, and the log says so."""
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    hook_engine.hooks.add(Hook(key="erp", name="ERP", event="before_order_add", url=hook_receiver.url, position=1))
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url, key="second", active=False))
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url, key="third", condition="false"))
    with host(limit=1000) as url, httpx.Client() as client:
        for name, (content, headers, status) in SPELLINGS.items():
            response = client.post(url + ADD, content=content, headers=headers)
            assert (name, response.status_code) == (name, status)
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["code"] == "unseen_body"
            firing = hook_engine.log.get(hook_engine.fired[-1].id)
            assert firing.outcome == "failed"
            assert firing.veto is not None
            assert (firing.veto.by, firing.veto.hook.key, firing.veto.code) == ("failure", "gate", "unseen_body")
            assert hook_engine.outcomes(firing) == {
                "erp": "after_veto",
                "gate": "failed",
                "second": "inactive",
                "third": "failed",
            }
            assert [each.error for each in firing.deliveries] == [None, "unseen_body", None, "unseen_body"]
        chunks = iter([b'{"order": {"sum": 5000}, "x": "', b"x" * 1000, b'"}'])
        assert client.post(url + ADD, content=chunks, headers=JSON).status_code == 413
    assert (hook_engine.deliver(), hook_receiver.received) == (0, [])


def test_without_a_gate_in_force_the_call_passes(
    host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """Background hooks alone refuse nothing: they get an empty payload, the handler the client's own bytes."""
    hook_engine.hooks.add(Hook(key="erp", name="ERP", event="before_order_add", url=hook_receiver.url))
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url, active=False))
    with host(limit=1000) as url:
        for content, headers, _ in SPELLINGS.values():
            got = httpx.post(url + ADD, content=content, headers=headers).json()
            assert got["body"].encode("latin-1") == content
    hook_engine.deliver()
    assert [each.data for each in hook_receiver.received] == [{}] * len(SPELLINGS)


@pytest.mark.parametrize(("on_failure", "status", "erp"), [("continue", 200, "queued"), ("stop", 415, "after_veto")])
def test_each_hooks_own_setting_may_decide(
    host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver, on_failure: str, status: int, erp: str
) -> None:
    """With `unseen="on_failure"`: `stop` refuses with its own message, `continue` lets pass; nobody is asked."""
    said = {"on_failure": on_failure, "fallback_message": "Позже"}
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url, **said))
    hook_engine.hooks.add(Hook(key="erp", name="ERP", event="before_order_add", url=hook_receiver.url))
    with host(unseen="on_failure") as url:
        response = httpx.post(url + ADD, content=DEAR)
    assert (response.status_code, hook_receiver.received) == (status, [])
    if status != 200:
        assert (response.json()["detail"], response.json()["code"]) == ("Позже", "unseen_body")
    assert hook_engine.outcomes(hook_engine.fired[0]) == {"gate": "failed", "erp": erp}


def test_they_may_be_asked_about_nothing(host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """With `unseen="ask"`, for one event: an empty payload; another event is still refused."""
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    hook_engine.hooks.add(gate("before_order_update", hook_receiver.url, key="update"))
    with host(unseen={"before_order_add": "ask"}) as url:
        assert httpx.post(url + ADD, content=DEAR).json()["body"].encode() == DEAR
        assert httpx.post(url + "/user/order/7", content=DEAR).status_code == 415
        hook_receiver.script = vetoes("no")
        assert httpx.post(url + ADD, content=DEAR).status_code == 422
    assert [each.data for each in hook_receiver.received] == [{}, {}]


def test_a_shape_of_ones_own_decides(host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """It sees that nothing is seen; what it raises fails the request."""

    def payload(call: ApiCall) -> dict[str, Any]:
        if call.header("x-strict"):
            raise RuntimeError("not without a body")
        return {"seen": call.seen, "path": call.path}

    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    with host(shapes={"before_order_add": Shape(payload)}) as url:
        assert httpx.post(url + ADD, content=DEAR).status_code == 200
        assert httpx.post(url + ADD, content=DEAR, headers={"x-strict": "1"}).status_code == 500
    assert [each.data for each in hook_receiver.received] == [{"seen": False, "path": ADD}]


def test_an_empty_body_is_an_empty_object(host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """Whatever the headers say of it."""
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    with host() as url:
        for headers in ({}, JSON, {"content-type": "text/plain", "content-encoding": "gzip"}):
            assert httpx.post(url + ADD, headers=headers).status_code == 200
        assert httpx.post(url + ADD, content=iter([b"", b""])).status_code == 200
        assert httpx.get(url + ADD).status_code == 200
    assert [each.data for each in hook_receiver.received] == [{}] * 5


def test_a_form_is_seen_as_texts(host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """Files are left out; a hook's change is passed over with a warning, the handler gets the client's bytes."""
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    hook_receiver.script = changes({"sum": "1"})
    with host() as url:
        got = httpx.post(url + ADD, data={"sum": "5 000", "имя": "Ирина"}).json()
        assert got["body"] == "sum=5+000&%D0%B8%D0%BC%D1%8F=%D0%98%D1%80%D0%B8%D0%BD%D0%B0"
        httpx.post(url + ADD, data={"sum": "5 000", "имя": "Ирина"}, files={"photo": ("a.png", b"\xff--x\r\n")})
    assert [each.data for each in hook_receiver.received] == [{"sum": "5 000", "имя": "Ирина"}] * 2
    for firing in hook_engine.fired:
        recorded = hook_engine.log.get(firing.id)
        assert (recorded.data, len(recorded.warnings), firing.data) == (firing.payload, 1, firing.payload)
        assert [each.outcome for each in recorded.deliveries] == ["ok"]


def test_a_payload_longer_than_the_setting_is_too_large(
    host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """Where `limit` is more than the engine takes."""
    hook_engine.settings.set("payload_limit", "1024")
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    with host() as url:
        response = httpx.post(url + ADD, json={"order": "x" * 2000})
    assert (response.status_code, response.json()["code"]) == (413, "unseen_body")
    assert assert_fired(hook_engine, "before_order_add")[0].outcome == "failed"


def test_a_client_that_waits_for_leave_to_send_is_refused_at_once(
    host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """A length beyond the limit is enough: nothing of the body is asked for."""
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    head = f"POST {ADD} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9999999\r\n\r\n{{"
    with host(limit=100) as url, raw(url) as sock:
        sock.sendall(head.encode())
        assert sock.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_other_words_are_refused(hook_engine: MemoryEngine) -> None:
    """A misspelled setting must not be taken for another."""
    with pytest.raises(InvalidInput, match="unseen"):
        HookMiddleware(None, hook_engine, unseen="refused")  # type: ignore[arg-type]
    with pytest.raises(EventNotFound):
        HookMiddleware(None, hook_engine, unseen={"before_order_ad": "ask"})  # type: ignore[arg-type]


NAMES = st.sampled_from(["content-type", "content-encoding", "accept"])
VALUES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["application/json", "application/json;charset=utf-8", B, FORM["content-type"], "identity"]),
)
BODIES = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from([b"--B", b"\r\n", b"--", SUM.encode(), b"=", b"&", b"a", b"%ff", b'"', b"{}"])).map(
        b"".join
    ),
)


CALLS = st.lists(st.tuples(NAMES, VALUES), max_size=3), BODIES


def seen_or_refused(headers: list[tuple[str, str]], body: bytes) -> None:
    """Never an exception; what is seen is plain JSON data."""
    kind = content_kind(headers)
    seen = view(kind, body) if isinstance(kind, BodyKind) else kind
    if isinstance(seen, Unseen):
        assert seen.status in (400, 413, 415)
        assert str(seen.text)
    else:
        assert json.loads(json.dumps(seen)) == seen


@given(*CALLS)
def test_any_body_is_seen_or_has_a_reason(headers: list[tuple[str, str]], body: bytes) -> None:
    """A few."""
    seen_or_refused(headers, body)


@pytest.mark.torture
def test_any_body_for_minutes() -> None:
    """Rounds of 2,000 until `HOOKROW_MINUTES` are over; prints the seed (`HOOKROW_SEED` repeats it) and the count."""
    number = int(os.environ.get("HOOKROW_SEED") or random.SystemRandom().randrange(1_000_000))
    minutes = float(os.environ.get("HOOKROW_MINUTES", "1"))
    luck, began, rounds = random.Random(number), time.monotonic(), 0
    while time.monotonic() - began < minutes * 60:
        examples = settings(max_examples=2000, deadline=None, database=None, phases=[Phase.generate])
        seed(luck.randrange(1 << 32))(examples(given(*CALLS)(lambda headers, body: seen_or_refused(headers, body))))()
        rounds += 1
    print(f"seed {number}: {rounds * 2000} bodies, {(time.monotonic() - began) / 60:.1f} minutes")
