"""`hookrow db`: the database's schema, its backup and the way back from one, and whether it is whole."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from hookrow.cli import exits
from hookrow.cli.catalogue import Command, family, option
from hookrow.cli.session import Session, database_url, pass_session
from hookrow.cli.show.output import confirm, say
from hookrow.clock import from_ms
from hookrow.lang import Text

if TYPE_CHECKING:
    from hookrow.core.care.restoring import HeldBack

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


@db.command(
    "copy",
    cls=Command,
    brief=Text("Copy hooks, settings and, with --log, the log into another database, of either kind."),
    more=Text(
        "The target is made if it is missing, and is refused if it has hooks or firings of its own. Unfinished "
        "deliveries stay here: let a worker send them. Run it again after that, or if it was interrupted: what is "
        "there already is compared and not written again."
    ),
)
@option("--to", "to", required=True, metavar="URL", says=Text("The other database: a file or a URL."))
@option("--log", "with_log", is_flag=True, says=Text("Copy finished firings too."))
@pass_session
def copy(session: Session, to: str, with_log: bool) -> int:
    """Copy the database into another one, and compare the two."""
    session.require()
    from hookrow.core.care.copying import copy_database

    bar = click.progressbar(length=1, label=str(Text("Copying")), file=sys.stderr, hidden=not sys.stderr.isatty())
    with bar:

        def advance(done: int, total: int) -> None:
            bar.length = max(total, done, 1)
            bar.update(done - bar.pos)

        made = copy_database(session.url, database_url(to), os.environ, with_log=with_log, progress=advance)
    say(Text("Hooks: {hooks}. Firings in the log: {firings}.", hooks=made.hooks, firings=made.firings))
    if made.stays.firings:
        said = Text(
            "Unfinished, left here: firings {n}, deliveries {m}.", n=made.stays.firings, m=made.stays.deliveries
        )
        say(said)
    if made.meanwhile:
        say(Text("Changed here meanwhile: {n}. Stop the services and run it again.", n=made.meanwhile))
        return exits.NO
    say(Text("Compared: both are equal."))
    return exits.DONE


@db.command("check", cls=Command, brief=Text("Look the database file through for damage."))
@pass_session
def check(session: Session) -> None:
    """Look a database file through."""
    if session.path is None:
        raise click.UsageError(str(Text("This checks a SQLite file; for PostgreSQL use pg_amcheck.")))
    from hookrow.core.care.restoring import check as look

    look(session.path)
    say(Text("{path} is whole.", path=session.path))


@db.command(
    "restore",
    cls=Command,
    brief=Text("Put a backup in the place of the database; nothing is sent by itself."),
    more=Text(
        "Stop what uses the database first. The old file stays beside it, as NAME.before-restore-TIME. Unfinished "
        "deliveries of the backup are cancelled with the reason restored: hookrow redeliver --outcome restored sends "
        "chosen ones. PostgreSQL: without FILE, right after pg_restore and before any worker starts."
    ),
)
@click.argument("source", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@option("--send-pending", is_flag=True, says=Text("Let workers send the backup's unfinished deliveries."))
@option("--yes", is_flag=True, says=Text("Don't ask."))
@pass_session
def restore(session: Session, source: Path | None, send_pending: bool, yes: bool) -> int:
    """Put a backup in the place of the database."""
    if session.path is None and source is not None:
        raise click.UsageError(str(Text("For PostgreSQL use pg_restore, then hookrow db restore without a file.")))
    if session.path is not None and source is None:
        raise click.UsageError(str(Text("Which backup? Give its file.")))
    database = session.path or "PostgreSQL"
    if source is None:
        question = Text("Cancel the unfinished deliveries of this database, so that no worker sends them?")
    else:
        question = Text("Put {source} in the place of {path}? The old file is kept.", source=source, path=database)
    if not (source is None and send_pending) and not confirm(question, yes=yes):
        return exits.STOPPED
    from hookrow.core.care.restoring import hold_in
    from hookrow.core.care.restoring import restore as put_back

    if session.path is None or source is None:
        held = hold_in(session.url, send_pending=send_pending)
    else:
        restored = put_back(source, session.path, os.environ, send_pending=send_pending)
        held = restored.held
        say(Text("{path} is {source} now.", path=session.path, source=source))
        if restored.kept is not None:
            say(Text("The old file: {path}", path=restored.kept))
    put_held(held, send_pending=send_pending)
    return exits.DONE


def put_held(held: HeldBack, *, send_pending: bool) -> None:
    """How many deliveries are unfinished in a backup, from when to when, and what becomes of them."""
    if held.first_ms is None or held.last_ms is None:
        say(Text("No delivery was unfinished."))
        return
    first, last = (f"{from_ms(each):%d.%m.%Y %H:%M} UTC" for each in (held.first_ms, held.last_ms))
    values: dict[str, Any] = {"n": held.deliveries, "first": first, "last": last}
    if send_pending:
        say(Text("Unfinished deliveries: {n}, from {first} to {last}. A worker sends them.", **values))
        return
    say(Text("Unfinished deliveries: {n}, from {first} to {last}. They are cancelled.", **values))
    say(Text("To send some again: hookrow redeliver --outcome restored"))
