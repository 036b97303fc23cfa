"""`hookrow rehearse`: recorded firings through hooks as they are to be, without a single request."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from hookrow.cli import exits
from hookrow.cli.catalogue import command, option
from hookrow.cli.read.given import filter_options, log_filter
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.output import in_terminal, put, put_json, say, to_json
from hookrow.hook.modes import Seconds
from hookrow.lang import Text
from hookrow.safetext import visible

if TYPE_CHECKING:
    from hookrow import Rehearsal
    from hookrow.hookfile import RowTime

__all__ = ["put_rehearsal", "put_row_time", "rehearse"]

LONGEST = 60
"""Characters of a value that are shown."""


@command(
    "rehearse",
    more=Text(
        "HOOK alone: as it is saved; with --condition, --body or --body-file: as it would be. With --file: each hook "
        "that the file adds or changes. Nothing is sent or saved. Exit 1 where a condition or a body would fail."
    ),
)
@click.argument("ref", metavar="[HOOK]", required=False)
@option("--file", "source", type=click.File("rb"), metavar="FILE|-", says=Text("Hooks as hookrow export writes them."))
@option("--condition", metavar="TEXT", says=Text("The condition in the place of the saved one."))
@option("--body", metavar="TEXT", says=Text("The body in the place of the saved one."))
@option(
    "--body-file", type=click.File(encoding="utf-8-sig"), metavar="FILE|-", says=Text("The same, read from a file.")
)
@filter_options
@option("--limit", type=int, default=10_000, metavar="N", says=Text("At most N firings, the newest; else 10000."))
@option("--json", "as_json", is_flag=True, says=Text("Print JSON, one object per line."))
@pass_session
def rehearse(
    session: Session,
    ref: str | None,
    source: IO[bytes] | None,
    condition: str | None,
    body: str | None,
    body_file: IO[str] | None,
    limit: int,
    as_json: bool,
    **options: Any,
) -> int:
    """Take recorded firings through hooks that are not saved yet."""
    from hookrow.hookfile import LIMIT, rehearse_file

    if (ref is None) is (source is None):
        raise click.UsageError(str(Text("Give a HOOK or --file, one of the two.")))
    if body is not None and body_file is not None:
        raise click.UsageError(str(Text("Give the body once: {one} or {two}.", one="--body", two="--body-file")))
    with session.engine() as engine:
        wanted = log_filter(engine, options)
        with progress() as advance:
            if source is not None:
                folder = Path(getattr(source, "name", "-")).parent
                found = rehearse_file(
                    engine, source.read(LIMIT + 1), wanted, folder=folder, limit=limit, progress=advance
                )
            else:
                hook = engine.hooks.get(ref or "")
                given = {"condition": condition, "body": body if body_file is None else body_file.read()}
                changed = hook.model_copy(update={name: text for name, text in given.items() if text is not None})
                found = [engine.rehearse(changed, wanted, limit=limit, progress=advance)]
    if not found:
        say(Text("No hook of the file would be asked differently."))
    for each in found:
        if as_json:
            put_json(each.as_json())
        else:
            put_rehearsal(each)
    if not as_json:
        for row in {each.row.event: each.row for each in found}.values():
            put_row_time(row)
    return exits.NO if any(each.failed for each in found) else exits.DONE


@contextmanager
def progress() -> Iterator[Callable[[int, int], None]]:
    """A progress bar on the terminal; what advances it."""
    hidden = not in_terminal(sys.stderr)
    with click.progressbar(length=1, label=str(Text("Rehearsing")), file=sys.stderr, hidden=hidden) as bar:

        def advance(done: int, of: int) -> None:
            bar.length = max(of, 1)
            bar.update(done - bar.pos)

        yield advance


def put_row_time(row: RowTime) -> None:
    """How long an operation may wait for its hooks; nothing where it waits for none."""
    if row.before or row.after:
        put(
            Text(
                "{event}: an operation may wait {after} s for its hooks (now {before} s)",
                event=visible(row.event),
                after=Seconds(row.after),
                before=Seconds(row.before),
            )
        )


def put_rehearsal(found: Rehearsal) -> None:
    """What would become of the firings, as people read it."""
    if not found.firings:
        put(Text("{hook}: no firing is recorded to try it on.", hook=visible(found.key)))
        return
    put(
        Text(
            "{hook}: {n} firings tried, called on {called} (new {more}, left out now {less}), would fail on {failed}",
            hook=visible(found.key),
            n=found.firings,
            called=found.called,
            more=found.newly_called,
            less=found.newly_left_out,
            failed=found.failed,
        )
    )
    for each in found.failures:
        reason = visible(each.reason)
        indented(Text("{n} would fail: {reason} ({where})", n=each.count, reason=reason, where=visible(each.where)))
    if found.unknowable:
        indented(Text("{n} are not knowable from the log: a private value decides.", n=found.unknowable))
    if found.bodies_differ:
        indented(Text("bodies that differ: {n}, such as", n=found.bodies_differ))
    for body in found.bodies:
        put(f"  {body.firing}")
        for pointer, old, new in body.changes:
            put(f"    {visible(pointer)}: {short(old)} → {short(new)}")


def indented(text: Text) -> None:
    """A line that belongs to the hook's above."""
    put(f"  {text}")


def short(value: Any) -> str:
    """A JSON value in a few characters."""
    text = to_json(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
