"""A «no» is not lost to its spelling, a status not to its body; what goes into the operation is never repaired."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookrow.delivery import reply
from hookrow.delivery.reply import ReplyOutcome, broken_off
from hookrow.delivery.replyjson import members, strict_text

JSON = {"Content-Type": "application/json"}
PAYLOAD = {"order": {"id": 7, "sum": 100}}
BOTH = pytest.mark.parametrize("mode", ["gate", "transform"])
DEEP = "[" * 200_000 + "]" * 200_000


def read(
    body: str | bytes, *, mode: str = "transform", status: int = 200, kind: str = "application/json"
) -> ReplyOutcome:
    """The answer to a body."""
    content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    return reply.read(mode, True, status, {"Content-Type": kind}, content, payload=PAYLOAD)


REFUSALS: dict[str, tuple[str | bytes, str]] = {
    "half an emoji in the message": ('{"allow": false, "message": "Sorry \\ud83d"}', "Sorry \ufffd"),
    "half a character in a key": ('{"\\udfff": 1, "allow": false, "message": "No"}', "No"),
    "half a character in the code": ('{"allow": false, "message": "No", "code": "\\ud800"}', "No"),
    "half a character in an error": (
        '{"allow": false, "message": "No", "errors": [{"path": "/a", "message": "\\ud800"}]}',
        "No",
    ),
    "NaN beside it": ('{"allow": false, "score": NaN, "message": "No"}', "No"),
    "NaN as its status": ('{"allow": false, "status": NaN, "message": "No"}', "No"),
    "NaN as its data": ('{"allow": false, "data": NaN, "message": "No"}', "No"),
    "1e999 beside it": ('{"score": 1e999, "allow": false, "message": "No"}', "No"),
    "a number of 6,000 digits": ('{"n": ' + "9" * 6000 + ', "allow": false, "message": "No"}', "No"),
    "900 levels": ('{"x": ' + "[" * 900 + "]" * 900 + ', "allow": false, "message": "No"}', "No"),
    "200,000 levels": ('{"x": ' + DEEP + ', "allow": false, "message": "No"}', "No"),
    "200,000 levels in an error": ('{"allow": false, "message": "No", "errors": ' + DEEP + "}", "No"),
    "a doubled key": ('{"allow": false, "x": 1, "x": 2, "message": "No"}', "No"),
    "a doubled key inside": ('{"allow": false, "x": {"y": 1, "y": 2}, "message": "No"}', "No"),
    "allow twice, no first": ('{"allow": false, "allow": true, "message": "No"}', "No"),
    "allow twice, no last": ('{"allow": true, "message": "No", "allow": false}', "No"),
    "bytes of another charset": ('{"allow": false, "message": "Нет"}'.encode("cp1251"), "\ufffd" * 3),
    "bytes of another charset beside it": (
        '{"allow": false, "message": "No", "note": "Нет"}'.encode("koi8-r"),
        "No",
    ),
    "a byte order mark before NaN": (b"\xef\xbb\xbf" + b'{"allow": false, "message": "No", "x": NaN}', "No"),
}


@BOTH
@pytest.mark.parametrize("status", [200, 409])
@pytest.mark.parametrize("name", REFUSALS)
def test_a_readable_no_is_a_no(name: str, status: int, mode: str) -> None:
    """Whatever is wrong beside it; its words are read with U+FFFD for what can't be, and a warning says so."""
    body, message = REFUSALS[name]
    answer = read(body, mode=mode, status=status)
    assert answer.kind == "vetoed"
    assert answer.veto is not None
    assert (answer.veto.message, answer.veto.status) == (message, 422 if status == 200 else 409)
    assert any("no proper JSON" in str(warning) for warning in answer.warnings)
    answer.veto.message.encode()
    json.dumps([answer.veto.code, answer.veto.errors], ensure_ascii=False).encode()


@pytest.mark.parametrize("name", ["half an emoji in the message", "NaN beside it", "bytes of another charset"])
@pytest.mark.parametrize("kind", ["text/html", "text/plain; charset=utf-8", ""])
def test_a_no_needs_no_content_type(name: str, kind: str) -> None:
    """A receiver that forgot the header, or let its framework choose one, has refused all the same."""
    assert read(REFUSALS[name][0], kind=kind, mode="gate").kind == "vetoed"


CHARSETS = ["windows-1251", "Windows-1251", "cp1251", "koi8-r", "KOI8-U", "iso-8859-5", "cp866", "ibm866"]


@BOTH
@pytest.mark.parametrize("charset", [*CHARSETS, "utf-16", "utf-16le", "utf-16be", "UTF-16"])
def test_a_declared_charset_is_believed_where_utf_8_fails(charset: str, mode: str) -> None:
    """The Cyrillic ones, Western ones and UTF-16: the words arrive as they were meant, with a warning."""
    for label in (charset, f'"{charset}"', f" {charset} "):
        body = '{"allow": false, "message": "Товара нет"}'.encode(charset)
        answer = read(body, mode=mode, kind=f"application/json; charset={label}; x=y")
        assert answer.veto is not None, label
        assert answer.veto.message == "Товара нет"
        assert any(charset.lower() in str(warning) for warning in answer.warnings)


@pytest.mark.parametrize("charset", ["utf-16le", "utf-16be"])
def test_utf_16_without_a_mark_shows_its_order_itself(charset: str) -> None:
    """`charset=utf-16` leaves the order open (RFC 2781): a JSON text begins with ASCII."""
    assert read('{"allow": false}'.encode(charset), kind="application/json; charset=utf-16").kind == "vetoed"


@pytest.mark.parametrize("charset", ["windows-1251", "koi8-r", "base64", "zip", "idna", "rot13", "unicode_escape", "x"])
def test_utf_8_comes_first(charset: str) -> None:
    """A label that is wrong spoils nothing; one that names no charset is never decoded with."""
    answer = read('{"allow": false, "message": "Нет"}', kind=f"application/json; charset={charset}")
    assert answer.veto is not None
    assert (answer.veto.message, answer.warnings) == ("Нет", ())


@pytest.mark.parametrize("charset", ["base64", "zip", "idna", "rot13", "unicode_escape", "utf-7", "punycode", "x"])
def test_what_is_no_charset_of_the_list_is_not_decoded_with(charset: str) -> None:
    """Then the bytes that are no UTF-8 stay unreadable: the «no» holds, its message is in signs."""
    answer = read('{"allow": false, "message": "Нет"}'.encode("cp1251"), kind=f"text/json; charset={charset}")
    assert answer.veto is not None
    assert answer.veto.message == "\ufffd" * 3


def test_data_in_a_declared_charset_is_data() -> None:
    """Decoded as it says, nothing was repaired."""
    body = '{"data": {"order": {"note": "Срочно"}}}'.encode("cp1251")
    answer = read(body, kind="application/json; charset=windows-1251")
    assert answer.data == {"order": {"id": 7, "sum": 100, "note": "Срочно"}}


BROKEN = {
    "half a character": '{"order": {"note": "\\ud800"}}',
    "NaN": '{"order": {"sum": NaN}}',
    "1e999": '{"order": {"sum": 1e999}}',
    "a doubled key": '{"order": {"sum": 1, "sum": 2}}',
    "900 levels": '{"order": {"x": ' + "[" * 900 + "]" * 900 + "}}",
}


@pytest.mark.parametrize("member", ["data", "result"])
@pytest.mark.parametrize("name", BROKEN)
def test_what_goes_into_the_operation_is_never_repaired(name: str, member: str) -> None:
    """Beside an explicit yes as well: faulty `data` and `result` are a bad reply; a gate passes over them."""
    body = f'{{"allow": true, "{member}": {BROKEN[name]}}}'
    answer = read(body)
    assert (answer.kind, answer.error) == ("failed", "bad_reply")
    assert member in str(answer.detail)
    assert read(body, mode="gate").kind == "ok"


def test_doubled_data_is_a_bad_reply() -> None:
    """Which of the two was meant can't be known."""
    twice = '{"allow": true, "data": {"order": {"sum": 1}}, "data": {"order": {"sum": 2}}}'
    assert read(twice).error == "bad_reply"
    assert read(twice.replace("true", "false")).kind == "vetoed"


def test_bytes_that_are_no_utf_8_in_data_are_a_bad_reply() -> None:
    """U+FFFD never gets into an order."""
    assert read('{"allow": true, "data": {"order": {"note": "Нет"}}}'.encode("cp1251")).error == "bad_reply"


@BOTH
def test_an_explicit_yes_is_heard_beside_what_is_no_proper_json(mode: str) -> None:
    """With a warning; sound data beside the fault is taken."""
    answer = read('{"allow": true, "score": NaN, "data": {"order": {"sum": 5}}}', mode=mode)
    assert answer.kind == ("changed" if mode == "transform" else "ok")
    assert answer.warnings


@BOTH
@pytest.mark.parametrize(
    "body",
    [
        '{"score": NaN}',
        '{"message": "\\ud800"}',
        '{"allow": true, "allow": true}',
        '{"allow": 0, "x": NaN}',
        "{}{}",
        "{",
    ],
)
def test_without_a_clear_word_it_stays_a_bad_reply(mode: str, body: str) -> None:
    """What says neither yes nor no, and can't be read, allows nothing by itself."""
    assert read(body, mode=mode).error == "bad_reply"


@BOTH
@pytest.mark.parametrize(
    "body",
    [
        '{"allow": false, "message": "x}',
        '{"allow": false,}',
        "{'allow': False}",
        '<pre>{"allow":false}</pre>',
        '{"allow":false} //',
    ],
)
@pytest.mark.parametrize(("status", "error"), [(200, "bad_reply"), (409, "bad_status")])
def test_the_log_says_that_a_refusal_may_have_been_meant(mode: str, body: str, status: int, error: str) -> None:
    """Where `"allow"` and `false` stand in a text that does not parse."""
    answer = read(body, mode=mode, status=status)
    assert (answer.kind, answer.error) == ("failed", error)
    assert "a veto was meant" in str(answer.detail)


def test_a_gate_that_lets_other_text_pass_says_it_too() -> None:
    """Other text than JSON is allowed by a gate; that it looks like a «no» is a warning."""
    answer = read("Warning: x\n{'allow': False", mode="gate", kind="text/html")
    assert answer.kind == "ok"
    assert "a veto was meant" in str(answer.warnings[0])


@BOTH
@pytest.mark.parametrize("body", [b"\xef\xbb\xbf", b"\xef\xbb\xbf \r\n", b" \xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"])
def test_a_byte_order_mark_alone_is_an_empty_body(mode: str, body: bytes) -> None:
    """Some servers on Windows write one into every answer."""
    assert read(body, mode=mode) == ReplyOutcome("ok")


@pytest.mark.parametrize("status", [500, 503, 302, 100])
def test_a_no_beside_a_failure_is_no_no(status: int) -> None:
    """Tolerance changes nothing of which statuses are heard."""
    answer = read('{"allow": false, "x": NaN}', status=status)
    assert answer.kind == "failed"
    assert "meant" not in str(answer.detail)


def test_410_pauses_whatever_the_body() -> None:
    """Over every spelling of a «no»."""
    assert all(read(body, status=410).pause for body, _ in REFUSALS.values())


LATE = "the reply is longer than 10 bytes"


@pytest.mark.parametrize("error", ["reply_too_large", "timeout", "connect_error", "bad_reply"])
@pytest.mark.parametrize(
    ("status", "body", "wanted", "paused"),
    [
        (410, b"gone", "bad_status", True),
        (410, b'{"allow": false', "bad_status", True),
        (500, b"", "bad_status", False),
        (503, b'{"allow": false', "bad_status", False),
        (302, b"", "redirect", False),
        (404, b"<html>", "bad_status", False),
        (429, b"", "bad_status", False),
        (200, b'{"allow": true', None, False),
        (200, b'{"allow": false', None, False),
        (409, b'{"allow" :false, "message": "', None, False),
        (700, b"", None, False),
    ],
)
def test_what_the_status_alone_says_is_obeyed(
    status: int, body: bytes, wanted: str | None, paused: bool, error: str
) -> None:
    """However the body was lost; where success or a «no» may stand in what is missing, it is the failure that it is."""
    answer = broken_off(status, JSON, body, error, reply.Text("It broke off."))
    assert (answer.kind, answer.error, answer.pause) == ("failed", wanted or error, paused)
    assert ("veto was meant" in str(answer.detail)) == (b"false" in body and status in (200, 409))


def test_a_hostile_reply_takes_no_time() -> None:
    """A megabyte of brackets behind a fault is given up, not gone through for ever."""
    body = '{"x": ' + "[" * 1000 + "[]," * 300_000 + "[]" + "]" * 1000 + ', "allow": false}'
    began = time.process_time()
    read(body)
    assert time.process_time() - began < 2.0


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(value=st.dictionaries(st.text(max_size=5), JSONISH, max_size=5))
def test_members_are_those_of_pythons_own_reading(value: dict[str, Any]) -> None:
    """Keys in order, each value's text what it was written as."""
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        found = members(text)
        assert found is not None
        assert [key for key, _ in found] == list(value)
        assert [repr(json.loads(part)) for _, part in found] == [repr(each) for each in value.values()]


@given(text=st.text(alphabet='{}[]":,01alowfse .-\\uNI\n', max_size=40))
def test_members_of_any_text(text: str) -> None:
    """None, or what an object holds; what is sound is found whole."""
    found = members(text)
    try:
        value = strict_text(text)
    except ValueError:
        return
    assert (found is not None) == isinstance(value, dict)
    if found is not None:
        assert {key: strict_text(part) for key, part in found} == value
