"""Questions in plain SQL: an engine asks them through SQLAlchemy, the interface's first list through the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["OLDEST_DUE", "SQLITE_SCHEMA", "VERSION", "Ask"]

Ask = Callable[[str, Mapping[str, Any]], Sequence[Any]]
"""Runs a SELECT with parameters written as `:name`, its tables as `main.name`, and gives its rows."""

SQLITE_SCHEMA = "main."
"""Where SQLite has our tables; on PostgreSQL the engine puts its own schema instead."""


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
