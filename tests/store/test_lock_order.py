"""Changes of several hooks, and of their places, on one PostgreSQL at once: nobody waits in a circle."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection

from hookrow import HookEngine
from hookrow.hook.modes import key_pause
from hookrow.hookfile import import_hooks
from hookrow.reasons.reason import keep
from hookrow.store import hooks as hooks_module
from hookrow.store.configuration.revisions import Author
from hookrow.store.database.database import Database
from hookrow.store.hooks import abandon, change, create, hold_order, load, reseal_all
from hookrow.store.moving import Goal, move
from hookrow.store.outbox.parking import park
from hookrow.store.several import change_several, move_several
from hookrow.store.undoing import last_change, take_back
from outbox_rows import T0, set_hook, waiting
from two_processes import database, other

__all__ = ["database", "other"]

LIMIT = 30.0


def two_hooks(database: Database, keys: str = "ab", **given: Any) -> list[int]:
    """The ids of two hooks of an event, made by ivan."""
    many = {"url": "http://127.0.0.1/", "event": "before_order_add", "timeout": 5.0, **given}
    return [
        database.writer.write(
            lambda c, key=key: create(c, {**many, "uid": key * 20, "key": key, "name": key}, Author("ivan", T0))
        )
        for key in keys
    ]


def counted(monkeypatch: pytest.MonkeyPatch, *databases: Database) -> list[str]:
    """Each transaction that these begin from now on: one that the server ended is begun again."""
    tries: list[str] = []
    for each in databases:

        def attempt(*given: Any, attempt: Any = each.writer.attempt) -> None:
            tries.append(threading.current_thread().name)
            attempt(*given)

        monkeypatch.setattr(each.writer, "attempt", attempt)
    return tries


OLGA = Author("olga", T0)
PAUSED = {"paused_by": "key", "paused_reason": keep(key_pause(["k1"])), "auth_password": "v1.k1.x"}
SEVERAL: dict[str, tuple[dict[str, Any], Callable[[Connection, list[int]], Any]]] = {
    "change": ({}, lambda c, hooks: change_several(c, dict.fromkeys(hooks[:2], 1), "pause", "", OLGA)),
    "undo": ({}, lambda c, _: take_back(c, change_of(c), OLGA, keep_secrets=False)),
    "abandon": (PAUSED, lambda c, _: abandon(c, "k1", OLGA)),
    "keys": (PAUSED, lambda c, _: reseal_all(c, SimpleNamespace(reseal=lambda token, _: f"{token}y"), OLGA)),
    "move": ({}, lambda c, hooks: move_several(c, hooks[::2], 1, OLGA)),
}


def change_of(connection: Connection) -> Any:
    """What ivan did last: all the hooks were made in one moment."""
    return last_change(connection, "ivan")


@pytest.mark.parametrize("what", SEVERAL)
def test_a_change_of_several_hooks_locks_all_of_them_first(
    database: Database, other: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """While somebody else has the second, it holds nothing of the first for which they could wait: no lock on order
    keys, no number of the configuration."""
    given, change = SEVERAL[what]
    hooks = [*two_hooks(database, **given), *two_hooks(database, "cd", event="before_order_delete")]
    tries = counted(monkeypatch, database, other)
    found: list[Future[Any]] = []

    def editing(connection: Connection) -> None:
        load(connection, hooks[1])
        if not found:
            found.append(other.writer.submit(lambda c: change(c, hooks)))
        while not waiting(postgres_url):
            assert not found[0].done()
        park(connection, hooks[1], T0)
        set_hook(connection, hooks[1], timeout=6.0)

    database.writer.submit(editing).result(LIMIT)
    found[0].result(LIMIT)
    assert len(tries) == 2


def test_an_import_locks_all_its_hooks_first(
    postgres_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the settings of events, and whatever the file's order."""
    hooks = two_hooks(database)
    hook = "{name: x, event: before_order_add, url: 'http://127.0.0.1/', active: false}"
    source = f"hookrow: 1\nevents: {{before_order_add: {{together: true}}}}\nhooks: {{b: {hook}, a: {hook}}}"
    with HookEngine(f"{postgres_url}&application_name=other", worker=False) as engine, ThreadPoolExecutor(1) as pool:
        tries = counted(monkeypatch, database, engine.runtime.database)
        found: list[Future[Any]] = []

        def editing(connection: Connection) -> None:
            load(connection, hooks[0])
            if not found:
                found.append(pool.submit(import_hooks, engine, source))
            while not waiting(postgres_url):
                assert not found[0].done()
            park(connection, hooks[0], T0)
            set_hook(connection, hooks[0], timeout=6.0)

        database.writer.submit(editing).result(LIMIT)
        assert found[0].result(LIMIT).changed
    assert len(tries) == 2


def test_an_edit_that_gives_a_place_asks_for_places_before_the_hook(
    database: Database, other: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a move does, which wants the rows of all hooks of the event then."""
    first, second = two_hooks(database)
    tries = counted(monkeypatch, database, other)
    found: list[Future[Any]] = []

    def moving(connection: Connection) -> None:
        hold_order(connection, "before_order_add")
        if not found:
            found.append(other.writer.submit(lambda c: change(c, second, {"position": None}, OLGA)))
        while not waiting(postgres_url):
            assert not found[0].done()
        move(connection, first, Goal(by=1), OLGA)

    database.writer.submit(moving).result(LIMIT)
    assert found[0].result(LIMIT)
    assert len(tries) == 2


def test_who_abandons_a_key_looks_again_behind_the_lock(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who held the hook has given it another secret, by another key: that one stays."""
    hook = two_hooks(database)[0]
    found = [{hook: ("auth_password",)}, {}]
    monkeypatch.setattr(hooks_module, "sealed_by", lambda *_: found.pop(0))
    assert database.writer.write(lambda connection: abandon(connection, "k1", Author("olga", T0))) == 0
    with database.read() as connection:
        assert load(connection, hook).revision == 1
