"""`hookrow hooks`: everything that the form can do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from hookrow.cli import exits
from hookrow.cli.catalogue import Command, family, option
from hookrow.cli.commands.hook_secrets import secret
from hookrow.cli.commands.hook_shadow import candidate_lines, drop_candidate, promote, shadow_lines
from hookrow.cli.commands.hook_undo import deleted, restore, undo
from hookrow.cli.read.given import here_of, read_payload
from hookrow.cli.read.hook_values import (
    drops_candidate,
    field_options,
    given_values,
    hook_json,
    keeps_secrets,
    tried_options,
)
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.conflict import put_conflict
from hookrow.cli.show.findings import UNDRAINED, contradicts
from hookrow.cli.show.hook_stats import calls_cell, errors_cell, stats
from hookrow.cli.show.layout import Cell, Column
from hookrow.cli.show.output import confirm, paint, put, put_json, put_table, say
from hookrow.cli.show.revision_lines import revision_lines
from hookrow.cli.show.standing import NO_EFFECT, standing
from hookrow.cli.show.wording import colour, milliseconds, named, validity
from hookrow.errors import ChangedMeanwhile, InvalidHook
from hookrow.hook.checks import public_url
from hookrow.hook.fields import FIELD, FIELDS, clean, mode_sentence
from hookrow.hook.modes import Seconds
from hookrow.lang import Text, quoted
from hookrow.safetext import visible, visible_lines
from hookrow.words import CANDIDATE, MODES, SHADOW, STATES, word

if TYPE_CHECKING:
    from datetime import datetime

    from hookrow import HookEngine, HookFigures, HookStatistics
    from hookrow.hook.model import Hook

__all__ = ["hooks"]

hooks: Final = family("hooks", Text("HOOK is an ID, a key or an exact name."))
hooks.add_command(secret)
hooks.add_command(stats)
hooks.add_command(deleted)
hooks.add_command(restore)
hooks.add_command(undo)
hooks.add_command(promote)
hooks.add_command(drop_candidate)

AS_JSON = Text("Print JSON, one object per line.")


def subcommand(name: str, brief: Text, more: Text | None = None) -> Callable[[Callable[..., Any]], click.Command]:
    """A command of this family."""
    return hooks.command(name, cls=Command, brief=brief, more=more)


as_json: Final = option("--json", "as_json", is_flag=True, says=AS_JSON)
one: Final = click.argument("ref", metavar="HOOK")
many: Final = click.argument("refs", metavar="HOOK...", nargs=-1, required=True)
agreed: Final = option("--yes", "-y", is_flag=True, says=Text("Don't ask."))


@subcommand("list", Text("List the hooks in the order in which they run, event by event."))
@option("--event", metavar="EVENT", says=Text("Only hooks of this event."))
@as_json
@pass_session
def list_hooks(session: Session, event: str | None, as_json: bool) -> None:
    """The hooks in the order in which they run."""
    with session.engine() as engine:
        found = engine.hooks.list(event)
        undrained = engine.log.summary().undrained
        figures = {} if as_json else engine.log.statistics()
        lately = {} if as_json else engine.log.hook_figures()
        now = here_of(engine).now
    if undrained:
        say(UNDRAINED)
    if as_json:
        for hook in found:
            put_json(without_tokens(hook))
        return
    if not found:
        say(Text("There are no hooks yet. Add one: hookrow hooks add --name … --url … --event …"))
        return
    columns = [
        Column(str(Text("ID")), right=True),
        Column(str(FIELD["event"].label), shrink=True),
        Column(str(Text("Position")), right=True),
        Column(str(FIELD["name"].label), shrink=True),
        Column(str(Text("Mode"))),
        Column(str(FIELD["timeout"].label), right=True),
        Column(str(Text("State")), shrink=True),
        Column(str(Text("Calls, day")), right=True),
        Column(str(Text("Errors")), right=True),
        Column("p95", right=True),
    ]
    rows = [row_of(hook, figures[hook.id or 0], now, lately.get(hook.id or 0)) for hook in found]
    put_table(columns, rows)


def without_tokens(hook: Hook) -> dict[str, Any]:
    """A hook as JSON: tokens travel in queries, and a list is no place for them."""
    shown = hook_json(hook) | {"url": hook.public_url}
    tried = shown["candidate"]
    if tried is not None and "url" in tried["fields"]:
        tried["fields"]["url"] = public_url(tried["fields"]["url"])
    return shown


def row_of(hook: Hook, figures: HookStatistics, now: datetime, lately: HookFigures | None) -> Sequence[str | Cell]:
    """A hook's line in the list, with what would surprise: how its period stands, flags, why it is paused; its day."""
    day = figures.day
    remarks = [word(STATES, hook.state), *filter(None, [validity(hook, now)])]
    if hook.state == "paused" and hook.paused_reason:
        remarks.append(quoted(hook.paused_reason))
    if contradicts(hook):
        remarks.append(str(NO_EFFECT))
    if hook.shadowed:
        remarks.append(str(SHADOW) if figures.shadow is None else figures.shadow.brief())
    if hook.candidate is not None:
        remarks.append(str(CANDIDATE) if figures.candidate is None else figures.candidate.brief())
    failing = lately is not None and lately.failing > 0 and hook.state != "paused"
    if lately is not None and failing:
        remarks.append(str(Text("fails every time ({n})", n=lately.failing)))
    return (
        str(hook.id),
        hook.event,
        str(hook.position),
        hook.name,
        word(MODES, hook.mode),
        str(Text("{n} s", n=Seconds(hook.timeout))),
        Cell("; ".join(remarks), "red" if failing else colour(STATES, hook.state)),
        calls_cell(day),
        errors_cell(day),
        milliseconds(day.p95_ms),
    )


@subcommand("show", Text("Show one hook with all its fields."))
@one
@as_json
@pass_session
def show(session: Session, ref: str, as_json: bool) -> None:
    """One hook with all its fields."""
    with session.engine() as engine:
        hook = engine.hooks.get(ref)
        if as_json:
            put_json(hook_json(hook))
        else:
            put_hook(engine, hook)


def put_hook(engine: HookEngine, hook: Hook) -> None:
    """A hook as a list of its fields under the form's labels."""
    zone = engine.settings.zone()
    moment = engine.events.get(hook.event).moment if hook.event in engine.events else "before"
    rows: list[Sequence[str | Cell]] = [(Cell("id", dim=True), str(hook.id))]
    for field in FIELDS:
        value = getattr(hook, field.code)
        if field.code == "custom_header":
            shown = f"{value}: {set_or_not(hook.custom_header_value)}" if value else ""
        elif field.secret:
            shown = set_or_not(value)
        else:
            shown = field.show(value, zone)
        if field.code in ("wait_for_response", "response_has_data") and value and hook.fire_and_forget:
            shown += f" ({NO_EFFECT})"
        if "\n" not in shown:
            rows.append((Cell(str(field.label), dim=True), shown))
    mode = mode_sentence(hook.mode, hook.timeout, hook.on_failure, moment, shadow=hook.shadow)
    rows.append((Cell(str(Text("Mode")), dim=True), str(mode)))
    said = "; ".join(filter(None, [word(STATES, hook.state), validity(hook, here_of(engine).now)]))
    rows.append((Cell(str(Text("State")), dim=True), Cell(said, colour(STATES, hook.state))))
    if hook.paused_reason:
        rows.append((Cell(str(Text("Reason of the pause")), dim=True), hook.paused_reason))
    rows.append((Cell(str(Text("Revision")), dim=True), str(hook.revision)))
    put_table([Column(), Column()], rows)
    if hook.shadowed:
        for line in shadow_lines(engine.log.shadow(hook.id or 0)):
            put(line)
    if hook.candidate is not None:
        for line in candidate_lines(hook, engine.log.candidate(hook.id or 0), zone):
            put(line)
    if "\n" in hook.body:
        put(f"\n{paint(str(FIELD['body'].label), dim=True)}\n{visible_lines(hook.body)}")


def set_or_not(value: Any) -> str:
    """All that is ever said of a secret."""
    return str(Text("set") if value is not None and value.is_set else Text("not set"))


@subcommand(
    "add",
    Text("Add a hook."),
    Text("Only --name, --url and --event are required; the other fields have the form's defaults."),
)
@field_options
@as_json
@pass_session
def add(session: Session, as_json: bool, **options: Any) -> None:
    """Add a hook."""
    from hookrow import Hook

    values = given_values(options)
    with session.engine() as engine:
        here = here_of(engine)
        cleaned = clean(values, new=True, here=here)
        if cleaned.problems:
            raise InvalidHook(cleaned.problems)
        moments = {code: cleaned.values[code] for code in ("valid_from", "valid_until") if code in values}
        hook = Hook(**with_secrets(values | moments))
        added = engine.hooks.add(hook)
        notes = [*cleaned.notes, *vault_notice(engine)]
        remarks = list(standing(added, here.now))
    say_saved(added, notes, Text("Added: {hook}.", hook=named(added)), remarks, as_json=as_json)


@subcommand("edit", Text("Change fields of a hook; fields not given stay unchanged."))
@one
@field_options
@keeps_secrets
@drops_candidate
@option("--revision", type=int, metavar="N", says=Text("Don't save if the hook was changed after this revision."))
@as_json
@pass_session
def edit(
    session: Session,
    ref: str,
    keep_secrets: bool,
    drop_candidate: bool,
    revision: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Change fields of a hook."""
    values = given_values(options)
    if not values:
        raise click.UsageError(str(Text("Nothing to change: give a field, such as --timeout 3.")))
    with session.engine() as engine:
        here = here_of(engine)
        notes = []
        for code in ("valid_from", "valid_until"):
            if code in values:
                cleaned = clean({code: values[code]}, here=here)
                if cleaned.problems:
                    raise InvalidHook(cleaned.problems)
                values[code] = cleaned.values[code]
                notes += cleaned.notes
        try:
            how = {"keep_secrets": keep_secrets, "drop_candidate": drop_candidate}
            changed = engine.hooks.update(ref, with_secrets(values), revision=revision, **how)
        except ChangedMeanwhile as conflict:
            if revision is not None:
                put_conflict(values, revision, conflict.current, engine.hooks.history(ref), as_json=as_json)
            raise
        notes += vault_notice(engine)
        remarks = list(standing(changed, here.now))
    saved = Text("Saved: {hook}, revision {n}.", hook=named(changed), n=changed.revision)
    say_saved(changed, notes, saved, remarks, as_json=as_json)


@subcommand(
    "try",
    Text("Try changed fields of a blocking hook in shadow, beside the hook, which alone decides."),
    Text("They are the hook's candidate until you promote or drop them; a candidate from before is replaced."),
)
@one
@tried_options
@keeps_secrets
@option("--revision", type=int, metavar="N", says=Text("Don't save if the hook was changed after this revision."))
@as_json
@pass_session
def try_(session: Session, ref: str, keep_secrets: bool, revision: int | None, as_json: bool, **options: Any) -> None:
    """Try changed fields of a hook."""
    values = given_values(options)
    if not values:
        raise click.UsageError(str(Text("Nothing to try: give a field, such as --timeout 3.")))
    with session.engine() as engine:
        tried = engine.hooks.try_candidate(ref, with_secrets(values), revision=revision, keep_secrets=keep_secrets)
        notes = vault_notice(engine)
        lines = list(candidate_lines(tried, None, engine.settings.zone()))[:-1]
    done = Text("Tried in shadow from now on: {hook}.", hook=named(tried))
    say_saved(tried, notes, done, lines, as_json=as_json)


def vault_notice(engine: HookEngine) -> list[Text]:
    """What the vault has to say: that it made a key file, and where."""
    said = engine.keys.notice
    return [] if said is None else [said]


def with_secrets(values: dict[str, Any]) -> dict[str, Any]:
    """The values with new secrets wrapped, so that no error that shows a value can show one of them."""
    from hookrow import Secret
    from hookrow.hook.fields import HEADER_VALUE

    sealed = {field.code for field in FIELDS if field.kind == "secret"} | {HEADER_VALUE}
    return {
        code: Secret(value) if code in sealed and isinstance(value, str) else value for code, value in values.items()
    }


def say_saved(hook: Hook, notes: Sequence[Text], done: Text, remarks: Iterable[Text | str], *, as_json: bool) -> None:
    """Say what was done and what was changed on the way in; with --json give the hook."""
    for note in dict.fromkeys([*map(str, notes), *map(str, hook.notes)]):
        say(note)
    say(done)
    for remark in remarks:
        say(remark)
    if as_json:
        put_json(hook_json(hook))


@subcommand("rm", Text("Remove hooks; their queued deliveries are cancelled."))
@many
@agreed
@pass_session
def rm(session: Session, refs: tuple[str, ...], yes: bool) -> int:
    """Remove hooks."""
    with session.engine() as engine:
        found = [engine.hooks.get(ref) for ref in refs]
        names = ", ".join(named(hook) for hook in found)
        if not confirm(Text("Remove {hooks}? Queued deliveries will be cancelled.", hooks=names), yes=yes):
            return exits.STOPPED
        for hook in found:
            engine.hooks.remove(hook.id or 0, revision=hook.revision)
            say(Text("Removed: {hook}.", hook=named(hook)))
    return exits.DONE


@subcommand("enable", Text("Switch hooks on."))
@many
@pass_session
def enable(session: Session, refs: tuple[str, ...]) -> None:
    """Switch hooks on."""
    with session.engine() as engine:
        for ref in refs:
            hook = engine.hooks.update(ref, active=True)
            say(Text("Switched on: {hook}.", hook=named(hook)))
            for remark in standing(hook, here_of(engine).now):
                say(remark)


@subcommand("disable", Text("Switch hooks off; their queued deliveries wait until they are on again."))
@many
@pass_session
def disable(session: Session, refs: tuple[str, ...]) -> None:
    """Switch hooks off."""
    with session.engine() as engine:
        for ref in refs:
            say(Text("Switched off: {hook}.", hook=named(engine.hooks.update(ref, active=False))))


@subcommand("pause", Text("Pause hooks; their queued deliveries wait."))
@many
@option("--reason", default="", metavar="TEXT", says=Text("Shown to everybody who looks at the hook."))
@agreed
@pass_session
def pause(session: Session, refs: tuple[str, ...], reason: str, yes: bool) -> int:
    """Hold hooks back for a while."""
    with session.engine() as engine:
        found = [engine.hooks.get(ref) for ref in refs]
        for hook in found:
            if hook.waits and hook.on_failure == "stop":
                question = Text(
                    "A failure of {hook} stops the operation. While it is paused, every {event} is stopped. Pause it?",
                    hook=named(hook),
                    event=hook.event,
                )
                if not confirm(question, yes=yes):
                    return exits.STOPPED
            engine.hooks.pause(hook.id or 0, reason)
            say(Text("Paused: {hook}.", hook=named(hook)))
    return exits.DONE


@subcommand("resume", Text("Resume paused hooks; their waiting deliveries go on."))
@many
@pass_session
def resume(session: Session, refs: tuple[str, ...]) -> None:
    """Let paused hooks go on."""
    with session.engine() as engine:
        for ref in refs:
            hook = engine.hooks.resume(ref)
            say(Text("Resumed: {hook}.", hook=named(hook)))
            for remark in standing(hook, here_of(engine).now, off=True):
                say(remark)


@subcommand(
    "move",
    Text("Give a hook another place among its event's hooks."),
    Text("Exactly one of --before, --after and --by. Where no number is free between, the event is numbered by tens."),
)
@one
@option("--before", metavar="HOOK", says=Text("To run before this hook."))
@option("--after", metavar="HOOK", says=Text("To run after this hook."))
@option("--by", type=int, metavar="N", says=Text("So many places later; negative: earlier."))
@as_json
@pass_session
def move(session: Session, ref: str, before: str | None, after: str | None, by: int | None, as_json: bool) -> None:
    """Give a hook another place among its event's hooks."""
    if [before, after, by].count(None) != 2:
        raise click.UsageError(str(Text("Give exactly one of --before, --after and --by.")))
    with session.engine() as engine:
        row = engine.hooks.move(ref, before=before, after=after, by=by)
    for hook in row:
        if as_json:
            put_json(hook_json(hook))
        else:
            put(f"{hook.position:>5}  {visible(hook.name)}")


@subcommand("history", Text("Show who changed a hook, when, and what."))
@one
@as_json
@pass_session
def history(session: Session, ref: str, as_json: bool) -> None:
    """Who changed a hook, when, and what."""
    with session.engine() as engine:
        revisions = engine.hooks.history(ref)
        zone = engine.settings.zone()
    if as_json:
        for each in revisions:
            put_json(each.as_json())
        return
    for each in revisions:
        for line in revision_lines(each, zone):
            put(line)


@subcommand("rollback", Text("Restore a hook to an earlier revision; secrets stay as they are."))
@one
@click.argument("revision", type=int)
@keeps_secrets
@drops_candidate
@option("--current", type=int, metavar="N", says=Text("Don't save if the hook was changed after this revision."))
@as_json
@pass_session
def rollback(
    session: Session,
    ref: str,
    revision: int,
    keep_secrets: bool,
    drop_candidate: bool,
    current: int | None,
    as_json: bool,
) -> None:
    """Make a hook what it was at an earlier revision."""
    with session.engine() as engine:
        how = {"keep_secrets": keep_secrets, "drop_candidate": drop_candidate}
        hook = engine.hooks.rollback(ref, revision, current=current, **how)
        remarks = list(standing(hook, here_of(engine).now))
    done = Text(
        "{hook} is restored to revision {old}; this is revision {n}.", hook=named(hook), old=revision, n=hook.revision
    )
    say_saved(hook, [], done, remarks, as_json=as_json)


@subcommand("test", Text("Send one test request to a hook now; nothing is recorded."))
@one
@option(
    "--payload",
    type=click.File("rb"),
    metavar="FILE|-",
    says=Text("Payload to send; else the event's last recorded one, else its sample."),
)
@as_json
@pass_session
def test(session: Session, ref: str, payload: Any, as_json: bool) -> int:
    """Send one marked request to a hook now."""
    from hookrow.cli.show.trial import put_trial

    with session.engine() as engine:
        tried = engine.test(ref, None if payload is None else read_payload(payload))
        return put_trial(tried, as_json=as_json)
