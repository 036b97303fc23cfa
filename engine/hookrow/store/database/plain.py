"""Questions in plain SQL: an engine asks them through SQLAlchemy, the interface's first list through the driver. And
rows that no Hookrow wrote, which an answer may hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from hookrow.errors import DatabaseDamaged
from hookrow.lang import Text

__all__ = ["FLAG", "NUMBER", "OLDEST_DUE", "SQLITE_SCHEMA", "TEXT", "VERSION", "Ask", "Kinds", "reading", "sound"]

Ask = Callable[[str, Mapping[str, Any]], Sequence[Any]]
"""Runs a SELECT with parameters written as `:name`, its tables as `main.name`, and gives its rows."""

SQLITE_SCHEMA = "main."
"""Where SQLite has our tables; on PostgreSQL the engine puts its own schema instead."""


Kinds = Mapping[str, frozenset[type]]
"""What the columns of an answer hold, in their order."""
NUMBER: Final[frozenset[type]] = frozenset((int, float, type(None)))
FLAG: Final[frozenset[type]] = frozenset((int, bool))
TEXT: Final[frozenset[type]] = frozenset((str, type(None)))

VERSION = "SELECT version_num FROM main.hookrow_version"


# One step through the index `delivery_due` for each hook that something waits for: see `store.due`.
OLDEST_DUE = """
WITH RECURSIVE busy(hook) AS (
    SELECT (SELECT hook_id FROM main.delivery WHERE state IN ('blocked', 'queued', 'retrying')
        ORDER BY hook_id, due_ms LIMIT 1)
    UNION ALL
    SELECT (SELECT hook_id FROM main.delivery WHERE state IN ('blocked', 'queued', 'retrying') AND hook_id > busy.hook
        ORDER BY hook_id, due_ms LIMIT 1)
    FROM busy WHERE busy.hook IS NOT NULL)
SELECT min((SELECT min(due_ms) FROM main.delivery
    WHERE hook_id = busy.hook AND state IN ('blocked', 'queued', 'retrying'))) FROM busy
"""


def sound(kinds: Kinds, rows: Sequence[Sequence[Any]]) -> None:
    """Look whether these rows hold what their columns are for: SQLite takes anything in any column.

    Column by column, which costs a page of the log 0.1 ms.

    Raises:
        TypeError
    """
    for (name, kind), values in zip(kinds.items(), zip(*rows, strict=True), strict=False):
        if not kind.issuperset(map(type, values)):
            raise TypeError(f"{name} = {next(each for each in values if type(each) not in kind)!r:.40}")


@contextmanager
def reading(table: str) -> Iterator[None]:
    """What can't be read of a table's rows was changed by hand: that is told with the way out, not as a fault of ours.

    Raises:
        DatabaseDamaged
    """
    try:
        yield
    except (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError) as error:
        told = Text(
            "a row of the table {table} can't be read ({reason}); no Hookrow wrote it so: put it right, or restore a "
            "backup",
            table=table,
            reason=f"{type(error).__name__}: {error}",
        )
        raise DatabaseDamaged(told) from error
