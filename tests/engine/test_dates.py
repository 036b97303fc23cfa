"""Moments as people type them, in their zone, with the clocks' tricks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookrow.clock import from_ms, to_ms
from hookrow.hook.checks import Unfit
from hookrow.hook.dates import Moment, Use, parse, parse_absolute, show

MOSCOW = ZoneInfo("Europe/Moscow")
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    "UTC",
    "Europe/Moscow",
    "Asia/Vladivostok",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kathmandu",
    "Pacific/Apia",
]
NOW = datetime(2026, 11, 25, 9, 3, 7, tzinfo=UTC)
"""12:03:07 in Moscow."""


def in_moscow(text: str, *, end: bool = False) -> str | None:
    """What the text means in Moscow, written in Moscow's time."""
    value = parse(text, now=NOW, zone=MOSCOW, end=end).value
    return None if value is None else value.astimezone(MOSCOW).strftime("%Y-%m-%d %H:%M:%S.%f").removesuffix(".000000")


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("01.11.2026 00:00", "2026-11-01 00:00:00", "2026-11-01 00:00:00"),
        ("1.1.2027 9:05", "2027-01-01 09:05:00", "2027-01-01 09:05:00"),
        ("01.11.2026", "2026-11-01 00:00:00", "2026-11-02 00:00:00"),
        ("2026-11-01", "2026-11-01 00:00:00", "2026-11-02 00:00:00"),
        ("01.11.26", "2026-11-01 00:00:00", "2026-11-02 00:00:00"),
        ("01.11", "2026-11-01 00:00:00", "2027-11-02 00:00:00"),
        ("10.01", "2027-01-10 00:00:00", "2027-01-11 00:00:00"),
        ("29.02", "2028-02-29 00:00:00", "2028-03-01 00:00:00"),
        ("10.01 12:30", "2027-01-10 12:30:00", "2027-01-10 12:30:00"),
        ("сегодня", "2026-11-25 00:00:00", "2026-11-26 00:00:00"),
        ("Today", "2026-11-25 00:00:00", "2026-11-26 00:00:00"),
        ("ЗАВТРА", "2026-11-26 00:00:00", "2026-11-27 00:00:00"),
        ("tomorrow 18:00", "2026-11-26 18:00:00", "2026-11-26 18:00:00"),
        ("+7д", "2026-12-02 00:00:00", "2026-12-03 00:00:00"),
        ("+7d", "2026-12-02 00:00:00", "2026-12-03 00:00:00"),
        ("+3ч", "2026-11-25 15:03:00", "2026-11-25 15:03:00"),
        ("+ 3 h", "2026-11-25 15:03:00", "2026-11-25 15:03:00"),
        ("сейчас", "2026-11-25 12:03:00", "2026-11-25 12:03:00"),
        ("+90 минут", "2026-11-25 13:33:00", "2026-11-25 13:33:00"),
        ("+2w", "2026-12-09 00:00:00", "2026-12-10 00:00:00"),
        ("+1 неделя", "2026-12-02 00:00:00", "2026-12-03 00:00:00"),
        ("+3мес", "2027-02-25 00:00:00", "2027-02-26 00:00:00"),
        ("+1mo", "2026-12-25 00:00:00", "2026-12-26 00:00:00"),
        ("+10 дней", "2026-12-05 00:00:00", "2026-12-06 00:00:00"),
        ("конец недели", "2026-11-30 00:00:00", "2026-11-30 00:00:00"),
        ("end of year", "2027-01-01 00:00:00", "2027-01-01 00:00:00"),
        ("конец месяца", "2026-12-01 00:00:00", "2026-12-01 00:00:00"),
        ("eom", "2026-12-01 00:00:00", "2026-12-01 00:00:00"),
        ("2026-11-01T00:00:00Z", "2026-11-01 03:00:00", "2026-11-01 03:00:00"),
        ("2026-11-01T00:00:00.250+05:30", "2026-10-31 21:30:00.250000", "2026-10-31 21:30:00.250000"),
        ("01.11.2026 00:00 +03:00", "2026-11-01 00:00:00", "2026-11-01 00:00:00"),
        ("01.11.2026 00:00:07 -05:00", "2026-11-01 08:00:07", "2026-11-01 08:00:07"),
        ("  01.11.2026\u00a0 00:00 \u200b", "2026-11-01 00:00:00", "2026-11-01 00:00:00"),
        ("", None, None),
        (" \u00a0", None, None),
    ],
)
def test_what_people_type(text: str, start: str | None, end: str | None) -> None:
    """Every notation of the form means this moment as «С» and that one as «по»."""
    assert in_moscow(text) == start
    assert in_moscow(text, end=True) == end


AGO = (
    *(
        ("15m", 900),
        ("30min", 1800),
        ("30 мин", 1800),
        ("15сек", 15),
        ("90s", 90),
        ("2h", 7200),
        ("-2h", 7200),
        ("-2 ч", 7200),
    ),
    *(("3d", 3 * 86400), ("3 дня", 3 * 86400), ("1w", 7 * 86400), ("2нед", 14 * 86400), ("-2 недели", 14 * 86400)),
)


@pytest.mark.parametrize(("text", "seconds"), AGO)
@pytest.mark.parametrize("use", ["log", "moment"])
@pytest.mark.parametrize("end", [False, True])
def test_a_time_ago(text: str, seconds: int, use: Use, end: bool) -> None:
    """To the second, in filters and in every option; a period takes it with its sign, to the minute."""
    assert parse(text, now=NOW, zone=MOSCOW, use=use, end=end).value == NOW - timedelta(seconds=seconds)
    signed = text if text.startswith("-") else f"-{text}"
    minute = NOW.replace(second=0)
    assert parse(signed, now=NOW, zone=MOSCOW, end=end).value == minute - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("вчера", "2026-11-24 00:00:00", "2026-11-25 00:00:00"),
        ("yesterday 18:00", "2026-11-24 18:00:00", "2026-11-24 18:00:00"),
        ("24.11", "2026-11-24 00:00:00", "2026-11-25 00:00:00"),
        ("25.11", "2026-11-25 00:00:00", "2026-11-26 00:00:00"),
        ("26.11", "2025-11-26 00:00:00", "2025-11-27 00:00:00"),
        ("01.03", "2026-03-01 00:00:00", "2026-03-02 00:00:00"),
        ("1мес", "2026-10-25 12:03:07", "2026-10-25 12:03:07"),
    ],
)
def test_a_day_of_the_log_has_been(text: str, start: str, end: str) -> None:
    """Without a year the latest such day; as an end it is that whole day, as in the form."""
    for is_end, meant in ((False, start), (True, end)):
        value = parse(text, now=NOW, zone=MOSCOW, end=is_end, use="log").value
        assert value is not None
        assert f"{value.astimezone(MOSCOW):%Y-%m-%d %H:%M:%S}" == meant


@pytest.mark.parametrize("text", ["", "  ", "soon", "7", "2y", "99999d" * 2, "999999d", "31.02"])
def test_what_is_no_time_of_the_log_says_what_is(text: str) -> None:
    """A sentence that names it and what can be typed."""
    with pytest.raises(Unfit) as caught:
        parse(text, now=NOW, zone=MOSCOW, use="log")
    assert f'read "{text}" as a time. Examples: 2h' in str(caught.value.text)


def test_a_month_on_is_the_same_day_or_the_months_last() -> None:
    """31 January and a month is 28 February."""
    january = datetime(2027, 1, 31, 9, tzinfo=UTC)
    value = parse("+1mo", now=january, zone=UTC).value
    assert value == datetime(2027, 2, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "31.02.2026", "00.01.2026", "1.13.2026", "30.02", "01.11.2026 24:00", "01.11.2026 1", "01.11.2026 00:60",
        "позавчера", "+", "-", "7d", "2ч", "+7", "+7m", "+7м", "+7y", "+٣d", "-7y", "٠١.١١.٢٠٢٦", "2026-11-01T00:00:00",
        "2026-13-01T00:00:00Z",
        "2026-11-01T00:00:00+25:00", "2026-11-01T00:00:00+03:99", "+99999d" * 2, "abc", "1", "99999-01-01", "now\x00",
    ],
)  # fmt: skip
def test_what_is_no_moment(text: str) -> None:
    """Anything else is refused with examples, never guessed; so are moments that lack their offset."""
    with pytest.raises(Unfit) as raised:
        parse(text, now=NOW, zone=MOSCOW, end=True)
    assert "01.11.2026" in str(raised.value.text) or "2026-11-01" in str(raised.value.text)


@pytest.mark.parametrize("text", ["01.01.0001 00:00 +14:00", "01.01.0099", "31.12.9999", "31.12.1969 23:59 +00:00"])
def test_years_have_bounds(text: str) -> None:
    """A moment that a database or a zone could not hold is refused."""
    with pytest.raises(Unfit):
        parse(text, now=NOW, zone=MOSCOW, end=True)


def test_today_is_already_valid_when_it_is_saved() -> None:
    """«С: сегодня», saved two seconds later, is not in the future nor «по: сегодня» in the past."""
    start = parse("сегодня", now=NOW, zone=MOSCOW).value
    end = parse("сегодня", now=NOW, zone=MOSCOW, end=True).value
    assert start is not None
    assert end is not None
    assert start <= NOW < NOW + timedelta(seconds=2) < end


def test_last_day_counts_whole_east_of_greenwich() -> None:
    """In Vladivostok a hook that is valid until tomorrow is valid tomorrow evening."""
    zone = ZoneInfo("Asia/Vladivostok")
    now = datetime(2026, 11, 25, 18, tzinfo=zone)
    end = parse("завтра", now=now, zone=zone, end=True).value
    assert end == datetime(2026, 11, 27, tzinfo=zone)


def test_repeated_hour_says_which_offset_was_taken() -> None:
    """A time that comes twice is the first one as a beginning and the second as an end, and the offset is said."""
    start = parse("25.10.2026 02:30", now=NOW, zone=BERLIN)
    end = parse("25.10.2026 02:30", now=NOW, zone=BERLIN, end=True)
    assert start.value == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert end.value == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert "+02:00" in str(start.note)
    assert "+01:00" in str(end.note)
    assert parse("25.10.2026 02:30 +01:00", now=NOW, zone=BERLIN) == Moment(end.value)


def test_missing_hour_moves_to_the_next_valid_moment() -> None:
    """A time that the clocks leave out becomes the moment at which they go on, and that is said."""
    for text in ("29.03.2026 02:00", "29.03.2026 02:30", "29.03.2026 02:59:59"):
        moved = parse(text, now=NOW, zone=BERLIN)
        assert moved.value == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
        assert "29.03.2026 03:00 +02:00" in str(moved.note)
    assert parse("29.03.2026 03:00", now=NOW, zone=BERLIN).note is None


def test_day_without_midnight_begins_when_it_begins() -> None:
    """Where the clocks skip midnight, or a whole day, a date alone is its first moment that exists."""
    havana = ZoneInfo("America/Havana")
    assert parse("08.03.2026", now=NOW, zone=havana).value == datetime(2026, 3, 8, 5, tzinfo=UTC)
    apia = ZoneInfo("Pacific/Apia")
    assert parse("30.12.2011", now=NOW, zone=apia).value == datetime(2011, 12, 30, 10, tzinfo=UTC)


@pytest.mark.parametrize("text", ["01.11.2026 00:00 +03:00", "2026-10-31T21:00:00Z", "2026-11-01 00:00:00+03:00"])
def test_text_with_an_offset_needs_no_zone(text: str) -> None:
    """Files and programs write moments with their offset."""
    assert parse_absolute(text) == Moment(datetime(2026, 10, 31, 21, tzinfo=UTC))


@pytest.mark.parametrize(
    "text", ["01.11.2026 00:00", "01.11 00:00 +03:00", "2026-11-01", "today", "+7d", "x", "31.02.2026 00:00 +00:00"]
)
def test_text_without_an_offset_is_refused_where_no_zone_is_known(text: str) -> None:
    """Without a zone everything that needs one is refused."""
    with pytest.raises(Unfit):
        parse_absolute(text)


def test_shown_with_the_offset_of_that_moment() -> None:
    """Summer and winter show their own offsets; an open end shows nothing."""
    assert show(datetime(2026, 10, 31, 21, tzinfo=UTC), MOSCOW) == "01.11.2026 00:00 +03:00"
    assert show(datetime(2026, 7, 1, 12, tzinfo=UTC), BERLIN) == "01.07.2026 14:00 +02:00"
    assert (
        show(datetime(2026, 7, 1, 12, 0, 1, tzinfo=UTC), ZoneInfo("America/St_Johns")) == "01.07.2026 09:30:01 -02:30"
    )
    assert show(None, MOSCOW) == ""


@given(
    moment=st.datetimes(
        datetime.fromisoformat("1971-01-01"), datetime.fromisoformat("8999-12-31"), timezones=st.just(UTC)
    ),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    end=st.booleans(),
)
def test_what_is_shown_reads_back_as_the_same_moment(moment: datetime, zone: ZoneInfo, end: bool) -> None:
    """`parse` undoes `show` in every zone, in the hours that come twice too."""
    kept = Moment.at(moment)
    assert kept.value is not None
    assert parse(show(kept.value, zone), now=NOW, zone=zone, end=end) == kept
    assert parse_absolute(show(kept.value, zone)) == kept


@given(
    wall=st.datetimes(datetime.fromisoformat("1972-01-01"), datetime.fromisoformat("2099-12-31")),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    end=st.booleans(),
)
def test_every_wall_clock_time_is_some_moment(wall: datetime, zone: ZoneInfo, end: bool) -> None:
    """A typed time is shown again as it was typed, unless the clocks left it out: then the remark says so."""
    wall = wall.replace(microsecond=0)
    understood = parse(f"{wall:%d.%m.%Y %H:%M:%S}", now=NOW, zone=zone, end=end)
    assert understood.value is not None
    local = understood.value.astimezone(zone).replace(tzinfo=None)
    assert local == wall or (local > wall and understood.note is not None)


@given(text=st.text(alphabet="0123456789.:+-TZ dhч", max_size=30))
def test_garbage_is_refused_and_never_breaks(text: str) -> None:
    """Any text is a moment, an open period or a refusal."""
    try:
        value = parse(text, now=NOW, zone=MOSCOW).value
    except Unfit:
        return
    assert value is None or value.tzinfo is UTC


@given(st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_milliseconds_are_those_that_have_passed(moment: datetime) -> None:
    """Never a later one: the day's last microsecond would become the next day."""
    ms = to_ms(moment)
    assert from_ms(ms) <= moment < from_ms(ms + 1)
