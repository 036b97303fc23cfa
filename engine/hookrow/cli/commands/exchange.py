"""`hookrow export` and `hookrow import`: hooks as a file that can be kept, compared and reviewed like code."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hookrow.cli import exits
from hookrow.cli.catalogue import command, option
from hookrow.cli.commands.rehearse import put_row_time
from hookrow.cli.read.hook_values import keeps_secrets
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.findings import contradicts
from hookrow.cli.show.output import confirm, paint, put, put_file, put_json, say, to_json
from hookrow.cli.show.standing import NO_EFFECT
from hookrow.lang import Text
from hookrow.safetext import visible

if TYPE_CHECKING:
    from hookrow.hookfile import HookChange, Imported

__all__ = ["export", "import_"]

MARKS = {"add": ("+", "green"), "change": ("~", "yellow"), "remove": ("-", "red")}
LONG = 60
RECENT = 500
"""Firings that each changed hook is tried on."""
STREAMS = ("/dev/std", "/dev/fd/", "/proc/")
"""By these names a process finds what it has open, a plain file as well."""
OUTPUT = click.Path(dir_okay=False, path_type=Path)


@command(
    "export",
    more=Text(
        'Secrets are not exported: the file says "kept" instead, or nothing. URLs may contain tokens: protect the file.'
    ),
)
@option(
    "--output",
    "-o",
    type=OUTPUT,
    metavar="FILE",
    says=Text("Write to this file, with permissions 0600."),
)
@option("--event", metavar="EVENT", says=Text("Only hooks of this event."))
@option("--revisions", is_flag=True, says=Text("Include revisions, so that import can merge and detect conflicts."))
@option("--schema", is_flag=True, says=Text("The JSON Schema of such a file instead, for editors."))
@pass_session
def export(session: Session, output: Path | None, event: str | None, revisions: bool, schema: bool) -> None:
    """Write the hooks as YAML."""
    from hookrow import hookfile as exchange

    if schema:
        text = to_json(exchange.schema(), indent=2) + "\n"
    else:
        with session.engine() as engine:
            text = exchange.export_hooks(engine, event=event, revisions=revisions)
            for hook in filter(contradicts, engine.hooks.list(event)):
                say(Text("{hook}: {problem}", hook=visible(hook.key), problem=NO_EFFECT))
    if output is None:
        put_file(text)  # YAML has its own escapes for what a terminal should not get
        return
    write_whole(output, text)
    say(Text("Wrote {path}", path=output))


def write_whole(path: Path, text: str) -> None:
    """Write a file for its owner alone, all of it or nothing: whoever reads it meanwhile sees the old one.

    A link stays one; what is no file (a pipe, a device, what stdout leads to) is written to.

    Raises:
        click.UsageError: it can't be written there.
    """
    try:
        if os.path.abspath(path).startswith(STREAMS) or (path.exists() and not path.is_file()):
            with path.open("a", encoding="utf-8") as stream:  # opened anew, `>> FILE` would be emptied
                stream.write(text)
            return
        path = Path(os.path.realpath(path))
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
        part = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise click.UsageError(
            str(Text("{path} can't be written: {reason}", path=path, reason=error.strerror or ""))
        ) from None


@command(
    "import",
    more=Text(
        "Hooks are matched by key. Hooks and fields that are not in the file are left unchanged. Secrets are "
        "references: kept, none, env:NAME or file:PATH; they are read now and encrypted."
    ),
)
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
@option("--dry-run", is_flag=True, says=Text("Only show what would change, and how long operations may wait then."))
@keeps_secrets
@option(
    "--allow-source",
    is_flag=True,
    says=Text("Let the file read any variable and any file of yours; without it HOOKROW_SECRET_… and its own folder."),
)
@option("--prune", is_flag=True, says=Text("Remove the hooks that are not in the file."))
@option("--yes", "-y", is_flag=True, says=Text("Don't ask."))
@option("--json", "as_json", is_flag=True, says=Text("Print JSON: one object."))
@pass_session
def import_(session: Session, file: Any, prune: bool, dry_run: bool, yes: bool, as_json: bool, **trust: bool) -> int:
    """Bring hooks from a file."""
    from hookrow.hookfile import LIMIT, import_hooks, rehearse_file

    source = file.read(LIMIT + 1)
    name = getattr(file, "name", "-")
    folder = Path(name).parent if isinstance(name, str) and os.path.exists(name) else Path()
    how: dict[str, Any] = {**trust, "folder": folder}  # trust: keep_secrets, allow_source
    with session.engine() as engine:
        removing: bool | list[str] = prune
        if prune and not dry_run:
            plan = import_hooks(engine, source, prune=True, dry_run=True, **how)
            gone = [each.key for each in plan.changes if each.action == "remove"]
            question = Text("Remove the hooks that are not in the file: {keys}?", keys=", ".join(gone))
            if gone and not confirm(question, yes=yes):
                return exits.STOPPED
            removing = gone  # not what a colleague added while the question stood
        done = import_hooks(engine, source, prune=removing, dry_run=dry_run, **how)
        tried = rehearse_file(engine, source, folder=folder, limit=RECENT) if dry_run else []
        if engine.keys.notice is not None:
            say(engine.keys.notice)
    for warning in done.warnings:
        say(warning)
    for each in tried:
        for line in each.told():
            say(f"{visible(each.key)}: {visible(str(line))}")
    if as_json:
        put_json(done.as_json() | ({"rehearsals": [each.as_json() for each in tried]} if dry_run else {}))
    else:
        put_done(done)
    return exits.DONE


def put_done(done: Imported) -> None:
    """What changed, hook by hook, and the rows' times; a line in the end that counts."""
    counts = dict.fromkeys(MARKS, 0) | {"change": len(done.events)}
    for event in done.events:
        put(paint(f"~ {visible(event.event)}", MARKS["change"][1]))
        put(f"    together: {to_json(event.before)} → {to_json(event.after)}")
    for change in done.changes:
        if change.action in MARKS:
            counts[change.action] += 1
            put_change(change)
    for row in done.rows:
        put_row_time(row)
    if not done.changed:
        say(Text("No differences."))
        return
    said = Text(
        "{add} added, {change} changed, {remove} removed",
        add=counts["add"],
        change=counts["change"],
        remove=counts["remove"],
    )
    say(f"{said}." if done.applied else Text("{said}; nothing was written.", said=said))


def put_change(change: HookChange) -> None:
    """A hook's line and its fields below."""
    sign, colour = MARKS[change.action]
    put(paint(f"{sign} {change.key}", colour))
    read = {code: (source, host) for code, source, host in change.sources}
    for code, old, new in change.fields:
        told = in_one_line(new) if change.action == "add" else f"{in_one_line(old)} → {in_one_line(new)}"
        if code in read:
            source, host = map(visible, read[code])
            told += str(Text(" (read from {source}, sent to {host})", source=source, host=host))
        put(f"    {code}: {told}")


def in_one_line(value: Any) -> str:
    """A value in a line."""
    text = visible(value) if isinstance(value, str) else to_json(value)
    return text if len(text) <= LONG else text[: LONG - 1] + "…"
