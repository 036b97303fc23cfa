"""The store on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hookrow.store.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        made = Database(f"sqlite:///{tmp_path / 'hooks.db'}")
    else:
        url: str = request.getfixturevalue("postgres_url")
        made = Database(url.replace("postgresql://", "postgresql+psycopg://"))
    yield made
    made.close()
