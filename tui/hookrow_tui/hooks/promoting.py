"""The question that ends what is asked in shadow, a hook or its candidate: with its figures, and what it changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from hookrow.lang import Text
from hookrow_tui.presenters.changes import tried
from hookrow_tui.widgets.dialogs import Answer, ask
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import CandidateFigures, Hook, ShadowFigures

__all__ = ["NAMED", "ask_about_candidate", "ask_about_shadow", "shadow_lines"]

NOT_ASKED = Say("In shadow, it was not asked in the last 7 days.")
NOT_COMPARED = Say("The candidate was not compared with the hook yet.")
NAMED = 3
"""Firings that are named."""


def shadow_lines(figures: ShadowFigures | None) -> list[Text]:
    """What a hook's answers in shadow would have done, and on which firings."""
    told: list[Text] = [NOT_ASKED] if figures is None else [figures.told()]
    if figures is not None and figures.firings:
        told.append(Say("Would be refused: {firings}", firings=", ".join(figures.firings[:NAMED])))
    return told


def compared_lines(figures: CandidateFigures | None) -> list[Text]:
    """How a candidate compares with its hook, and on which firings they differ."""
    told: list[Text] = [NOT_COMPARED] if figures is None else [figures.told()]
    if figures is not None and figures.firings:
        told.append(Say("They differ in: {firings}", firings=", ".join(figures.firings[:NAMED])))
    return told


def ask_about_candidate(
    screen: Screen[Any],
    hook: Hook,
    figures: CandidateFigures | None,
    zone: tzinfo,
    promote: Callable[[], object],
    drop: Callable[[], object],
) -> None:
    """Is the candidate to be the hook's new revision, or to be dropped?"""
    answers: list[Answer] = [
        ("back", Say("Go on trying"), None),
        ("promote", Say("Promote"), promote),
        ("drop", Say("Drop"), drop),
    ]
    title = Say('Candidate of "{name}"', name=hook.name)
    ask(screen, title, [*compared_lines(figures), *tried(hook, zone)], answers)


def ask_about_shadow(
    screen: Screen[Any], hook: Hook, figures: ShadowFigures | None, promote: Callable[[], object]
) -> None:
    """Are a hook's responses to decide from now on?"""
    answers: list[Answer] = [("back", Say("Leave it in shadow"), None), ("promote", Say("Let it decide"), promote)]
    ask(screen, Say('"{name}" in shadow', name=hook.name), shadow_lines(figures), answers)
