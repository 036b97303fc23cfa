"""`hookrow db`: the database's schema and its backup."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from hookrow.cli.catalogue import Command, family, option
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.output import say
from hookrow.lang import Text

__all__ = ["db"]

db: Final = family("db")


@db.command("upgrade", cls=Command, brief=Text("Upgrade the schema to this version; every start does so too."))
@pass_session
def upgrade(session: Session) -> None:
    """Bring the schema up to this version."""
    with session.engine():
        say(Text("The database is up to date."))


@db.command("backup", cls=Command, brief=Text("Make a consistent copy of the database while it is in use."))
@click.argument("target", type=click.Path(path_type=Path))
@option("--overwrite", is_flag=True, says=Text("Replace the file if it exists."))
@pass_session
def backup(session: Session, target: Path, overwrite: bool) -> None:
    """Copy the database while it is in use."""
    if session.path is None:
        raise click.UsageError(str(Text("This backs up a SQLite file; for PostgreSQL use pg_dump.")))
    if not target.parent.is_dir():
        raise click.UsageError(str(Text("There is no folder {path}", path=target.parent)))
    bar = click.progressbar(length=1, label=str(Text("Copying")), file=sys.stderr, hidden=not sys.stderr.isatty())
    with session.engine() as engine, bar:

        def advance(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        engine.backup(target, replace=overwrite, progress=advance)
    say(Text("Copied to {path}. The key is not in it: keep a copy of hookrow.key too.", path=target))
