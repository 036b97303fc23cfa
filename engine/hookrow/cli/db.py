"""`hookrow db`: the database's schema and its backup."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from pathlib import Path

import click

from hookrow.cli.commands import Command, family, option
from hookrow.cli.output import say
from hookrow.cli.session import Session, pass_session
from hookrow.errors import Refused
from hookrow.lang import Text

__all__ = ["db"]

PAGES = 1000
"""Pages copied at a time: writers get their turn in between."""

db = family("db")


@db.command("upgrade", cls=Command, brief=Text("Bring the schema up to this version; every start does so too."))
@pass_session
def upgrade(session: Session) -> None:
    """Bring the schema up to this version."""
    with session.engine():
        say(Text("The database is up to date."))


@db.command("backup", cls=Command, brief=Text("Copy the database while it is in use, as of one moment."))
@click.argument("target", type=click.Path(path_type=Path))
@option("--overwrite", is_flag=True, says=Text("Replace the file if it exists."))
@pass_session
def backup(session: Session, target: Path, overwrite: bool) -> None:
    """Copy the database while it is in use."""
    path = session.path
    if path is None:
        raise click.UsageError(str(Text("This backs up a SQLite file; for PostgreSQL use pg_dump.")))
    session.require()
    if target.exists() and not overwrite:
        raise Refused(Text("{path} exists already; nothing was changed.", path=target))
    if not target.parent.is_dir():
        raise click.UsageError(str(Text("There is no folder {path}.", path=target.parent)))
    copy(path, target)
    say(Text("Copied to {path}. The key is a file of its own: keep a copy of hookrow.key too.", path=target))


def copy(source: Path, target: Path) -> None:
    """Copy by SQLite's backup API into a file beside the target (0600), which takes its name only when it is whole."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    part = Path(name)
    try:
        origin, made = sqlite3.connect(source), sqlite3.connect(part)
        try:
            with click.progressbar(
                length=1, label=str(Text("Copying")), file=sys.stderr, hidden=not sys.stderr.isatty()
            ) as bar:

                def advance(status: int, left: int, total: int) -> None:
                    bar.length = max(total, 1)
                    bar.update(total - left - bar.pos)

                origin.backup(made, pages=PAGES, progress=advance)
        finally:
            made.close()
            origin.close()
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
