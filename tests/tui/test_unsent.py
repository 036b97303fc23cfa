"""Why a delivery made no request: one look at its line in the log tells who, when and what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest
from fake_engine import NOON_MS, FakeEngine

from hookrow.hook.stored import HookRef
from hookrow.records import Delivery, Revision, Veto
from hookrow_tui.presenters.log.unsent import asks_history, why_unsent
from hookrow_tui.presenters.styled import plain

FIRING = FakeEngine().log.rows[0]
HOOK = HookRef(4, "hook-4", "Скидки")
PLAIN: dict[str, Any] = {"active": True, "paused_by": None, "paused_reason": None, "condition": "", "valid_until": None}


def history(*changes: tuple[str, dict[str, Any]]) -> list[Revision]:
    """Revisions an hour apart, the last one an hour before the firing; newest first."""
    made, before = [], None
    for number, (action, values) in enumerate([("add", {}), *changes], 1):
        after = {**(before or PLAIN), **values}
        at = NOON_MS - (len(changes) + 2 - number) * 3_600_000
        made.append(Revision(number, at, "olga@192.0.2.7", action, before, after))
        before = after
    return made[::-1]


@pytest.mark.parametrize(
    ("delivery", "changes", "said"),
    [
        ({"skipped": "inactive"}, [("edit", {"active": False})], "Switched off by olga@192.0.2.7, 25.11.2026 11:03."),
        (
            {"skipped": "condition_false"},
            [("edit", {"condition": "order.sum\n> 1"})],
            "Its condition was false on the data that reached the hook:\n  order.sum > 1",
        ),
        (
            {"skipped": "expired"},
            [("edit", {"valid_until": "2026-11-01T00:00:00Z"})],
            "Its period ended at 01.11.2026 00:00 +00:00.",
        ),
        (
            {"error": "paused", "state": "failed"},
            [("pause", {"paused_by": "person", "paused_reason": "ремонт"})],
            "Paused by olga@192.0.2.7, 25.11.2026 11:03.\npaused: ремонт",
        ),
        ({"state": "parked"}, [("edit", {"active": False})], "Switched off by olga@192.0.2.7, 25.11.2026 11:03."),
        ({"skipped": "not_enqueued"}, [], ""),
        ({"skipped": "inactive"}, [], ""),
    ],
)
def test_what_held_a_hook_back_is_said_with_its_particulars(
    delivery: dict[str, Any], changes: list[tuple[str, dict[str, Any]]], said: str
) -> None:
    """Who switched it off or paused it, when, its condition and period as they were."""
    share = Delivery("msg_1", FIRING.id, HOOK, 1, 10, "gate", **{"state": "skipped", "at_ms": NOON_MS, **delivery})
    assert plain(why_unsent(FIRING, share, history(*changes), UTC)) == said
    assert asks_history(share) or share.skipped == "not_enqueued"


def test_what_happened_after_the_firing_is_no_reason() -> None:
    """The hook as it was at the firing counts, not as it is today."""
    later = history(("edit", {"condition": "a > 1"}))
    later.insert(0, Revision(3, NOON_MS + 1, "anna", "edit", later[0].after, {**PLAIN, "condition": "b > 2"}))
    share = Delivery("msg_1", FIRING.id, HOOK, 1, 10, "gate", "skipped", NOON_MS, skipped="condition_false")
    assert "a > 1" in plain(why_unsent(FIRING, share, later, UTC))


def test_a_veto_before_it_is_named() -> None:
    """Which hook refused, and with which words."""
    vetoed = replace(FIRING, veto=Veto("hook", HookRef(2, "hook-2", "Чёрный список"), "ИНН в стоп-листе"))
    share = Delivery("msg_1", FIRING.id, HOOK, 1, 10, "gate", "skipped", NOON_MS, skipped="after_veto")
    assert (
        plain(why_unsent(vetoed, share, (), UTC))
        == 'Hook "Чёрный список" earlier in the chain stopped the operation: "ИНН в стоп-листе"'
    )
