"""The form rehearses a new body or condition on recorded firings before it is saved."""

from __future__ import annotations

import pytest
from apps import shown, until
from forms import closed, open_form
from screens import drawn

from hookrow.core.insight.rehearsal import Rehearsal, RehearsedFailure, RowTime

pytestmark = pytest.mark.anyio

MISSING = RehearsedFailure("template_error", "order.phone is missing", 3, "evt_9")
FAILING = Rehearsal("k", 500, 497, 0, 0, 3, 3, 0, 0, RowTime("before_order_add", 5.0, 5.0), failures=(MISSING,))


async def test_what_would_fail_is_asked_about_before_it_is_saved() -> None:
    """It can be saved all the same; another field asks nothing."""
    async with shown((80, 24), lang="en") as at:
        asked = []
        at.engine.answers["rehearse"] = lambda hook, **how: asked.append((hook.body, how)) or FAILING
        form = await open_form(at)
        form.body.text = '{"p": {{ order.phone }}}'
        await at.pilot.pause()
        await at.press("f2")
        await until(at.pilot, lambda: "3 would fail" in " ".join(drawn(at.app).split()), "the question")
        assert asked == [('{"p": {{ order.phone }}}', {"limit": 500})]
        assert at.engine.hooks.get(4).body != '{"p": {{ order.phone }}}'
        await at.press("tab", "enter")
        await until(at.pilot, lambda: closed(at), "the list")
        assert at.engine.hooks.get(4).body == '{"p": {{ order.phone }}}'
