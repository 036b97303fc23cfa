"""The fixtures of pytest's plugin for a `conftest.py`, where plugins are not loaded by themselves:

pytest_plugins = ["hookrow.testing.fixtures"]
"""

from __future__ import annotations

from hookrow.testing.plugin import (
    async_hook_engine,
    hook_clock,
    hook_database_url,
    hook_engine,
    hook_receiver,
    hookrow_engine_on_anyio,
    hookrow_postgres_template,
)

__all__ = [
    "async_hook_engine",
    "hook_clock",
    "hook_database_url",
    "hook_engine",
    "hook_receiver",
    "hookrow_engine_on_anyio",
    "hookrow_postgres_template",
]
