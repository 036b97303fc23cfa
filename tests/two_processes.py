"""One empty PostgreSQL database as two processes have it open: fixtures for what they do to each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hookrow.store.database.database import Database
from hookrow.store.database.opening import open_database

__all__ = ["database", "other"]


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    """An empty database on PostgreSQL."""
    made = open_database(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    yield made
    made.close()


@pytest.fixture
def other(database: Database) -> Iterator[Database]:
    """The same, as another process has it."""
    # Engines of one process on one URL write in turn; these two are as apart as two processes.
    made = open_database(database.address.render_as_string(hide_password=False) + "&application_name=other")
    yield made
    made.close()
