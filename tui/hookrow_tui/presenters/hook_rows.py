"""What the list of hooks says, without a screen: its order, columns, letters, filter, and the sentence about a hook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from hookrow.clock import from_ms
from hookrow.hook.dates import Here, show
from hookrow.hook.form import FIELD
from hookrow.hook.modes import WAITING, Seconds
from hookrow.lang import Both
from hookrow.words import CANDIDATE, ERRORS, SHADOW, STATES, begins_word, word
from hookrow_tui.presenters.columns import fit, steady
from hookrow_tui.presenters.glyphs import Glyphs
from hookrow_tui.presenters.plots import narrowed, spark
from hookrow_tui.presenters.spans import DAY, span
from hookrow_tui.words import Say, SayPlural

if TYPE_CHECKING:
    from hookrow import Figures, Hook, HookStatistics

__all__ = [
    "WIDE",
    "Filter",
    "HookRow",
    "badge",
    "figures",
    "header",
    "in_order",
    "line",
    "list_completions",
    "number",
    "sentence",
    "target",
]

LETTERS = Both("WFD!", "ЖБД!")
"""Waits, fire and forget, has data, the last request failed."""
LAST_DAY, ERROR_COUNT, FLAGS = Say("Last day"), Say("Errors"), Say("Flags")
FEW_ERRORS, LAST_CALL, PER_HOUR = Say("Err"), Say("Last"), Say("24 hours")
P95, LAST = 6, 5
WIDE = 120
SOON = 7 * DAY
"""Seconds before its end from which on a hook's row says how long it has left."""
FAR = 10 * DAY
"""Seconds from which on a date says more than a number of days."""
BEGINS, ENDS_IN = Both("from {}", "с {}"), Both("for {}", "ещё {}")
NAME_COLUMNS = Both("19", "22")
"""At 80 columns what is left beside a hook takes «с 28.11» or the longer «from 28.11»."""


@dataclass(frozen=True)
class HookRow:
    """One hook and its figures of the last day."""

    hook: Hook
    calls: int = 0
    errors: int = 0
    last_status: int | None = None
    last_ms: int | None = None
    last_error: str | None = None
    in_a_row: int = 0
    """How many calls failed in a row, where that is every time."""
    last_at_ms: int | None = None

    @property
    def failing(self) -> bool:
        """Whether the last request came to nothing."""
        return self.last_error is not None


def in_order(rows: Iterable[HookRow], events: Sequence[str]) -> list[HookRow]:
    """Grouped by event as the catalogue has them, in each the order in which they run."""
    place = {code: number for number, code in enumerate(events)}

    def key(row: HookRow) -> tuple[int, str, int, int]:
        hook = row.hook
        return place.get(hook.event, len(place)), hook.event, hook.position or 0, hook.id or 0

    return sorted(rows, key=key)


@dataclass(frozen=True)
class Filter:
    """What the list is narrowed to: an event, a state, words of whatever a row shows, of the URL or the key."""

    event: str = ""
    state: str = ""
    words: str = ""

    @classmethod
    def read(cls, typed: str) -> Filter:
        """`событие:before_order_add состояние:выкл скидки`; English twins `event:` and `state:`."""
        event = state = ""
        words = []
        for part in typed.split():
            name, colon, value = part.partition(":")
            name = name.lower()
            if colon and name in ("событие", "event"):
                event = value
            elif colon and name in ("состояние", "state"):
                state = value
            else:
                words.append(part)
        return cls(event, state, " ".join(words))

    def text(self) -> str:
        """What `read` would read back as this filter."""
        parts = [self.event and f"{EVENT}:{self.event}", self.state and f"{STATE}:{self.state}", self.words]
        return " ".join(part for part in parts if part)

    def fits(self, row: HookRow) -> bool:
        """Whether a row is shown. A state is matched by the beginning of its word in either language."""
        hook = row.hook
        if self.event and self.event.lower() not in hook.event:
            return False
        if self.state and not begins_word(STATES[hook.state], self.state):
            return False
        states = " ".join(STATES[hook.state].typed)
        seen = (hook.name, hook.url, hook.key, hook.event, hook.position, states, hook.paused_reason or "")
        where = " ".join(map(str, seen)).lower()
        return all(word in where for word in self.words.lower().split())

    def line(self) -> str:
        """The line above the list."""
        return str(
            Say(
                " Event: {event}    State: {state}    Find: {words}",
                event=self.event or Say("all"),
                state=self.state or Say("all"),
                words=self.words or "—",
            )
        )


def list_completions(text: str, events: Sequence[str]) -> list[str]:
    """What a filter of the list may become: a field's name, an event that occurs, a state."""
    start = len(text) - len(text.split(" ")[-1])
    name, colon, value = text[start:].partition(":")
    if not colon:
        fields = [str(EVENT), str(STATE)]
        return [f"{text}{field[len(name) :]}:" for field in fields if name and field.startswith(name.lower())]
    if name.lower() in ("событие", "event"):
        values: Sequence[str] = events
    elif name.lower() in ("состояние", "state"):
        values = [each.short for each in STATES.values()]
    else:
        return []
    return [text + each[len(value) :] for each in values if each.startswith(value.lower())]


EVENT = Both("event", "событие")
STATE = Both("state", "состояние")


def number(value: int) -> str:
    """A count with thin groups of three, as Russian and English both read it."""
    return f"{value:,}".replace(",", " ")


def header(width: int) -> str:
    """The names of the columns."""
    name, event = str(FIELD["name"].label), str(FIELD["event"].label)
    if width < WIDE:
        return f"    №    {fit(name, int(str(NAME_COLUMNS)))}  {fit(event, 33)}  {fit(str(FEW_ERRORS), 3, right=True)}"
    columns = Columns.of(width)
    heads = (
        fit(name, columns.name),
        fit(event, columns.event),
        str(LAST_DAY),
        str(ERROR_COUNT),
        fit("p95", P95, right=True),
        fit(str(LAST_CALL), LAST, right=True),
        fit(str(PER_HOUR), columns.hours),
        str(FLAGS),
    )
    return f"    №    {'  '.join(heads)}"


@dataclass(frozen=True, slots=True)
class Columns:
    """How wide the columns are on a wide terminal that differ: what is beyond 120 goes to them one after the other."""

    name: int
    event: int
    hours: int

    @classmethod
    def of(cls, width: int) -> Columns:
        """For a screen of this width."""
        more = width - WIDE
        event = min(more, 6)
        hours = min(more - event, 12)
        return cls(int(str(NAME_COLUMNS)) - 2 + more - event - hours, 26 + event, 12 + hours)


def line(
    row: HookRow,
    width: int,
    glyphs: Glyphs,
    here: Here,
    seen: HookStatistics | None = None,
    *,
    room: int | None = None,
) -> str:
    """One row. The state stands as a sign, and as a word where it is not the usual one.

    Args:
        seen: the hook's figures, for what only a wide terminal shows; None while they are being read.
        width: of the screen; it decides which columns there are.
        room: columns that are left of it beside a scrollbar.
    """
    hook = row.hook
    start = f" {glyphs.state(hook.state)} {hook.position:>4}  "
    if width < WIDE:
        middle = (
            f"{fit(steady(hook.name), int(str(NAME_COLUMNS)))}  {fit(hook.event, 33)}  {short_count(row.errors):>3}"
        )
        return f"{start}{middle} {badge(hook, here)}"
    sizes = Columns.of(width)
    last = "" if row.last_at_ms is None else time_or_date(row.last_at_ms, here)
    hours = narrowed(seen.hours, sizes.hours) if seen is not None else []
    slow = "" if seen is None or seen.day.p95_ms is None else number(seen.day.p95_ms)
    parts = (
        fit(steady(hook.name), sizes.name),
        fit(hook.event, sizes.event),
        fit(number(row.calls), len(str(LAST_DAY)), right=True),
        fit(number(row.errors), len(str(ERROR_COUNT)), right=True),
        fit(slow, P95, right=True),
        fit(last, LAST, right=True),
        fit(spark([made for made, _ in hours], [failed for _, failed in hours], glyphs), sizes.hours),
        flag_letters(row),
    )
    columns = f"{start}{'  '.join(parts)}  "
    word = badge(hook, here, long=True)
    return columns + (word if cell_len(columns + word) <= (room or width) else badge(hook, here))


def time_or_date(ms: int, here: Here) -> str:
    """When that was: the time of today, else the date."""
    moment = from_ms(ms).astimezone(here.zone)
    return f"{moment:%H:%M}" if moment.date() == here.now.astimezone(here.zone).date() else f"{moment:%d.%m}"


def short_count(count: int) -> str:
    """A count in three columns."""
    return str(count) if count < 1000 else "1k+"


def badge(hook: Hook, here: Here, *, long: bool = False) -> str:
    """The word beside a hook that is not simply on: its state, when it begins, how long it has left before it ends."""
    begins, ends = hook.valid_from, hook.valid_until
    if hook.state == "not_yet_valid" and begins is not None:
        away, local = (begins - here.now).total_seconds(), begins.astimezone(here.zone)
        if long and away < FAR:
            return str(Say("waits {span}", span=span(away)))
        day = f"{local:%d.%m}" if away < 300 * DAY else f"{local:%Y}"
        if away < DAY and not long:
            day = f"{local:%H:%M}"
        return str(Say("from {day}", day=day)) if long else str(BEGINS).format(day)
    if hook.state == "on" and ends is not None and (left := (ends - here.now).total_seconds()) < SOON:
        return str(Say("expires in {span}", span=span(left))) if long else str(ENDS_IN).format(short_duration(left))
    if hook.state == "on":
        if hook.candidate is not None:
            return CANDIDATE.short
        return SHADOW.short if hook.shadow and hook.mode in WAITING else ""
    return STATES[hook.state].short


def short_duration(seconds: float) -> str:
    """A duration for a narrow column: its number and the first letter of its unit."""
    count, unit = str(span(seconds)).split(" ")
    return f"{count}{unit[0]}"


def flag_letters(row: HookRow) -> str:
    """The flags as letters, each in its own column."""
    hook = row.hook
    forget = hook.fire_and_forget
    shown = (hook.wait_for_response and not forget, forget, hook.response_has_data and not forget, row.failing)
    return "".join(letter if on else " " for letter, on in zip(str(LETTERS), shown, strict=True))


def target(hook: Hook, glyphs: Glyphs) -> str:
    """Where the hook's requests go, without a query: tokens travel there."""
    return f" {steady(hook.name)} {glyphs.arrow} POST {steady(hook.url.partition('?')[0])}"


def day(moment: datetime, zone: tzinfo) -> str:
    """A date; with the clock where it is no midnight."""
    text = show(moment, zone)
    date, clock, _ = text.split(" ")
    return date if clock == "00:00" else f"{date} {clock}"


def sentence(row: HookRow, here: Here) -> str:
    """What the hook does, in words."""
    hook = row.hook
    parts: list[Any] = []
    if hook.state == "paused":
        parts.append(paused(hook, here.zone))
    elif (state := badge(hook, here, long=True)) and state not in (SHADOW.short, CANDIDATE.short):
        parts.append(state)
    if hook.mode in WAITING and hook.shadow:
        parts.append(Say("in shadow: its response decides nothing"))
    elif hook.mode in WAITING:
        parts.append(Say("waits up to {limit} s", limit=Seconds(hook.timeout)))
        if hook.on_failure == "stop":
            parts.append(Say("no answer stops the operation"))
    else:
        parts.append(Say("in the background"))
    if hook.candidate is not None:
        parts.append(Say("a candidate is asked beside it"))
    if hook.mode == "forget":
        parts.append(Say("no response is stored"))
    elif hook.mode in ("record", "transform"):
        parts.append(Say("the response is stored"))
    if hook.condition:
        parts.append(Say("if {condition}", condition=steady(hook.condition)))
    if hook.valid_from is not None:
        parts.append(Say("from {day}", day=day(hook.valid_from, here.zone)))
    if hook.valid_until is not None:
        parts.append(Say("until {day}", day=day(hook.valid_until, here.zone)))
    if row.last_status is not None or row.last_error is not None:
        failed = word(ERRORS, row.last_error)
        came = failed if row.last_status is None else row.last_status
        parts.append(Say("last {came}, {ms} ms", came=came, ms=row.last_ms or 0))
    if row.in_a_row:
        parts.append(SayPlural("{n} failure in a row", "{n} failures in a row", row.in_a_row))
    return " " + " · ".join(str(part) for part in parts)


def paused(hook: Hook, zone: tzinfo) -> Say:
    """That a hook is paused: why, else since when."""
    if hook.paused_reason or hook.paused_at is None:
        return Say("paused: {reason}", reason=steady(hook.paused_reason or "—"))
    return Say("paused since {when}", when=day(hook.paused_at.replace(second=0, microsecond=0), zone))


def figures(seen: HookStatistics | None, width: int) -> str:
    """How a hook fared in the last day and the last week: calls, errors, p50 and p95."""
    if seen is not None and seen.candidate is not None:
        return f" {seen.candidate.told()}"
    if seen is not None and seen.shadow is not None:
        return f" {seen.shadow.told()}"
    if seen is None or not seen.week.calls:
        return str(Say(" Not called in the last seven days."))
    day, week = (counted(stretch) for stretch in (seen.day, seen.week))
    if width >= WIDE:
        today = [Say(" Calls in 24 h: {calls}, errors {errors}", **day), Say("p50 {middle} ms, p95 {slow} ms", **day)]
        lately = [Say("in 7 d: {calls}, errors {errors}", **week), Say("p50 {middle} ms, p95 {slow} ms", **week)]
    else:
        today = [Say(" Calls 24 h: {calls}, err {errors}", **day), Say("p50/p95 {middle}/{slow} ms", **day)]
        lately = [Say("7 d: {calls}, err {errors}", **week), Say("{middle}/{slow}", **week)]
    if seen.day.p50_ms is None:
        today.pop()  # without calls nothing took time; the week has some
        if width < WIDE:
            lately[1] = Say("p50/p95 {middle}/{slow} ms", **week)
    return " · ".join(", ".join(map(str, stretch)) for stretch in (today, lately))


def counted(seen: Figures) -> dict[str, str]:
    """The figures of one stretch of time as text."""
    return {
        "calls": number(seen.calls) + ("+" if seen.capped else ""),
        "errors": number(seen.errors),
        "middle": number(round(seen.p50_ms or 0)),
        "slow": number(round(seen.p95_ms or 0)),
    }
