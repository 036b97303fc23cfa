"""`hookrow hooks secret`: a hook's signing secret, printed once."""

from __future__ import annotations

from typing import Final

import click

from hookrow.cli.catalogue import Command, Family, option
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.output import put, put_json, say
from hookrow.errors import Refused
from hookrow.lang import Text

__all__ = ["secret"]

secret: Final = Family("secret", brief=Text("Create or rotate a hook's signing secret; it is printed once."))


@secret.command("new", cls=Command, brief=Text("Create a signing secret for a hook that has none."))
@click.argument("ref", metavar="HOOK")
@option("--json", "as_json", is_flag=True, says=Text("Print JSON: one object."))
@pass_session
def new(session: Session, ref: str, as_json: bool) -> None:
    """Make a signing secret for a hook that has none."""
    with session.engine() as engine:
        hook = engine.hooks.get(ref)
        if hook.signing_secret is not None and hook.signing_secret.is_set:
            raise Refused(
                Text("This hook has a signing secret already. To change it: hookrow hooks secret rotate {ref}", ref=ref)
            )
        made = engine.hooks.new_secret(hook.id or ref)
    hand_over(made, as_json=as_json)


@secret.command("rotate", cls=Command, brief=Text("Replace the secret; for 24 hours requests carry both signatures."))
@click.argument("ref", metavar="HOOK")
@option("--json", "as_json", is_flag=True, says=Text("Print JSON: one object."))
@pass_session
def rotate(session: Session, ref: str, as_json: bool) -> None:
    """Replace a hook's signing secret."""
    with session.engine() as engine:
        made = engine.hooks.new_secret(ref, rotate=True)
    hand_over(made, as_json=as_json)


def hand_over(made: str, *, as_json: bool) -> None:
    """Print the secret: the only time that it can be read."""
    say(Text("Give this secret to the receiver now; it is not shown again:"))
    if as_json:
        put_json({"signing_secret": made})
    else:
        put(made)
