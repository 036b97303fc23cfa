"""Moments as people type and read them: `01.11.2026 00:00`, `01.11`, `today`, `+7d`, `-2h`, RFC 3339 with an offset.

Typed in the zone of the settings, kept in UTC, shown with the offset that held at that moment. A period is
half-open: a date alone as its end means the start of the next local day.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Literal

from hookrow.hook.checks import Unfit, trim
from hookrow.lang import Text

__all__ = ["NOT_A_MOMENT", "Here", "Moment", "Use", "parse", "parse_absolute", "show"]

NOT_A_MOMENT = Text(
    "A date and time: 01.11.2026 00:00, 01.11, today, tomorrow, +7d, +3h, +2w, +1mo, end of month. It may be empty."
)
Use = Literal["period", "moment", "log"]
"""What a moment is for. Only in the period of a form `2h` means nothing: elsewhere it is two hours ago. Of a day and a
month without a year the log takes the latest that has begun."""
FIRST_YEAR, LAST_YEAR = 1970, 9000
NAIVE = Text("The time needs its UTC offset, as in 2026-11-01T00:00:00+03:00.")

# Patterns are text, compiled at first use: most processes that import this never read a date.
CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(:(?P<second>\d\d)(\.(?P<part>\d{1,6}))?)?"
OFFSET = r"(?P<offset>z|[+-]\d\d:?\d\d)"
RUSSIAN = rf"(?a:(?P<day>\d{{1,2}})\.(?P<month>\d{{1,2}})(\.(?P<year>\d{{4}}|\d\d))?( {CLOCK}( ?{OFFSET})?)?)"
RFC3339 = rf"(?a:(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d)([t ]{CLOCK} ?{OFFSET}?)?)"
DAYS = {"сегодня": 0, "today": 0, "завтра": 1, "tomorrow": 1, "вчера": -1, "yesterday": -1}
WORD = rf"(?a:(?P<word>{'|'.join(DAYS)})( {CLOCK})?)"
AWAY = r"(?P<sign>[+-]?) ?(?P<count>[0-9]{1,6}) ?(?P<unit>[a-zа-я]+)\.?"
UNITS = {
    **dict.fromkeys(
        ("s", "sec", "second", "seconds", "с", "сек", "секунда", "секунды", "секунду", "секунд"), "seconds"
    ),
    **dict.fromkeys(("min", "minute", "minutes", "мин", "минута", "минуты", "минуту", "минут"), "minutes"),
    **dict.fromkeys(("h", "hour", "hours", "ч", "час", "часа", "часов"), "hours"),
    **dict.fromkeys(("d", "day", "days", "д", "дн", "день", "дня", "дней"), "days"),
    **dict.fromkeys(("w", "week", "weeks", "н", "нед", "неделя", "неделю", "недели", "недель"), "weeks"),
    **dict.fromkeys(("mo", "month", "months", "мес", "месяц", "месяца", "месяцев"), "months"),
}
"""After a number. After `+`, «m» or «м» would be minutes to one and months to another; a time ago is of minutes."""
AGO = {**UNITS, "m": "minutes", "м": "minutes"}
OPEN = frozenset({"без срока", "no start", "no end"})
"""What the form shows in an empty end of the period."""
NOW = frozenset({"сейчас", "now"})
END_OF_WEEK = frozenset({"конец недели", "end of week", "eow"})
END_OF_MONTH = frozenset({"конец месяца", "end of month", "eom"})
END_OF_YEAR = frozenset({"конец года", "end of year", "eoy"})
"""Ends are the first moment after: a period is half-open."""


@dataclass(frozen=True, slots=True)
class Here:
    """When and where something was typed: an aware moment, and the zone of the settings."""

    now: datetime
    zone: tzinfo
    use: Use = "period"


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment in UTC, None for an open period, and a remark where the text left a choice."""

    value: datetime | None
    note: Text | None = None

    @classmethod
    def at(cls, moment: datetime, note: Text | None = None) -> Moment:
        """The moment of an aware datetime, in whole milliseconds as it is kept.

        Raises:
            Unfit: it is naive, or not of the years 1970 to 9000.
        """
        if moment.tzinfo is None:
            raise Unfit(NAIVE)
        try:
            value = moment.astimezone(UTC)
        except OverflowError:
            raise Unfit(NOT_A_MOMENT) from None
        if not FIRST_YEAR <= value.year <= LAST_YEAR:
            raise Unfit(Text("A date and time from {first} to {last}; or empty.", first=FIRST_YEAR, last=LAST_YEAR))
        return cls(value.replace(microsecond=value.microsecond // 1000 * 1000), note)


def parse(text: str, *, now: datetime, zone: tzinfo, end: bool = False, use: Use = "period") -> Moment:
    """The moment that a person typed in this zone at this time; empty text is an open period.

    A date alone is its first moment, or with `end` the first moment of the next day. A day and month without a year is
    the nearest such date, as a period's end the next one, in a log the latest. Hours that the clocks repeat are taken
    so that the period is not cut short, those that they leave out move to the next valid moment; both are said in
    `note`.

    Raises:
        Unfit: no moment can be read from it.
    """
    typed = re.sub(r"\s+", " ", trim(text)).lower()
    if not typed and use == "period":
        return Moment(None)
    try:
        return read(typed, Here(now.astimezone(zone), zone, use), end)
    except (ValueError, OverflowError) as fault:
        if use != "period" and not (isinstance(fault, Unfit) and fault.text is NAIVE):
            raise Unfit(no_time(text)) from None
        raise fault if isinstance(fault, Unfit) else Unfit(NOT_A_MOMENT) from None


def no_time(text: str) -> Text:
    return Text(
        'can\'t read "{text}" as a time. Examples: 2h, 3d, today, yesterday, 01.11, 01.11.2026 10:00, '
        "2026-11-01T10:00Z.",
        text=text,
    )


def parse_absolute(text: str) -> Moment:
    """The moment of a text that needs no zone to be understood: with an offset, as files and programs write it.

    Raises:
        Unfit: it is none, or its offset is missing.
    """
    typed = re.sub(r"\s+", " ", trim(text)).lower()
    if not typed:
        return Moment(None)
    found = re.fullmatch(RFC3339, typed) or re.fullmatch(RUSSIAN, typed)
    if found is None or not found["year"] or not found["offset"]:
        raise Unfit(NAIVE)
    try:
        return Moment.at(datetime.combine(day_of(found), clock_of(found), offset_of(found["offset"])))
    except (ValueError, OverflowError):
        raise Unfit(NOT_A_MOMENT) from None


def show(moment: datetime | None, zone: tzinfo) -> str:
    """The moment in that zone with its offset, as `01.11.2026 00:00 +03:00`: `parse` reads it back as the same one."""
    if moment is None:
        return ""
    local = moment.astimezone(zone)
    offset = local.utcoffset() or timedelta()
    if offset % timedelta(minutes=1):
        local, offset = moment.astimezone(UTC), timedelta()
    clock = f"{local:%H:%M}"
    if local.second or local.microsecond:
        clock += f":{local:%S}" + (f".{local.microsecond:06}".rstrip("0") if local.microsecond else "")
    return f"{local.day:02}.{local.month:02}.{local.year:04} {clock} {show_offset(offset)}"


def show_offset(offset: timedelta) -> str:
    minutes = int(offset.total_seconds() // 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def read(typed: str, here: Here, end: bool) -> Moment:
    """The moment of lower-case text with single spaces."""
    today = here.now.date()
    minute = here.now.astimezone(UTC).replace(second=0, microsecond=0)
    if typed in OPEN:
        return Moment(None)
    if typed in NOW:
        return Moment.at(minute)
    if typed in END_OF_WEEK:
        return whole_day(today + timedelta(days=7 - today.weekday()), here.zone, end=False)
    if typed in END_OF_MONTH:
        return whole_day(months_on(today.replace(day=1), 1), here.zone, end=False)
    if typed in END_OF_YEAR:
        return whole_day(date(today.year + 1, 1, 1), here.zone, end=False)
    if found := re.fullmatch(AWAY, typed):
        return ahead(found, here, end) if found["sign"] == "+" else ago(found, here)
    if found := re.fullmatch(WORD, typed):
        day = today + timedelta(days=DAYS[found["word"]])
        return (
            on_clock(datetime.combine(day, clock_of(found)), here.zone, end)
            if found["hour"]
            else whole_day(day, here.zone, end)
        )
    found = re.fullmatch(RUSSIAN, typed) or re.fullmatch(RFC3339, typed)
    if found is None:
        raise Unfit(NOT_A_MOMENT)
    day = day_of(found) if found["year"] else nearest(int(found["day"]), int(found["month"]), here, end)
    if not found["hour"]:
        return whole_day(day, here.zone, end)
    wall = datetime.combine(day, clock_of(found))
    if found["offset"]:
        return Moment.at(wall.replace(tzinfo=offset_of(found["offset"])))
    if found.re.pattern == RFC3339:
        raise Unfit(NAIVE)
    return on_clock(wall, here.zone, end)


def ahead(found: re.Match[str], here: Here, end: bool) -> Moment:
    """So long from now: to the minute, or whole days."""
    count, unit = int(found["count"]), UNITS.get(found["unit"])
    minute = here.now.astimezone(UTC).replace(second=0, microsecond=0)
    if unit is None:
        raise Unfit(NOT_A_MOMENT)
    if unit == "seconds":
        return Moment.at(here.now + timedelta(seconds=count))
    if unit in ("minutes", "hours"):
        return Moment.at(minute + timedelta(**{unit: count}))
    today = here.now.date()
    day = months_on(today, count) if unit == "months" else today + timedelta(**{unit: count})
    return whole_day(day, here.zone, end)


def ago(found: re.Match[str], here: Here) -> Moment:
    """So long before now, to the same instant of that day."""
    count, unit = int(found["count"]), AGO.get(found["unit"])
    if unit is None or not (found["sign"] or here.use != "period"):
        raise Unfit(NOT_A_MOMENT)
    now = here.now.replace(second=0, microsecond=0) if here.use == "period" else here.now
    if unit == "months":
        return on_clock(datetime.combine(months_on(now.date(), -count), now.time()), here.zone, end=False)
    return Moment.at(now.astimezone(UTC) - timedelta(**{unit: count}))


def months_on(day: date, count: int) -> date:
    """The same day some months later, or that month's last one if it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + count, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def day_of(found: re.Match[str]) -> date:
    year = int(found["year"])
    return date(year + 2000 if len(found["year"]) == 2 else year, int(found["month"]), int(found["day"]))


def clock_of(found: re.Match[str]) -> time:
    part = (found["part"] or "").ljust(6, "0")
    return time(int(found["hour"]), int(found["minute"]), int(found["second"] or 0), int(part))


def offset_of(text: str) -> timezone:
    if text == "z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    if minutes > 59:
        raise Unfit(NOT_A_MOMENT)
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)


def nearest(day: int, month: int, here: Here, end: bool) -> date:
    """That day of the year nearest to today; for a period's end the coming one: an end in the past serves nobody."""
    today = here.now.date()
    possible = []
    for year in range(today.year - 4, today.year + 9):  # 29 February may be eight years away
        try:
            possible.append(date(year, month, day))
        except ValueError:
            continue
    if not possible:
        raise Unfit(NOT_A_MOMENT)
    if here.use == "log":
        return max(found for found in possible if found <= today)
    if end and here.use == "period":
        return min(found for found in possible if found >= today)
    return min(possible, key=lambda found: abs(found - today))


def whole_day(day: date, zone: tzinfo, end: bool) -> Moment:
    """The first moment of a local day, or of the one after it; some days don't begin at midnight."""
    wall = datetime.combine(day + timedelta(days=1) if end else day, time())
    return Moment.at(instant(wall, zone, fold=0)[0])


def on_clock(wall: datetime, zone: tzinfo, end: bool) -> Moment:
    """The moment at which the clocks of a zone show this, with a remark if they do so twice or never."""
    value, kind = instant(wall, zone, fold=1 if end else 0)
    shown = show(value, zone)
    if kind == "twice":
        note = Text("{wall} occurs twice that night; taken as {shown}.", wall=f"{wall:%d.%m.%Y %H:%M}", shown=shown)
        return Moment.at(value, note)
    if kind == "never":
        note = Text("{wall} doesn't exist on that day; moved to {shown}.", wall=f"{wall:%d.%m.%Y %H:%M}", shown=shown)
        return Moment.at(value, note)
    return Moment.at(value)


def instant(wall: datetime, zone: tzinfo, fold: int) -> tuple[datetime, str]:
    """The UTC moment of a wall clock's time, and whether that comes `once`, `twice` or `never`."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first == second:
        return first, "once"
    if first < second:
        return (second if fold else first), "twice"
    # PEP 495: in a gap the two readings lie on either side of the change; find it to the second between them.
    low, high = int(second.timestamp()), int(first.timestamp())
    before = offset_at(low, zone)
    while high - low > 1:
        middle = (low + high) // 2
        if offset_at(middle, zone) == before:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC), "never"


def offset_at(seconds: int, zone: tzinfo) -> timedelta | None:
    return datetime.fromtimestamp(seconds, UTC).astimezone(zone).utcoffset()
