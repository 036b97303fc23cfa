"""`hookrow prune`: deletes finished firings that are older, or take more room, than the settings allow."""

from __future__ import annotations

import sys

from hookrow.cli import exits
from hookrow.cli.catalogue import Number, command, option
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.output import put_json, say
from hookrow.cli.stdout import tell
from hookrow.clock import MOST_DAYS
from hookrow.errors import DiskFull
from hookrow.lang import Plural, Text

__all__ = ["prune"]


@command("prune", more=Text("Pending and dead deliveries stay, whatever their age."))
@option(
    "--days",
    type=Number(0, MOST_DAYS),
    metavar="N",
    says=Text("Keep firings for N days; else the setting retention_days."),
)
@option("--json", "as_json", is_flag=True, says=Text("Print JSON: one object."))
@pass_session
def prune(session: Session, days: float | None, as_json: bool) -> int:
    """Delete finished firings beyond the settings."""
    spinner = sys.stderr.isatty()

    def told(firings: int) -> None:
        if spinner:
            tell(f"\r{firings}", nl=False)

    make_room_to_open(session)
    with session.engine() as engine:
        purged = engine.log.prune(days=days, progress=told)
    if spinner:
        tell("\r", nl=False)
    if as_json:
        put_json({"firings": purged.firings, "bytes": purged.bytes})
    say(Plural("{n} firing deleted.", "{n} firings deleted.", purged.firings))
    return exits.DONE


def make_room_to_open(session: Session) -> None:
    """On a full disk an SQLite file can't even be opened if nobody has it open: then the reserve is given up first."""
    from hookrow.core.care.restoring import make_room

    try:
        with session.engine():
            return
    except DiskFull:
        if session.path is None or not make_room(session.path):
            raise
