"""Bytes beyond a complete answer: once the head is whole the status decides, the rest goes with the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from front_door import GATE, RECORD, fired, fired_here, word
from hookrow import AsyncHookEngine, Hook, HookEngine
from receivers import Receiver, reply, send

pytestmark = pytest.mark.anyio

SAME_PACKET: dict[str, tuple[bytes, str, str, int]] = {
    "204 with a length and a body": (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", "ok", "ok", 204),
    "204 and a body": (b"HTTP/1.1 204 No Content\r\n\r\nok", "ok", "ok", 204),
    "200 without a length and a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nok", "ok", "ok", 200),
    "a body and more": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}junk", "ok", "ok", 200),
    "410 and more": (b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\ngone", "bad_status", "bad_status", 410),
    "a refusal and more": (
        b'HTTP/1.1 409 Conflict\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"allow": false}junk',
        "vetoed",
        "bad_status",
        409,
    ),
}


@pytest.fixture
async def engine(tmp_path: Path, anyio_backend: str) -> AsyncIterator[AsyncHookEngine]:
    """With the transport that is shipped."""
    async with AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as made:
        yield made


@pytest.mark.parametrize("name", SAME_PACKET)
async def test_what_follows_an_answer_is_thrown_away(engine: AsyncHookEngine, name: str) -> None:
    """For who waits and for who does not; the next request has a connection of its own, and its own answer."""
    content, gate, record, status = SAME_PACKET[name]
    sent = send(content, then="keep")
    with Receiver(sent, sent, sent, reply(200)) as receiver, HookEngine(engine.url, worker=False) as blocking:
        hooks: list[Any] = [
            await engine.hooks.add(Hook(name=mode, url=receiver.url, timeout=10, **how))
            for mode, how in (("gate", GATE), ("record", RECORD))
        ]
        for how, wanted in ((GATE, gate), (RECORD, record)):
            delivery, _ = await fired(engine, how["event"], {"order": {}})
            assert (word(delivery), delivery.status) == (wanted, status)
            await engine.hooks.resume(hooks[0].id)
        delivery, _ = await asyncio.to_thread(fired_here, blocking, GATE["event"], {"order": {}})
        assert (word(delivery), delivery.status) == (gate, status)
        for hook in hooks:
            await engine.hooks.resume(hook.id)
        delivery, _ = await fired(engine, GATE["event"], {"order": {}})
        assert (word(delivery), delivery.status) == ("ok", 200)
        delivery, _ = await asyncio.to_thread(fired_here, blocking, GATE["event"], {"order": {}})
        assert (word(delivery), delivery.status) == ("ok", 200)
