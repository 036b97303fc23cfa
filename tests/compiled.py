"""SQL that is compiled once a process, as in a service, which has one database: the tests open a new one each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Table, event
from sqlmodel import SQLModel

__all__ = ["compiled_once"]

create_all = SQLModel.metadata.create_all


class Statements(dict[Any, Any]):
    """For all engines what SQLAlchemy keeps for each. Of a dialect there is one for each engine, and all are alike."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((type(key[0]), *key[1:]), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__((type(key[0]), *key[1:]), value)


class Schemas(dict[str, list[str]]):
    """What makes the tables of a new database, by dialect."""

    def create(self, connection: Connection, tables: Sequence[Table], *, checkfirst: bool) -> None:
        """As `MetaData.create_all`, once it was called for this dialect, and for these tables."""
        assert not checkfirst
        statements = self.get(connection.dialect.name)
        if statements is not None:
            for each in statements:
                connection.exec_driver_sql(each)
            return
        made = self[connection.dialect.name] = []

        def note(_: Any, __: Any, statement: str, *___: Any) -> None:
            made.append(statement)

        event.listen(connection, "before_cursor_execute", note)
        create_all(connection, tables=tables, checkfirst=False)
        event.remove(connection, "before_cursor_execute", note)


@contextmanager
def compiled_once() -> Iterator[None]:
    """Inside the block every statement is compiled once, whatever database it goes to."""
    statements = Statements()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "_compiled_cache", property(lambda _: statements, lambda *_: None), raising=False)
        patch.setattr(SQLModel.metadata, "create_all", Schemas().create)
        yield
