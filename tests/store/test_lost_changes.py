"""PostgreSQL: a connection lost in the commit of a change by hand: it is looked for, and made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from hookrow import Hook, HookEngine, StorageError
from hookrow.records import LogFilter
from hookrow.store.configuration.revisions import Changing
from hookrow.store.database.database import Database
from hookrow.store.database.opening import open_database
from hookrow.store.database.server import Server
from hookrow.store.hooks import Author, change
from outbox_rows import add_hook
from scripted import Network
from silent import Silent

EVENT, GATED = "after_registration", "before_order_add"
COMMIT = Server.commit
COMMITTED = b"C\0\0\0\x0bCOMMIT\0"
"""The server's answer to a COMMIT."""
WORDS = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
SHUTDOWN = b"E" + (len(WORDS) + 4).to_bytes(4, "big") + WORDS


class HangingUp(Silent):
    """A server that ends a connection between its answer to a COMMIT and the end of the pipeline."""

    times: int = 0
    word: bytes = b""

    def passing(self, data: bytes) -> tuple[bytes, bool]:
        answer, found, _ = data.partition(COMMITTED)
        if not found or not self.times:
            return data, True
        self.times -= 1
        return answer + found + self.word, False


@pytest.fixture
def engine(postgres_url: str) -> Iterator[HookEngine]:
    """With three hooks."""
    with HookEngine(postgres_url, worker=False) as made:
        for key in ("a", "b", "c"):
            made.hooks.add(Hook(key=key, name=key, event=EVENT, url="http://receiver.test/"))
        yield made


CHANGES: dict[str, Callable[[HookEngine], Any]] = {
    "add": lambda engine: engine.hooks.add(Hook(key="d", name="d", event=EVENT, url="http://receiver.test/")),
    "edit": lambda engine: engine.hooks.update("a", {"name": "new"}, revision=1),
    "move": lambda engine: engine.hooks.move("a", by=1),
    "remove": lambda engine: engine.hooks.remove("a"),
    "pause": lambda engine: engine.hooks.pause("a"),
    "setting": lambda engine: engine.settings.set("loop_depth", "4"),
}


def made(engine: HookEngine) -> tuple[Any, ...]:
    """What a change leaves: the hooks in order with their revisions, and who did what."""
    hooks = [(hook.key, hook.name, hook.revision, hook.state) for hook in engine.hooks.list()]
    return hooks, [(deed.action, deed.subject, deed.revision) for deed in engine.log.deeds()]


@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize("what", CHANGES)
def test_a_change_whose_commit_was_lost_is_made_once(
    engine: HookEngine, monkeypatch: pytest.MonkeyPatch, what: str, heard: bool
) -> None:
    """The server has committed and its answer was lost, or it never heard of it: nobody is told anything, once it is
    there."""
    losses = 1

    def lost(self: Server) -> None:
        nonlocal losses
        if not losses:
            COMMIT(self)
            return
        losses -= 1
        if heard:
            COMMIT(self)
        self.close()
        raise psycopg.OperationalError("the connection is lost")

    before = made(engine)
    monkeypatch.setattr(Server, "commit", lost)
    CHANGES[what](engine)
    assert not losses
    hooks, deeds = made(engine)
    assert len(deeds) == len(before[1]) + 1
    changed = {
        "add": [*before[0], ("d", "d", 1, "on")],
        "edit": [("a", "new", 2, "on"), *before[0][1:]],
        "move": [before[0][1], ("a", "a", 2, "on"), before[0][2]],
        "remove": before[0][1:],
        "pause": [("a", "a", 2, "paused"), *before[0][1:]],
        "setting": before[0],
    }
    assert hooks == changed[what]


@pytest.mark.parametrize("word", [b"", SHUTDOWN], ids=["silent", "told"])
def test_a_connection_that_ends_after_the_answer_to_its_commit(postgres_url: str, word: bytes) -> None:
    """A server that is shut down just then says so in the place of the pipeline's end: what it has answered stands."""
    address = make_url(postgres_url)
    with (
        HangingUp(address) as server,
        HookEngine(server.url(address), worker=False, transport=Network()) as engine,
    ):
        server.word = word
        engine.hooks.add(Hook(key="a", name="a", event=EVENT, url="http://receiver.test/"))
        engine.hooks.add(Hook(key="g", name="g", event=GATED, url="http://receiver.test/", wait_for_response=True))
        for write in (
            lambda: engine.fire(EVENT, {"n": 1}).raise_for_error(),
            lambda: engine.fire(GATED, {"n": 2}).raise_for_error(),
            lambda: engine.hooks.update("a", {"name": "new"}, revision=1),
        ):
            server.times = 1
            write()
            assert not server.times
        assert [firing.payload["n"] for firing in engine.log.page(LogFilter())] == [2, 1]
        assert [(hook.key, hook.revision) for hook in engine.hooks.list()] == [("a", 2), ("g", 1)]


def test_a_server_that_stays_away_leaves_it_open(engine: HookEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the person is told that it may have been saved, and to look first."""

    def lost(self: Server) -> None:
        self.close()
        monkeypatch.setattr("hookrow.store.database.server.connect", gone)
        raise psycopg.OperationalError("the connection is lost")

    def gone(*_: Any) -> None:
        raise psycopg.OperationalError("nobody listens there")

    monkeypatch.setattr("hookrow.store.database.server.RESTART", 0.1)
    monkeypatch.setattr(Server, "commit", lost)
    with pytest.raises(StorageError, match="may have succeeded; look before you repeat it"):
        engine.hooks.update("a", {"name": "new"})


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_commit_that_arrives_after_the_look(database: Database) -> None:
    """The change is begun again, waits for the lock of the first, and finds that this one came through after all."""
    hook, author = add_hook(database, "a"), Author("olga", 1)
    job = Changing(author, lambda connection: change(connection, hook, {"name": "new"}, author))
    other = open_database(database.address.render_as_string(hide_password=False))

    def again() -> None:
        with other.write(20) as connection:
            job(connection)

    with ThreadPoolExecutor(1) as pool:
        with database.write(20) as connection:
            assert job(connection)
            job.doubt()
            assert job.proof is not None
            with other.write(20) as looking:
                assert not job.proof(looking)
            second = pool.submit(again)
            while not connection.exec_driver_sql("SELECT 1 FROM pg_locks WHERE NOT granted").first():
                pass
        with pytest.raises(StorageError, match="saved by the commit"):
            second.result(20)
    with other.write(20) as looking:
        assert job.proof(looking)
    other.close()
