"""`hookrow hooks stats`: how often each hook was called, how often that failed, how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from hookrow.cli.catalogue import Command, option
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.layout import Cell, Column
from hookrow.cli.show.output import put, put_json, put_table, say
from hookrow.cli.show.wording import milliseconds
from hookrow.lang import Text
from hookrow.safetext import visible

if TYPE_CHECKING:
    from hookrow import Figures

__all__ = ["calls_cell", "errors_cell", "stats"]


@click.command(
    "stats",
    cls=Command,
    brief=Text("Show calls, errors and durations of each hook, last day and last week."),
    more=Text(
        "A call is one request to the hook's own URL, retries included. Half of the calls took no longer "
        "than p50, 95 in 100 no longer than p95. For a hook with very many calls only the newest are "
        "counted; such numbers end in +."
    ),
)
@click.argument("refs", metavar="[HOOK]...", nargs=-1)
@option("--json", "as_json", is_flag=True, says=Text("Print JSON, one object per line."))
@pass_session
def stats(session: Session, refs: tuple[str, ...], as_json: bool) -> None:
    """Calls, errors and times of each hook."""
    with session.engine() as engine:
        hooks = [engine.hooks.get(ref) for ref in refs] if refs else engine.hooks.list()
        figures = engine.log.statistics()
    if as_json:
        for hook in hooks:
            named = {"hook": {"id": hook.id, "key": hook.key, "name": hook.name}}
            put_json(named | figures[hook.id or 0].as_json())
        return
    if not hooks:
        say(Text("There are no hooks yet. Add one: hookrow hooks add --name … --url … --event …"))
        return
    titles = (Text("Calls, day"), Text("Errors"), "p50", "p95", Text("Calls, week"), Text("Errors"), "p50", "p95")
    columns = [Column(str(Text("ID")), right=True), Column(str(Text("Hook")), shrink=True)]
    columns += [Column(str(title), right=True) for title in titles]
    rows: list[Sequence[str | Cell]] = []
    for hook in hooks:
        found = figures[hook.id or 0]
        rows.append((str(hook.id), hook.name, *cells(found.day), *cells(found.week)))
    put_table(columns, rows)
    for hook in hooks:
        shadow = figures[hook.id or 0].shadow
        if shadow is not None:
            put(f"{visible(hook.name)}: {shadow.told()}")
        candidate = figures[hook.id or 0].candidate
        if candidate is not None:
            put(f"{visible(hook.name)}: {candidate.told()}")


def cells(figures: Figures) -> Sequence[str | Cell]:
    return calls_cell(figures), errors_cell(figures), milliseconds(figures.p50_ms), milliseconds(figures.p95_ms)


def calls_cell(figures: Figures) -> str:
    """How many calls; with a + where only the newest were looked at."""
    return f"{figures.calls}+" if figures.capped else str(figures.calls)


def errors_cell(figures: Figures) -> Cell:
    """How many of the calls failed."""
    more = "+" if figures.capped else ""
    return Cell(f"{figures.errors}{more}", "red") if figures.errors else Cell("0", dim=True)
