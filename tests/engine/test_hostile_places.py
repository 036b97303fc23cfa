"""Receivers that are hostile by where they are or whom they claim to be: TLS, redirects, backlogs, waits, cookies."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from front_door import MODES, fired, word
from hookrow import AsyncHookEngine, Hook
from hookrow.clock import SystemClock, from_ms
from hookrow.errors import Vetoed
from hookrow.hook.egress import Egress
from hookrow.transport import Transport, exchange
from receivers import Authority, BlackHole, Peer, Receiver, reply, silence
from receivers.bodies import BODIES
from receivers.connections import HEADS
from receivers.scripts import Script
from scripted import outgoing

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Whom the engine trusts."""
    return Authority()


@pytest.fixture
async def engine(
    tmp_path: Path, engine_template: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> AsyncIterator[AsyncHookEngine]:
    """With the transport that is shipped, which trusts what the system's variable names; no worker."""
    authority.ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    shutil.copyfile(engine_template, tmp_path / "hooks.db")
    async with AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as made:
        yield made


async def in_every_mode(engine: AsyncHookEngine, url: str, timeout: float = 5) -> dict[str, str]:
    """The word of each mode's hook for this URL; the hooks stay, and lead elsewhere the next time."""
    hooks = {hook.name: hook.id for hook in await engine.hooks.list()}
    for mode, how in MODES.items():
        if mode in hooks:
            await engine.hooks.update(hooks[mode], url=url, timeout=timeout)
        else:
            await engine.hooks.add(Hook(name=mode, url=url, timeout=timeout, **how))
    done = await asyncio.gather(*(fired(engine, how["event"], {"order": {}}) for how in MODES.values()))
    return {mode: word(delivery) for mode, (delivery, _) in zip(MODES, done, strict=True)}


def old_tls(authority: Authority) -> ssl.SSLContext:
    """A server that speaks TLS 1.0 and nothing newer."""
    context = authority.server()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


TLS: dict[str, Callable[[Authority], ssl.SSLContext]] = {
    "expired": lambda authority: authority.server(days=(-30, -1)),
    "not yet valid": lambda authority: authority.server(days=(5, 30)),
    "another name": lambda authority: authority.server("other.test"),
    "signed by itself": lambda _: Authority().server(),
    "TLS 1.0": old_tls,
}


@pytest.mark.parametrize("kind", TLS)
async def test_no_request_goes_to_who_cannot_prove_its_name(
    engine: AsyncHookEngine, authority: Authority, kind: str
) -> None:
    """In no mode; the word is `tls_error`, and a good receiver is served right after."""
    with Receiver(reply(200, b"{}"), tls=TLS[kind](authority)) as receiver:
        assert await in_every_mode(engine, receiver.url) == dict.fromkeys(MODES, "tls_error")
        assert receiver.requests == []
    with Receiver(reply(200, b"{}"), tls=authority.server()) as receiver:
        assert set((await in_every_mode(engine, receiver.url)).values()) == {"ok", "sent"}


def plain(peer: Peer) -> None:
    """A server of plain HTTP, on the port where TLS is expected."""
    peer.more()
    peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    peer.close()


def hello_and_no_more(peer: Peer) -> None:
    """The first bytes of a handshake, and then nothing."""
    peer.more()
    peer.send(b"\x16\x03\x03\x00\x7a\x02\x00")
    peer.wait_left()


def drips_a_handshake(peer: Peer) -> None:
    """A handshake of a byte now and then."""
    peer.more()
    for byte in b"\x16\x03\x03\x40\x00" + b"\x02" * 1000:
        peer.send(bytes([byte]))
        peer.pause(0.05)


HANDSHAKES: dict[str, tuple[Script, str, float]] = {
    "plain HTTP": (plain, "tls_error", 30),
    "silence": (silence, "timeout", 0.4),
    "half a hello": (hello_and_no_more, "timeout", 0.4),
    "a drip": (drips_a_handshake, "timeout", 0.4),
}


@pytest.mark.parametrize("kind", HANDSHAKES)
async def test_a_handshake_that_is_none_ends(engine: AsyncHookEngine, lag: Any, kind: str) -> None:
    """With its word, at the limit or long before it."""
    script, wanted, limit = HANDSHAKES[kind]
    with Receiver(script) as receiver:
        began = asyncio.get_running_loop().time()
        found = await in_every_mode(engine, receiver.url.replace("http://", "https://"), timeout=limit)
        assert found == dict.fromkeys(MODES, wanted)
        assert asyncio.get_running_loop().time() - began <= lag.bound(2.0)


async def test_plain_http_to_a_tls_port_is_no_answer(engine: AsyncHookEngine, authority: Authority) -> None:
    """The other side closes or speaks TLS: neither is HTTP."""
    with Receiver(reply(200, b"{}"), tls=authority.server()) as receiver:
        found = await in_every_mode(engine, receiver.url.replace("https://", "http://"))
        assert {found[mode] for mode in ("gate", "transform", "record")} <= {"connect_error", "bad_reply"}
        assert receiver.requests == []


async def test_redirects_lead_nowhere(engine: AsyncHookEngine) -> None:
    """Of any kind, in any mode: one request, no second connection, and the hook is told to update its URL."""
    with Receiver(reply(200, b"{}")) as target, ExitStack() as stack:
        for status in (301, 302, 303, 307, 308):
            first = stack.enter_context(Receiver(reply(status, b"", [("Location", target.url)])))
            found = await in_every_mode(engine, first.url)
            assert found == {"gate": "redirect", "transform": "redirect", "record": "redirect", "forget": "sent"}
            assert len(first.requests) == len(MODES)
        assert target.connections == 0
        delivery, _ = await fired(engine, MODES["gate"]["event"], {"order": {}})
        assert f"{target.url}: update the URL" in str(delivery.detail)


async def test_a_place_that_never_accepts(engine: AsyncHookEngine, lag: Any) -> None:
    """A full backlog: every mode is let go at the limit; nothing went out, so a `forget` is tried again too."""
    with BlackHole() as hole:
        began = asyncio.get_running_loop().time()
        assert await in_every_mode(engine, hole.url, timeout=0.4) == dict.fromkeys(MODES, "timeout")
        assert asyncio.get_running_loop().time() - began <= lag.bound(1.5)


@pytest.mark.usefixtures("untraced")
async def test_hostile_receivers_do_not_delay_a_healthy_one(engine: AsyncHookEngine, lag: Any) -> None:
    """While floods, bombs and drips are being read, a hook of another receiver is answered at once, again and again."""
    noisy = ("endless interim answers", "chunks of a byte without end", "a chunk extension without end", "a gzip bomb")
    scripts = [{**HEADS, **BODIES}[name].script for name in noisy]
    with ExitStack() as stack:
        well = stack.enter_context(Receiver(reply(200, b"{}")))
        await engine.hooks.add(Hook(name="well", url=well.url, timeout=30, **MODES["transform"]))
        for script in scripts:
            hostile = stack.enter_context(Receiver(script))
            await engine.hooks.add(Hook(name="h", url=hostile.url, timeout=30, **MODES["gate"]))
        busy = asyncio.ensure_future(engine.fire(MODES["gate"]["event"], {"order": {}}))
        while not busy.done():
            delivery, took = await fired(engine, MODES["transform"]["event"], {"order": {}})
            assert delivery.outcome == "ok"
            assert took <= lag.bound(0.5)
        assert {each.error for each in (await busy).deliveries} == {"bad_reply", "reply_too_large"}


async def test_a_request_that_is_not_taken_in_did_not_go_out(anyio_backend: str, lag: Any) -> None:
    """Eight megabytes for a reader that reads nothing: `forget` does not count as sent, and nobody is held."""

    def unread(peer: Peer) -> None:
        peer.pause(30)

    async with Transport(Egress(), SystemClock()) as transport:
        with Receiver(unread, window=4096) as receiver:
            for wait in ("sent", "reply"):
                request = outgoing(receiver.url, bytes(8_000_000))
                began = asyncio.get_running_loop().time()
                got = await exchange(
                    transport, request, timeout=1.0, limit=1024, keep=None, clock=SystemClock(), wait=wait
                )
                assert (got.error, got.sent) == ("timeout", False)
                assert "sending" in str(got.detail)
                assert asyncio.get_running_loop().time() - began <= lag.bound(1.25)


RETRY: dict[str, tuple[list[str], float]] = {
    "seconds": (["3600"], 3600),
    "a date": (["in an hour"], 3600),
    "less than the schedule": (["1"], 4),
    "nothing": ([""], 4),
    "negative": (["-5"], 4),
    "a fraction": (["1.5"], 4),
    "infinity": (["inf"], 4),
    "a date that is past": (["Wed, 21 Oct 2015 07:28:00 GMT"], 4),
    "a date that is none": (["Wed, 99 Foo 2026 07:28:00 GMT"], 4),
    "huge": (["9" * 6000], 86_400),
    "a far date": (["Fri, 31 Dec 9999 23:59:59 GMT"], 86_400),
    "other digits": (["٣٦٠٠"], 4),
    "several": (["3600", "7200"], 7200),
    "several in one": (["3600, 7200"], 4),
}


async def test_every_shape_of_retry_after(engine: AsyncHookEngine) -> None:
    """Obeyed where it is seconds or a date, never sooner than the schedule's 5 s ± 20 %, at most a day."""
    began = SystemClock().now_ms()
    hour = format_datetime(from_ms(began + 3_600_000), usegmt=True)
    with ExitStack() as stack:
        for name, (values, _) in RETRY.items():
            given = [
                ("Retry-After", hour if each == "in an hour" else each.encode().decode("latin-1")) for each in values
            ]
            receiver = stack.enter_context(Receiver(reply(429 if "date" in name else 503, b"", given)))
            await engine.hooks.add(Hook(name=name, url=receiver.url, event="after_registration", fire_and_forget=False))
        firing = await engine.send_own(await engine.fire("after_registration", {"user": {}}))
        took = (SystemClock().now_ms() - began) / 1000
        for delivery in firing.deliveries:
            least = RETRY[delivery.hook.name][1]
            most = 6 if least == 4 else least
            assert (delivery.error, delivery.outcome) == ("bad_status", "retrying")
            assert delivery.due_ms is not None
            assert least - 1.01 <= (delivery.due_ms - began) / 1000 <= most + took + 0.01, delivery.hook.name


async def test_nothing_of_a_forget_hooks_response_is_kept_or_obeyed(engine: AsyncHookEngine) -> None:
    """A status, headers, a veto, a cookie, 410: nothing of it is in the log, and the hook goes on."""
    answers = (
        reply(410, b"canary", [("Set-Cookie", "canary=1"), ("Retry-After", "3600")]),
        reply(200, b'{"allow": false}'),
    )
    with Receiver(*answers) as receiver:
        await engine.hooks.add(Hook(name="h", url=receiver.url, **MODES["forget"]))
        for _ in answers:
            delivery, _ = await fired(engine, MODES["forget"]["event"], {"order": {}})
            [attempt] = await engine.log.attempts(delivery.id)
            assert (delivery.outcome, delivery.status, attempt.status) == ("sent", None, None)
            assert (list(attempt.response_headers), attempt.response_body, attempt.response_length) == ([], None, None)
        assert [request.header("cookie") for request in receiver.wait(2)] == [None, None]
    path = engine.path
    assert path is not None
    assert b"canary" not in b"".join(each.read_bytes() for each in path.parent.glob("hooks.db*"))


async def test_what_the_host_may_show_holds_no_url_header_or_reply(engine: AsyncHookEngine) -> None:
    """A failure that stops the operation speaks the fallback's words; the log has the rest, for admins."""
    with Receiver(reply(500, b"canary-reply", [("X-Env", "canary-header")])) as receiver:
        await engine.hooks.add(
            Hook(
                name="Stock",
                url=f"{receiver.url}canary-path?token=canary-token",
                auth_login="canary-login",
                auth_password="canary-password",
                on_failure="stop",
                **MODES["gate"],
            )
        )
        firing = await engine.fire(MODES["gate"]["event"], {"order": {}})
    with pytest.raises(Vetoed) as refused:
        firing.raise_for_veto()
    shown = [str(refused.value), repr(firing.veto), repr(firing), str(firing.as_json())]
    assert "canary" not in "\n".join(shown)
    [attempt] = await engine.log.attempts(firing.deliveries[0].id)
    assert (attempt.status, attempt.response_body) == (500, b"canary-reply")
