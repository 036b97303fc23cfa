"""«Why»: what each hook of an event would do now and what it did last time, one key from the list."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from apps import Beside, Shown, shown, until
from fake_engine import FakeEngine, hooks_of_the_screens
from rich.cells import cell_len
from screens import SIZES, drawn, same_as_golden

from hookrow import Hook, HookEngine
from hookrow.core.insight.insight import ConditionMatches
from hookrow.hook.dates import Here
from hookrow.hook.stored import HookRef
from hookrow.lang import Language, use
from hookrow.results import Explained, Request
from hookrow_tui.hooks.table import HookTable
from hookrow_tui.hooks.why import WhyScreen
from hookrow_tui.presenters.glyphs import UNICODE
from hookrow_tui.presenters.hook_rows import HookRow, badge, figures, line
from hookrow_tui.presenters.reasons import Reason, lines_of, matching
from receivers import Receiver, reply

HERE = Here(datetime(2026, 11, 25, 12, tzinfo=UTC), UTC)


def step(row: Any, act: str, reason: str | None = None, body: str = "") -> Explained:
    """A hook's plan as the engine gives it."""
    request = Request("POST", row.url, (), body) if body else None
    return Explained(
        HookRef(row.id, row.key, row.name), row.position, row.mode, row.state, act, reason, request=request
    )


def explaining_engine(lang: Any = "ru") -> FakeEngine:
    """The drawn hooks: of before_order_add one is called, one skipped by its condition, one queued."""
    engine = FakeEngine(lang=lang)
    engine.hooks.update(5, condition="order.sum > 100000")
    rows = engine.hooks.rows
    engine.answers["explain"] = lambda event, payload: [
        step(rows[4], "call", body='{"order": "A-10492", "sum": 12850}'),
        step(rows[5], "skip", "condition_false"),
        step(rows[6], "queue", body='{"order": "A-10492"}'),
    ]
    engine.answers["condition_matches"] = lambda event, condition, last: ConditionMatches(
        3, 50, newest=False, unmet=("order.sum > 100000",)
    )
    return engine


async def open_why(at: Shown, number: int) -> WhyScreen:
    """The screen, opened from the list on this hook."""
    table = at.app.screen.query_one(HookTable)
    table.go(next(place for place, row in enumerate(table.rows) if row.hook.id == number))
    await at.press("w")
    await until(at.pilot, lambda: isinstance(at.app.screen, WhyScreen) and "order.sum" in drawn(at.app), "why")
    await at.pilot.pause()
    assert isinstance(at.app.screen, WhyScreen)
    return at.app.screen


@pytest.mark.anyio
@pytest.mark.parametrize("lang", ["ru", "en"])
@pytest.mark.parametrize("size", SIZES)
async def test_the_reasons_as_drawn(size: tuple[int, int], lang: Any) -> None:
    """The row of the event with what each would do; of the chosen one the reason, the condition, the last time."""
    async with shown(size, lang=lang, engine=explaining_engine(lang)) as at:
        await open_why(at, 5)
        same_as_golden(at.app, f"why-{size[0]}x{size[1]}-{lang}")


def test_a_candidate_says_what_it_would_do() -> None:
    """Beside its hook; a failing one says why."""
    hook = hooks_of_the_screens("en")[0].copy(name="Limit", active=True, state="on", mode="gate")
    own, its = step(hook, "call"), replace(step(hook, "fail", "template_error"), detail="order.sum is missing")
    lines = lines_of(Reason(hook, replace(own, candidate=its)), UTC)
    told = ["".join(text for text, _ in line) for line in lines]
    assert "  Candidate: fails: template_error: order.sum is missing" in told
    assert not any("Candidate" in text for line in lines_of(Reason(hook, own), UTC) for text, _ in line)


@pytest.mark.anyio
async def test_the_request_that_would_leave_is_shown() -> None:
    """A hook that runs shows its request on the recorded payload; Tab scrolls it, Escape goes back twice."""
    async with shown((120, 40), engine=explaining_engine()) as at:
        await open_why(at, 4)
        text = drawn(at.app)
        assert "POST https://price.example.ru/discount" in text
        assert '"order": "A-10492"' in text
        assert "200 · изменено: order.sum" in text
        await at.press("tab", "escape", "escape")
        await until(at.pilot, lambda: type(at.app.screen).__name__ == "HooksScreen", "the list")


@pytest.mark.anyio
async def test_from_a_reason_to_the_form_and_to_the_log() -> None:
    """Enter opens the hook under the cursor, l its log."""
    async with shown(engine=explaining_engine()) as at:
        await open_why(at, 4)
        await at.press("down", "enter")
        await until(at.pilot, lambda: "Остатки склада" in drawn(at.app).splitlines()[0], "the form")
        await at.press("escape", "l")
        await until(at.pilot, lambda: "2 срабатывания" in drawn(at.app), "the log")


@pytest.mark.anyio
async def test_gates_are_asked_together_once_a_question_was_answered() -> None:
    """«g»: what it means is said first, «no» is marked; the hooks that are asked together say so."""
    engine = explaining_engine("en")
    rows = engine.hooks.rows
    plain = engine.answers["explain"]

    def explained(event: str, payload: object) -> list[Explained]:
        if event not in engine.settings.together():
            return plain(event, payload)  # type: ignore[no-any-return]
        return [replace(step(rows[at], "call", body="order.sum"), together=1) for at in (4, 5)]

    engine.answers["explain"] = explained
    async with shown(lang="en", engine=engine) as at:
        await open_why(at, 4)
        await at.press("g")
        await until(at.pilot, lambda: "of one position together?" in drawn(at.app), "the question")
        same_as_golden(at.app, "why-together-question-80x24-en")
        await at.press("enter")
        await until(at.pilot, lambda: isinstance(at.app.screen, WhyScreen), "no")
        assert engine.settings.together() == frozenset()
        await at.press("g", "right", "enter")
        await until(at.pilot, lambda: "asked together, the operation waits up to 5 s" in drawn(at.app), "together")
        assert engine.settings.together() == {"before_order_add"}
        assert "gates together · on the data of" in drawn(at.app)
        await at.press("g")
        await until(at.pilot, lambda: "one after another?" in drawn(at.app), "the way back")
        await at.press("right", "enter")
        await until(at.pilot, lambda: "gates together ·" not in drawn(at.app), "strict again")


@pytest.fixture
def colleague(tmp_path: Path) -> Iterator[Any]:
    """A real engine, and the process whose events it is."""
    with HookEngine(f"sqlite:///{tmp_path / 'hooks.db'}", worker=False) as engine:
        yield Beside(engine)


@pytest.mark.anyio
async def test_why_a_hook_refused_ran_or_did_not_is_answered_on_a_real_engine(colleague: Any) -> None:
    """A veto, a false condition with its part, an expired period, a pause set to stop: each in one key."""
    event, url = "before_order_add", colleague.url
    with Receiver(reply(200, b'{"allow": false, "message": "no stock"}')) as receiver:

        def made(name: str, **more: Any) -> Hook:
            return colleague.hooks.add(Hook(name=name, event=event, url=receiver.url, wait_for_response=True, **more))

        made("Refuses")
        made("Judges", position=1, condition='order.sum > 100000 and order.number != ""')
        made("Expired", position=2, valid_until=datetime(2020, 1, 1, tzinfo=UTC))
        stops = made("Stops", position=3, on_failure="stop", active=False)
        firing = await asyncio.to_thread(colleague.fire, event, {"order": {"number": "A-1", "sum": 12}})
        assert not firing.allowed
        colleague.hooks.update(stops.id or 0, active=True)
        colleague.hooks.pause(stops.id or 0, "repairs")
        async with shown((120, 40), lang="en", engine=HookEngine(url, worker=False)) as at:
            await at.press("w")
            await until(at.pilot, lambda: "Refuses" in drawn(at.app) and "Last time" in drawn(at.app), "why")
            text = drawn(at.app)
            assert "is not called: condition_false" in text
            assert "is not called: expired" in text
            assert "fails, the operation is stopped: paused" in text
            seen: dict[str, str] = {}
            for _ in range(4):
                seen[at.app.screen.chosen.name] = drawn(at.app)  # type: ignore[attr-defined]
                await at.press("down")
                await at.pilot.pause()
            assert '"no stock"' in seen["Refuses"]
            assert "on the newest is false: order.sum > 100000" in seen["Judges"]
            assert "matches 0 of the last 1" in seen["Judges"]
            assert "valid until 01.01.2020 " in seen["Expired"]
            assert "paused: repairs" in seen["Stops"]


def test_a_condition_is_said_with_its_share_and_its_false_part() -> None:
    """«matches 3 of the last 50», what is false, what can't be judged; nothing recorded is said as such."""
    assert matching(ConditionMatches(3, 50, newest=False, unmet=("a > 1",))) == (
        "matches 3 of the last 50; on the newest is false: a > 1"
    )
    assert "can't be evaluated on 2: order is missing" in matching(ConditionMatches(0, 5, 2, error="order is missing"))
    assert "no firing is recorded" in matching(ConditionMatches(0, 0))


def made_row(**values: Any) -> Any:
    """A hook with these fields."""
    return FakeEngine().hooks.rows[1].copy(**values)


@pytest.mark.parametrize(
    ("values", "short", "long"),
    [
        ({"state": "not_yet_valid", "valid_from": timedelta(days=3, hours=2)}, "from 28.11", "waits 3 d"),
        ({"state": "not_yet_valid", "valid_from": timedelta(minutes=5)}, "from 12:05", "waits 5 min"),
        ({"state": "not_yet_valid", "valid_from": timedelta(days=20)}, "from 15.12", "from 15.12"),
        ({"state": "not_yet_valid", "valid_from": timedelta(days=900)}, "from 2029", "from 2029"),
        ({"valid_until": timedelta(hours=5, minutes=59)}, "for 5h", "expires in 5 h"),
        ({"valid_until": timedelta(days=30)}, "", ""),
        ({"state": "expired", "valid_until": timedelta(days=-1)}, "expired", "expired"),
        ({"state": "off", "valid_until": timedelta(hours=1)}, "off", "off"),
    ],
)
def test_a_hook_says_when_it_begins_and_how_long_it_has_left(values: dict[str, Any], short: str, long: str) -> None:
    """Badges of the list, relative to now; far away is a date."""
    moved = {code: HERE.now + value if isinstance(value, timedelta) else value for code, value in values.items()}
    hook = made_row(**moved)
    assert (badge(hook, HERE), badge(hook, HERE, long=True)) == (short, long)


AWAY = [
    timedelta(**each)
    for each in ({"seconds": 59}, {"minutes": 59}, {"hours": 23}, {"days": 6}, {"days": 9}, {"days": 40})
]


@pytest.mark.parametrize("lang", ["ru", "en"])
@pytest.mark.parametrize("name", ["Чёрная пятница", "客" * 40])
def test_no_badge_is_cut(lang: Language, name: str) -> None:
    """In every state, however far its dates are: the row with the longest event fits beside a scrollbar."""
    use(lang)
    soon = [{"state": "not_yet_valid", "valid_from": HERE.now + away} for away in (*AWAY, timedelta(days=4000))]
    late = [{"state": "on", "valid_until": HERE.now + away} for away in AWAY]
    rest = [{"state": state} for state in ("off", "expired", "paused", "not_yet_valid")]
    usual = {"name": name, "event": "before_delivery_service_calculate", "position": 9999}
    for values in (*soon, *late, *rest):
        row = HookRow(made_row(**usual, **values), calls=10**6, errors=10**5)
        for width in (80, 120):
            text = line(row, width, UNICODE, HERE, room=width - 1)
            assert cell_len(text) <= width - 1, text
            assert text.endswith((badge(row.hook, HERE), badge(row.hook, HERE, long=True)))


def test_the_figures_of_a_hook_fit_both_screens() -> None:
    """Calls, errors, p50 and p95 of day and week; never called is said in words."""
    part = SimpleNamespace(calls=20134, errors=120, p50_ms=210, p95_ms=4800, since_ms=0, capped=True)
    seen: Any = SimpleNamespace(day=part, week=part, shadow=None, candidate=None)
    assert figures(seen, 80).startswith(" Calls 24 h: 20 134+, err 120, p50/p95 210/4 800 ms")
    assert all(len(figures(seen, width)) <= width for width in (120,))
    assert "Not called" in figures(None, 80)
    none = SimpleNamespace(calls=0, errors=0, p50_ms=None, p95_ms=None, since_ms=0, capped=False)
    seen = SimpleNamespace(day=none, week=part, shadow=None, candidate=None)
    assert figures(seen, 80) == " Calls 24 h: 0, err 0 · 7 d: 20 134+, err 120, p50/p95 210/4 800 ms"
    assert figures(seen, 120).startswith(" Calls in 24 h: 0, errors 0 · in 7 d: 20 134+, errors 120, p50 210 ms")
