"""What a receiver gets on the wire: signatures that its library verifies, credentials, headers, bodies."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from engine_bench import Bench
from fuzzing import JSON, fuzz
from hookrow import Hook, HookEngine
from hookrow.errors import InvalidPayload
from hookrow.transport.outgoing import place_of, spelled_by_httpx
from receivers import Receiver, Request, reply

EVENT = "before_order_add"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """Allows everything."""
    with Receiver(reply(200, b"{}")) as made:
        yield made


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HookEngine]:
    """With the transport that is shipped and the machine's clock."""
    with HookEngine(f"sqlite:///{tmp_path_factory.mktemp('sent')}/hooks.db", worker=False) as made:
        yield made


@pytest.fixture
def last(engine: HookEngine, receiver: Receiver) -> Iterator[Any]:
    """Adds a waiting hook with these fields; then each call fires a payload and gives the request that came."""
    added: list[Hook] = []

    def fire(payload: dict[str, Any] | None = None) -> Request:
        firing = engine.fire(EVENT, {"order": {"id": 7}} if payload is None else payload)
        assert [each.error for each in firing.deliveries] == [None]
        return receiver.requests[-1]

    def add(**fields: Any) -> Any:
        added.append(engine.hooks.add(Hook(name="h", event=EVENT, url=receiver.url, wait_for_response=True, **fields)))
        return fire

    yield add
    for hook in added:
        engine.hooks.remove(hook.id or 0)


def verified(secret: str, request: Request) -> Any:
    """What the standard's own library makes of the bytes that came; it raises where the signature is not right."""
    return Webhook(secret).verify(request.body, {name.lower(): value for name, value in request.headers})


def test_every_signature_is_verified_by_the_reference_library(engine: HookEngine, receiver: Receiver) -> None:
    """500 requests, half of them the standard envelope, half a template: the very bytes that came are signed."""
    made = {"event": EVENT, "url": receiver.url, "wait_for_response": True}
    template = '{"o": {{ order }}, "text": "{{ order }}", "n": [{{ payload }}]}'
    hooks = [engine.hooks.add(Hook(name="envelope", **made)), engine.hooks.add(Hook(name="own", body=template, **made))]
    first, second = (engine.hooks.new_secret(hook.name) for hook in hooks)

    def check(value: Any) -> None:
        engine.fire(EVENT, {"order": value})
        envelope, own = receiver.requests[-2:]
        assert verified(first, envelope)["data"]["order"] == value
        assert verified(second, own)["o"] == value

    fuzz(JSON, check, count=250, refusals=(InvalidPayload,))
    check({"b": 1, "a": "ж", "n": 1.0, "big": 12345678901234567890, "t": '\u2028\x00"\\'})
    for hook in hooks:
        engine.hooks.remove(hook.id or 0)


def test_both_secrets_verify_while_one_is_rotated(engine: HookEngine, last: Any) -> None:
    """The receiver may have either; one that it never had does not verify."""
    fire = last()
    old = engine.hooks.new_secret("h")
    new = engine.hooks.new_secret("h", rotate=True)
    request = fire()
    assert verified(old, request) == verified(new, request)
    with pytest.raises(WebhookVerificationError):
        verified("whsec_" + "A" * 32, request)


@pytest.mark.parametrize(
    ("login", "password", "sent"),
    [
        ("Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),  # RFC 7617, 2
        ("test", "123£", "Basic dGVzdDoxMjPCow=="),  # RFC 7617, 2.1
        ("a", "b:c", "Basic YTpiOmM="),
        ("b2b", "", "Basic YjJiOg=="),
        ("", "x", "Basic Ong="),
        ("анна", "па роль", "Basic 0LDQvdC90LA60L/QsCDRgNC+0LvRjA=="),
    ],
)
def test_basic_authentication_on_the_wire(last: Any, login: str, password: str, sent: str) -> None:
    """The vectors of RFC 7617 and others, also where they came in the URL."""
    request = last(auth_login=login, auth_password=password or None)()
    assert [value for name, value in request.headers if name.lower() == "authorization"] == [sent]
    assert b64decode(sent.removeprefix("Basic ")).decode() == f"{login}:{password}"


def test_credentials_of_the_url_leave_in_their_header(engine: HookEngine, receiver: Receiver) -> None:
    """Decoded; the request's line and Host hold nothing of them."""
    url = receiver.url.replace("://", "://us%20er:S3c%3Aret@") + "hold?a=b%20c"
    hook = engine.hooks.add(Hook(name="url", event=EVENT, url=url, wait_for_response=True))
    engine.fire(EVENT, {"order": {}})
    engine.hooks.remove(hook.id or 0)
    request = receiver.requests[-1]
    assert request.path == "/hold?a=b%20c"
    assert request.header("host") == f"127.0.0.1:{receiver.port}"
    assert b64decode(str(request.header("authorization"))[6:]) == b"us er:S3c:ret"
    assert b"S3c" not in request.head


@pytest.mark.parametrize(
    "header",
    [
        "X-Source: crm",
        'x-lower: a:b, c;d="e"',
        "Authorization: Bearer t.o-k_e~n+/=",
        "X-Tab: a\tb",
        "X_Odd-1: v",
    ],
)
def test_the_custom_header_goes_as_it_was_written(last: Any, header: str) -> None:
    """Name, case and value, once."""
    assert f"\r\n{header}\r\n".encode() in last(custom_header=header)().head


def test_no_byte_of_a_request_gives_a_secret_away(engine: HookEngine, last: Any) -> None:
    """Neither raw nor in hexadecimal, base64 or URL form, in the header, the body or anywhere."""
    fire = last()
    secret = engine.hooks.new_secret("h")
    raw = b64decode(secret.removeprefix("whsec_"))
    request = fire()
    everything = (request.head + request.body).lower()
    for form in (secret.encode(), secret[6:].encode(), raw, raw.hex().encode()):
        assert form.lower() not in everything


@pytest.mark.anyio
async def test_what_waited_while_a_secret_was_rotated_verifies_with_either(bench: Bench) -> None:
    """Twenty queued deliveries, the receiver still has the old secret: signed at sending, with both."""
    await bench.hook("h", event="after_registration")
    old = await bench.engine.hooks.new_secret("h")
    queued = [await bench.fire({"user": {"id": number}}, event="after_registration") for number in range(20)]
    new = await bench.engine.hooks.new_secret("h", rotate=True)
    for firing in queued:
        await bench.engine.send_own(firing)
    assert len(bench.network.requests) == 20
    for request in bench.network.requests:
        signatures = request.headers["webhook-signature"].split()
        stamp = bench.engine.runtime.clock.now_ms() // 1000
        for secret in (old, new):
            made = Webhook(secret).sign(
                request.headers["webhook-id"], datetime.fromtimestamp(stamp, UTC), request.content.decode()
            )
            assert made in signatures


RUNAWAY = {
    "too much work": "[{% for a in l %}{% for b in l %}{% set x = a ~ b %}{% endfor %}{% endfor %}0]",
    "too long": '{"all": [{% for a in l %}{{ payload }},{% endfor %}0]}',
    "a name that is missing": '{"id": {% if l %}{{ l[0].nope }}{% else %}0{% endif %}}',
}


@pytest.mark.anyio
@pytest.mark.parametrize("kind", RUNAWAY)
async def test_a_body_that_runs_away_fails_its_delivery_alone(bench: Bench, kind: str) -> None:
    """Saved on a small payload, fired on a large one: `template_error`, nothing is sent, the row goes on."""
    await bench.gate("first")
    await bench.fire({"l": []})
    await bench.gate("runs", body=RUNAWAY[kind])
    await bench.gate("well")
    await bench.hook("background", body=RUNAWAY[kind])
    firing = await bench.engine.send_own(await bench.fire({"l": ["x" * 100] * 3000}))
    found = {each.hook.name: (each.outcome, each.error) for each in firing.deliveries}
    assert found == {
        "first": ("ok", None),
        "runs": ("failed", "template_error"),
        "well": ("ok", None),
        "background": ("dead", "template_error"),
    }
    assert firing.allowed
    assert [request.url.path for request in bench.network.requests] == ["/first", "/first", "/well"]


@pytest.mark.anyio
async def test_the_place_of_what_a_payload_can_not_hold_is_named(bench: Bench) -> None:
    """By its JSON Pointer; nothing is called, queued or recorded."""
    await bench.gate("h")
    await bench.hook("b")
    odd = {
        "/order/sum": {"order": {"sum": float("nan")}},
        "/order/items/1/price": {"order": {"items": [{}, {"price": Decimal("9.90")}]}},
        "/order/a~1b/~0c": {"order": {"a/b": {"~c": {1, 2}}}},
        "/order/at": {"order": {"at": datetime(2026, 11, 25)}},  # noqa: DTZ001 - that is the point
        "/order/raw": {"order": {"raw": b"x"}},
        "/order/half": {"order": {"half": "\ud800"}},
    }
    for pointer, payload in odd.items():
        with pytest.raises(InvalidPayload) as refused:
            await bench.fire(payload)
        assert (refused.value.pointer, pointer in str(refused.value)) == (pointer, True)
    with pytest.raises(InvalidPayload):
        await bench.fire({"order": "x" * 1_048_577})
    assert bench.network.requests == []
    assert await bench.engine.log.page() == []


PARTS = st.lists(st.sampled_from(["a", "B", "0", "-", ".", "..", "/", "?", "%20", "%2f", "&=", "'", ";", ":", "@"]))


@given(
    st.sampled_from(["h", "h.example", "127.0.0.1", "127.1", "0x7f000001", "xn--e1afmkfd", "[::1]", "H.example"]),
    st.sampled_from(["", ":80", ":443", ":8080", ":65535"]),
    PARTS.map("".join),
)
def test_a_url_is_taken_apart_as_httpx_does(host: str, port: str, rest: str) -> None:
    """Whether it is plain, or has to be spelled anew: the same peer, target and `Host`."""
    for scheme in ("http", "https"):
        url = f"{scheme}://{host}{port}{f'/{rest}' if rest else ''}"
        assert place_of(url) == spelled_by_httpx(url)
