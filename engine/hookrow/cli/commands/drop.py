"""`hookrow drop`: gives up dead deliveries for good."""

from __future__ import annotations

from typing import Any

from hookrow.cli import exits
from hookrow.cli.catalogue import command
from hookrow.cli.read.selection import failed_deliveries, selection_options
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.output import confirm, put_json, say
from hookrow.lang import Plural, Text

__all__ = ["drop"]


@command("drop", more=Text("ID: a dead delivery (msg_…), or a firing (evt_…), which means its dead deliveries."))
@selection_options
@pass_session
def drop(session: Session, refs: tuple[str, ...], yes: bool, as_json: bool, **options: Any) -> int:
    """Give up dead deliveries."""
    with session.engine() as engine:
        chosen = [
            ref
            for ref, firing in failed_deliveries(engine, refs, options, sendable=False)
            if any(each.id == ref and each.outcome == "dead" for each in firing.deliveries)
        ]
        if not chosen:
            say(Text("No dead delivery matches."))
            return exits.DONE
        question = Plural("Discard {n} dead delivery?", "Discard {n} dead deliveries?", len(chosen))
        if not confirm(question, yes=yes):
            return exits.STOPPED
        dropped = engine.log.drop(chosen)
    if as_json:
        put_json({"dropped": dropped})
    say(Plural("{n} delivery discarded.", "{n} deliveries discarded.", dropped))
    return exits.DONE
