"""The whole matrix of receivers through the front door: the right word, in time, in bounded memory, and it goes on."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from front_door import GATE, MODES, TRANSFORM, fired, fired_here, word
from hookrow import AsyncHookEngine, Hook, HookEngine
from receivers import Receiver, reply
from receivers.bodies import BODIES, REPLIES
from receivers.case import Case
from receivers.connections import CONNECTIONS, HEADS

pytestmark = pytest.mark.anyio

MATRIX: dict[str, Case] = {**CONNECTIONS, **HEADS, **BODIES, **REPLIES}
LIMIT, WAITED = 30.0, 1.0
"""Seconds a hook has: where the case ends long before its limit, and where it ends at it."""
MEMORY = 30 * 1024
"""KiB that all six attempts together may grow by."""


@pytest.fixture(scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[AsyncHookEngine]:
    """With the transport that is shipped; background deliveries are sent by the test, one attempt each."""
    path: Path = tmp_path_factory.mktemp("hostile")
    async with AsyncHookEngine(f"sqlite:///{path}/hooks.db", worker=False) as made:
        yield made


@pytest.fixture(scope="module")
def steady() -> Iterator[Receiver]:
    """It plays all cases that end long before a hook's limit."""
    with Receiver() as made:
        yield made


@pytest.fixture(scope="module")
async def hooks(engine: AsyncHookEngine, steady: Receiver) -> list[Hook]:
    """One of each mode, for all cases: whatever the case before did to it, it is well again."""
    return [
        await engine.hooks.add(Hook(name=mode, url=steady.url, timeout=LIMIT, **how)) for mode, how in MODES.items()
    ]


@pytest.fixture(scope="module")
def blocking(engine: AsyncHookEngine) -> Iterator[HookEngine]:
    """On the same database: its waiting hooks are asked by the thread that fires, over a socket of its own."""
    with HookEngine(engine.url, worker=False) as made:
        yield made


@pytest.fixture
async def receiver(
    engine: AsyncHookEngine, blocking: HookEngine, hooks: list[Hook], steady: Receiver, name: str
) -> AsyncIterator[Receiver]:
    """Where the hooks lead; each case has connections of its own. One that waits has a receiver of its own, too."""
    case = MATRIX[name]
    if not case.waits:
        steady.play(case.script)
        yield steady
        steady.hang_up()
        assert steady.errors == []
        return
    with Receiver(case.script, window=4096 if case.large else 0) as own:
        for hook in hooks:
            await engine.hooks.update(hook.id, url=own.url, timeout=WAITED)
        await asyncio.to_thread(blocking.runtime.config_now)  # it learns of others' edits some milliseconds later
        yield own
    for hook in hooks:
        await engine.hooks.update(hook.id, url=hook.url, timeout=hook.timeout)
    await asyncio.to_thread(blocking.runtime.config_now)


def resident(which: str) -> int:
    """KiB that this process holds (`VmRSS`) or held at most (`VmHWM`)."""
    found = re.search(rf"{which}:\s*(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


def reset_peak() -> bool:
    """Let `VmHWM` begin anew; whether this kernel lets us."""
    switch = Path("/proc/self/clear_refs")
    if not os.access(switch, os.W_OK):
        return False
    switch.write_text("5")
    return True


@pytest.mark.parametrize("name", MATRIX)
async def test_a_receiver_gets_its_word_and_holds_nobody_up(
    engine: AsyncHookEngine,
    blocking: HookEngine,
    receiver: Receiver,
    lag: Any,
    request: pytest.FixtureRequest,
    name: str,
) -> None:
    """In every mode, and by both drivers where a hook is waited for: the exact word, the limit of time, the bound of
    memory; then it is well, and served."""
    if name == "chunks of a byte without end":  # 100,000 pieces of work in each mode; the others show what is covered
        request.getfixturevalue("untraced")
    case = MATRIX[name]
    payload = {"order": {"id": 7, "note": "x" * 1_000_000 if case.large else ""}}
    measured = reset_peak()
    before = resident("VmRSS")
    *done, gate, transform = await asyncio.gather(
        *(fired(engine, how["event"], payload) for how in MODES.values()),
        *(asyncio.to_thread(fired_here, blocking, how["event"], payload) for how in (GATE, TRANSFORM)),
    )
    grown = resident("VmHWM") - before
    words = dict(zip(MODES, (word(delivery) for delivery, _ in done), strict=True))
    wanted = {"gate": case.gate, "transform": case.transform or case.gate, "record": case.record}
    wanted["forget"] = case.forget or words["forget"]
    assert words == wanted
    assert [word(delivery) for delivery, _ in (gate, transform)] == [wanted["gate"], wanted["transform"]]
    assert words["forget"] in ("sent", "timeout", "connect_error", "tls_error", "bad_reply")
    assert done[0][0].status == gate[0].status == case.status
    for _, took in (*done, gate, transform):
        assert took <= lag.bound(WAITED + 0.25 if case.waits else 4.0)
    assert not measured or grown < (4 * MEMORY if case.large else MEMORY)
    for hook in await engine.hooks.list():
        if hook.state == "paused":  # by a 410
            await engine.hooks.resume(hook.id)
        if hook.timeout != LIMIT:
            await engine.hooks.update(hook.id, timeout=LIMIT)
    receiver.play(reply(200, b'{"allow": true}'))
    well = await asyncio.gather(*(fired(engine, how["event"], {"order": {}}) for how in MODES.values()))
    assert [word(delivery) for delivery, _ in well] == ["ok", "ok", "ok", "sent"]
    assert word((await asyncio.to_thread(fired_here, blocking, GATE["event"], {"order": {}}))[0]) == "ok"
