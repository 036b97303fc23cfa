"""What is said of a paused hook."""

from __future__ import annotations

import pytest

from hookrow.hook.modes import pause_reason


@pytest.mark.parametrize(
    ("by", "reason", "words"),
    [
        ("person", "moving house", "moving house"),
        ("person", None, "—"),
        (
            "breaker",
            "bad_status 503",
            "ten failures in a row, the last: bad_status 503; "
            "the circuit breaker will try the receiver and resume the hook",
        ),
        ("gone", "bad_status 410", "the receiver answered 410 (gone); it must be resumed by hand"),
    ],
)
def test_why_a_hook_is_paused(by: str, reason: str | None, words: str) -> None:
    """What the person wrote; of the engine's own pauses what made them, and how they end."""
    assert str(pause_reason(by, reason)) == words
