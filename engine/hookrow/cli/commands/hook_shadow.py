"""`hookrow hooks promote`, `drop-candidate`: what was asked in shadow decides, or is asked no more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from typing import TYPE_CHECKING

import click

from hookrow.cli import exits
from hookrow.cli.catalogue import Command, option
from hookrow.cli.read.hook_values import hook_json
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.output import confirm, put_json, say
from hookrow.cli.show.revision_lines import candidate_changes, change_lines
from hookrow.cli.show.wording import named
from hookrow.lang import Text

if TYPE_CHECKING:
    from hookrow import CandidateFigures, HookEngine, ShadowFigures
    from hookrow.hook.model import Hook

__all__ = ["candidate_lines", "drop_candidate", "promote", "shadow_lines"]

MOST = 5
"""Firings that are named."""
NOT_ASKED = Text("In shadow, it was not asked in the last 7 days.")
NOT_COMPARED = Text("The candidate was not compared with the hook yet.")
AS_JSON = Text("Print JSON, one object per line.")


def shadow_lines(figures: ShadowFigures | None) -> Iterator[Text | str]:
    """What a hook's answers in shadow would have done, and on which firings."""
    if figures is None:
        yield NOT_ASKED
        return
    yield figures.told()
    if figures.firings:
        yield Text("Would be refused: {firings}", firings=", ".join(figures.firings[:MOST]))


def candidate_lines(hook: Hook, figures: CandidateFigures | None, zone: tzinfo) -> Iterator[Text | str]:
    """What a hook's candidate changes, how it compares, and on which firings they differ."""
    yield Text("Candidate:")
    yield from change_lines(candidate_changes(hook), zone)
    if figures is None:
        yield NOT_COMPARED
        return
    yield figures.told()
    if figures.firings:
        yield Text("They differ in: {firings}", firings=", ".join(figures.firings[:MOST]))


@click.command(
    "promote",
    cls=Command,
    brief=Text("Let what was asked in shadow decide: a candidate, or a hook."),
    more=Text("Shows first what its responses of the last 7 days would have done, and what a candidate changes."),
)
@click.argument("ref", metavar="HOOK")
@option("--yes", "-y", is_flag=True, says=Text("Don't ask."))
@option("--json", "as_json", is_flag=True, says=AS_JSON)
@pass_session
def promote(session: Session, ref: str, yes: bool, as_json: bool) -> int:
    """Let what was asked in shadow decide."""
    with session.engine() as engine:
        hook = engine.hooks.get(ref)
        if hook.candidate is None and not hook.shadow:
            say(Text("{hook} is not in shadow and has no candidate.", hook=named(hook)))
        elif not confirm(question(engine, hook), yes=yes):
            return exits.STOPPED
        else:
            tried = hook.candidate is not None
            hook = engine.hooks.promote(hook.id or 0, revision=hook.revision)
            done = Text("No longer in shadow: {hook}.", hook=named(hook))
            say(Text("Promoted: {hook}, revision {n}.", hook=named(hook), n=hook.revision) if tried else done)
    if as_json:
        put_json(hook_json(hook))
    return exits.DONE


def question(engine: HookEngine, hook: Hook) -> Text:
    """Say how it did so far; what is asked."""
    number = hook.id or 0
    if hook.candidate is None:
        for line in shadow_lines(engine.log.shadow(number)):
            say(line)
        return Text("Let the responses of {hook} decide from now on?", hook=named(hook))
    for line in candidate_lines(hook, engine.log.candidate(number), engine.settings.zone()):
        say(line)
    return Text("Make the candidate of {hook} its new revision?", hook=named(hook))


@click.command("drop-candidate", cls=Command, brief=Text("Ask a hook's candidate no more, and forget it."))
@click.argument("ref", metavar="HOOK")
@option("--json", "as_json", is_flag=True, says=AS_JSON)
@pass_session
def drop_candidate(session: Session, ref: str, as_json: bool) -> None:
    """Ask a hook's candidate no more."""
    with session.engine() as engine:
        hook = engine.hooks.get(ref)
        if hook.candidate is None:
            say(Text("{hook} has no candidate.", hook=named(hook)))
        else:
            hook = engine.hooks.drop_candidate(hook.id or 0, revision=hook.revision)
            say(Text("Candidate dropped: {hook}.", hook=named(hook)))
    if as_json:
        put_json(hook_json(hook))
