"""How PostgreSQL looks for a page of the log."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from hookrow.records import LogFilter
from hookrow.store.database.opening import open_database
from hookrow.store.log import finding as log_ids
from outbox_rows import add_hook

EVENT = "before_order_add"


def test_a_page_asks_its_rows_one_by_one(postgres_url: str) -> None:
    """On PostgreSQL, whatever the statistics say: joined to all firings a page took 0.4 s at 1.5 million."""
    database, asked = open_database(postgres_url), []
    hook = add_hook(database, "a", event=EVENT)

    def note(connection: Any, cursor: Any, statement: str, given: Any, *_: Any) -> None:
        asked.append((statement, given))

    with database.read() as connection:
        event.listen(database.engine("read"), "before_cursor_execute", note)
        log_ids.ids(connection, LogFilter(event=EVENT, hook=hook), before=log_ids.NO_ID, limit=50)
        event.remove(database.engine("read"), "before_cursor_execute", note)
        found, plan = next(each for each in asked if "EXISTS" in each[0]), "EXPLAIN "
        said = "\n".join(connection.exec_driver_sql(plan + found[0], found[1]).scalars())
    assert ("Join" in said or "Nested Loop" in said, "SubPlan" in said) == (False, True)
    database.close()
