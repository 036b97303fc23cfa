"""What is sent: headers, body, basic authentication, signature; and what the log may see of it."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from hookrow.delivery import message
from hookrow.hook.modes import MODES, WAITING
from hookrow.secrets.secret import MASK, new_signing_secret
from hookrow.transport import Outgoing

OCCURRED = 1_795_597_443_007
SENT = 1_795_597_450
PARTS: dict[str, Any] = {
    "event": "before_order_add",
    "mode": "gate",
    "msg_id": "msg_abc01",
    "attempt": 1,
    "sent_at_s": SENT,
    "occurred_at_ms": OCCURRED,
}


@pytest.mark.parametrize("name", ["Content-Length", "transfer-ENCODING", "X-Content-Length"])
def test_a_request_is_framed_by_its_body_alone(name: str) -> None:
    """A header that was written past the checks of a hook's fields does not say where the body ends."""
    request = Outgoing.of(composed('{"a": 1}', custom_header=(name, "3")))
    head, _, body = request.content.partition(b"\r\n\r\n")
    lines = [line.lower() for line in head.decode().split("\r\n")]
    framing = [line for line in lines if line.startswith(("content-length:", "transfer-encoding:"))]
    assert (framing, body) == (["content-length: 8"], b'{"a": 1}')
    assert ("x-content-length: 3" in lines) is (name == "X-Content-Length")


OUTLINE = ("login", "password", "custom_header", "secrets")


def composed(body: str = "{}", **more: Any) -> message.Message:
    """A request of a hook."""
    hook = {name: more.pop(name) for name in OUTLINE if name in more}
    return message.Outline("https://h/x", **hook).message(body, **{**PARTS, **more})


def made(body: str = "{}", **more: Any) -> dict[str, str]:
    """The headers of a message by name; none comes twice."""
    pairs = composed(body, **more).headers
    assert len({name.lower() for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_headers_are_those_of_the_contract() -> None:
    """A plain request has exactly these headers, and a POST's URL and bytes."""
    sent = composed('{"a":"ж"}')
    assert (sent.method, sent.url, sent.body) == ("POST", "https://h/x", '{"a":"ж"}'.encode())
    assert dict(sent.headers) == {
        "content-type": "application/json",
        "accept-encoding": "identity",
        "user-agent": message.user_agent(),
        "webhook-id": "msg_abc01",
        "webhook-timestamp": str(SENT),
        "hook-event": "before_order_add",
        "hook-mode": "gate",
        "hook-attempt": "1",
        "hook-depth": "1",
        "hook-occurred-at": "2026-11-25T09:04:03.007Z",
    }
    assert message.user_agent().startswith("Hookrow/")


@pytest.mark.parametrize("mode", MODES)
def test_deadline_is_told_to_waiting_hooks_only(mode: str) -> None:
    """`hook-deadline-ms` is sent where somebody waits."""
    assert ("hook-deadline-ms" in made(mode=mode, deadline_ms=3000)) == (mode in WAITING)
    assert "hook-deadline-ms" not in made(mode=mode)


def test_replays_and_tests_are_marked() -> None:
    """A replay names the firing it repeats, a test is marked as one, a later attempt has its number."""
    headers = made(replay_of="evt_old", test=True, attempt=3)
    assert (headers["hook-replay-of"], headers["hook-test"], headers["hook-attempt"]) == ("evt_old", "1", "3")


@pytest.mark.parametrize(
    ("login", "password", "sent"),
    [("b2b", "a:b c", "b2b:a:b c"), ("логин", "пароль", "логин:пароль"), ("b2b", "", "b2b:"), ("", "x", ":x")],
)
def test_basic_authentication_of_the_rfc(login: str, password: str, sent: str) -> None:
    """RFC 7617 in UTF-8; one half alone is sent with the other one empty."""
    scheme, _, encoded = made(login=login, password=password)["authorization"].partition(" ")
    assert (scheme, base64.b64decode(encoded).decode()) == ("Basic", sent)


def test_no_authentication_where_none_is_set() -> None:
    """Without login and password no Authorization is sent."""
    assert "authorization" not in made()


def test_custom_header_goes_with_it() -> None:
    """The custom header is sent as it was written; a user agent of its own replaces ours."""
    assert made(custom_header=("X-Source", "shop"))["X-Source"] == "shop"
    assert made(custom_header=("User-Agent", "Shop/1"))["User-Agent"] == "Shop/1"


@given(body=st.text(), msg_id=st.from_regex(r"msg_[a-z0-9]{4,30}", fullmatch=True))
def test_signature_is_that_of_standard_webhooks(body: str, msg_id: str) -> None:
    """The signature over the very bytes verifies with the reference library, whatever the body is."""
    secret = new_signing_secret().value
    content = body.encode()
    signature = message.sign([secret], msg_id, SENT, content)
    assert signature == Webhook(secret).sign(msg_id, datetime.fromtimestamp(SENT, UTC), body)


def test_while_a_secret_is_rotated_both_signatures_are_sent() -> None:
    """Either secret, the old and the new one, verifies the request; a third one does not."""
    old, new, other = (new_signing_secret().value for _ in range(3))
    body = '{"b":1,"a":"ж","n":1.0,"big":12345678901234567890}'
    headers = made(body, secrets=[new, old])
    given_signatures = headers["webhook-signature"].split(" ")
    for secret, expected in ((old, True), (new, True), (other, False)):
        found = Webhook(secret).sign("msg_abc01", datetime.fromtimestamp(SENT, UTC), body)
        assert (found in given_signatures) is expected


def test_a_secret_that_has_run_out_signs_no_more() -> None:
    """Of one outline a request is signed by both secrets or by the new one alone."""
    secrets = [new_signing_secret().value for _ in range(2)]
    both, one = made(secrets=secrets), made(secrets=secrets, signatures=1)
    assert both["webhook-signature"].split(" ")[:1] == one["webhook-signature"].split(" ")
    assert one["webhook-signature"] == made(secrets=secrets[:1])["webhook-signature"]


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 200])
def test_a_key_of_any_length_is_that_of_rfc_2104(length: int) -> None:
    """The states that are kept give what the standard library gives."""
    key = bytes(range(length))
    right = hmac.digest(key, b"msg_abc01.1.{}", "sha256")
    assert (
        message.Signer(base64.b64encode(key).decode()).sign(b"msg_abc01.1.{}")
        == f"v1,{base64.b64encode(right).decode()}"
    )


def test_no_signature_without_a_secret() -> None:
    """An unsigned hook has no signature header at all."""
    assert "webhook-signature" not in made()


@given(login=st.text(max_size=20), password=st.text(max_size=20), body=st.text(max_size=50))
def test_every_request_can_be_sent(login: str, password: str, body: str) -> None:
    """Whatever the login, password and body, httpx accepts the headers and keeps the bytes."""
    sent = composed(body, login=login, password=password)
    request = httpx.Request(sent.method, sent.url, headers=list(sent.headers), content=sent.body)
    assert request.read() == body.encode()
    assert all(value.isascii() for _, value in sent.headers)


def test_secrets_are_in_no_part_of_the_request_but_their_headers() -> None:
    """The signing secret occurs nowhere, in no form; the password only as basic authentication."""
    secret = new_signing_secret().value
    raw = base64.b64decode(secret.removeprefix("whsec_"))
    sent = composed(secrets=[secret], login="b2b", password="S3cret")
    everything = repr(sent.headers) + sent.body.decode() + sent.url
    for form in (secret, secret[6:], raw.hex(), base64.urlsafe_b64encode(raw).decode(), "S3cret"):
        assert form not in everything


def test_the_log_sees_no_secret() -> None:
    """Authorization and the custom header are masked, all that Hookrow made itself stays readable."""
    secret = new_signing_secret().value
    sent = composed(secrets=[secret], login="b2b", password="S3cret", custom_header=("X-Source", "k3y"))
    shown = dict(sent.shown)
    assert shown["authorization"] == f"Basic {MASK}"
    assert shown["X-Source"] == MASK
    hidden = {"authorization", "X-Source"}
    assert {name: value for name, value in shown.items() if name not in hidden} == {
        name: value for name, value in sent.headers if name not in hidden
    }


@pytest.mark.parametrize("name", ["Authorization", "authorization", "X-Api-Key", "Cookie", "proxy-authorization"])
def test_whatever_hookrow_did_not_make_is_masked(name: str) -> None:
    """A header that is not ours is a secret until proven otherwise."""
    sent = composed(custom_header=(name, "Bearer t0ken"))
    assert (name, MASK) in sent.shown
    assert "t0ken" not in repr(sent) + repr(sent.shown)


def test_the_envelope() -> None:
    """An empty body sends id, type, timestamp and data, and the result only if a hook gave one, also if it is null."""
    text = message.envelope("abc", "before_order_add", OCCURRED, '{"order":{"note":"ж"}}')
    assert json.loads(text) == {
        "id": "evt_abc",
        "type": "before_order_add",
        "timestamp": "2026-11-25T09:04:03.007Z",
        "data": {"order": {"note": "ж"}},
    }
    assert json.loads(message.envelope("abc", "a", OCCURRED, "{}", True, None))["result"] is None
    assert "ж" in text
