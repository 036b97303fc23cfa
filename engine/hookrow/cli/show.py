"""`hookrow show`: everything about one firing or delivery."""

from __future__ import annotations

import click

from hookrow.cli.commands import command, option
from hookrow.cli.firing_lines import put_attempts, put_firing
from hookrow.cli.given import zone_of
from hookrow.cli.output import put_json
from hookrow.cli.session import Session, pass_session
from hookrow.lang import Text

__all__ = ["show"]


@command("show", more=Text("ID is a firing (evt_…) or a delivery (msg_…), as the log and receivers name it."))
@click.argument("ref", metavar="ID")
@option("--json", "as_json", is_flag=True, says=Text("Machine-readable: the log's object, with payload and attempts."))
@pass_session
def show(session: Session, ref: str, as_json: bool) -> None:
    """Everything about one firing or delivery."""
    with session.engine() as engine:
        only = engine.log.delivery(ref).id if ref.startswith("msg_") else None
        firing = engine.log.get(ref)
        shares = [each for each in firing.deliveries if only is None or each.id == only]
        attempts = {each.id: engine.log.attempts(each.id) for each in shares}
        if as_json:
            found = firing.as_json()
            for share in found["deliveries"]:
                share["requests"] = [each.as_json() for each in attempts.get(share["id"], [])]
            put_json(found | {"payload": firing.payload, "hidden": list(firing.hidden)})
            return
        zone = zone_of(engine)
        put_firing(firing, zone)
        for share in shares:
            if attempts[share.id]:
                put_attempts(share, attempts[share.id], zone)
