"""Bursts of keys in a real terminal, typed before anything is opened: each does what its keys do one by one."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from apps import shown, until
from screens import drawn
from terminal import Terminal
from test_real_terminal import FIRST_HOOK, env, opened
from test_typeahead import KEYS, LOOKS, Typing, one_by_one

from hookrow_tui.terminal.typeahead import SILENCE

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


def sequence(number: int) -> list[str]:
    """Keys and looks; the same for the same number. None of them ends the program."""
    choose = random.Random(number)
    keys = [*(key for key in KEYS if key != "q"), LOOKS]
    return [choose.choice(keys) for _ in range(choose.randint(1, 12))]


def send_packets(terminal: Terminal, typed: Sequence[str], cuts: random.Random) -> None:
    """Type these keys, cut anywhere, from the moment on at which the program takes any."""
    terminal.wait_for(lambda _: b"\x1b[?2004h" in terminal.raw)
    packet = ""
    for key in [*typed, LOOKS]:
        packet += "" if key == LOOKS else key
        if key == LOOKS or cuts.random() < 0.3:
            terminal.send(packet)
            packet = ""
        if key == LOOKS:
            terminal.wait_for(lambda screen: bool(screen.split("\n")[-1]) and "открывается…" not in screen)
            terminal.settle()


@pytest.mark.torture
@pytest.mark.anyio
@pytest.mark.usefixtures("on_the_day")
@pytest.mark.parametrize("number", range(int(os.environ.get("HOOKROW_TEST_FROM", "0")), 150))
async def test_any_burst_in_a_terminal_does_what_its_keys_do_one_by_one(
    env: dict[str, str], tmp_path: Path, number: int
) -> None:
    """150 sequences by number (HOOKROW_TEST_FROM=87 goes on there): the screen but its bottom line, and the saved
    hooks are what they are when each key is typed as soon as the one before it is done."""
    typed, saved = sequence(number), tmp_path / "saved"
    with opened({**env, "SAVED": str(saved), "ON_THE_DAY": "1"}) as terminal:
        await asyncio.to_thread(send_packets, terminal, typed, random.Random(number))
        async with shown() as at:
            at.app.ahead.silence = SILENCE
            at.engine.answers["explain"] = lambda *_, **__: []
            typing = Typing(at.app, at.pilot, at.engine)
            wanted = await one_by_one(typing, typed)
            await typing.look()

            def same() -> bool:
                return drawn(at.app).splitlines()[:-1] == terminal.text.splitlines()[:-1]

            await until(at.pilot, same, f"{typed}\n{terminal.text}\nfor\n{drawn(at.app)}")
        terminal.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(terminal.end)
    assert saved.read_text("utf-8") == repr(wanted["saved"])
