"""`hookrow replay`: recorded payloads through today's hooks, the verdict beside the recorded one."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from hookrow.cli.catalogue import command, option
from hookrow.cli.read.given import hook_id, parse_payload
from hookrow.cli.read.selection import again_options, go_through, remaining, selected
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.layout import Cell, Column
from hookrow.cli.show.output import paint, put, put_json, put_table, say, to_json, unrecorded
from hookrow.cli.show.wording import deed, milliseconds, outcome_cell, verdict_cell
from hookrow.errors import HookrowError
from hookrow.lang import Plural, Text, quoted
from hookrow.safetext import visible
from hookrow.words import time_told

if TYPE_CHECKING:
    from hookrow import HookEngine
    from hookrow.records import Firing
    from hookrow.results import Replayed

__all__ = ["replay"]


@command(
    "replay", more=Text("ID: a firing (evt_…), or a delivery (msg_…), which means its firing with this hook only.")
)
@again_options
@option("--with-replays", is_flag=True, says=Text("By filter: replay earlier replays, too."))
@option("--edit", is_flag=True, says=Text("Change the payload in $EDITOR first."))
@pass_session
def replay(
    session: Session,
    refs: tuple[str, ...],
    to: str | None,
    with_auth: bool,
    with_replays: bool,
    edit: bool,
    dry_run: bool,
    rate: float | None,
    resume: tuple[str, str] | None,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Run recorded payloads through today's hooks and compare."""
    with session.engine() as engine:
        only = None if options.get("hook") is None else hook_id(engine, options["hook"])
        found = selected(engine, refs, options)
        chosen = remaining(engine, found if refs or with_replays else originals(found), resume)
        if edit and len(chosen) != 1:
            raise click.UsageError(str(Text("--edit takes one ID.")))
        edited = edited_payload(engine.log.get(chosen[0][0])) if edit else None
        payload: dict[str, Any] | None = None

        def act(ref: str) -> bool:
            again = engine.replay(ref, hook=only, to=to, with_auth=with_auth, payload=payload, dry_run=dry_run)
            with unrecorded(as_json=as_json):
                firing = None if again.firing is None else after_background(engine, again.firing)
            put_again(again, firing, as_json=as_json)
            return firing is None or (firing.allowed and not any(each.failed for each in firing.deliveries))

        try:
            payload = None if edited is None else parse_payload(edited, "$EDITOR")
            return go_through(
                engine,
                chosen,
                lambda n: Plural("{n} firing will be replayed:", "{n} firings will be replayed:", n),
                act,
                yes=yes,
                rate=rate,
                dry_run=dry_run,
            )
        except HookrowError:
            if edited is not None:
                keep(edited)
            raise


def originals(chosen: Iterable[tuple[str, Firing]]) -> Iterator[tuple[str, Firing]]:
    """Those that are no replays themselves; says how many were left out."""
    left = 0
    for ref, firing in chosen:
        if firing.replay_of is None:
            yield ref, firing
        else:
            left += 1
    if left:
        say(
            Plural(
                "{n} earlier replay is left out (--with-replays).",
                "{n} earlier replays are left out (--with-replays).",
                left,
            )
        )


def edited_payload(firing: Firing) -> bytes:
    """The recorded payload as the person left it in the editor.

    Raises:
        click.Abort: the editor was left without saving.
    """
    text = f"{to_json(firing.payload, indent=2)}\n"
    edited = click.edit(text.encode(), extension=".json", require_save=True)
    if edited is None:
        raise click.Abort
    return edited.removeprefix(BOM_UTF8)


def keep(edited: bytes) -> None:
    """What was typed is not lost for a comma too many."""
    from tempfile import mkstemp  # only now: help needs none

    handle, name = mkstemp(prefix="hookrow-payload-", suffix=".json")
    with open(handle, "wb") as file:
        file.write(edited)
    say(Text("What was edited is kept in {path}", path=name))


def after_background(engine: HookEngine, firing: Firing) -> Firing:
    """The firing after one attempt of each of its own background deliveries."""
    if any(delivery.outcome == "queued" for delivery in firing.deliveries):
        return engine.send_own(firing)
    return firing


def put_again(again: Replayed, firing: Firing | None, *, as_json: bool) -> None:
    """The plan of a dry run, or both firings side by side."""
    # Here, so that `--help` need not wait for other commands.
    from hookrow.cli.commands.explain import put_plan
    from hookrow.cli.commands.redeliver import put_request
    from hookrow.results import curl_line

    if as_json:
        plan = [
            step.as_json() | ({} if step.request is None else {"curl": curl_line(step.request)}) for step in again.plan
        ]
        put_json(
            {
                "recorded": again.recorded.as_json(),
                "firing": None if firing is None else firing.as_json(),
                "now": None if again.now is None else dict(again.now),
                **({"plan": plan} if firing is None else {}),
            }
        )
    elif firing is None:
        put(f"{again.recorded.id}  {again.recorded.event}")
        put_plan(again.plan)
        for step in again.plan:
            if step.request is not None:
                put(f"\n{paint(step.hook.name, bold=True)}")
                put_request(step.request)
    else:
        put_comparison(again.recorded, firing)
        if again.now is not None:
            put(Text("Time as of this replay: {now}", now=time_told(again.now)))


def put_comparison(old: Firing, new: Firing) -> None:
    """What was recorded and what came of the replay, hook by hook; marked where they differ."""
    same = (old.outcome, old.veto and old.veto.message) == (new.outcome, new.veto and new.veto.message)
    put(f"{old.id} → {new.id}  {new.event}")
    times = f"{milliseconds(old.ms)} → {milliseconds(new.ms)}"
    put(f"{paint(' ' if same else '*', 'yellow')} {verdict(old)} → {verdict(new)}  {times}")
    titles = ("", Text("Position"), Text("Hook"), Text("Recorded"), Text("Now"), Text("Time"))
    columns = [Column(str(title), right=at == 1, shrink=at in (2, 3, 4)) for at, title in enumerate(titles)]
    put_table(columns, rows_of(old, new))
    if old.has_result or new.has_result:
        put(Text("Result: {old} → {new}", old=to_json(old.public_result), new=to_json(new.public_result)))


def verdict(firing: Firing) -> str:
    """A firing's outcome and, where it was refused, by what words."""
    cell = verdict_cell(firing)
    said = paint(cell.text, cell.colour)
    return said if firing.veto is None else f"{said} {quoted(visible(firing.veto.message))}"


def rows_of(old: Firing, new: Firing) -> list[Sequence[str | Cell]]:
    """Each hook's share then and now."""
    before = {each.hook.id: each for each in old.deliveries}
    after = {each.hook.id: each for each in new.deliveries}
    rows: list[Sequence[str | Cell]] = []
    for number in dict.fromkeys([*after, *before]):
        was, now = before.get(number), after.get(number)
        shown = now or was
        assert shown is not None
        told = ["—" if each is None else outcome_and_deed(each, firing) for each, firing in ((was, old), (now, new))]
        differs = now is not None and told[0] != told[1]
        times = " → ".join(
            milliseconds(each.ms) if each is not None and each.ms is not None else "—" for each in (was, now)
        )
        rows.append(
            (
                Cell("*" if differs else "", "yellow"),
                str(shown.position),
                shown.hook.name,
                told[0],
                Cell(told[1], None if now is None else outcome_cell(now.outcome).colour),
                times,
            )
        )
    return rows


def outcome_and_deed(delivery: Any, firing: Firing) -> str:
    """A hook's outcome and deed in one cell."""
    status = "" if delivery.status is None else str(delivery.status)
    return " ".join(part for part in (status, outcome_cell(delivery.outcome).text, deed(delivery, firing)) if part)
