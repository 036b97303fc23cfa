"""Users of the tests' PostgreSQL who have certain rights alone."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

__all__ = ["documented", "role"]

PAGE = Path(__file__).parents[1] / "docs" / "postgresql.md"


@contextmanager
def role(url: str, *rights: str) -> Iterator[str]:
    """The database's URL for a new user with these rights (`{role}` is its name), whose password must never be seen."""
    name = f"role_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'tell-nobody'")
        for right in rights:
            connection.execute(right.format(role=name))
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    try:
        yield urlunsplit(parts._replace(scheme="postgresql+psycopg", netloc=f"{name}:tell-nobody@{place}"))
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def documented(mark: str) -> list[str]:
    """The statements of docs/postgresql.md that grant rights to work, to fire, to look."""
    [block] = re.findall(rf"<!-- rights: {mark} -->\n```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return [re.sub(r"(TO|FROM) \w+;", r"\1 {role}", line) for line in block.splitlines()]
