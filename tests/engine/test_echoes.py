"""Receivers that echo: what is kept of their answers holds no secret and no private value, however it is spelled."""

from __future__ import annotations

import base64
import html
import itertools
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from engine_bench import Bench
from hookrow import AsyncHookEngine, Hook
from hookrow.delivery.concealing import Concealer
from hookrow.delivery.spellings import Hidden, raw
from hookrow.payload import dumps
from hookrow.secrets.secret import MASK
from receivers import Receiver, send
from scripted import answer
from spelled import SPELLINGS, traces

pytestmark = pytest.mark.anyio
PASSWORD = 'p"w/Пароль<&>?7'
HEADER = "Bearer tok3n-abcdef/+="
TOKEN = "url-t0ken/&="
VALUE = 's3cr"t/Канарейка<&>\\'
EVENT = "before_registration"
PAYLOAD = {"user": {"id": 7, "password": VALUE}}
URL = f"http://receiver.test/w?token={quote(TOKEN, safe='')}&x=1"
SECRETS = {"auth_login": "admin", "auth_password": PASSWORD, "custom_header": f"X-Key: {HEADER}"}
BASIC = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()


def kept_cells(bench: Bench) -> Iterator[tuple[str, str]]:
    """Every cell of every table but those that hold hooks, as text."""
    path = bench.engine.path
    assert path is not None
    with closing(sqlite3.connect(path)) as database, database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            if table in ("hook", "hook_revision"):
                continue
            for row in database.execute(f"SELECT * FROM {table}"):
                for cell in row:
                    yield table, cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)


def assert_clean(bench: Bench, *values: str, more: str = "") -> None:
    """No table, and not the text that is given, holds one of the values."""
    wanted = {each for value in values for each in traces(value)}
    for table, cell in [*kept_cells(bench), ("what was shown", more)]:
        for each in wanted:
            assert each not in cell, f"{each} in {table}: {cell}"


async def shown(bench: Bench, firing: Any) -> str:
    """What the log shows of a firing."""
    logged = await bench.engine.log.get(firing.id)
    attempts = [each for delivery in logged.deliveries for each in await bench.engine.log.attempts(delivery.id)]
    return json.dumps([logged.as_json(), firing.as_json()], ensure_ascii=False) + repr(
        [logged, attempts, firing.warnings]
    )


VALUES = [
    PASSWORD,
    HEADER,
    TOKEN,
    VALUE,
    "plainsecret",
    "тайна-тайна",
    "a+b c/d=e",
    "line\nbreak\ttab",
    "100%25&amp;\\n",
]
CONCEALERS = {value: Concealer(secrets=[Hidden(value, MASK)]) for value in VALUES}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_value_is_found_in_every_spelling_and_taken_out(name: str) -> None:
    """As it is and between other text, in a text, a header and a body; also one spelling inside another, between other
    text: where a text begins or ends, only the outer one stands."""
    outers = [each for each in SPELLINGS if "base64" not in each]  # a base64 of what is spelled is another value
    for value, outer in itertools.product(VALUES, [None, *outers]):
        spelled_here = SPELLINGS[name](value)
        if outer is not None:
            spelled_here = SPELLINGS[outer](spelled_here)
        conceal = CONCEALERS[value]
        for text in (f"<p>{spelled_here}</p>", *([spelled_here] if outer is None else [])):
            cleared = conceal.text(text)
            assert MASK in cleared, (value, text)
            assert not spelled_here or spelled_here not in cleared
            assert MASK in conceal.headers([("x-echo", raw(text))])[0][1]
            body = conceal.body(text.encode())
            assert body is None or MASK.encode() in body
            assert body is None or spelled_here.encode() not in body


def test_base64_in_lines_is_found() -> None:
    """As mail has it: 76 characters a line."""
    lines = base64.encodebytes(b"x" * 50 + VALUE.encode() * 3).decode()
    for text in (lines, lines.replace("\n", "\r\n"), json.dumps(lines)):
        assert Concealer(secrets=[Hidden(VALUE, MASK)]).text(text) == MASK


@pytest.mark.parametrize("charset", ["utf-8", "windows-1251", "koi8-r", "cp866", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_secret_is_found_in_every_charset_that_replies_come_in(charset: str) -> None:
    """Masked, or its body is not kept."""
    conceal = Concealer(secrets=[Hidden("Пароль-тайна", MASK), Hidden("plainsecret", MASK)])
    for value in ("Пароль-тайна", "plainsecret"):
        body = conceal.body(f"<p>{value}</p>".encode(charset))
        assert body is None or value.encode(charset)[2:] not in body


def test_other_text_stays_as_it_is() -> None:
    """Whatever a text holds that is no spelling of the value."""
    conceal = Concealer(secrets=[Hidden("plainsecret", MASK)])
    for text in ("plain secret", "%70lain&#115;ecre", "\\u0070lain", "cGxhaW4=", "", "%&\\", "a\nb"):
        assert conceal.text(text) == text
        assert conceal.body(text.encode()) == text.encode()


def test_a_hidden_value_shows_in_no_repr() -> None:
    """Error trackers print what they find."""
    assert "plain" not in repr(Hidden("plainsecret", MASK))


def test_looking_takes_time_in_proportion() -> None:
    """A receiver can't make the search slow by what it sends; what may be read in too many ways is not kept."""
    conceal = Concealer(secrets=[Hidden("secret-" * 30, MASK)])
    pieces = ("\\", "&amp;", "%25", "&", "%", "&#0", "\\u00", "secret", "%73", "\n", "&#65;%41\\n", "%5c%26#37;")
    for piece in pieces:
        began = time.process_time()
        body = conceal.body((piece * (250_000 // len(piece))).encode())
        assert time.process_time() - began < 2.5
        assert body is None or len(body) > 249_000
    assert conceal.body(("&#65;%41\\n" * 50_000).encode()) is None


async def secret_hook(bench: Bench, **fields: Any) -> Any:
    """Add a hook with every secret there is."""
    return await bench.engine.hooks.add(
        bench_hook(**{"url": URL, "wait_for_response": True, "response_has_data": True, **SECRETS, **fields})
    )


def bench_hook(**fields: Any) -> Hook:
    """A hook by the name of its path."""
    return Hook(name="w", **{"event": "before_order_add", **fields})


KINDS = ["transform", "record", "gate that vetoes"]
ECHOED = {"password": PASSWORD, "basic": BASIC, "header": HEADER, "its token": HEADER[7:], "url": TOKEN}


@pytest.mark.parametrize("mode", KINDS)
@pytest.mark.parametrize("what", ECHOED)
async def test_an_echoed_secret_is_masked_wherever_it_stands(bench: Bench, what: str, mode: str) -> None:
    """Body, headers, message, code, warnings, result, data: in every spelling, in all that is kept and shown."""
    flags = {"fire_and_forget": False, "wait_for_response": False} if mode == "record" else {}
    event = "after_registration" if mode == "record" else "before_order_add"
    await secret_hook(bench, event=event, **flags, **({"response_has_data": False} if "gate" in mode else {}))
    await bench.hook("bg", event=event, position=99)
    for make in list(SPELLINGS.values())[KINDS.index(mode) :: len(KINDS)]:  # each spelling of each secret in one mode
        said = make(ECHOED[what])
        body: dict[str, Any] = {"warnings": [f"I got {said}"], "result": {"seen": [said]}, "note": {said: said}}
        if mode == "gate that vetoes":
            body |= {"allow": False, "message": f"{said}!", "code": said, "errors": [{"path": "/a", "message": said}]}
        elif mode == "transform":
            body |= {"data": {"order": {"note": f"by {said}"}}}
        bench.network.on("w", answer(body=body, x_echo=quote(said), location=f"/x?a={quote(said)}"))
        firing = await bench.engine.send_own(await bench.fire(event=event))
        seen = await shown(bench, firing)
        assert MASK in seen
        assert not any(trace in seen for trace in traces(ECHOED[what]))
    assert_clean(bench, ECHOED[what])


async def test_what_the_hook_changed_is_obeyed_and_not_kept(bench: Bench) -> None:
    """The caller gets the receiver's data as it came; where a secret is copied into it, the log holds null."""
    bench.network.on("w", answer(body={"data": {"order": {"note": PASSWORD}}, "result": HEADER}))
    await secret_hook(bench)
    await bench.hook("bg", position=99)
    firing = await bench.fire()
    assert (firing.data["order"]["note"], firing.result) == (PASSWORD, HEADER)
    assert (firing.as_json()["data"]["order"]["note"], firing.as_json()["result"]) == (None, MASK)
    await bench.engine.send_own(firing)
    assert bench.network.bodies("bg")[0]["data"]["order"]["note"] is None
    assert (await bench.logged()).data["order"]["note"] is None
    assert (await bench.logged()).result == MASK


@pytest.mark.parametrize("name", ["User-Agent", "X-Api-Key", "Accept", "Authorization"])
async def test_a_custom_header_is_masked_whatever_its_name(bench: Bench, name: str) -> None:
    """Also where the name is one that Hookrow sends itself: attempts, plan, test."""
    hook = await bench.gate("w", custom_header=f"{name}: {HEADER}")
    firing = await bench.fire()
    assert bench.network.requests[0].headers[name] == HEADER
    [attempt] = await bench.engine.log.attempts((await bench.engine.log.get(firing.id)).deliveries[0].id)
    assert {key.lower(): value for key, value in attempt.request_headers}[name.lower()] == MASK
    explained = await bench.engine.explain("before_order_add", {"order": {}})
    tested = await bench.engine.test(hook.id or 0, {"order": {}})
    assert HEADER not in repr([explained, tested])


async def test_the_query_of_another_url_is_masked_where_it_redirects(bench: Bench) -> None:
    """Anybody's token may stand in a `Location`; in a body other URLs stay as they are."""
    there = "https://u:p@other.test/login?next=/a&code=abcdef123#frag=xyz123"
    bench.network.on("w", answer(302, b"see https://other.test/?page=abcdef", location=there, link=f"<{there}>; rel=x"))
    await bench.transform("w")
    firing = await bench.fire()
    [attempt] = await bench.engine.log.attempts((await bench.engine.log.get(firing.id)).deliveries[0].id)
    assert "abcdef123" not in repr(attempt)
    assert "xyz123" not in repr(attempt)
    assert dict(attempt.response_headers)["location"].startswith("https://other.test/login?")
    assert attempt.response_body == b"see https://other.test/?page=abcdef"


@pytest.mark.parametrize("secret", ["abc", "true", "null", "12345"])
async def test_a_reply_that_holds_a_short_secret_is_not_kept(bench: Bench, secret: str) -> None:
    """Masking it would tell by the gaps what it is, or spoil the rest: only the length is kept."""
    body = json.dumps({"allow": False, "message": f"bad password {secret}!", "x": f"..{secret}.."}).encode()
    bench.network.on("w", answer(403, body, x_echo=f"a {secret}"))
    await bench.transform("w", auth_login="a", auth_password=secret)
    firing = await bench.fire()
    [attempt] = await bench.engine.log.attempts((await bench.engine.log.get(firing.id)).deliveries[0].id)
    assert (attempt.response_body, attempt.response_length) == (None, len(body))
    assert (await bench.logged()).deliveries[0].withholds(attempt)
    assert dict(attempt.response_headers)["x-echo"] == MASK
    assert firing.veto is not None
    assert firing.veto.message == f"bad password {MASK}!"


async def test_a_secret_is_masked_before_the_reply_is_cut(bench: Bench) -> None:
    """At the border of what is kept no half of it stays, wherever it falls."""
    await bench.engine.settings.set("reply_kept", "1024")
    flags = {"fire_and_forget": False, "wait_for_response": False, "event": "after_registration"}
    await secret_hook(bench, **flags)
    for before in range(1024 - len(PASSWORD.encode()) - 2, 1026):
        bench.network.on("w", answer(200, b"x" * before + PASSWORD.encode() + b"y" * 20, content_type="text/plain"))
        await bench.engine.send_own(await bench.fire(event="after_registration"))
    beginnings = [PASSWORD[:size] for size in range(4, len(PASSWORD))]
    for _, cell in kept_cells(bench):
        assert not any(f"x{part}" in cell for part in beginnings)


async def test_a_compression_that_nobody_asked_for_is_not_kept(bench: Bench) -> None:
    """What is inside can't be looked through."""

    def script(request: httpx.Request) -> httpx.Response:
        return httpx.Response(500, headers={"content-encoding": "br"}, stream=httpx.ByteStream(b"\x0b\x07\x80{}\x03"))

    bench.network.on("w", script)
    await secret_hook(bench)
    firing = await bench.fire()
    [attempt] = await bench.engine.log.attempts((await bench.engine.log.get(firing.id)).deliveries[0].id)
    assert attempt.response_body is None


async def test_a_test_request_and_a_redelivery_mask_as_well(bench: Bench) -> None:
    """`hooks test` keeps nothing, and what it shows holds no secret; a redelivery's answer is kept as any other."""
    said = {"note": [PASSWORD, BASIC, HEADER, TOKEN, VALUE], "data": {"user": {"name": VALUE}}, "result": PASSWORD}
    bench.network.on("w", answer(body=said))
    hook = await secret_hook(bench, event=EVENT)
    tested = await bench.engine.test(hook.id, PAYLOAD)
    firing = await bench.fire({"user": {"id": 7}}, event=EVENT)
    [again] = await bench.engine.redeliver(firing.deliveries[0].id)
    assert_clean(bench, PASSWORD, BASIC, HEADER, TOKEN, more=repr([tested, again]))
    assert not any(each in repr(tested) for each in traces(VALUE))


async def test_a_redirected_replay_masks_both_urls(bench: Bench) -> None:
    """With `--to` the other URL's token is one that the receiver may repeat."""
    bench.network.on("other", answer(body={"note": ["0ther-token", TOKEN]}))
    await secret_hook(bench)
    firing = await bench.fire()
    await bench.engine.redeliver(firing.deliveries[0].id, to="http://receiver.test/other?key=0ther-token")
    assert_clean(bench, "0ther-token", TOKEN)


# -- private values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gate", "transform"])
async def test_a_private_value_is_kept_in_no_spelling(bench: Bench, kind: str) -> None:
    """In a text of the reply's JSON, as a key, in its message, warnings and headers."""
    await getattr(bench, kind)("w", event=EVENT)
    for spell in SPELLINGS.values():
        said = spell(VALUE)
        body = {"allow": False, "message": said, "warnings": [said], "a": [f"({said})", {said: 1}]}
        bench.network.on("w", answer(403, body, x_echo=quote(said)))
        firing = await bench.fire(PAYLOAD, event=EVENT)
        seen = await shown(bench, firing)
        assert not any(trace in seen for trace in traces(VALUE))
    assert_clean(bench, VALUE)


NOT_STRICT = {
    "a doubled key": f'{{"a": {json.dumps(VALUE)}, "a": 1}}',
    "text before it": f"Notice: x in y.php\n{json.dumps({'a': VALUE})}",
    "one object a line": "\n".join(json.dumps({"a": VALUE}) for _ in range(2)),
    "NaN": f'{{"a": {json.dumps(VALUE)}, "x": NaN}}',
    "1e999": f'{{"a": {json.dumps(VALUE)}, "x": 1e999}}',
    "half a character": f'{{"a": {json.dumps(VALUE)}, "x": "\\ud800"}}',
    "900 levels": f'{{"a": {json.dumps(VALUE)}, "x": {"[" * 900}{"]" * 900}}}',
    "200,000 levels": f'{{"a": {json.dumps(VALUE)}, "x": {"[" * 200_000}{"]" * 200_000}}}',
    "a page": f"<p>{html.escape(VALUE)}</p>",
    "reversed": VALUE[::-1],
    "cut JSON": json.dumps({"a": VALUE})[:-2],
    "another charset": json.dumps({"a": VALUE}, ensure_ascii=False).encode("utf-16"),
}


@pytest.mark.parametrize("on_failure", ["continue", "stop"])
@pytest.mark.parametrize("kind", ["gate", "transform"])
async def test_any_reply_gives_a_result_and_a_record(bench: Bench, kind: str, on_failure: str) -> None:
    """Of what is no strict JSON only the length is kept, and the firing has an outcome, also under a key."""
    await getattr(bench, kind)("w", event=EVENT, on_failure=on_failure)
    turn = 2 * (kind == "gate") + (on_failure == "stop")  # the four runs together say each word to each text
    for number, (name, text) in enumerate(NOT_STRICT.items()):
        allow = (b"", b'"allow": true, ', b'"allow": false, ')[(number + turn) % 3]
        body = (text if isinstance(text, bytes) else text.encode()).replace(b"{", b"{" + allow, 1)
        bench.network.on("w", answer(200, body, x_echo="x"))
        once = {"event": EVENT, "idempotency_key": name}
        firing = await bench.fire(PAYLOAD, **once)
        logged = await bench.engine.log.get(firing.id)
        assert logged.outcome == firing.outcome is not None
        for attempt in await bench.engine.log.attempts(logged.deliveries[0].id):
            assert attempt.response_body is None
            assert attempt.response_length == len(body)
        assert (await bench.fire(PAYLOAD, **once)).reused == (firing.outcome != "failed")
        seen = await shown(bench, firing)
        assert not any(trace in seen for trace in traces(VALUE))
    assert_clean(bench, VALUE)


async def test_strict_json_is_kept_written_anew(bench: Bench) -> None:
    """Without the private value; spacing and escapes are ours."""
    body = b'{"allow" :false , "message":"\\u041d\\u0435\\u0442","id": 7, "p":' + json.dumps(VALUE).encode() + b"}"
    bench.network.on("w", answer(200, body))
    await bench.gate("w", event=EVENT)
    firing = await bench.fire(PAYLOAD, event=EVENT)
    [attempt] = await bench.engine.log.attempts((await bench.engine.log.get(firing.id)).deliveries[0].id)
    assert attempt.response_body == '{"allow":false,"message":"Нет","id":7,"p":"***"}'.encode()


@pytest.mark.parametrize(
    ("value", "said"),
    [(1234567, 1234567), (1234567, 1234567.0), (1234567, "n 1234567"), ("1234567", 1234567), (12.5, 12.5), (7, "7")],
)
async def test_a_private_number_is_known_in_every_form(bench: Bench, value: Any, said: Any) -> None:
    """As a number, another number, a text."""
    bench.network.on("w", answer(403, {"allow": False, "x": said}))
    await bench.gate("w", event=EVENT)
    firing = await bench.fire({"user": {"password": value}}, event=EVENT)
    [attempt] = await bench.engine.log.attempts((await bench.engine.log.get(firing.id)).deliveries[0].id)
    assert json.loads(attempt.response_body or b"")["x"] in ("***", "n ***")


async def test_without_private_values_any_text_is_kept(bench: Bench) -> None:
    """The event has private fields, but this payload holds none: a page that says why is worth having."""
    bench.network.on("w", answer(500, b"<h1>out of memory</h1>"))
    await bench.gate("w", event=EVENT)
    firing = await bench.fire({"user": {"id": 7}}, event=EVENT)
    [attempt] = await bench.engine.log.attempts((await bench.engine.log.get(firing.id)).deliveries[0].id)
    assert attempt.response_body == b"<h1>out of memory</h1>"


async def test_a_fault_of_a_transport_leaves_a_record(bench: Bench) -> None:
    """A transport of the host's own that raises what none should: it is raised, and what left is recorded."""

    def script(request: httpx.Request) -> httpx.Response:
        raise RuntimeError("broken")

    bench.network.on("w", script)
    await bench.gate("w")
    await bench.gate("next")
    with pytest.raises(RuntimeError):
        await bench.fire()
    logged = await bench.logged()
    assert (logged.outcome, [each.outcome for each in logged.deliveries]) == ("cancelled", ["cancelled", "cancelled"])


BROKEN_HEADS = [
    b"HTTP/1.1 200 OK\r\nX-Echo %s\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n%s: 1\r\nX y: 2\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-Echo: \x00%s\r\n\r\n",
    b"%s HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 %s OK\r\n\r\n",
    b"HTTP/1.1 200 %s\r\nContent-Length: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://other.test/%s?x=%s\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 40\r\n\r\n%s",
]


@pytest.mark.parametrize("head", BROKEN_HEADS)
async def test_what_breaks_an_answer_is_told_without_what_it_repeats(tmp_path: Path, head: bytes) -> None:
    """The text of a broken header stands in no failure: through the transport that is shipped, with real bytes."""
    secret = "canary-7f3a-Secret"
    content = head.replace(b"%s", secret.encode())
    with Receiver(send(content)) as receiver:
        async with AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
            for event, fields in ((EVENT, {}), ("before_order_add", {"auth_login": "a", "auth_password": secret})):
                how = {"wait_for_response": True, "response_has_data": True, **fields}
                await engine.hooks.add(Hook(name="w", event=event, url=receiver.url, timeout=5, **how))
                await engine.fire(event, {"user": {"password": secret}} if event == EVENT else {"order": {}})
            cells = list(kept_cells(Bench(engine, None, None)))  # type: ignore[arg-type]
    assert not [cell for cell in cells if secret in cell[1]]


def test_headers_that_came_before_are_looked_through_anew_for_what_was_learned_since() -> None:
    """The text that is kept of the last headers is that of what is known now."""
    headers = (("X-Echo", "plainsecret"), ("Date", "Sat, 28 Nov 2026 22:00:00 GMT"))
    conceal = Concealer(["/order/phone"])
    assert conceal.headers_text(headers) == conceal.headers_text(headers) == dumps(list(headers))
    conceal.beware([Hidden("plainsecret", MASK)])
    assert conceal.headers_text(headers) == dumps(conceal.headers(headers))
    assert "plainsecret" not in conceal.headers_text(headers)
    conceal.learn({"order": {"phone": "22:00:00"}})
    assert "22:00:00" not in conceal.headers_text(headers)
    assert conceal.headers_text(headers[1:]) == dumps(conceal.headers(headers[1:]))
