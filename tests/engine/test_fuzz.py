"""Whatever somebody types, sends or fires: an answer or a declared refusal, never another exception."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import strategies as st

from fuzzing import EXAMPLES, JSON, WILD, fuzz, pieces
from hookrow import Event, Hook
from hookrow.clock import SystemClock
from hookrow.delivery import message, reply
from hookrow.errors import InvalidPayload
from hookrow.events import CATALOGUE, Events
from hookrow.hook.checks import public_url
from hookrow.hook.egress import Egress
from hookrow.hook.fields import FIELDS
from hookrow.payload import admit, get_pointer, pointer_parts
from hookrow.store.configuration import settings as settingstore
from hookrow.template.compiled import Body, Condition, prepare
from hookrow.transport import Outgoing, Transport, exchange
from receivers import Peer, Receiver
from scripted import outgoing

PARTS: dict[str, Any] = {
    "event": "before_order_add",
    "mode": "gate",
    "msg_id": "msg_abc01",
    "attempt": 1,
    "sent_at_s": 1_795_597_450,
    "occurred_at_ms": 1_795_597_443_007,
}
EVENTS = Events(CATALOGUE)
PAYLOAD = {"order": {"id": 7, "sum": 10.5, "items": [{"sku": "a"}], "note": "x"}, "user": None}
WORDS = {None, "bad_reply", "connect_error", "reply_too_large", "bad_status", "redirect"}


def hook(**fields: Any) -> Hook:
    """A hook with these fields, the others in order."""
    return Hook(**{"name": "h", "event": "before_order_add", "url": "http://h/", **fields})


def a_url(url: str) -> None:
    """A URL that can be saved can be sent, logged without its secrets, and judged."""
    kept = hook(url=url).url
    request = Outgoing.of(message.Outline(kept).message("{}", **PARTS))
    _, host, port, _ = request.place.peer
    assert (bool(host), 0 < port < 65536) == (True, True)
    assert request.place.host.isascii()
    assert "@" not in request.place.host
    assert "@" not in urlsplit(kept).netloc
    public_url(kept)
    Egress.parse("public").verdict(host, host=host, port=port)


def a_header(header: str) -> None:
    """A header that can be saved is one line of the request, as it was written."""
    made = hook(custom_header=header)
    if made.custom_header:
        assert made.custom_header_value is not None
        pair = (made.custom_header, made.custom_header_value.value)
        request = Outgoing.of(message.Outline("http://h/", custom_header=pair).message("{}", **PARTS))
        line = f"{pair[0]}: {pair[1]}".encode("ascii")
        assert request.content.split(b"\r\n\r\n")[0].split(b"\r\n").count(line) == 1
        assert not set(b"\r\n\0") & set(line)


def credentials(pair: tuple[str, str]) -> None:
    """A login and password that can be saved are one header in ASCII (RFC 7617)."""
    made = hook(auth_login=pair[0], auth_password=pair[1])
    secret = made.auth_password.value if made.auth_password else ""
    assert message.basic_auth(made.auth_login, secret).isascii()


def a_wait(text: str) -> None:
    """Up to a day, or nothing."""
    seconds = reply.retry_after([("Retry-After", text), ("retry-after", "7")], 1_795_597_443_007)
    assert seconds is None or 0 <= seconds <= reply.LONGEST_RETRY_AFTER


def an_answer(given: tuple[str, bool, int, str, Any]) -> None:
    """What a waiting hook says has one meaning; what it changes is a payload with the same keys."""
    mode, before, status, kind, said = given
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    headers = [("content-type", kind), ("Location", kind)]
    found = reply.read(mode, before, status, headers, body, payload=PAYLOAD)
    assert (found.kind == "failed") is (found.error is not None)
    assert (found.kind in ("vetoed", "refused")) is (found.veto is not None)
    if found.data is not None:
        assert set(found.data) == set(PAYLOAD)
        admit(found.data, 10**7)
    reply.background("record", status, headers)


def a_body(source: str) -> None:
    """A template makes JSON."""
    json.loads(Body.compile(source).render(prepare(PAYLOAD), {"id": "evt_1", "type": "t", "timestamp": "now"}))


def a_condition(source: str) -> None:
    """It holds, or its unmet parts are told."""
    condition = Condition.compile(source)
    assert condition.test(prepare(PAYLOAD), {}) is (condition.unmet(prepare(PAYLOAD), {}) == ())


def a_policy(given: tuple[str, str, str]) -> None:
    """Nothing opens the metadata services; what is shown of a policy reads back as the same."""
    mode, allow, host = given
    policy = Egress.parse(mode, allow)
    assert policy.verdict("169.254.169.254", host=host) is not None
    policy.verdict(host, host=host, port=80)
    assert Egress.parse(mode, ", ".join(map(str, policy.allow))) == policy


def a_call(given: tuple[str, str]) -> None:
    """Every event that is found is one of the catalogue."""
    assert all(event.code in EVENTS for event in EVENTS.match(*given))


def a_payload(payload: Any) -> None:
    """It is JSON then, and small enough; or the place of what is none is named."""
    try:
        plain, text = admit(payload, 4096)
    except InvalidPayload as refused:
        pointer_parts(refused.pointer)
        raise
    assert json.loads(text) == plain
    assert len(text.encode()) <= 4096


def a_pointer(given: tuple[str, Any]) -> None:
    """A key that can be saved finds something or nothing."""
    kept = hook(order_key=given[0]).order_key
    get_pointer({"order": given[1]}, kept)


def an_event(parts: dict[str, Any]) -> None:
    """An event that is taken can be matched."""
    event = Event(**parts)
    Events([*CATALOGUE, event]).match("POST", "/a/7")


DATES = pieces(
    "Wed, ", "21 ", "Oct ", "2015 ", "07:28:00 ", "GMT", "-0000", "+9999", "99", "Mon", more="0123456789:,- "
)
HTTP = pieces(
    "http://",
    "https://",
    "user:",
    "p@",
    "%00",
    "%41",
    "[::1]",
    "[::ffff:1.2.3.4]",
    ":80",
    "xn--",
    "1.2.3.4",
    "пример",
    "。",
    "//",
    "0x7f",
    "\\",
    "?a=b",
    "#c",
    "/../",
    more=".:/@?#[]%-_ 0129aZ\t\n\0",
)
FUZZ: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], object]]] = {
    "a URL": (HTTP | HTTP.map(lambda text: "http://" + text) | HTTP.map(lambda text: f"https://h{text}"), a_url),
    "a header": (pieces("X-A", ": ", "Host", "webhook-", "\r\n", "Bearer ", more=":\r\n\0\t -_é"), a_header),
    "credentials": (st.tuples(pieces("a", ":", more="\r\n é"), pieces(more=":\r\n é")), credentials),
    "Retry-After": (DATES | st.text(), a_wait),
    "an answer": (
        st.tuples(
            st.sampled_from(["gate", "transform"]),
            st.booleans(),
            st.integers(200, 599),
            st.sampled_from(
                ["application/json", "text/html", "application/problem+json", "a;b=;", "http://h:99999/\x1b"]
            ),
            st.one_of(
                st.binary(max_size=40),
                pieces('{"allow"', ":", "false", "NaN", "1e999", '"\\ud800"', more='{}[],:"0').map(
                    lambda t: t.encode(errors="replace")
                ),
                st.dictionaries(st.sampled_from([*reply.KEYS, "x"]), JSON, max_size=5),
                st.fixed_dictionaries({"data": st.dictionaries(st.sampled_from(["order", "user", "x"]), JSON)}),
            ),
        ),
        an_answer,
    ),
    "a body": (
        pieces(
            "{{ ",
            " }}",
            "{% for i in order.items %}",
            "{% endfor %}",
            "{% if ",
            "%}",
            "{% set x = ",
            "order",
            ".id",
            "|tojson",
            "|join(",
            "payload",
            "loop.index",
            "webhook.result",
            '"',
            "{#",
            "#}",
            " is defined",
            more="{}[]()|.,:+-*/%~\"'\\0 \n",
        ),
        a_body,
    ),
    "a condition": (
        pieces(
            "order",
            ".sum",
            ".items",
            " and ",
            " or ",
            " not ",
            " in ",
            " == ",
            " > ",
            "[0]",
            "|length",
            " is ",
            "defined",
            " if ",
            " else ",
            "1e9",
            more="()[]{}.,|<>=!+-*/%~\"'0 \n",
        ),
        a_condition,
    ),
    "a policy": (
        st.tuples(
            st.sampled_from(["private", "public", "", "open"]),
            pieces(
                "10.0.0.0/8",
                "erp.local",
                ":80",
                "[fd00::7]",
                "169.254.0.0/16",
                ",",
                "::/0",
                "0.0.0.0/0",
                more="./:[],0 %",
            ),
            pieces("127.0.0.1", "0x7f", "::", "ffff", "%eth0", more="[]:.%0"),
        ),
        a_policy,
    ),
    "an API call": (
        st.tuples(
            st.sampled_from(["GET", "POST", "post", "", "DELETE", "\x00", "PÖST"]),
            pieces(
                "/organization",
                "/order",
                "/user",
                "/new",
                "/7",
                "/set_status",
                "//",
                "?a",
                "%2F",
                "..",
                more="/<>:{}%\\ \n\0",
            ),
        ),
        a_call,
    ),
    "a payload": (st.dictionaries(st.text(max_size=5), WILD, max_size=4) | WILD, a_payload),
    "an order key": (st.tuples(pieces("/order", "~0", "~1", "~", "/0", "/-1", more="/~0129"), JSON), a_pointer),
    "a hook": (
        st.dictionaries(st.sampled_from([*(field.code for field in FIELDS), "custom_header_value"]), WILD, max_size=4),
        lambda fields: hook(**fields),
    ),
    "a period": (
        st.tuples(
            *[
                pieces(
                    "01.11.2026",
                    "T10:00",
                    " 10:00",
                    "+03:00",
                    "Z",
                    "сегодня",
                    "+7д",
                    "31.02",
                    "9999",
                    more="0123456789.:-+ ",
                )
            ]
            * 2
        ),
        lambda pair: hook(valid_from=pair[0], valid_until=pair[1]),
    ),
    "an event": (
        st.fixed_dictionaries(
            {
                "code": pieces("order", "a", ".", more="_0Aя"),
                "title": st.text(max_size=5),
                "moment": st.sampled_from(["before", "after", "on", "x"]),
            },
            optional={
                "methods": st.lists(pieces("POST ", "/a", "/{id}", "/<x>", more="/{}<> :").map(str), max_size=2).map(
                    tuple
                ),
                "private": st.lists(pieces("/a", "~", more="/~0"), max_size=2).map(tuple),
                "sample": st.dictionaries(st.text(max_size=3), JSON, max_size=2),
            },
        ),
        an_event,
    ),
    "a setting": (
        st.tuples(
            st.sampled_from([*settingstore.SETTINGS, "together:before_order_add", "x"]),
            pieces("public", "Europe/", "Moscow", "../", "10", more="0123456789.:/-+ \0"),
        ),
        lambda pair: settingstore.parse(*pair),
    ),
}


@pytest.mark.parametrize("count", EXAMPLES)
@pytest.mark.parametrize("name", FUZZ)
def test_only_declared_refusals(name: str, count: int) -> None:
    """It answers, or it refuses with a sentence."""
    fuzz(*FUZZ[name], count=count)


REPLIES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *(
                    b"HTTP/1.1 200 OK\r\n",
                    b"HTTP/1.1 100 Continue\r\n\r\n",
                    b"HTTP/1.0 404\r\n",
                    b"HTTP/1.1 302 Found\r\n",
                ),
                *(
                    b"HTTP/1.1 204 No\r\n",
                    b"HTTP/2 200\r\n",
                    b"Content-Length: 2\r\n",
                    b"Content-Length: 99999999999\r\n",
                ),
                *(b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip\r\n", b"Content-Encoding: br\r\n"),
                *(
                    b"Content-Type: application/json\r\n",
                    b"Set-Cookie: a=b\r\n",
                    b"Connection: close\r\n",
                    b"Location: /x\r\n",
                ),
                *(
                    b"Connection: upgrade\r\nUpgrade: h2c\r\n",
                    b"Trailer: x\r\n",
                    b"\r\n",
                    b"\n",
                    b"\r",
                    b"{}",
                    b"2\r\n{}\r\n",
                ),
                *(
                    b"0\r\n\r\n",
                    b"ffffffffffffffff\r\n",
                    b"\x1f\x8b\x08\x00",
                    b"X-A: " + b"a" * 9000 + b"\r\n",
                    b": \r\n",
                    b"\0",
                ),
            ]
        ),
        st.binary(max_size=6),
    ),
    min_size=1,
    max_size=9,
)


@pytest.fixture
def talk() -> Iterator[Callable[[list[bytes]], None]]:
    """A receiver that sends these pieces and closes; the exchange with it has one of the words, soon."""
    said: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.read()
        for piece in said:
            peer.send(piece)
        peer.close()

    loop = asyncio.new_event_loop()
    transport = Transport(Egress(), SystemClock())
    keeps = itertools.cycle([None, 64])

    with Receiver(script) as receiver:

        def one(pieces: list[bytes]) -> None:
            said[:] = pieces
            keep = next(keeps)
            request = outgoing(receiver.url)
            began = time.monotonic()
            got = loop.run_until_complete(
                exchange(transport, request, timeout=20, limit=1000, keep=keep, clock=SystemClock())
            )
            assert got.error in WORDS
            assert (got.error is None) or str(got.detail)
            assert (got.status is None) or 0 <= got.status <= 999
            assert len(got.body) <= 1000
            assert time.monotonic() - began < 10
            assert math.isfinite(got.times["total"])

        yield one
        loop.run_until_complete(transport.aclose())
        loop.close()


@pytest.mark.parametrize("count", EXAMPLES)
def test_any_bytes_are_a_reply_or_a_failure(talk: Callable[[list[bytes]], None], count: int) -> None:
    """Nothing that a receiver sends breaks an exchange, nor keeps it."""
    fuzz(REPLIES, talk, count=count, refusals=())
