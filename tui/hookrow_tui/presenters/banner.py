"""What must not be overlooked on the list of hooks, each with what to do: lost keys, open breakers, paused gates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hookrow.hook.modes import WAITING
from hookrow.lang import Text
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import Hook
    from hookrow_tui.presenters.hook_rows import HookRow

__all__ = ["banner", "names", "stops", "waits"]

NAMED = 4
"""Names in a sentence; of more the count is said."""
REFUSES = Say(" (stops operations)")

PAUSED = {
    "key": Say("Secrets can't be decrypted, nothing is sent: {names}. Put the key back, or enter them again ({open})."),
    "gone": Say("The receiver says the address is gone: {names}. Correct the URL ({open}), then resume: {key}"),
    "breaker": Say("Paused after failures, tried again by itself: {names}. Resume now: {key}"),
    "person": Say("Paused: {names}. Resume: {key}"),
}
"""By who or what paused a hook (`paused_by`), the most urgent first."""


def waits(hook: Hook) -> bool:
    """Whether operations wait for this hook: not for one in shadow."""
    return hook.mode in WAITING and not hook.shadow


def stops(hook: Hook) -> bool:
    """Whether a failure of this hook refuses the operation."""
    return hook.on_failure == "stop" and waits(hook)


def names(hooks: Iterable[Hook]) -> str:
    """The hooks' names, first those that refuse operations."""
    ordered = sorted(hooks, key=lambda hook: not stops(hook))
    more = len(ordered) - NAMED
    told = ", ".join(f"{hook.name}{REFUSES if stops(hook) else ''}" for hook in ordered[:NAMED])
    return f"{told} +{more}" if more > 0 else told


def banner(
    rows: Sequence[HookRow],
    drafts: Collection[int | None],
    summary: Any,
    faults: Sequence[Text],
    key: Callable[[str], str],
) -> str:
    """The sentences, the most urgent first.

    Args:
        drafts: the hooks (None for a new one) of which a lost session left unsaved changes.
        summary: the figures of the whole database; None before they are there.
        faults: what is wrong in the person's own files.
        key: gives an action's key.
    """
    paused = [row.hook for row in rows if row.hook.state == "paused"]
    parts = [
        Say(sentence.message, names=names(hooks), key=key("hooks.pause"), open=key("hooks.open"))
        for by, sentence in PAUSED.items()
        if (hooks := [hook for hook in paused if (hook.paused_by or "person") == by])
    ]
    if failing := [row.hook for row in rows if row.in_a_row and row.hook.state != "paused"]:
        parts.append(Say("Fail every time: {names}.", names=names(failing)))
    if shadows := [row.hook for row in rows if row.hook.shadow and row.hook.mode in WAITING and row.hook.active]:
        parts.append(Say("In shadow, decide nothing: {names}.", names=names(shadows)))
    kept = [row.hook.name for row in rows if row.hook.id in drafts]
    if None in drafts:
        kept.append(str(Say("a new hook ({key})", key=key("hooks.new"))))
    if kept:
        parts.append(Say("Not saved, kept as drafts: {names}. Open one to continue.", names=", ".join(kept)))
    if summary is not None and summary.undrained:
        parts.append(Say("No worker is running, the queue waits: hookrow worker"))
    return " ".join(map(str, (*parts, *faults)))
