"""A real small disk, full or unwritable: nothing is lost, a purge makes room, the worker goes on by itself.

The disk is a mounted tmpfs of some megabytes; where mounting is not allowed the tests are skipped and say so.
`test_worker_in_trouble.py` shows the same with SQLite's own limit of pages.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookrow import Hook, HookEngine
from hookrow.cli.app import run
from hookrow.errors import DiskFull
from hookrow.payload import MIB
from hookrow.store.database import reserve
from hookrow.store.database.opening import open_database
from hookrow.testing import Answer, HookReceiver, Received, allows
from mounting import mount
from outbox_rows import add_hook, fire, rows
from worker_bench import Receiver, now_ms, running, seen, worker_on

EVENT = "after_registration"
SIZE = "8m"


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 8 MB, on which a reserve is as large as it is anywhere."""
    monkeypatch.setattr(reserve, "SIZE", 44 * MIB)
    folder = tmp_path / "disk"
    folder.mkdir()
    refused = mount(folder, "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs")
    if refused:
        pytest.skip(f"mounting is not allowed here: {refused}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave not a page free; gives the file that takes the place."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def fire_until_full(engine: HookEngine) -> list[str]:
    """Fire until the disk takes no firing more; those that it took."""
    taken = []
    while True:
        firing = engine.fire(EVENT, {"text": "x" * 3000, "number": len(taken)})
        if firing.error is not None:
            assert isinstance(firing.error, DiskFull)
            return taken
        taken.append(firing.id)


def skipping(engine: HookEngine) -> None:
    """A hook whose firings are finished at once."""
    engine.hooks.add(Hook(name="a", event=EVENT, url="http://receiver.test/", condition="false"))


def next_millisecond() -> None:
    """What was fired in a purge's own millisecond is not older than it."""
    now = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 == now:
        pass


def test_a_purge_on_a_full_disk(disk: Path) -> None:
    """The service itself filled it: the reserve lets `prune` delete, there is room again, and a reserve again."""
    path = disk / "hooks.db"
    with HookEngine(f"sqlite:///{path}", worker=False) as engine:
        skipping(engine)
        first = fire_until_full(engine)
        next_millisecond()
        assert engine.log.prune(days=0).firings == len(first) > 50
        assert reserve.reserve_of(path).exists()
        second = fire_until_full(engine)
        assert len(second) > 50
        assert {each.id for each in engine.log.page(limit=10_000)} == set(second)


def test_without_the_reserve_a_purge_is_refused(disk: Path) -> None:
    """What is deleted must be written down first: on a full disk that fails, and nothing is half deleted."""
    path = disk / "hooks.db"
    with HookEngine(f"sqlite:///{path}", worker=False) as engine:
        skipping(engine)
        assert reserve.release(path)
        taken = fire_until_full(engine)
        fill(disk)
        with pytest.raises(DiskFull):
            engine.log.prune(days=0)
        assert {each.id for each in engine.log.page(limit=10_000)} == set(taken)


def test_prune_where_nobody_has_the_file_open(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Others filled the disk: not even opening works; the command makes room for that too, and deletes."""
    path = disk / "hooks.db"
    with HookEngine(f"sqlite:///{path}", worker=False) as engine:
        skipping(engine)
        for number in range(100):
            engine.fire(EVENT, {"text": "x" * 3000, "number": number})
    fill(disk)
    with pytest.raises(DiskFull):
        HookEngine(f"sqlite:///{path}", worker=False)
    code = run(["--db", str(path), "--lang", "en", "prune", "--days", "0", "--json"])
    assert (code, json.loads(capsys.readouterr().out)["firings"]) == (0, 100)


def test_what_is_advised_works(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands alone make the reserve. While it is there `prune` is advised, and works; without it, room."""

    def hookrow(*words: str, code: int = 0) -> str:
        assert run(["--db", str(disk / "hooks.db"), "--lang", "en", *words]) == code
        return "".join(capsys.readouterr())

    hookrow("init")
    assert reserve.reserve_of(disk / "hooks.db").stat().st_size > MIB // 2
    hookrow("hooks", "add", "--name", "a", "--event", EVENT, "--url", "http://receiver.test/", "--condition", "false")
    for _ in range(3):
        hookrow("fire", EVENT)
    filler = fill(disk)
    for command in (("fire", EVENT), ("hooks", "pause", "a", "--yes"), ("log",)):
        assert f"hookrow --db {disk / 'hooks.db'} prune --days 7" in hookrow(*command, code=3)
    assert "3 firings deleted" in hookrow("prune", "--days", "0")
    hookrow("fire", EVENT)
    reserve.release(disk / "hooks.db")
    fill(disk)
    for command in (("fire", EVENT), ("prune", "--days", "0"), ("log",)):
        assert "free some space there first" in hookrow(*command, code=3)
    filler.unlink()
    hookrow("fire", EVENT)
    assert reserve.reserve_of(disk / "hooks.db").stat().st_size > MIB // 2


def test_a_command_whose_result_finds_no_room_ends(
    disk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent, unrecorded: exit 3 after the lock's limit, in JSON too, of one and of many; --resume leaves it out."""
    monkeypatch.setattr("hookrow.worker.trouble.LOCK", 0.3)
    path = disk / "hooks.db"

    def filling(request: Received) -> Answer:
        fill(disk)
        return allows()

    def hookrow(*words: str, code: int = 0) -> tuple[str, str]:
        assert run(["--db", str(path), "--lang", "en", *words]) == code
        return capsys.readouterr()

    with HookReceiver() as receiver:
        hookrow("init")
        hookrow("hooks", "add", "--name", "a", "--event", EVENT, "--url", receiver.url, "--response-has-data")
        fired = [json.loads(hookrow("fire", EVENT, "--json")[0]) for _ in range(3)]
        ids = [each["deliveries"][0]["id"] for each in fired]
        receiver.script = filling
        receiver.received.clear()
        # Somebody has the file open, as a service would: else not even opening finds room.
        with HookEngine(f"sqlite:///{path}", worker=False):
            out, err = hookrow("fire", EVENT, "--json", code=3)
            told = json.loads(out)
            assert (told["error"], told["deliveries"]) == ("unrecorded", [each.delivery for each in receiver.received])
            assert "sent, but the result could not be recorded" in err
            assert len(receiver.received) == 1
            (disk / "filler").unlink()
            _, err = hookrow("redeliver", *ids, "--yes", code=3)
        assert [each.delivery for each in receiver.received[1:]] == ids[:1]
        assert f"{ids[0]}: sent, but" in err
        assert f"Stopped after 1 of 3. Next: {ids[1]}." in err


def lines(caplog: pytest.LogCaptureFixture) -> list[int]:
    """How grave what was said about storage is, in order."""
    return [each.levelno for each in caplog.records if "outbox" in each.message]


@pytest.mark.anyio
async def test_a_worker_on_a_full_disk(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It can't even claim: says so once and waits; when there is room it goes on by itself, and nothing goes twice."""
    database = open_database(f"sqlite:///{disk / 'hooks.db'}")
    hook = add_hook(database, "a")
    for _ in range(30):
        fire(database, [hook], now_ms())
    database.disconnect()
    filler = fill(disk)
    receiver = Receiver()
    worker = worker_on(database, receiver, poll=0.02)
    async with running(worker):
        await seen(lambda: worker.trouble.failures >= 3)
        assert receiver.sent == []
        filler.unlink()
        await seen(lambda: all(row.state == "ok" for row in rows(database).values()))
    database.close()
    assert len({each.row_id for each in receiver.sent}) == len(receiver.sent) == 30
    assert lines(caplog) == [logging.ERROR, logging.WARNING]


@pytest.mark.anyio
async def test_a_worker_whose_disk_can_only_be_read(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As an administrator, or a failing disk, makes it: it says so once, and goes on when it can be written again."""
    database = open_database(f"sqlite:///{disk / 'hooks.db'}")
    hook = add_hook(database, "a")
    fire(database, [hook], now_ms())
    database.disconnect()
    assert not mount(disk, "-o", "remount,ro")
    receiver = Receiver()
    worker = worker_on(database, receiver, poll=0.02)
    async with running(worker):
        await seen(lambda: worker.trouble.failures >= 3)
        assert receiver.sent == []
        assert not mount(disk, "-o", "remount,rw")
        await seen(lambda: all(row.state == "ok" for row in rows(database).values()))
    database.close()
    assert len(receiver.sent) == 1
    assert lines(caplog) == [logging.ERROR, logging.WARNING]


@pytest.mark.torture
@pytest.mark.anyio
async def test_locked_for_ten_seconds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Another process holds the lock for twice as long as a writer waits: one line, one more when it works again."""
    database = open_database(f"sqlite:///{tmp_path / 'hooks.db'}")
    hook = add_hook(database, "a")
    _, [row] = fire(database, [hook], now_ms())
    other = sqlite3.connect(database.path or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    receiver = Receiver()
    worker = worker_on(database, receiver)
    async with running(worker):
        await asyncio.sleep(10)
        assert receiver.sent == []
        other.rollback()
        await seen(lambda: rows(database)[row].state == "ok")
    other.close()
    database.close()
    assert len(receiver.sent) == 1
    assert lines(caplog) == [logging.ERROR, logging.WARNING]
