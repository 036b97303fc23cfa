"""The engine inside a service: threads, loops, forks, interrupts, closing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from hookrow import AsyncHookEngine, Hook, HookEngine
from hookrow.core.threads.portal import Portal
from hookrow.errors import EngineClosed, HookrowError, InvalidSetting, KeyMissing, StorageError, UseAsyncEngine
from hookrow.store.database.database import Database
from hookrow.store.database.locks import LET_GO, LOCK
from outbox_rows import rows
from receivers import Receiver, hold, reply
from scripted import Network
from warm import Warm, run_warm
from worker_bench import seen

EVENT = "before_order_add"
PAYLOAD = {"order": {"id": 7}}
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"PYTHONPATH": str(ROOT / "engine"), "PATH": ""}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database of the test's own."""
    return f"sqlite:///{tmp_path}/hooks.db"


def prepared(url: str, receiver: Receiver, *, waits: bool = False) -> None:
    """A database with one hook."""
    with HookEngine(url, worker=False) as engine:
        engine.hooks.add(Hook(name="h", event=EVENT, url=receiver.url, wait_for_response=waits, timeout=20))


def ours() -> list[str]:
    """The engine's threads."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("hookrow")]


# From 3.12 on Python warns of every fork() beside a thread: that it goes well is what is tested.
UNWARNED = "import warnings\nwarnings.filterwarnings('ignore', 'This process', DeprecationWarning)\n"


def script(code: str, *arguments: str, by_exec: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a service of a few lines in a process of its own; by `exec` where it matters what is imported when."""
    command = [sys.executable, "-c", UNWARNED + code, *arguments]
    if by_exec:
        return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False)
    return run_warm(command, env=ENVIRONMENT, timeout=300)


def test_no_thread_before_the_first_need(url: str, receiver: Receiver) -> None:
    """Making an engine and looking at its hooks starts none; `with` starts the worker."""
    prepared(url, receiver)
    engine = HookEngine(url)
    engine.hooks.list()
    assert ours() == []
    with engine:
        assert "hookrow-loop" in ours()
    assert ours() == []


def test_an_engine_that_is_refused_leaves_nothing_open(url: str, receiver: Receiver) -> None:
    """Neither for a key that is lost nor for an argument that is none: nobody could close it."""
    path = Path(url.removeprefix("sqlite:///"))
    with HookEngine(url, worker=False) as engine:
        engine.hooks.add(Hook(name="h", event=EVENT, url=receiver.url, auth_login="shop", auth_password="horse"))
    path.with_name("hookrow.key").unlink()
    refusals: list[BaseException] = []  # kept: an exception's traceback keeps alive what it saw
    for wrong in ({}, {"egress": "nowhere"}):
        with pytest.raises(HookrowError) as refused:
            HookEngine(url, **wrong)
        refusals.append(refused.value)
    assert [type(each) for each in refusals] == [KeyMissing, InvalidSetting]
    assert open_files(path) == []


def open_files(path: Path) -> list[str]:
    """What this process has open of a database."""
    names = os.listdir("/proc/self/fd")
    found = [os.readlink(f"/proc/self/fd/{name}") for name in names if os.path.exists(f"/proc/self/fd/{name}")]
    return [each for each in found if each.startswith(str(path))]


def test_the_first_fire_starts_the_worker(url: str, receiver: Receiver) -> None:
    """Without `with`, too: what nobody waits for is sent."""
    prepared(url, receiver)
    engine = HookEngine(url)
    engine.fire(EVENT, PAYLOAD)
    receiver.wait(1)
    engine.close()


def test_what_a_dead_process_left_is_sent_by_the_next_ones_worker(url: str, receiver: Receiver) -> None:
    """`with` alone is enough."""
    prepared(url, receiver)
    code = """
import os, sys
from hookrow import HookEngine
HookEngine(sys.argv[1], worker=False).fire("before_order_add", {"order": {}})
os._exit(9)
"""
    assert script(code, url).returncode == 9
    with HookEngine(url):
        receiver.wait(1)


def test_closing_lets_a_request_in_flight_end(url: str) -> None:
    """It is recorded, not given up."""
    answered = threading.Event()
    with Receiver(reply(200, after=answered)) as receiver:
        prepared(url, receiver)
        engine = HookEngine(url).__enter__()
        firing = engine.fire(EVENT, PAYLOAD)
        receiver.wait(1)
        threading.Timer(0.2, answered.set).start()
        engine.close(grace=5)
        with HookEngine(url, worker=False) as later:
            assert later.log.get(firing.id).deliveries[0].outcome == "sent"


def test_closing_gives_leases_back(url: str) -> None:
    """What is not done within the grace stays queued, without a lease, for whoever comes next."""
    with Receiver(hold) as receiver:
        prepared(url, receiver)
        with HookEngine(url, worker=False) as engine:
            hook = engine.hooks.list()[0]
            engine.hooks.update(hook.id or 0, fire_and_forget=False)
        engine = HookEngine(url).__enter__()
        firing = engine.fire(EVENT, PAYLOAD)
        receiver.wait(1)
        engine.close(grace=0.1)
        with HookEngine(url, worker=False) as later:
            assert later.log.get(firing.id).deliveries[0].outcome == "queued"


@pytest.mark.anyio
async def test_what_is_fired_while_the_engine_closes_waits_for_no_lease(database: Database) -> None:
    """Its worker starts nothing more: the row is queued, for the next worker to send at once as a first attempt. Calls
    under way may end, and no new one begins."""
    url = database.address.render_as_string(hide_password=False)
    answering, allowed = asyncio.Event(), asyncio.Event()

    async def late(request: httpx.Request) -> httpx.Response:
        await answering.wait()
        return httpx.Response(200)

    async def gate(request: httpx.Request) -> httpx.Response:
        await allowed.wait()
        return httpx.Response(200)

    network = Network(a=late, g=gate)
    engine = AsyncHookEngine(url, transport=network)
    for event in ("after_registration", EVENT):
        await engine.hooks.add(Hook(name="a", event=event, url="http://receiver.test/a", position=2))
    await engine.hooks.add(
        Hook(name="g", event=EVENT, url="http://receiver.test/g", wait_for_response=True, position=1)
    )
    first = await engine.fire("after_registration", {"n": 0})
    calls = [asyncio.create_task(engine.fire(EVENT, PAYLOAD)) for _ in range(2)]
    await seen(lambda: len(network.requests) == 3)
    worker = engine.sending.worker
    closing = asyncio.create_task(engine.close(grace=60))
    await seen(lambda: worker is not None and worker.closing)
    allowed.set()
    fired = [first, *await asyncio.gather(*calls)]
    assert engine.sending.worker is worker
    answering.set()
    await closing
    kept = [rows(database)[each.deliveries[-1].row_id] for each in fired]
    assert [(each.state, each.fence) for each in kept] == [("sent", 1), ("queued", 0), ("queued", 0)]
    assert len(network.requests) == 3


def test_closing_ends_a_fire_of_another_thread(url: str) -> None:
    """Nobody waits for ever: within the grace it may end, then it is cancelled and recorded so."""
    with Receiver(hold) as receiver:
        prepared(url, receiver, waits=True)
        engine = HookEngine(url).__enter__()
        seen: list[BaseException] = []

        def fire() -> None:
            try:
                engine.fire(EVENT, PAYLOAD)
            except BaseException as error:  # noqa: BLE001 (which one it is, is the question)
                seen.append(error)

        thread = threading.Thread(target=fire)
        thread.start()
        receiver.wait(1)
        engine.close(grace=0.1)
        thread.join(10)
        assert not thread.is_alive()
        assert len(seen) == 1
        with HookEngine(url, worker=False) as later:
            assert [each.outcome for each in later.log.page()] == ["cancelled"]


def test_closing_waits_for_the_grace_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery of the worker's and a call of a thread's have it together; so has the database what it has besides."""
    given: list[float] = []
    with Receiver(hold) as receiver:
        prepared(url, receiver)
        monkeypatch.setattr(Portal, "wait_for_threads", lambda _, seconds: given.append(seconds))
        engine = HookEngine(url).__enter__()
        engine.fire(EVENT, PAYLOAD)
        receiver.wait(1)
        engine.close(grace=0.3)
    assert given[0] <= 0
    assert given[1] <= LET_GO
    assert engine.runtime.database.writer.last < time.monotonic() + LOCK


def test_closing_twice_is_harmless_and_a_closed_engine_says_so(url: str) -> None:
    """Afterwards nothing can be fired."""
    engine = HookEngine(url)
    engine.close()
    engine.close()
    with pytest.raises(EngineClosed):
        engine.fire(EVENT, PAYLOAD)


@pytest.mark.anyio
async def test_the_sync_engine_on_a_running_loop_names_the_other_one(url: str) -> None:
    """It would stop everything that runs there."""
    engine = HookEngine(url)
    for call in (
        lambda: engine.fire(EVENT, PAYLOAD),
        lambda: engine.replay("evt_x"),
        lambda: engine.redeliver("evt_x"),
        lambda: engine.test("x"),
        lambda: engine.explain(EVENT),
        lambda: engine.backup(Path("x")),
        lambda: engine.hooks.list(),
        lambda: engine.hooks.add(Hook(name="x", event=EVENT, url="http://127.0.0.1:1/")),
        lambda: engine.log.page(),
        lambda: engine.settings.list(),
    ):
        with pytest.raises(UseAsyncEngine, match="AsyncHookEngine"):
            call()
    engine.close()


FORKED = """
import os, sys
from hookrow import HookEngine
engine = HookEngine(sys.argv[1])
if sys.argv[2] == "used":
    engine.fire("before_order_add", {"order": {"from": "before"}})
child = os.fork()
engine.fire("before_order_add", {"order": {"from": "child" if child == 0 else "parent"}})
engine.close()
if child:
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize("kind", ["used", "preloaded"])
def test_parent_and_child_of_a_fork_both_fire(url: str, receiver: Receiver, kind: str) -> None:
    """Also `gunicorn --preload`, where the engine is made before the fork: nothing is lost, nothing hangs."""
    prepared(url, receiver)
    done = script(FORKED, url, kind)
    assert (done.returncode, done.stderr) == (0, "")
    wanted = {"child", "parent"} | ({"before"} if kind == "used" else set())
    with HookEngine(url):
        came = {each.json()["data"]["order"]["from"] for each in receiver.wait(len(wanted))}
    assert came == wanted


LOADING = """
import sys, threading
from hookrow import HookEngine
engine = HookEngine(sys.argv[1])
def seen(event, arguments):
    if event == "import" and threading.current_thread().name.startswith("hookrow"):
        print(arguments[0], file=sys.stderr)
sys.addaudithook(seen)
for event in ("after_registration", "before_order_add"):
    engine.fire(event, {"order": {}})
engine.close()
"""


def test_no_thread_of_ours_loads_a_module(url: str, receiver: Receiver) -> None:
    """A child that is forked meanwhile would wait for that module for ever: the first delivery's are there before."""
    with HookEngine(url, worker=False) as engine:
        secret = {"url": receiver.url, "auth_login": "u", "auth_password": "p"}
        engine.hooks.add(Hook.model_validate({"name": "a", "event": "after_registration", **secret}))
        engine.hooks.add(Hook.model_validate({"name": "b", "event": EVENT, "wait_for_response": True, **secret}))
    done = script(LOADING, url, by_exec=True)
    assert (done.returncode, done.stderr) == (0, "")
    receiver.wait(2)


GEVENT, EVENTLET = "import gevent.monkey; gevent.monkey.patch_all()", "import eventlet; eventlet.monkey_patch()"


@pytest.mark.parametrize(("patch", "preloaded"), [(GEVENT, False), (EVENTLET, False), (GEVENT, True)])
def test_patched_threads_are_refused_in_words(url: str, patch: str, preloaded: bool) -> None:
    """At construction; gunicorn's `--preload` makes the engine before its worker patches: then at the first call."""
    made = "from hookrow import HookEngine\nimport os, sys\nmake = lambda: HookEngine(sys.argv[1], worker=False)\n"
    fired = "make().fire('before_order_add', {})"
    if preloaded:
        made += "engine = make()\nif os.fork():\n    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))\n"
        fired = "engine.fire('before_order_add', {})"
    done = script(f"{made}{patch}\n{fired}", url, by_exec=patch == GEVENT and not preloaded)
    assert done.returncode == 1
    assert "UnsupportedHost: " in done.stderr
    assert "gunicorn -k gthread" in done.stderr


@pytest.mark.parametrize("worker", [True, False])
def test_a_script_can_wait_for_its_deliveries(url: str, receiver: Receiver, worker: bool) -> None:
    """`drain()`, with the engine's own worker or without one; what is fired afterwards is sent by the next."""
    prepared(url, receiver)
    with HookEngine(url, worker=worker) as engine:
        for count in (1, 2):
            engine.fire(EVENT, PAYLOAD)
            assert engine.drain()
            assert len(receiver.requests) == count
            assert engine.log.page()[0].deliveries[0].outcome == "sent"
        assert engine.drain()  # nothing is due


def test_a_drain_on_a_loop_ends_in_time(url: str, receiver: Receiver) -> None:
    """What it could not send is queued as before; another one sends it."""
    prepared(url, receiver)

    async def script() -> list[bool]:
        async with AsyncHookEngine(url, worker=False) as engine:
            await engine.fire(EVENT, PAYLOAD)
            return [await engine.drain(timeout=0), await engine.drain()]

    assert asyncio.run(script()) == [False, True]
    assert len(receiver.requests) == 1


def test_a_drain_ends_where_the_database_is_gone(url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait without end, and says what is wrong."""
    monkeypatch.setattr("hookrow.core.sending.LOCK", 0.1)
    prepared(url, receiver)
    with HookEngine(url, worker=False) as engine:
        engine.fire(EVENT, PAYLOAD)

        async def broken(job: object) -> None:
            raise StorageError("the disk is gone")

        with monkeypatch.context() as patch:
            patch.setattr(engine.runtime.database.writer, "awrite", broken)
            with pytest.raises(StorageError, match="the disk is gone"):
                engine.drain()


def test_a_child_sends_what_its_only_fire_queued(url: str, receiver: Receiver) -> None:
    """Its worker is started by that fire, not by the next one."""
    prepared(url, receiver)
    with HookEngine(url) as engine:
        engine.fire(EVENT, {"order": {"from": "parent"}})
        receiver.wait(1)
        child = os.fork()
        if child == 0:
            try:
                engine.fire(EVENT, {"order": {"from": "child"}})
                receiver_count = engine.log.page()[0].deliveries[0].id
                while engine.log.delivery(receiver_count).outcome != "sent":
                    threading.Event().wait(0.02)
            finally:
                os._exit(0)
        assert receiver.wait(2)[-1].json()["data"]["order"]["from"] == "child"
        os.waitpid(child, 0)


def test_an_unused_engine_of_the_parent_can_be_left_by_a_child(url: str, receiver: Receiver) -> None:
    """The child's own exit closes its copy without touching the parent's loop and worker."""
    prepared(url, receiver)
    code = """
import os, sys
from hookrow import HookEngine
engine = HookEngine(sys.argv[1]).__enter__()
child = os.fork()
if child == 0:
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
engine.fire("before_order_add", {"order": {}})
"""
    done = script(code, url)
    assert (done.returncode, done.stderr) == (0, "")
    with HookEngine(url):
        receiver.wait(1)


def test_ctrl_c_aborts_the_request_and_is_recorded(url: str) -> None:
    """KeyboardInterrupt in a sync `fire()`: the connection is let go, the log says `cancelled`."""
    code = """
import sys
from hookrow import HookEngine
engine = HookEngine(sys.argv[1])
try:
    engine.fire("before_order_add", {"order": {}})
except KeyboardInterrupt:
    print([each.outcome for each in engine.log.page()], flush=True)
"""
    with Receiver(hold) as receiver:
        prepared(url, receiver, waits=True)
        command = [sys.executable, "-c", code, url]
        with Warm(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
            receiver.wait(1)
            process.send_signal(2)
            assert process.communicate(timeout=20)[0] == "['cancelled']\n"
        receiver.wait_idle()


@pytest.mark.anyio
async def test_a_cancelled_await_aborts_the_request_and_is_recorded(url: str) -> None:
    """What stood behind it in the row is cancelled, too."""
    with Receiver(hold) as receiver:
        async with AsyncHookEngine(url, worker=False) as engine:
            await engine.hooks.add(Hook(name="w", event=EVENT, url=receiver.url, wait_for_response=True))
            await engine.hooks.add(Hook(name="bg", event=EVENT, url=receiver.url))
            task = asyncio.create_task(engine.fire(EVENT, PAYLOAD))
            await asyncio.to_thread(receiver.wait, 1)
            task.cancel()
            await asyncio.wait([task])
            await asyncio.to_thread(receiver.wait_idle)
        async with AsyncHookEngine(url, worker=False) as later:
            [firing] = await later.log.page()
        assert (firing.outcome, [each.outcome for each in firing.deliveries]) == ("cancelled", ["cancelled"] * 2)
        asked, behind = (each.reason for each in firing.deliveries)
        assert (asked and asked.code, behind) == ("called_off", None)  # its request may have reached the receiver


@pytest.mark.anyio
async def test_cancelled_during_a_commit_is_recorded_once(url: str) -> None:
    """The commit under way ends first; the firing is one row, cancelled."""
    with Receiver(hold) as receiver:
        async with AsyncHookEngine(url, worker=False) as engine:
            await engine.hooks.add(Hook(name="bg", event=EVENT, url=receiver.url))
            await engine.hooks.add(Hook(name="w", event=EVENT, url=receiver.url, wait_for_response=True))
            writer = engine.runtime.database.writer
            writer.running.acquire()
            task = asyncio.create_task(engine.fire(EVENT, PAYLOAD))
            while not writer.waiting:  # noqa: ASYNC110 (the queue tells nobody)
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.sleep(0)
            writer.running.release()
            await asyncio.wait([task])
            assert task.cancelled()
        async with AsyncHookEngine(url, worker=False) as later:
            [firing] = await later.log.page()
        assert firing.outcome == "cancelled"
        assert receiver.requests == []


def test_one_engine_in_two_loops_one_after_another(url: str, receiver: Receiver) -> None:
    """`asyncio.run` twice: the second has a worker and a transport of its own."""
    prepared(url, receiver, waits=True)
    engine = AsyncHookEngine(url)

    async def fire() -> str | None:
        return (await engine.fire(EVENT, PAYLOAD)).outcome

    assert [asyncio.run(fire()) for _ in range(2)] == ["allowed", "allowed"]
    asyncio.run(engine.close())
    assert len(receiver.requests) == 2


@pytest.mark.anyio
async def test_the_engine_for_threads_can_be_closed_on_a_loop(url: str, receiver: Receiver) -> None:
    """A lifespan ends with its `with` block: closing is not firing, and leaves nothing running."""
    await asyncio.to_thread(prepared, url, receiver, waits=True)
    with HookEngine(url) as engine:
        await engine.afire(EVENT, PAYLOAD)
        await asyncio.to_thread(engine.fire, EVENT, PAYLOAD)
    assert (engine.portal.started, engine.loops.idle) == (False, [])
    assert len(receiver.requests) == 2
