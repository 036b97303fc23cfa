"""`hookrow hooks promote`: ends a hook's time in shadow, after what its answers would have done was shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from hookrow.cli import exits
from hookrow.cli.catalogue import Command, option
from hookrow.cli.read.hook_values import hook_json
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.output import confirm, put_json, say
from hookrow.cli.show.wording import named
from hookrow.lang import Text

if TYPE_CHECKING:
    from hookrow import ShadowFigures

__all__ = ["promote", "shadow_lines"]

MOST = 5
"""Firings that are named."""
NOT_ASKED = Text("In shadow, it was not asked in the last 7 days.")


def shadow_lines(figures: ShadowFigures | None) -> Iterator[Text | str]:
    """What a hook's answers in shadow would have done, and on which firings."""
    if figures is None:
        yield NOT_ASKED
        return
    yield figures.told()
    if figures.firings:
        yield Text("Would be refused: {firings}", firings=", ".join(figures.firings[:MOST]))


@click.command(
    "promote",
    cls=Command,
    brief=Text("End a hook's time in shadow: from now on its response decides."),
    more=Text("Shows first what its responses of the last 7 days would have done."),
)
@click.argument("ref", metavar="HOOK")
@option("--yes", "-y", is_flag=True, says=Text("Don't ask."))
@option("--json", "as_json", is_flag=True, says=Text("Print JSON, one object per line."))
@pass_session
def promote(session: Session, ref: str, yes: bool, as_json: bool) -> int:
    """End a hook's time in shadow."""
    with session.engine() as engine:
        hook = engine.hooks.get(ref)
        if not hook.shadow:
            say(Text("{hook} is not in shadow.", hook=named(hook)))
        else:
            figures = engine.log.shadow(hook.id or 0)
            for line in shadow_lines(figures):
                say(line)
            if not confirm(Text("Let the responses of {hook} decide from now on?", hook=named(hook)), yes=yes):
                return exits.STOPPED
            hook = engine.hooks.update(hook.id or 0, shadow=False, revision=hook.revision)
            say(Text("No longer in shadow: {hook}.", hook=named(hook)))
    if as_json:
        put_json(hook_json(hook))
    return exits.DONE
