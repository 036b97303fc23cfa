"""Our own trouble is not charged to the receiver: no attempt, nothing for the breaker; the row waits, and says so."""

from __future__ import annotations

import asyncio
import errno
import gettext
import os
import resource
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from hookrow import Hook, HookEngine
from hookrow.clock import SystemClock
from hookrow.lang import Text, opened
from hookrow.store.database.database import Database
from hookrow.store.outbox import Claimed
from hookrow.testing import HookReceiver
from hookrow.testing.fixtures import hook_receiver
from hookrow.transport.faults import fault, too_late
from hookrow.transport.progress import CONNECTED, CONNECTING, HEADED, NAMED, NAMING, SECURED, SENDING, SENT, Progress
from outbox_rows import Result, add_hook, attempts, breaker, fire, result, rows, set_hook
from scripted import HandClock
from worker_bench import Receiver, now_ms, running, settled, worker_on

__all__ = ["hook_receiver"]


def progress(*events: str) -> Progress:
    """How far a request has come."""
    found = Progress(SystemClock())
    for event in events:
        found.mark(event)
    return found


@pytest.mark.parametrize(
    ("number", "event", "word"),
    [
        (errno.EMFILE, CONNECTING, "local_error"),
        (errno.ENFILE, NAMED, "local_error"),
        (errno.ENOBUFS, SECURED, "local_error"),
        (errno.ENOBUFS, SENDING, "connect_error"),
        (errno.ECONNREFUSED, CONNECTING, "connect_error"),
    ],
)
def test_what_this_machine_lacks_is_ours(number: int, event: str, word: str) -> None:
    """Until the request leaves; later on it may have arrived, whoever is to blame. However deep the cause lies."""
    error = httpx.ConnectError("connecting")
    error.__cause__ = OSError(number, os.strerror(number))
    found, reason = fault(error, progress(event))
    assert found == word
    assert "/" not in str(reason)
    assert ("nothing was sent" in str(reason)) == (word == "local_error")


def test_a_resolver_without_a_descriptor_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says only that there is no such name."""
    unknown = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    assert fault(unknown, progress(NAMING))[0] == "name_error"

    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(socket, "socket", refuse)
    assert fault(unknown, progress(NAMING))[0] == "local_error"


@pytest.mark.anyio
async def test_a_row_waits_longer_and_longer_and_loses_no_attempt(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Five seconds, ten …, a minute at the most; the state stays, the breaker hears nothing, one line a minute."""
    clock = HandClock(now_ms())
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook], clock.wall)
    local = result("failed", error="local_error", status=None, detail="no descriptors", values={"at_ms": 1})
    waits = [5, 10, 20, 40, 60, 60]

    async def script(claimed: Claimed) -> Result:
        return local if len(receiver.sent) <= len(waits) else result()

    receiver = Receiver(script)
    async with running(worker_on(database, receiver, clock=clock)) as worker:
        for sent, wait in enumerate(waits, 1):
            await receiver.until(lambda sent=sent: len(receiver.sent) == sent)  # type: ignore[misc]
            await settled(database, row, "queued")
            found = rows(database)[row]
            assert (found.due_ms - clock.wall, found.attempts, found.error) == (wait * 1000, 0, None)
            clock.forward(wait)
            worker.wake()
        await settled(database, row, "ok")
        assert worker.shortage.waits == {}
    assert [each.number for each in attempts(database)] == [1]
    assert breaker(database, hook) is None or breaker(database, hook).failures == 0
    said = [each.message for each in caplog.records if "deliver" in each.message]
    assert [line.partition("msg_")[0] for line in said] == [
        "deliveries wait: ",
        "deliveries wait, 5 times so far: ",
        "deliveries wait, 6 times so far: ",
        "deliveries that waited go again (failures: 6)",
    ]
    assert all(line.endswith(": no descriptors") for line in said[:3])
    assert {each.number for each in receiver.sent} == {1}


@pytest.mark.anyio
async def test_a_held_row_is_held_and_a_command_ends(database: Database) -> None:
    """A hook that is switched off meanwhile holds its row; a command that sends its own leaves it to a worker."""
    hook, other = add_hook(database, "a"), add_hook(database, "b")
    first, (row,) = fire(database, [hook], now_ms())
    second, (left,) = fire(database, [other], now_ms())

    async def script(claimed: Claimed) -> Result:
        if claimed.hook_id == hook:
            database.writer.write(lambda connection: set_hook(connection, hook, paused_by="person"))
        return result("failed", error="local_error", status=None)

    receiver = Receiver(script)
    async with asyncio.timeout(20):
        await worker_on(database, receiver).send_firings({first, second})
    assert [each.hook_id for each in receiver.sent] == [hook, other]
    assert (rows(database)[row].state, rows(database)[left].state) == ("parked", "queued")


@contextmanager
def out_of_descriptors() -> Iterator[None]:
    """This process can open nothing more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = [os.open("/dev/null", os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened[0] + 20, before[1]))
    try:
        while True:
            try:
                opened.append(os.dup(opened[0]))
            except OSError:
                break
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for each in opened:
            os.close(each)


def test_a_process_without_descriptors(
    tmp_path: Path, hook_receiver: HookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real one: `on_failure` of a waiting hook decides; nothing is held against the receiver. The words for it are
    not loaded yet."""
    monkeypatch.setattr(gettext, "_translations", {})
    opened.cache_clear()
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
        for event, more in (
            ("before_user_new", "stop"),
            ("before_order_add", "stop"),
            ("before_order_update", "continue"),
        ):
            url = hook_receiver.url if event == "before_user_new" else "http://127.0.0.1:9/"
            engine.hooks.add(Hook(name=event, event=event, url=url, wait_for_response=True, on_failure=more))
        assert engine.fire("before_user_new", {}).allowed  # what is made once is made
        with out_of_descriptors():
            stopped = engine.fire("before_order_add", {})
            passed = engine.fire("before_order_update", {})
    assert (stopped.outcome, stopped.deliveries[0].error) == ("failed", "local_error")
    assert (passed.outcome, passed.deliveries[0].error) == ("allowed", "local_error")
    assert "Too many open files" in str(stopped.deliveries[0].detail)
    assert Text("Stopped; unsent deliveries stay queued.").said("ru").startswith("Остановлен")


def test_a_thread_that_gets_no_loop_of_its_own(
    tmp_path: Path, hook_receiver: HookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop takes descriptors: the engine's is asked, which has its own already."""

    def refuse() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
        engine.hooks.add(Hook(name="a", event="before_order_add", url=hook_receiver.url, wait_for_response=True))
        engine.portal.call(asyncio.sleep(0))
        monkeypatch.setattr(asyncio, "new_event_loop", refuse)
        assert engine.fire("before_order_add", {}).deliveries[0].outcome == "ok"


ON_ITS_WAY = [(), (CONNECTING,), (CONNECTED, SENDING), (CONNECTED, SENDING, SENT), (CONNECTED, SENDING, SENT, HEADED)]
BROKEN = [
    OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)),
    OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)),
    OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
    socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    ssl.SSLError(1, "[SSL] record layer failure"),
    httpx.ReadTimeout("late"),
]


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("events", ON_ITS_WAY, ids=str)
def test_a_request_that_was_out_may_have_been_acted_on(events: tuple[str, ...], again: bool) -> None:
    """Nothing was heard of it, whatever broke, in whichever phase: the record says so, in both languages; before it
    left there is nothing to say. One that is sent `again`, its kept connection having closed, had left before."""
    left = again or SENDING in events

    def at() -> Progress:
        found = progress(CONNECTED, SENDING, SENT) if again else progress()
        if again:
            found.restart()
        for event in events:
            found.mark(event)
        return found

    for said in (too_late(at(), 2.5), *(fault(error, at())[1] for error in BROKEN)):
        assert ("may have acted" in said.said("en")) is left, said
        assert ("получатель мог выполнить запрос" in said.said("ru")) is left, said
        assert said.said("en").count("may have acted") <= 1
    assert {fault(error, at())[0] for error in BROKEN} & {"local_error"} == (set() if left else {"local_error"})
