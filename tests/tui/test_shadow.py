"""A hook in shadow in the interface: the list's badge and line, the banner, the log's words, the form's question."""

from __future__ import annotations

from datetime import UTC
from types import SimpleNamespace
from typing import Any

import pytest
from apps import shown, until
from fake_engine import hooks_of_the_screens
from forms import closed, open_form
from rich.cells import cell_len
from screens import drawn

from hookrow.core.insight.statistics import ShadowFigures
from hookrow.hook.stored import HookRef
from hookrow.lang import Language, use
from hookrow.records import Delivery, Firing
from hookrow.words import WOULD
from hookrow_tui.presenters.banner import banner
from hookrow_tui.presenters.glyphs import UNICODE
from hookrow_tui.presenters.hook_rows import HookRow, figures
from hookrow_tui.presenters.log.rows import WORDS, in_trouble, rows_of

FIGURES = ShadowFigures(3412, 12, 12, 0, 3, 210, 0, False, ("evt_1", "evt_2"))
GATE: dict[str, Any] = {"fire_and_forget": False, "wait_for_response": True, "shadow": True}


def firing(would: str | None) -> Firing:
    """A firing with one hook in shadow."""
    state = {"fail": "failed", None: "queued"}.get(would, "ok")
    share = Delivery(
        "msg_1", "evt_1", HookRef(1, "g", "G"), 1, 10, "gate", state, 0, shadow=True, would=would, status=200
    )
    return Firing("evt_1", "before_order_add", "before", 0, "allowed", {}, {}, deliveries=(share,))


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("would", [*WOULD, None])
def test_the_log_says_what_it_would_have_done(language: Language, would: str | None) -> None:
    """In the columns that there are; whatever it is, the firing is in no trouble."""
    use(language)
    try:
        _, row = rows_of(firing(would), zone=UTC, today_ms=0, glyphs=UNICODE)
        assert cell_len(row.words) <= WORDS
        assert would is None or str(WOULD[would]) in row.words
    finally:
        use("en")
    assert not in_trouble(firing(would))


def test_the_list_and_the_banner_name_it() -> None:
    """Its figures stand in the place of calls; the banner says that it decides nothing."""
    hook = hooks_of_the_screens("en")[0].copy(name="Limit", active=True, **GATE)
    seen: Any = SimpleNamespace(shadow=FIGURES, candidate=None)
    assert "asked 3412, would refuse 12, failed 3, p95 210 ms" in figures(seen, 80)
    assert cell_len(figures(seen, 80)) <= 80
    told = banner([HookRow(hook)], (), None, (), lambda action: "x")  # type: ignore[arg-type]
    assert told == "In shadow, decide nothing: Limit."
    paused = hook.copy(state="paused", on_failure="stop")
    assert "stops operations" not in banner([HookRow(paused)], (), None, (), lambda action: "x")  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_switching_it_off_shows_what_it_would_have_done() -> None:
    """Only the answer writes it."""
    async with shown((80, 24), lang="en") as at:
        hook = at.engine.hooks.get(4)
        hook.__dict__.update(GATE)
        at.engine.log.shadow = lambda number: FIGURES
        form = await open_form(at)
        form.state.texts["shadow"] = False
        await at.press("f2")
        await until(at.pilot, lambda: "would refuse 12" in drawn(at.app), "the question")
        assert at.engine.hooks.get(4).shadow is True
        await at.press("tab", "enter")
        await until(at.pilot, lambda: closed(at), "the list")
        assert at.engine.hooks.get(4).shadow is False
