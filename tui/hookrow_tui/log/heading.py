"""The title of the log: whether it is followed, what it shows, how much there is."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from hookrow.records import LogFilter
from hookrow.words import DIFFERS, OUTCOMES, PROBLEM, REASONS, word
from hookrow_tui.log.feed import Feed
from hookrow_tui.presenters.columns import steady
from hookrow_tui.presenters.glyphs import Glyphs
from hookrow_tui.presenters.hook_rows import number
from hookrow_tui.presenters.log.detail import TABS, Tab
from hookrow_tui.presenters.log.query import rest_of
from hookrow_tui.words import NO_MATCH, Say, SayPlural

__all__ = ["count", "heading", "no_rows_text", "tab_line"]


def heading(feed: Feed, wanted: LogFilter, typed: str, glyphs: Glyphs, room: int) -> Text:
    """The left part: follow mode, new rows, filter; of that only what narrows the log where not all of it has room."""
    line = Text().append(" ").append(str(Say("Log"))).append("  ")
    if feed.rows.following:
        line.append(str(Say("LIVE"))).append(" ").append(glyphs.on)
    else:
        line.append(str(Say("PAUSED"))).append(" ").append(glyphs.off)
        if feed.rows.missed:
            line.append("  ").append(str(SayPlural("{n} new", "{n} new", feed.rows.missed)), "reverse")
    if feed.marked:
        return line.append("  ").append(str(Say("only the marked")))
    everything = str(Say("all"))
    outcome = word({**REASONS, **OUTCOMES, PROBLEM.code: PROBLEM, DIFFERS.code: DIFFERS}, wanted.outcome)
    rest = rest_of(typed)
    parts = (
        (wanted.event, Say("Event: {event}", event=steady(wanted.event or everything))),
        (outcome, Say("Outcome: {outcome}", outcome=outcome or everything)),
        (rest, Say("Find: {text}", text=steady(rest) or "—")),
    )
    whole = "".join(f"  {part}" for _, part in parts)
    if line.cell_len + cell_len(whole) > room:
        whole = "".join(f"  {part}" for given, part in parts if given)
    return line.append(whole)


def count(feed: Feed) -> str:
    """The right part: how many firings there are, as far as is known."""
    if feed.reader is None:
        return str(Say("opening…"))
    known = len(feed.rows.ids)
    if feed.share is not None and not feed.complete:
        return str(Say("found {n}, searched {share}", n=number(known), share=f"{feed.share:.0%}"))
    shown = number(known) + ("" if feed.complete else "+")
    return str(SayPlural("{shown} firing", "{shown} firings", known, shown=shown))


def no_rows_text(feed: Feed) -> str:
    """What is said instead of rows where there are none, once that is known."""
    if not feed.complete or len(feed.rows.ids):
        return ""
    said = Say("No firings yet.") if feed.filter == LogFilter() else NO_MATCH
    return f" {said}"


def tab_line(chosen: Tab) -> Text:
    """The tabs in one line."""
    tabs = Text().append(" ")
    for tab in TABS:
        tabs.append(f"{tab} {TABS[tab]}", "bold reverse" if tab == chosen else "").append("  ")
    return tabs
