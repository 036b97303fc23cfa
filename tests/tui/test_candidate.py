"""A candidate in the interface: tried from the form, seen in list, log and history, promoted or dropped in the list."""

from __future__ import annotations

from datetime import UTC
from types import SimpleNamespace
from typing import Any

import pytest
from apps import Shown, shown, until
from fake_engine import NOON_MS, hooks_of_the_screens
from forms import closed, fill, open_form
from rich.cells import cell_len
from screens import drawn

from hookrow.core.insight.statistics import CandidateFigures
from hookrow.errors import CandidateInTheWay
from hookrow.hook.candidate import HookCandidate
from hookrow.hook.modes import Seconds
from hookrow.hook.stored import HookRef
from hookrow.lang import Language, use
from hookrow.records import Delivery, Firing, Revision
from hookrow.words import COMPARED, WOULD
from hookrow_tui.presenters.changes import detail, tried
from hookrow_tui.presenters.glyphs import UNICODE
from hookrow_tui.presenters.hook_rows import badge, figures
from hookrow_tui.presenters.log.rows import WORDS, rows_of
from hookrow_tui.presenters.spans import here

FIGURES = CandidateFigures(980, 4, 3, 0, 1, 2, 210, 0, False, ("evt_1", "evt_2"))
GATE: dict[str, Any] = {"fire_and_forget": False, "wait_for_response": True}
TRIED = HookCandidate({"timeout": 2.0, "body": "a\nb", "auth_password": None}, 2, NOON_MS, "olga")


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("would", [*WOULD, None])
@pytest.mark.parametrize("compared", [*COMPARED, None])
def test_the_log_says_whether_it_differs(language: Language, would: str | None, compared: str | None) -> None:
    """In the columns that there are."""
    state = {"fail": "failed", None: "queued"}.get(would, "ok")
    about: dict[str, Any] = {"shadow": True, "would": would, "candidate": True, "compared": compared}
    share = Delivery("msg_1", "evt_1", HookRef(1, "g", "G"), 2, 10, "gate", state, 0, status=200, **about)
    firing = Firing("evt_1", "before_order_add", "before", 0, "allowed", {}, {}, deliveries=(share,))
    use(language)
    try:
        _, row = rows_of(firing, zone=UTC, today_ms=0, glyphs=UNICODE)
        assert cell_len(row.words) <= WORDS
        assert would is None or str(WOULD[would]) in row.words
    finally:
        use("en")


def test_the_list_names_it() -> None:
    """A badge; its figures in the place of calls; what it changes, secrets as whether they are set."""
    hook = hooks_of_the_screens("en")[0].copy(name="Limit", active=True, state="on", candidate=TRIED, **GATE)
    assert badge(hook, here(UTC)) == "cand"  # type: ignore[arg-type]
    seen: Any = SimpleNamespace(shadow=None, candidate=FIGURES)
    assert "differ in 4 of 980, candidate failed 2, p95 210 ms" in figures(seen, 80)
    assert tried(hook, UTC) == ["Timeout: 3 s → 2 s", "Body: — → a b", "Basic auth password: removed"]  # type: ignore[arg-type]


def test_the_history_tells_it() -> None:
    """Its fields under their labels."""
    lines = detail(Revision(2, NOON_MS, "olga", "try", {"candidate": None}, {"candidate": TRIED.shown}), UTC)
    told = "".join(part[0] for line in lines for part in line)
    assert "Candidate" in told
    assert "Timeout: 2 s; Body: a b; Basic auth password: removed" in told


async def gate_of(at: Shown, **more: Any) -> Any:
    """The drawn hook as a gate."""
    hook = at.engine.hooks.get(4)
    hook.__dict__.update({**GATE, **more})
    return hook


@pytest.mark.anyio
async def test_tried_from_the_form_instead_of_saved() -> None:
    """F11 keeps the changes as the candidate; the hook stays as it is. Another one in its place is asked about."""
    async with shown((80, 24), lang="en") as at:
        old = (await gate_of(at)).timeout
        form = await open_form(at)
        await at.press("f11")
        await until(at.pilot, lambda: "Change a field" in drawn(at.app), "what is missing")
        await fill(at, form, "timeout", "2")
        await at.press("f11")
        await until(at.pilot, lambda: closed(at), "the list")
        hook = at.engine.hooks.get(4)
        assert (hook.timeout, hook.candidate.fields) == (old, {"timeout": 2.0})
        form = await open_form(at)
        await fill(at, form, "timeout", "4")
        await at.press("f11")
        await until(at.pilot, lambda: "has a candidate already" in drawn(at.app), "the question")
        await at.press("tab", "enter")
        await until(at.pilot, lambda: closed(at), "the list")
        assert at.engine.hooks.get(4).candidate.fields == {"timeout": 4.0}


@pytest.mark.anyio
async def test_an_edit_that_meets_it_asks() -> None:
    """Dropped only by the answer."""
    async with shown((80, 24), lang="en") as at:
        await gate_of(at, candidate=TRIED)
        update = at.engine.hooks.update

        def refusing(ref: int, *args: Any, **how: Any) -> Any:
            if not how.get("drop_candidate"):
                raise CandidateInTheWay("its candidate changes the same: Timeout")
            return update(ref, *args, **how)

        at.engine.hooks.update = refusing  # type: ignore[method-assign]
        form = await open_form(at)
        await fill(at, form, "timeout", "4")
        await at.press("f2")
        await until(at.pilot, lambda: "changes the same" in drawn(at.app), "the question")
        assert at.engine.hooks.get(4).candidate is TRIED
        await at.press("tab", "enter")
        await until(at.pilot, lambda: closed(at), "the list")
        assert (at.engine.hooks.get(4).timeout, at.engine.hooks.get(4).candidate) == (4.0, None)


@pytest.mark.anyio
@pytest.mark.parametrize(("presses", "timeout"), [(1, 2.0), (2, None)])
async def test_promoted_or_dropped_in_the_list(presses: int, timeout: float | None) -> None:
    """The question has the figures, the firings and the fields."""
    async with shown((80, 24), lang="en") as at:
        old = (await gate_of(at, candidate=TRIED)).timeout
        at.engine.log.candidate = lambda number: FIGURES  # type: ignore[attr-defined]
        await open_form(at)
        await at.press("escape", "P")
        await until(at.pilot, lambda: "differ in 4 of 980" in drawn(at.app), "the question")
        assert "evt_1, evt_2" in drawn(at.app)
        assert f"Timeout: {Seconds(old)} s → 2 s" in drawn(at.app)
        await at.press(*["tab"] * presses, "enter")
        await until(at.pilot, lambda: at.engine.hooks.get(4).candidate is None, "the end of the trial")
        assert at.engine.hooks.get(4).timeout == (timeout or old)
