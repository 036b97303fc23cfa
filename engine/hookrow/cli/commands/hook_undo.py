"""`hookrow hooks deleted`, `restore`, `undo`: what was deleted, how it comes back, one's own last change taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hookrow.cli import exits
from hookrow.cli.catalogue import Command, option
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.layout import Column
from hookrow.cli.show.output import confirm, put_json, put_table, say
from hookrow.cli.show.wording import clock_time
from hookrow.errors import HookNotFound
from hookrow.hook.form import FIELD
from hookrow.lang import Text, quoted

if TYPE_CHECKING:
    from hookrow import HookEngine
    from hookrow.hook.model import Hook

__all__ = ["deleted", "restore", "undo"]

AS_JSON = Text("Print JSON, one object per line.")


def deleted_hooks(engine: HookEngine) -> list[Hook]:
    """The deleted hooks, by their ids."""
    return sorted((hook for hook in engine.hooks.list(deleted=True) if hook.deleted), key=lambda hook: hook.id or 0)


@click.command("deleted", cls=Command, brief=Text("List the deleted hooks: when each was deleted, and who did it."))
@option("--json", "as_json", is_flag=True, says=AS_JSON)
@pass_session
def deleted(session: Session, as_json: bool) -> None:
    """The deleted hooks."""
    with session.engine() as engine:
        zone = engine.settings.zone()
        found = [(hook, engine.hooks.history(hook.id or 0)[0]) for hook in deleted_hooks(engine)]
    if as_json:
        for hook, last in found:
            about = {"id": hook.id, "key": hook.key, "name": hook.name, "event": hook.event}
            put_json(about | {"at": last.as_json()["at"], "who": last.who})
        return
    if not found:
        say(Text("No hook is deleted."))
        return
    columns = [
        Column(str(Text("ID")), right=True),
        Column(str(FIELD["event"].label), shrink=True),
        Column(str(FIELD["name"].label), shrink=True),
        Column(str(Text("Deleted"))),
        Column(str(Text("By")), shrink=True),
    ]
    put_table(
        columns,
        [(str(hook.id), hook.event, hook.name, clock_time(last.at_ms, zone), last.who) for hook, last in found],
    )


@click.command(
    "restore",
    cls=Command,
    brief=Text("Restore deleted hooks, with their secrets and queued deliveries."),
    more=Text("HOOK is the ID or the key of a deleted hook; hookrow hooks deleted lists them."),
)
@click.argument("refs", metavar="HOOK...", nargs=-1, required=True)
@pass_session
def restore(session: Session, refs: tuple[str, ...]) -> None:
    """Restore deleted hooks."""
    with session.engine() as engine:
        candidates = deleted_hooks(engine)
        chosen = []
        for ref in refs:
            named = [hook for hook in candidates if ref in (str(hook.id), hook.key)]
            if not named:
                raise HookNotFound(Text('there is no deleted hook "{ref}"', ref=ref))
            chosen.append(named[-1])
        for hook in chosen:
            back = engine.hooks.restore(hook.id or 0)
            say(Text("Restored: {hook}.", hook=f"{back.id} {quoted(back.name)}"))


@click.command(
    "undo",
    cls=Command,
    brief=Text("Undo your own last change of a hook, or of several hooks changed together."),
    more=Text(
        "Refused if a hook of it was changed since. Secrets that the change replaced or removed don't come back."
    ),
)
@option("--yes", "-y", is_flag=True, says=Text("Don't ask."))
@option("--keep-secrets", is_flag=True, says=Text("Secrets may go along to the earlier URL, also on another host."))
@option("--json", "as_json", is_flag=True, says=Text("Print JSON: one object."))
@pass_session
def undo(session: Session, yes: bool, keep_secrets: bool, as_json: bool) -> int:
    """Undo one's own last change."""
    with session.engine() as engine:
        change = engine.hooks.last_change()
        if change is None:
            say(Text("You have not changed any hook."))
            return exits.DONE
        names = ", ".join(f"{part.hook_id} {quoted(part.name)}" for part in change.parts)
        at = clock_time(change.at_ms, engine.settings.zone())
        lost = sorted({name for part in change.parts for name in part.lost})
        if lost:
            say(Text("These secrets don't come back: {fields}.", fields=", ".join(lost)))
        question = Text("Undo {action} of {at}: {hooks}?", action=change.action, at=at, hooks=names)
        if not confirm(question, yes=yes):
            return exits.STOPPED
        engine.hooks.undo(change, keep_secrets=keep_secrets)
    if as_json:
        put_json(change.as_json())
    else:
        say(Text("Undone: {action} of {hooks}.", action=change.action, hooks=names))
    return exits.DONE
