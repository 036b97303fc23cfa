"""Bursts of keys in a real terminal, typed before anything is opened: each does what its keys do one by one."""

from __future__ import annotations

import pytest
from test_real_terminal import FIRST_HOOK, env, opened

__all__ = ["env"]  # the fixture of its own folder

BURSTS = {
    "a new hook's name with a blank": ("jjnAB CD", "AB CD"),
    "a filter in Cyrillic": ("/склад\r", "Найти: склад"),
    "a form, changed and saved": ("\rQ\x1bOQ", "ИННQ →"),
    "help, closed, and the log": ("\x1bOP\x1bL", "Журнал"),
    "Esc and the next key in one packet": ("/я\x1b\x1bOP", "СПИСОК ХУКОВ"),
    "a question that a burst does not answer": ("jjjd\x1b[C\r", "Набрано слишком рано"),
}


@pytest.mark.parametrize("name", BURSTS)
def test_a_burst_at_the_start_does_what_its_keys_do(env: dict[str, str], name: str) -> None:
    """Sent in one packet as soon as the program takes input; nothing is lost, nothing goes astray."""
    burst, shown = BURSTS[name]
    with opened(env) as terminal:
        terminal.wait_for(lambda _: b"\x1b[?2004h" in terminal.raw)
        terminal.send(burst)
        terminal.wait_for(shown)
        assert terminal.process.poll() is None
        if "question" in name:
            assert FIRST_HOOK in terminal.text
