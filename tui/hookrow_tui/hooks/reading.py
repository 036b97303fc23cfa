"""What the list of hooks shows, read in one worker or out of a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hookrow_tui.presenters.hook_rows import HookRow, in_order

if TYPE_CHECKING:
    from datetime import tzinfo

    from hookrow import Hook, HookEngine, HookFigures

    Read = tuple[list[HookRow], Any, tzinfo]

__all__ = ["read_list", "rows_of"]


def read_list(engine: HookEngine) -> Read:
    """Everything that the list shows, in one worker."""
    rows = rows_of(engine.hooks.list(), engine.log.hook_figures(), [event.code for event in engine.events.list()])
    return rows, engine.log.summary(), engine.settings.zone()


def rows_of(hooks: Sequence[Hook], figures: Mapping[int, HookFigures], events: Sequence[str]) -> list[HookRow]:
    """The rows in the order of the list."""
    rows = []
    for hook in hooks:
        seen = figures.get(hook.id or 0)
        rows.append(
            HookRow(hook)
            if seen is None
            else HookRow(
                hook,
                calls=seen.calls,
                errors=seen.errors,
                last_status=seen.last_status,
                last_ms=seen.last_ms,
                last_error=seen.last_error,
                in_a_row=seen.failing,
                last_at_ms=seen.last_at_ms,
            )
        )
    return in_order(rows, events)
