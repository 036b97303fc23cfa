"""Which hooks run, when, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookrow.clock import to_ms
from hookrow.delivery import plan
from hookrow.hook.dates import parse
from hookrow.hook.modes import MODES, WAITING

NOW = 1_000_000


@dataclass(frozen=True)
class Row:
    """A hook as a plan sees it."""

    active: bool = True
    paused: bool = False
    valid_from_ms: int | None = None
    valid_until_ms: int | None = None
    mode: str = "gate"


@pytest.mark.parametrize("mode", MODES)
def test_hook_that_is_on_is_called_or_queued(mode: str) -> None:
    """Waiting hooks are called, background ones queued."""
    assert plan.judge(Row(mode=mode), NOW) == (plan.CALL if mode in WAITING else plan.QUEUE)


@pytest.mark.parametrize("mode", MODES)
def test_paused_hook_fails_or_is_parked(mode: str) -> None:
    """A paused waiting hook has failed, so that `stop` still stops; a background delivery is kept for later."""
    verdict = plan.judge(Row(mode=mode, paused=True), NOW)
    assert (verdict.act, verdict.reason) == ("fail" if mode in WAITING else "park", "paused")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (Row(active=False), "inactive"),
        (Row(valid_until_ms=NOW), "expired"),
        (Row(valid_from_ms=NOW + 1), "not_yet_valid"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_skips_that_somebody_wanted(mode: str, row: Row, reason: str) -> None:
    """Off, ended and not begun skip the hook in every mode, paused or not, and say why."""
    for paused in (False, True):
        assert plan.judge(replace(row, mode=mode, paused=paused), NOW) == plan.Verdict("skip", reason)


def test_state_is_the_first_that_is_true() -> None:
    """off, expired, not_yet_valid, paused, on: in this order."""
    all_at_once = Row(active=False, paused=True, valid_from_ms=NOW + 1, valid_until_ms=NOW - 1)
    order = ["off"]
    row = replace(all_at_once, active=True)
    order.append(plan.state(row, NOW))
    row = replace(row, valid_until_ms=None)
    order.append(plan.state(row, NOW))
    row = replace(row, valid_from_ms=None)
    order.append(plan.state(row, NOW))
    order.append(plan.state(replace(row, paused=False), NOW))
    assert plan.state(all_at_once, NOW) == "off"
    assert order == ["off", "expired", "not_yet_valid", "paused", "on"]


ZONES = ("UTC", "Europe/Moscow", "Asia/Vladivostok", "America/New_York")
BOUNDS = {"none": "", "date": "10.11.2026", "datetime": "10.11.2026 12:00"}


@pytest.mark.parametrize("zone", [ZoneInfo(name) for name in ZONES], ids=ZONES)
@pytest.mark.parametrize("until", BOUNDS)
@pytest.mark.parametrize("since", BOUNDS)
@pytest.mark.parametrize("where", ["before", "at", "inside", "last second", "end", "after"])
def test_period_matrix(zone: ZoneInfo, since: str, until: str, where: str) -> None:
    """Without a bound, with a date, with a time: a period holds from its beginning up to, but without, its end."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    start = parse(BOUNDS[since], now=now, zone=zone).value
    end = parse(BOUNDS[until], now=now, zone=zone, end=True).value
    if since == "datetime" and until == "datetime":
        end = parse("10.11.2026 18:00", now=now, zone=zone, end=True).value
    # The wall clock's own words for the same bounds, said apart from the parser.
    begins = datetime(2026, 11, 10, 12 if since == "datetime" else 0, tzinfo=zone)
    day_ends = datetime(2026, 11, 11, tzinfo=zone)
    at_hour = datetime(2026, 11, 10, 18 if since == "datetime" else 12, tzinfo=zone)
    ends = day_ends if until == "date" else at_hour
    moment = {
        "before": begins - timedelta(seconds=1),
        "at": begins,
        "inside": begins + (ends - begins) / 2,
        "last second": ends - timedelta(seconds=1),
        "end": ends,
        "after": ends + timedelta(days=30),
    }[where]
    row = Row(valid_from_ms=None if start is None else to_ms(start), valid_until_ms=None if end is None else to_ms(end))
    expected = "on"
    if until != "none" and where in ("end", "after"):
        expected = "expired"
    elif since != "none" and where == "before":
        expected = "not_yet_valid"
    assert plan.state(row, to_ms(moment)) == expected


@given(timeout=st.floats(0.1, 30), left=st.floats(-5, 60))
def test_wait_is_bounded_by_both_limits(timeout: float, left: float) -> None:
    """A hook waits for its timeout or what is left of the row; under 50 ms it is not called at all."""
    wait = plan.wait_for(timeout, left)
    if left < 0.05:
        assert wait is None
    else:
        assert wait == min(timeout, left)


@pytest.mark.parametrize(
    ("on_failure", "moment", "allowed"),
    [
        ("continue", "before", True),
        ("stop", "before", False),
        ("continue", "after", True),
        ("stop", "after", True),
        ("stop", "on", True),
    ],
)
def test_failure_stops_only_what_has_not_happened(on_failure: str, moment: str, allowed: bool) -> None:
    """`stop` refuses the operation on `before` events and has no effect on the others."""
    assert plan.allowed_after_failure(on_failure, moment) is allowed
