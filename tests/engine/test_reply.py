"""What an answer means: every row of the table, hostile bodies, merging, background statuses, Retry-After."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookrow.delivery import reply
from hookrow.delivery.reply import Refusal, ReplyOutcome, background, retry_after
from hookrow.payload import dumps, merge_patch

JSON = {"Content-Type": "application/json; charset=utf-8"}
HTML = {"Content-Type": "text/html"}
PAYLOAD = {"order": {"id": 7, "sum": 12850, "comment": None, "items": [{"sku": "CF-250", "qty": 2}]}, "old": None}
BOTH = pytest.mark.parametrize("mode", ["gate", "transform"])


def read(
    body: object, *, mode: str = "transform", status: int = 200, headers: Any = JSON, before: bool = True,
    payload: dict[str, Any] | None = None,
) -> ReplyOutcome:  # fmt: skip
    """The answer to a body: text, bytes, or anything as JSON."""
    text = body if isinstance(body, (str, bytes)) else dumps(body)
    content = text.encode() if isinstance(text, str) else text
    return reply.read(mode, before, status, headers, content, payload=PAYLOAD if payload is None else payload)


@BOTH
@pytest.mark.parametrize("body", ["", "<html>", '{"allow": true}', '{"allow": false}'])
def test_410_fails_and_pauses_whatever_the_body(mode: str, body: str) -> None:
    """The receiver is gone for good: the hook is paused, visibly, even over a «no»."""
    answer = read(body, mode=mode, status=410)
    assert (answer.kind, answer.error, answer.pause) == ("failed", "bad_status", True)


@BOTH
@pytest.mark.parametrize(
    ("status", "said", "vetoed"),
    [
        (200, {}, 422),
        (204, {}, 422),
        (403, {}, 403),
        (409, {"status": 451}, 451),
        (200, {"status": 503}, 503),
        (499, {}, 499),
    ],
)
def test_a_veto_is_said_explicitly(mode: str, status: int, said: dict[str, Any], vetoed: int) -> None:
    """`allow: false` with 2xx or 4xx is a veto; its status is its own, else the reply's 4xx, else 422."""
    answer = read({"allow": False, **said}, mode=mode, status=status)
    assert (answer.kind, answer.error, answer.pause) == ("vetoed", None, False)
    assert answer.veto == Refusal(status=vetoed)


@BOTH
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (status, body)
        for status in (400, 403, 404, 422, 429, 500, 502, 503, 599, 100, 101, 199, 600, 999, 0)
        for body in ('{"allow": false}', '{"allow": true}', "", "<html>403</html>", '{"error": "x"}', "[1]", "{")
        if not (400 <= status < 500 and body == '{"allow": false}')
    ],
)
def test_other_statuses_fail(mode: str, status: int, body: str) -> None:
    """No proxy's page refuses an operation: without an explicit 4xx «no», a status that is no success is a failure."""
    answer = read(body, mode=mode, status=status)
    assert (answer.kind, answer.error, answer.pause) == ("failed", "bad_status", False)
    assert str(status) in str(answer.detail)


@BOTH
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_redirects_are_failures_that_say_where_to(mode: str, status: int) -> None:
    """A redirect is never followed, a «no» in it not heard; its place is named without secrets."""
    headers = [("Location", "https://u:S3cret@new.example:8443/hook?token=S3cret#S3cret")]
    answer = read({"allow": False}, mode=mode, status=status, headers=headers)
    assert (answer.kind, answer.error) == ("failed", "redirect")
    assert "https://new.example:8443/hook" in str(answer.detail)
    assert "S3cret" not in str(answer.detail)


@pytest.mark.parametrize("location", ["", "http://[::1", "\x1b]52;c;", "http://h:99999/", "/пусть"])
def test_a_strange_location_is_no_trouble(location: str) -> None:
    """What can't be read as a place is left out or made harmless."""
    answer = read("", status=302, headers={"location": location})
    assert answer.error == "redirect"
    assert str(answer.detail).isprintable()


@BOTH
@pytest.mark.parametrize("allow", [None, 1, 0, "false", "no", [], {}])
def test_allow_is_true_or_false(mode: str, allow: object) -> None:
    """Anything else at `allow` is a bad reply in both modes, never a guess."""
    answer = read({"allow": allow, "data": {}}, mode=mode)
    assert (answer.kind, answer.error) == ("failed", "bad_reply")


HOSTILE = {
    "open": b"{",
    "html": b"<html>",
    "two values": b"{}{}",
    "nan": b'{"data": NaN}',
    "infinity": b'{"result": -Infinity}',
    "huge float": b'{"result": 1e999}',
    "long number": b'{"result": ' + b"9" * 6000 + b"}",
    "deep lists": b"[" * 200_000 + b"]" * 200_000,
    "deep open": b'{"a":' * 200_000,
    "deeper than ours": b'{"data": ' + b"[" * 100 + b"]" * 100 + b"}",
    "same key twice": b'{"allow": true, "allow": true}',
    "same key twice inside": b'{"data": {"order": {"sum": 1, "sum": 2}}}',
    "half a character": b'{"result": "\\ud800"}',
    "half a key": b'{"\\udfff": 1}',
    "not utf-8": b'{"message": "\xff"}',
    "utf-16": '{"allow": true}'.encode("utf-16"),
    "nul": b"\x00",
}


@BOTH
@pytest.mark.parametrize("name", HOSTILE)
def test_json_that_does_not_parse_is_a_bad_reply(mode: str, name: str) -> None:
    """A body that calls itself JSON and is none, or is ambiguous or endless, fails with its reason."""
    answer = read(HOSTILE[name], mode=mode)
    assert (answer.kind, answer.error) == ("failed", "bad_reply")
    assert str(answer.detail)


@pytest.mark.parametrize("name", HOSTILE)
def test_other_text_is_fine_for_a_gate_and_none_for_a_transform(name: str) -> None:
    """Where the body does not call itself JSON, a gate allows and a transform has a bad reply."""
    assert read(HOSTILE[name], mode="gate", headers=HTML) == ReplyOutcome("ok")
    assert read(HOSTILE[name], mode="transform", headers=HTML).error == "bad_reply"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("OK", HTML),
        ("OK", {}),
        *((body, headers) for body in ("[1, 2]", '"yes"', "5", "null", "true") for headers in (JSON, HTML, {})),
    ],
)
def test_what_is_no_object_carries_no_data(body: str, headers: dict[str, str]) -> None:
    """A gate hears «allowed» in any other text that is not broken JSON; a transform wanted an object."""
    assert read(body, mode="gate", headers=headers) == ReplyOutcome("ok")
    assert read(body, mode="transform", headers=headers).error == "bad_reply"


@BOTH
@pytest.mark.parametrize("status", [200, 202, 204, 299])
@pytest.mark.parametrize("body", [b"", b" \r\n"])
@pytest.mark.parametrize("headers", [JSON, HTML, {}])
def test_an_empty_body_allows(mode: str, status: int, body: bytes, headers: dict[str, str]) -> None:
    """2xx without a body: allowed, nothing changed."""
    assert read(body, mode=mode, status=status, headers=headers) == ReplyOutcome("ok")


@BOTH
def test_an_object_allows(mode: str) -> None:
    """2xx with an object that does not say no is allowed, without a warning where it is understood."""
    for said in ({}, {"allow": True}, {"allow": True, "message": "", "errors": [], "warnings": [], "code": ""}):
        assert read(said, mode=mode) == ReplyOutcome("ok")
        assert read(said, mode=mode, headers=HTML) == ReplyOutcome("ok")


@BOTH
def test_an_object_without_a_known_key_is_allowed_with_a_warning(mode: str) -> None:
    """`{"ok": false}` is no «no», and the log says that nothing in it was understood."""
    answer = read({"ok": False}, mode=mode)
    assert (answer.kind, len(answer.warnings)) == ("ok", 1)


@pytest.mark.parametrize("said", [{"data": {"order": {"sum": 1}}}, {"result": 5}, {"data": 5}, {"data": {"other": 1}}])
def test_a_gate_passes_over_data_and_result(said: dict[str, Any]) -> None:
    """A gate's reply changes nothing, gives nothing, and the log says so."""
    answer = read({"allow": True, **said}, mode="gate")
    assert (answer.kind, answer.data, answer.has_result, answer.changes) == ("ok", None, False, ())
    assert len(answer.warnings) == 1


def test_a_transform_changes_the_payload() -> None:
    """`data` is merged into a new payload; the old one stays, and every change is named."""
    before = dumps(PAYLOAD)
    answer = read({"data": {"order": {"sum": 11950, "discount": 900}}})
    assert answer.kind == "changed"
    assert answer.data == {**PAYLOAD, "order": {**PAYLOAD["order"], "sum": 11950, "discount": 900}}
    assert answer.changes == (("/order/sum", 12850, 11950), ("/order/discount", None, 900))
    assert dumps(PAYLOAD) == before


def test_null_removes_inside_but_not_at_the_top() -> None:
    """RFC 7396 inside the payload's keys; the top-level keys themselves stay."""
    assert read({"data": {"order": {"items": None}}}).data == {
        **PAYLOAD,
        "order": {"id": 7, "sum": 12850, "comment": None},
    }
    assert read({"data": {"order": None}}).error == "bad_reply"
    assert read({"data": {"old": {"id": 7}}}).data == {**PAYLOAD, "old": {"id": 7}}


@pytest.mark.parametrize(
    "data",
    [
        {"orders": {"sum": 1}},
        {"success": True, "order": {"sum": 1}},
        {"order": {"sum": 1}, "x": None},
        5,
        "x",
        [],
        False,
    ],
)
def test_data_that_is_no_part_of_the_payload_is_a_bad_reply(data: object) -> None:
    """A foreign envelope is never poured into an order, and nothing of it is applied."""
    answer = read({"success": True, "data": data})
    assert (answer.kind, answer.error, answer.data) == ("failed", "bad_reply", None)


@pytest.mark.parametrize(
    "said",
    [
        {"id": "evt_1", "type": "before_order_add", "timestamp": "2026-11-25T09:04:03.007Z", "data": PAYLOAD},
        {"data": PAYLOAD},
        {"data": {"order": {"comment": None, "sum": 12850}}},
        {"data": {"old": None}},
        {"data": {}},
        {"data": {"order": {}}},
        {"data": None},
    ],
)
def test_an_echo_changes_nothing(said: dict[str, Any]) -> None:
    """Sending back what came, whole or in parts, leaves also those members alone that are null."""
    assert read(said) == ReplyOutcome("ok")


def test_an_echo_with_one_change_changes_only_that() -> None:
    """A receiver that sends everything back with one field changed deletes no null beside it."""
    data = {**PAYLOAD, "order": {**PAYLOAD["order"], "sum": 1}}
    answer = read({"data": data})
    assert answer.data == data
    assert answer.changes == (("/order/sum", 12850, 1),)


def test_true_is_not_one() -> None:
    """A change from 1 to true is a change."""
    assert read({"data": {"a": True}}, payload={"a": 1}).changes == (("/a", 1, True),)


@pytest.mark.parametrize("result", [{"cost": 390, "currency": "RUB", "days": [2, 4]}, 0, False, "", [], None])
def test_result_is_any_json_value(result: object) -> None:
    """A transform's result is handed on as it is, null too; a changed payload and a result may come together."""
    answer = read({"result": result})
    assert (answer.kind, answer.has_result, answer.result) == ("ok", True, result)
    both = read({"result": result, "data": {"order": {"sum": 1}}})
    assert (both.kind, both.has_result, both.result) == ("changed", True, result)
    assert read({"allow": True}).has_result is False


@BOTH
def test_what_has_happened_can_be_neither_refused_nor_changed(mode: str) -> None:
    """On `after` and `on` events a «no» is recorded as refused, data has no effect, a result is kept."""
    refused = read({"allow": False, "message": "late"}, mode=mode, before=False)
    assert (refused.kind, refused.veto) == ("refused", Refusal("late"))
    late = read({"data": {"other": 1}, "result": 5}, mode="transform", before=False)
    assert (late.kind, late.data, late.result, len(late.warnings)) == ("ok", None, 5, 1)
    assert read("", mode=mode, status=500, before=False).error == "bad_status"


def test_a_veto_says_why() -> None:
    """Message, code and errors reach the caller; data and result of a «no» don't."""
    errors = [{"path": "/user/inn", "code": "stop", "message": "ИНН в стоп-листе"}]
    said = {
        "allow": False,
        "message": "Нет",
        "code": "inn",
        "errors": errors,
        "data": {"order": {"sum": 1}},
        "result": 5,
    }
    answer = read(said)
    assert answer.veto == Refusal("Нет", "inn", 422, tuple(errors))
    assert (answer.data, answer.has_result) == (None, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 200},
        {"status": 600},
        {"status": "409"},
        {"status": True},
        {"status": 409.0},
        {"message": 5},
        {"code": ["x"]},
        {"errors": "x"},
        {"errors": 0},
        {"errors": ["x"]},
        {"errors": [{"path": 5}]},
        {"warnings": "x"},
        {"warnings": ""},
        {"warnings": [5]},
    ],
)
def test_a_badly_worded_reply_keeps_its_meaning(wrong: dict[str, Any]) -> None:
    """What can't be used of the words is left out with a warning: a «no» stays a no, an «allowed» allowed."""
    veto = read({"allow": False, **wrong})
    assert (veto.kind, veto.veto, len(veto.warnings)) == ("vetoed", Refusal(), 1)
    allowed = read({"allow": True, **wrong})
    assert (allowed.kind, len(allowed.warnings)) == ("ok", 1)


def test_words_are_bounded() -> None:
    """Whatever a receiver sends, message, code and lists have an end."""
    said = {
        "allow": False,
        "message": "x" * 9999,
        "code": "y" * 9999,
        "errors": [{}] * 999,
        "warnings": ["z" * 9999] * 999,
    }
    answer = read(said)
    assert answer.veto is not None
    assert (len(answer.veto.message), len(answer.veto.code)) == (1000, 100)
    assert len(answer.warnings) <= 101
    assert all(len(str(warning)) <= 1000 for warning in answer.warnings)


def test_the_receivers_own_warnings_come_through() -> None:
    """`warnings` are handed on, in order."""
    assert read({"warnings": ["a", "b"]}).warnings == ("a", "b")


@pytest.mark.parametrize("label", ["utf-8,gbk", "base64", "idna", "utf\x00-8", "", "utf-16"])
def test_labels_of_charset_are_not_believed(label: str) -> None:
    """JSON is UTF-8, whatever the label says."""
    answer = read({"allow": False, "message": "Нет"}, headers={"content-type": f"application/json; charset={label}"})
    assert answer.veto == Refusal("Нет")


def test_a_byte_order_mark_is_passed_over() -> None:
    """Receivers on Windows put one before their JSON; it changes nothing (RFC 8259, 8.1)."""
    assert read(b"\xef\xbb\xbf" + b'{"allow": false}').kind == "vetoed"


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON", "application/problem+json", "text/json ; x=y"]
)
def test_json_is_known_by_its_media_type(kind: str) -> None:
    """All spellings of a JSON type are one, in mappings, lists of pairs and httpx's own headers."""
    for headers in ({"CONTENT-TYPE": kind}, [("Content-Type", kind)], httpx.Headers({"content-type": kind})):
        assert read("{", mode="gate", headers=headers).error == "bad_reply"


SNIPPETS = st.text(alphabet='{}[]":,0123456789allowfstrue .-\\uNIe', max_size=40).map(str.encode)


@given(
    body=st.binary(max_size=60) | SNIPPETS,
    status=st.integers(100, 599),
    before=st.booleans(),
    headers=st.sampled_from([JSON, HTML]),
)
def test_no_body_breaks_it(body: bytes, status: int, before: bool, headers: dict[str, str]) -> None:
    """Any bytes with any status are an answer, and only an explicit «no» refuses."""
    for mode in ("gate", "transform"):
        answer = read(body, mode=mode, status=status, before=before, headers=headers)
        assert answer.kind in ("ok", "changed", "vetoed", "refused", "failed")
        assert (answer.kind == "failed") == (answer.error is not None) == (answer.detail is not None)
        if answer.kind in ("vetoed", "refused"):
            assert b"allow" in body
            assert b"false" in body


@given(
    patch=st.recursive(
        st.integers() | st.text(max_size=3) | st.booleans(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "sum", "new"]), inner),
    )
)
def test_a_change_is_that_of_the_merge_patch(patch: Any) -> None:
    """Without nulls the merged payload is RFC 7396's, and unchanged means equal."""
    answer = read({"data": {"order": patch}})
    merged = merge_patch(PAYLOAD, {"order": patch})
    assert (answer.data if answer.kind == "changed" else PAYLOAD) == merged


@pytest.mark.parametrize("mode", ["notify", "record"])
@pytest.mark.parametrize(
    ("status", "error"),
    [(200, None), (204, None), (299, None), (301, "redirect"), (400, "bad_status"), (404, "bad_status"),
     (429, "bad_status"), (500, "bad_status"), (503, "bad_status"), (101, "bad_status"),
     (600, "bad_status"), (410, "bad_status")],
)  # fmt: skip
def test_background_success_is_2xx(mode: str, status: int, error: str | None) -> None:
    """Only 2xx is success; everything else is repeated, and 410 pauses."""
    answer = background(mode, status)
    assert (answer.kind, answer.error, answer.pause) == ("failed" if error else "ok", error, status == 410)


@pytest.mark.parametrize("status", [200, 301, 404, 410, 500])
def test_nothing_of_a_forget_hooks_response_is_obeyed(status: int) -> None:
    """A request that went out whole is sent, whatever the receiver says."""
    assert background("forget", status) == ReplyOutcome("sent")


NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("2", 2.0),
        (" 60 ", 60.0),
        ("999999999", 86_400.0),
        ("9" * 6000, 86_400.0),
        ("-5", None),
        ("1.5", None),
        ("0000000060", 60.0),
        ("0000000000", 0.0),
        ("inf", None),
        ("nan", None),
        ("٣", None),
        ("", None),
        ("soon", None),
        ("Wed, 99 Foo 2026 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
        (format_datetime(NOW + timedelta(seconds=10), usegmt=True), 10.0),
        (format_datetime(NOW + timedelta(seconds=10)).replace("+0000", "-0000"), 10.0),
        ((NOW + timedelta(seconds=10)).strftime("%a %b %d %H:%M:%S %Y"), 10.0),
        ((NOW + timedelta(seconds=10)).strftime("%A, %d-%b-%y %H:%M:%S GMT"), 10.0),
        (format_datetime(NOW + timedelta(days=400), usegmt=True), 86_400.0),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    """Seconds or an HTTP date, at most a day; what is past, negative or garbage asks nothing."""
    assert retry_after({"Retry-After": value}, NOW_MS) == seconds
    assert retry_after([("retry-after", value)], NOW_MS) == seconds


def test_of_several_the_latest_is_obeyed() -> None:
    """Two lines, one of them folded, one that is no wish at all; never more than a day."""
    assert retry_after([("Retry-After", "100"), ("retry-after", "\r\n 400 "), ("Retry-After", "soon")], NOW_MS) == 400
    assert retry_after([("Retry-After", "5"), ("Retry-After", "9999999999")], NOW_MS) == 86_400
    assert retry_after([("Retry-After", "soon")], NOW_MS) is None


def test_retry_after_may_be_absent() -> None:
    """Without the header nothing is asked."""
    assert retry_after({}, NOW_MS) is None


@given(st.text(max_size=40))
def test_retry_after_never_breaks(value: str) -> None:
    """Any text is a number of seconds up to a day, or nothing."""
    found = retry_after({"Retry-After": value}, NOW_MS)
    assert found is None or 0 <= found <= 86_400
