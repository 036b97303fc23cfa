"""SQL that is compiled once a process, as in a service, which has one database: the tests open a new one each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.util import LRUCache

from hookrow.store.database.tables import METADATA

__all__ = ["compiled_once"]

create_all = METADATA.create_all


class Statements(LRUCache[Any, Any]):
    """For all engines what SQLAlchemy keeps for each. Of a dialect there is one for each engine, and all are alike."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((type(key[0]), *key[1:]), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__((type(key[0]), *key[1:]), value)


class Schemas(dict[str, list[str]]):
    """What makes the tables of a new database, by dialect."""

    def create(self, connection: Connection, *, checkfirst: bool) -> None:
        """As `MetaData.create_all`, once that was called for this dialect."""
        assert not checkfirst
        statements = self.get(connection.dialect.name)
        if statements is not None:
            for each in statements:
                connection.exec_driver_sql(each)
            return
        made: list[str] = []

        def note(_: Any, __: Any, statement: str, *___: Any) -> None:
            made.append(statement)

        event.listen(connection, "before_cursor_execute", note)
        create_all(connection, checkfirst=False)
        event.remove(connection, "before_cursor_execute", note)
        self[connection.dialect.name] = made


@contextmanager
def compiled_once() -> Iterator[None]:
    """Inside the block every statement is compiled once, whatever database it goes to."""
    statements = Statements(5000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "_compiled_cache", property(lambda _: statements, lambda *_: None), raising=False)
        patch.setattr(METADATA, "create_all", Schemas().create)
        yield
