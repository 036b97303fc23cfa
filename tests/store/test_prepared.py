"""Prepared statements: on both databases they say and give what SQLAlchemy's own execution does."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from hookrow.store.database.database import Database
from hookrow.store.database.prepared import Prepared, PreparedIn, savepoint
from hookrow.store.database.tables import DELIVERIES, SETTINGS
from outbox_rows import T0, add_hook, fire

INSERT = Prepared(insert(SETTINGS))
ALL = Prepared(select(SETTINGS.c.name, SETTINGS.c.value.label("said")).where(SETTINGS.c.name.like("x%")))
CHANGE = Prepared(update(SETTINGS).where(SETTINGS.c.name == bindparam("its")).values(value="constant"))
OF_ROWS = PreparedIn(
    lambda rows: select(DELIVERIES.c.id, DELIVERIES.c.state).where(DELIVERIES.c.id.in_(rows), DELIVERIES.c.seq >= 1)
)


def names(connection: Connection) -> dict[str, str]:
    """What the tests wrote."""
    return {row.name: row.said for row in ALL.all(connection)}


def test_rows_have_names_and_constants_are_kept(database: Database) -> None:
    """Values that the statement itself holds go along with those of each run."""

    def job(connection: Connection) -> dict[str, str]:
        INSERT.many(connection, [{"name": f"x{number}", "value": "a"} for number in range(3)])
        assert CHANGE.run(connection, {"its": "x1"}) == 1
        CHANGE.many(connection, [{"its": "x2"}, {"its": "none"}])
        return names(connection)

    assert database.writer.write(job) == {"x0": "a", "x1": "constant", "x2": "constant"}


@pytest.mark.parametrize("count", [1, 2, 3, 5, 40])
def test_a_list_of_any_length(database: Database, count: int) -> None:
    """Each row once, though the list is filled up; an unknown id gives none."""
    hook = add_hook(database, "a")
    ids = [fire(database, [hook], T0)[1][0] for _ in range(count)]
    found = database.writer.write(lambda connection: OF_ROWS.all(connection, [*ids, 1]))
    assert sorted(row.id for row in found) == ids
    assert database.writer.write(lambda connection: OF_ROWS.all(connection, [])) == []


def test_more_ids_than_a_statement_takes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are asked for in parts."""
    monkeypatch.setattr("hookrow.store.database.prepared.MOST_IDS", 4)
    hook = add_hook(database, "a")
    ids = [fire(database, [hook], T0)[1][0] for _ in range(11)]
    assert sorted(row.id for row in database.writer.write(lambda c: OF_ROWS.all(c, ids))) == ids


def test_a_scalar(database: Database) -> None:
    """The first column, or None without a row."""
    count = Prepared(select(func.count()).select_from(SETTINGS))
    nothing = Prepared(select(SETTINGS.c.value).where(SETTINGS.c.name == bindparam("its")))
    assert database.writer.write(count.scalar) > 0
    assert database.writer.write(lambda connection: nothing.scalar(connection, {"its": "none"})) is None


def test_errors_are_sqlalchemys_and_tell_no_values(database: Database) -> None:
    """A broken constraint can be told from the rest; what was written is in no message."""

    def twice(connection: Connection) -> dict[str, str]:
        INSERT.many(connection, [{"name": "x1", "value": "first"}])
        with pytest.raises(IntegrityError) as caught, savepoint(connection):
            INSERT.many(connection, [{"name": "x2", "value": "other"}, {"name": "x1", "value": "s3cret"}])
        assert "s3cret" not in str(caught.value)
        return names(connection)

    assert database.writer.write(twice) == {"x1": "first"}

    def broken(connection: Connection) -> None:
        with pytest.raises(DBAPIError) as caught:
            INSERT.many(connection, [{"name": "x9", "value": "s3cret\0" if database.dialect != "sqlite" else object()}])
        assert "s3cret" not in str(caught.value)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.writer.write(broken)
