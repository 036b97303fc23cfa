"""What every command is given: which database, in which language; and the engine on it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from hookrow.errors import NoDatabase
from hookrow.lang import Text
from hookrow.system.fileurl import file_in, file_url

if TYPE_CHECKING:
    from hookrow import HookEngine

__all__ = ["Session", "database_url", "pass_session", "typed"]

DEFAULT = "hooks.db"


class Session(NamedTuple):
    """One run of the command line: on which database, and by which command it is called."""

    db: str | None = None
    called: str = "hookrow"
    """What was typed: `hookrow`, `python -m hookrow`, `manage.py hookrow`."""
    named: bool = False
    """`--db` named the database."""

    @property
    def url(self) -> str:
        """The database by docs/reference/cli.md: `--db`, else `$HOOKROW_DB`, else ./hooks.db."""
        return database_url(self.db or os.environ.get("HOOKROW_DB") or DEFAULT)

    @property
    def path(self) -> Path | None:
        """The SQLite file; None for a server's database."""
        return file_in(self.url)

    @property
    def program(self) -> str:
        """What to type for another command on this database; a server's URL may hold a password."""
        if not self.named or self.db is None:
            return self.called
        return f"{self.called} --db {'URL' if self.path is None else quote(self.db)}"

    @contextmanager
    def engine(self) -> Iterator[HookEngine]:
        """The engine on the database, without a worker of its own: a command sends only what it made itself.

        Raises:
            NoDatabase: the file does not exist: commands don't make one by accident; `hookrow init` does.
        """
        self.require()
        from hookrow import HookEngine

        with HookEngine(self.url, worker=False, create=False) as engine:
            yield engine

    def require(self) -> None:
        """Refuse a SQLite file that is not there.

        Raises:
            NoDatabase: with the way out.
        """
        path = self.path
        if path is not None and not path.exists():
            raise NoDatabase(Text("There is no database {path}. Create one: hookrow init", path=path))


def typed() -> str:
    """How this program is typed: by its name, else by the path by which it was called, else as Python's module."""
    program = Path(sys.argv[0])
    if program.name != "hookrow":
        name = Path(sys.executable).name
        found = shutil.which(name)
        return f"{name if found == sys.executable else quote(sys.executable)} -m hookrow"
    found = shutil.which("hookrow")
    return "hookrow" if found and Path(found).resolve() == program.resolve() else quote(sys.argv[0])


def database_url(text: str) -> str:
    """A database's URL: a path means a SQLite file; PostgreSQL's own spelling means the driver that is used here."""
    if "://" not in text:
        return file_url(text)
    scheme, rest = text.split("://", 1)
    return f"postgresql+psycopg://{rest}" if scheme in ("postgresql", "postgres") else text


def pass_session(function: Callable[..., Any]) -> Callable[..., Any]:
    """Hand the session to a command as its first argument."""
    return click.make_pass_decorator(Session)(function)
