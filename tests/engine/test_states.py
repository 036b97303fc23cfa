"""A delivery's transitions, the order inside a firing, the breaker: all pure."""

from __future__ import annotations

import re
from functools import cache
from itertools import product
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookrow.delivery import states
from hookrow.delivery.states import (
    AttemptOutcome,
    Breaker,
    Happening,
    RowPlace,
    Standing,
    after_attempt,
    births,
    decide,
    delay_ms,
    turn,
)

PAGE = Path(__file__).parents[2] / "docs" / "contributing" / "state_machine.md"
NOW = 1_800_000_000_000
KINDS = ("ok", "sent", "changed", "refused", "failed", "gone", "void")
ANSWERS = [AttemptOutcome(kind) for kind in KINDS] + [AttemptOutcome("failed", "template_error")]  # type: ignore[arg-type]
HOOKS = ("on", "held", "deleted")
REASONS = (None, "hook_deleted", "not_enqueued", "restored", "no_candidate")
CAUSES = get_args(states.Cause)

standings = st.builds(
    Standing,
    state=st.sampled_from(states.DELIVERY_STATES),
    attempts=st.integers(0, 12),
    released=st.booleans(),
    hook=st.sampled_from(HOOKS),
    reason=st.sampled_from(REASONS),
)
answers = st.builds(
    AttemptOutcome,
    kind=st.sampled_from(KINDS),
    error=st.sampled_from([None, "timeout", "bad_status", "template_error"]),
    retry_after=st.none() | st.floats(allow_nan=True, allow_infinity=True),
)
happenings = st.builds(Happening, cause=st.sampled_from(CAUSES), answer=answers)


@cache
def documented() -> list[tuple[set[str], set[str], list[str], str]]:
    """The page's table: states before, causes, conditions, state after."""
    text = PAGE.read_text(encoding="utf-8")
    table = text.partition("<!-- transitions -->")[2].partition("<!-- end -->")[0]
    found = []
    for line in table.strip().splitlines()[2:]:
        before, causes, where, after = (cell.strip() for cell in line.strip("|").split("|"))
        found.append((set(before.split(", ")), set(causes.split(", ")), [w for w in where.split(", ") if w], after))
    return found


def holds(word: str, standing: Standing, answer: AttemptOutcome | None) -> bool:
    """Whether a condition of the page is true of this case."""
    if word in KINDS:
        return answer is not None and answer.kind == word
    if word == "template_error":
        return answer is not None and answer.error == "template_error"
    if word in ("released", "not released"):
        return standing.released == (word == "released")
    name, _, value = word.partition(" ")
    if name == "attempts":
        wanted = int(value)
        return standing.attempts >= wanted if wanted == 9 else bool(standing.attempts) == bool(wanted)
    assert name in ("hook", "reason"), word
    return getattr(standing, name) == value


def predicted(standing: Standing, happening: Happening) -> str | None:
    """The state that a reader of the page expects: the first line that fits."""
    for before, causes, where, after in documented():
        fits = standing.state in before and happening.cause in causes
        if fits and all(holds(word, standing, happening.answer) for word in where):
            return after
    return None


def test_the_page_predicts_every_transition() -> None:
    """docs/contributing/state_machine.md and decide() agree on every state, cause, answer, hook and count."""
    table = documented()
    assert len(table) > 30
    cases = product(states.DELIVERY_STATES, CAUSES, HOOKS, (0, 1, 9), (True, False), REASONS)
    for state, cause, hook, attempts, released, reason in cases:
        standing = Standing(state, attempts, released, hook, reason)  # type: ignore[arg-type]
        asked = ANSWERS if cause in ("answered", "redelivered") else [None]
        for answer in asked:
            happening = Happening(cause, answer)
            change = decide(standing, happening, NOW)
            expected = predicted(standing, happening)
            assert (None if change is None else change.state) == expected, (standing, happening)


@given(standings, happenings, st.floats(-1, 1))
def test_a_change_leads_to_a_known_state_and_loses_nothing(
    standing: Standing, happening: Happening, jitter: float
) -> None:
    """Whatever happens: a known state; the attempts never fall; what may be sent again has a time or keeps it."""
    change = decide(standing, happening, NOW, jitter)
    if change is None:
        return
    assert change.state in states.DELIVERY_STATES
    assert standing.attempts <= change.attempts <= standing.attempts + 1
    assert change.attempts == standing.attempts or happening.cause == "answered"
    if change.due_ms is not None:
        assert change.due_ms >= NOW
    if change.state == "cancelled":
        assert change.reason in ("hook_deleted", "no_candidate")


@given(standings, happenings)
def test_finished_deliveries_stay(standing: Standing, happening: Happening) -> None:
    """Nothing moves a delivery that ended well, was dropped, or belongs to a waiting hook."""
    if standing.state in ("ok", "sent", "changed", "vetoed", "refused", "failed", "skipped", "dropped"):
        assert decide(standing, happening, NOW) is None


@given(standings, happenings)
def test_a_leased_row_belongs_to_its_holder(standing: Standing, happening: Happening) -> None:
    """Only an answer, giving back or the lease's end moves a leased row."""
    if standing.state == "leased" and happening.cause not in ("answered", "given_back", "lease_lapsed"):
        assert decide(standing, happening, NOW) is None


@given(standings, happenings)
def test_no_row_waits_for_a_worker_while_its_hook_is_not_on(standing: Standing, happening: Happening) -> None:
    """Whatever comes back while its hook is held or deleted is parked or cancelled, never queued."""
    change = decide(standing, happening, NOW)
    if change is not None and standing.hook != "on" and happening.cause not in ("released", "claimed"):
        assert change.state not in states.PENDING


def test_the_schedule_is_that_of_the_design() -> None:
    """9 retries, the documented intervals, ± 20 %; the tenth failure is the last."""
    hours = [5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24]
    for attempts, hour in enumerate(hours, 1):
        assert delay_ms(attempts, 0.0) == pytest.approx(hour * 3_600_000)
        assert delay_ms(attempts, -1.0) == pytest.approx(hour * 3_600_000 * 0.8)
        assert delay_ms(attempts, 1.0) == pytest.approx(hour * 3_600_000 * 1.2)
    failing = Happening("answered", AttemptOutcome("failed", "timeout"))
    standing, seen = Standing("leased"), 0
    while (change := decide(standing, failing, NOW)) is not None and change.state == "retrying":
        seen += 1
        standing = Standing("leased", change.attempts)
    assert (seen, change.state if change else None, change.attempts if change else 0) == (9, "dead", 10)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(2, 5), (60, 60), (999_999_999, 86_400), (float("inf"), 86_400), (-5, 5), (float("nan"), 5), (None, 5), (0, 5)],
)
def test_retry_after_moves_a_retry_later_but_never_sooner(retry_after: float | None, seconds: float) -> None:
    """Obeyed up to 24 h; nonsense falls back to the schedule."""
    assert delay_ms(1, 0.0, retry_after) == seconds * 1000


# -- the order inside a firing ----------------------------------------------------------------------------------------


def test_the_next_row_goes_when_the_first_attempt_before_it_has_ended() -> None:
    """A running first attempt holds the next row back for a second after its release, an ended one doesn't."""
    blocked = RowPlace(2, "blocked")
    running = turn([RowPlace(1, "leased", released_ms=NOW - 300), blocked], NOW)
    assert running == states.Turn(2, False, NOW + 700)
    ended = turn([RowPlace(1, "retrying", 1, NOW - 300), blocked], NOW)
    assert ended is not None
    assert ended.now


@pytest.mark.parametrize("taken_out", [RowPlace(2, word) for word in ("parked", "cancelled", "ok", "skipped")])
def test_rows_that_never_had_their_turn_are_passed_over(taken_out: RowPlace) -> None:
    """Behind a row that was parked before its turn, and behind a waiting hook's, the one before those counts."""
    found = turn([RowPlace(1, "leased", released_ms=NOW), taken_out, RowPlace(3, "blocked")], NOW)
    assert found == states.Turn(3, False, NOW + 1000)


def test_a_row_that_waits_for_its_key_holds_nobody_back() -> None:
    """Waiting for an order key lets the next row go, as being parked does."""
    waiting = RowPlace(1, "queued", released_ms=NOW, waits_for_key=True)
    assert turn([waiting, RowPlace(2, "blocked")], NOW) == states.Turn(2, True, NOW)
    assert turn([RowPlace(1, "parked", released_ms=NOW), RowPlace(2, "blocked")], NOW) == states.Turn(2, True, NOW)


places = st.lists(
    st.builds(
        RowPlace,
        seq=st.just(0),
        state=st.sampled_from(states.DELIVERY_STATES),
        attempts=st.integers(0, 2),
        released_ms=st.none() | st.integers(NOW - 5000, NOW),
        waits_for_key=st.booleans(),
    ),
    max_size=8,
)


@given(places)
def test_something_blocked_always_has_its_turn_within_a_second(row: list[RowPlace]) -> None:
    """No firing gets stuck: the first blocked row goes now, or at a moment at most 1 s ahead."""
    row = [RowPlace(i, p.state, p.attempts, p.released_ms, None, p.waits_for_key) for i, p in enumerate(row)]
    found = turn(row, NOW)
    blocked = [place.seq for place in row if place.state == "blocked"]
    if not blocked:
        assert found is None
        return
    assert found is not None
    assert found.seq == blocked[0]
    assert found.due_ms <= NOW + states.STEP


@given(st.lists(st.booleans(), max_size=8), st.booleans())
def test_births_are_what_turn_would_have_made_of_blocked_rows(held: list[bool], in_memory: bool) -> None:
    """Rows born released or blocked stand as if all had been born blocked and given their turn."""
    born = births(held, NOW, lease=[5.0] * len(held) if in_memory else None)
    assert [birth.state == "parked" for birth in born] == held
    active = [birth for birth in born if birth.state != "parked"]
    assert [birth.state for birth in active[:1]] == ["leased" if in_memory else "queued"][: len(active)]
    assert all(birth.state == "blocked" for birth in active[1:])
    row = [RowPlace(i, birth.state, released_ms=birth.released_ms) for i, birth in enumerate(born)]
    found = turn(row, NOW)
    first = next((birth for birth in born if birth.state == "blocked"), None)
    if first is None:
        assert found is None
    else:
        assert found is not None
        assert (found.now, found.due_ms) == (False, first.due_ms)
    assert all(birth.lease_ms == NOW + 10_000 for birth in born if birth.state == "leased")


# -- the breaker ----------------------------------------------------------------------------------


def fail(breaker: Breaker, now_ms: int, **given: bool) -> Breaker:
    """A failed attempt; countable unless said otherwise."""
    return after_attempt(breaker, now_ms, **{"success": False, "countable": True, "answered": False, **given})


def test_the_breaker_opens_after_ten_failures_over_a_minute() -> None:
    """9 in a row don't open it, nor do 100 within a minute; the first after both limits does, for 30 s."""
    breaker = Breaker()
    for second in range(59):
        breaker = fail(breaker, NOW + second * 1000)
    assert not breaker.is_open
    breaker = fail(breaker, NOW + 60_000)
    assert breaker.probe_ms == NOW + 90_000
    slow = Breaker()
    for minute in range(9):
        slow = fail(slow, NOW + minute * 60_000)
    assert not slow.is_open
    assert fail(slow, NOW + 9 * 60_000).is_open


def test_a_failing_probe_doubles_the_rest_up_to_ten_minutes() -> None:
    """30 s, 60 s, 2, 4, 8, 10, 10 min; other failures while it is open change nothing."""
    breaker = Breaker(10, NOW - 60_000, 30_000, NOW)
    assert fail(breaker, NOW + 1) == breaker
    rests = []
    for _ in range(6):
        breaker = fail(breaker, NOW, probe=True)
        rests.append(breaker.wait_ms // 1000)
    assert rests == [60, 120, 240, 480, 600, 600]


def test_success_closes_and_another_answer_ends_the_run() -> None:
    """A success or a 404 starts anew; what never left the house changes nothing."""
    breaker = Breaker(9, NOW - 60_000)
    assert after_attempt(breaker, NOW, success=True, countable=False, answered=True) == states.CLOSED
    assert fail(breaker, NOW, countable=False, answered=True) == states.CLOSED
    assert fail(breaker, NOW, countable=False) == breaker


def test_on_trial_one_failure_opens_again() -> None:
    """A breaker that was half-opened without a probe opens at the first countable failure, for twice as long."""
    trial = Breaker(10, NOW - 60_000, 30_000, NOW).half_open()
    assert not trial.is_open
    assert fail(trial, NOW).wait_ms == 60_000


def test_no_second_probe_while_one_can_be_under_way() -> None:
    """The next probe is later than the lease of this one, however short the rest."""
    assert Breaker(10, NOW, 30_000, NOW).probing(NOW, 30.0).probe_ms == NOW + 36_000
    assert Breaker(10, NOW, 600_000, NOW).probing(NOW, 5.0).probe_ms == NOW + 600_000


def test_the_page_shows_only_known_words() -> None:
    """Each state and cause in the page's table exists in the code."""
    for before, causes, _, after in documented():
        assert before <= set(states.DELIVERY_STATES)
        assert causes <= set(CAUSES)
        assert after in states.DELIVERY_STATES
    arrows = re.findall(r"^    (\w+) --> (\w+):", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    drawn = {(a, b) for before, _, _, b in documented() for a in before}
    assert set(arrows) <= drawn
