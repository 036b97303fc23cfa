"""Keys of hooks, also when two engines take one at the same time; a revision for each change."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, text

from hookrow.errors import ChangedMeanwhile, KeyTaken
from hookrow.store import hooks
from hookrow.store.configuration.revisions import Changing
from hookrow.store.database.database import Database
from hookrow.store.database.opening import open_database
from hookrow.store.hooks import Author
from outbox_rows import T0
from schemas import ours

OLGA = Author("olga", T0)


def values(**given: Any) -> dict[str, Any]:
    """A hook's columns, checked and sealed as the core does it."""
    return {"uid": hooks.new_uid(), "name": "A", "url": "http://receiver.example/", "event": "e", "key": "", **given}


def create(database: Database, **given: Any) -> int:
    """One hook made by Olga; its id."""
    return database.writer.write(lambda connection: hooks.create(connection, values(**given), OLGA))


def key_of(database: Database, hook: int) -> str:
    """The key that is kept."""
    with database.read() as connection:
        return str(ours(connection, "SELECT key FROM main.hook WHERE id = :id", id=hook).scalar_one())


def test_a_key_is_made_where_none_is_given(database: Database) -> None:
    """Of the id; where a person took that, the next free spelling."""
    first = create(database)
    assert key_of(database, first) == f"hook-{first}"
    create(database, key=f"hook-{first + 2}")
    third = create(database)
    assert key_of(database, third) == f"hook-{first + 2}-2"


def test_a_key_that_is_taken_is_refused_and_leaves_nothing(database: Database) -> None:
    """Neither a hook nor a revision."""
    create(database, key="stock")
    with pytest.raises(KeyTaken, match='"stock"'):
        create(database, key="stock")
    with database.read() as connection:
        assert ours(connection, "SELECT count(*) FROM main.hook").scalar() == 1
        assert ours(connection, "SELECT count(*) FROM main.hook_revision").scalar() == 1


def test_the_order_left_out_is_after_the_last(database: Database) -> None:
    """10 for the first, then the largest rounded down to a ten, + 10; never above 9999."""
    numbers = [create(database), create(database, position=47), create(database), create(database, position=9995)]
    numbers.append(create(database))
    with database.read() as connection:
        found = ours(connection, "SELECT position FROM main.hook ORDER BY id").scalars().all()
    assert (len(numbers), found) == (5, [10, 47, 50, 9995, 9999])


def test_a_refused_change_fails_alone(database: Database) -> None:
    """Of several that are committed together one is refused: the others are begun again, and saved."""
    found = [create(database, key=key) for key in ("a", "b")]
    authors = [Author(who, T0 + 1) for who in ("ivan", "olga")]

    def changing(hook: int, author: Author, revision: int) -> Changing[bool]:
        return Changing(author, lambda c: hooks.change(c, hook, {"name": "new"}, author, revision=revision))

    database.writer.pause()
    saved = database.writer.submit(changing(found[0], authors[0], 1))
    refused = database.writer.submit(changing(found[1], authors[1], 7))
    database.writer.go_on()
    assert saved.result(30) is True
    assert isinstance(refused.exception(30), ChangedMeanwhile)
    with database.read() as connection:
        assert ours(connection, "SELECT name FROM main.hook ORDER BY id").scalars().all() == ["new", "A"]
        assert [each.who for each in hooks.history(connection, found[0])] == ["ivan", "olga"]


def waits_for_a_lock(url: str) -> bool:
    """Whether a transaction of this PostgreSQL database waits for another."""
    engine = create_engine(url)
    with engine.connect() as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        found = bool(connection.execute(text(asked)).scalar())
    engine.dispose()
    return found


@pytest.mark.parametrize("by", ["create", "change"])
def test_two_engines_that_take_a_key_at_once(postgres_url: str, by: str) -> None:
    """On PostgreSQL neither sees the other's row: the second is told KeyTaken, as if it had come later."""
    url = postgres_url.replace("postgresql://", "postgresql+psycopg://")
    # Engines of one process on one URL write in turn; these two are as apart as two processes.
    one, other = open_database(url), open_database(f"{url}&application_name=other")
    old = create(other, key="old")
    written, gate = threading.Event(), threading.Event()

    def first(connection: Connection) -> None:
        hooks.create(connection, values(key="stock"), OLGA)
        written.set()
        assert gate.wait(30)

    def second(connection: Connection) -> None:
        if by == "create":
            hooks.create(connection, values(key="stock"), OLGA)
        else:
            hooks.change(connection, old, {"key": "stock"}, OLGA)

    leading = one.writer.submit(first)
    assert written.wait(30)
    late: Future[None] = other.writer.submit(second)
    while not waits_for_a_lock(url):
        assert not late.done()
    gate.set()
    leading.result(30)
    assert isinstance(late.exception(30), KeyTaken)
    assert other.writer.failed is None
    one.close()
    other.close()


def test_a_key_that_is_taken_before_a_change_is_begun_again(postgres_url: str) -> None:
    """Its batch was rolled back for another's change; by now another process has the key: it is told KeyTaken."""
    url = postgres_url.replace("postgresql://", "postgresql+psycopg://")
    one, other = open_database(url), open_database(f"{url}&application_name=other")
    written, gate = threading.Event(), threading.Event()
    author, tries = Author("ivan", T0), 0

    def first(connection: Connection) -> None:
        hooks.create(connection, values(key="stock", position=5), OLGA)
        written.set()
        assert gate.wait(30)

    def wanting(connection: Connection) -> int:
        nonlocal tries
        tries += 1
        if tries == 2:
            one.writer.submit(first)
            assert written.wait(30)
        return hooks.create(connection, values(key="stock", position=5), author)

    def refuse(_: Connection) -> None:
        raise ChangedMeanwhile("a stale form")

    other.writer.pause()
    late = other.writer.submit(Changing(author, wanting))
    refused = other.writer.submit(refuse)
    other.writer.go_on()
    while not waits_for_a_lock(url):
        assert not late.done()
    gate.set()
    assert isinstance(late.exception(30), KeyTaken)
    assert isinstance(refused.exception(30), ChangedMeanwhile)
    one.close()
    other.close()
