"""What keeps an admin's terminal safe and usable: no foreign control characters reach it, no byte or signal kills us.

Text from outside is made visible, SIGHUP and SIGTERM end the program in order, letters work in the Russian layout, and
whatever happens the shell gets its terminal back. What Textual does wrong is mended in `hookrow_tui.terminal.mended`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
from collections.abc import Callable, Mapping
from typing import IO, Any

from rich.segment import Segment
from textual import events
from textual.color import Color
from textual.filter import LineFilter
from textual.keys import _character_to_key as character_key

from hookrow.safetext import UNSAFE
from hookrow_tui.words import Say

__all__ = [
    "LAYOUT",
    "RESET",
    "Guarded",
    "Harmless",
    "character_key",
    "latin_key",
    "on_end_signals",
    "refusal",
]

RESET = (
    "\x1b[?2026l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[?2048l"
    "\x1b[<u\x1b[?7h\x1b[0m\x1b[?1049l\x1b[?25h"
)
"""Ends every mode that the interface may have switched on: mouse, paste, focus, keyboard, alternate screen."""

LAYOUT = dict(
    zip(
        "йцукенгшщзхъфывапролджэячсмитьбюёЙЦУКЕНГШЩЗХЪФЫВАПРОЛДЖЭЯЧСМИТЬБЮЁ",
        "qwertyuiop[]asdfghjkl;'zxcvbnm,.`QWERTYUIOP{}ASDFGHJKL:\"ZXCVBNM<>~",
        strict=True,
    )
)


class Harmless(LineFilter):
    """The last line of defence: drops from every drawn line what `hookrow.safetext` names.

    Widgets measure control characters as nothing, so they leave no hole.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if not any(UNSAFE.search(segment.text) for segment in segments):
            return segments
        return [
            segment if segment.control else Segment(UNSAFE.sub("", segment.text), segment.style) for segment in segments
        ]


def latin_key(event: events.Key) -> events.Key:
    """The key that stands at the same place of a Latin keyboard, named as Textual names it.

    «о» is `j`, «х» is `left_square_bracket`, ctrl+«с» is `ctrl+c`. Keys outside the Russian layout stay as they are.
    """
    *mods, last = event.key.split("+")
    held = "".join(mod + "+" for mod in mods)
    latin = LAYOUT.get(event.character or "") or LAYOUT.get(last)
    if latin is None:
        return event
    return events.Key(held + character_key(latin), None if held.replace("shift+", "") else latin)


def on_end_signals(leave: Callable[[int], None]) -> None:
    """Call `leave(signal)` on the running loop for SIGHUP and SIGTERM, instead of dying with the terminal half set."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGHUP, signal.SIGTERM):
        loop.add_signal_handler(number, leave, number)


def refusal(environ: Mapping[str, str] = os.environ, streams: tuple[IO[str] | None, ...] | None = None) -> Say | None:
    """Why the interface can't run here, in one sentence; None where it can."""
    wanted = (sys.__stdin__, sys.__stdout__, sys.__stderr__) if streams is None else streams
    if not all(stream is not None and stream.isatty() for stream in wanted):
        return Say("The terminal interface needs a terminal. Over SSH ask for one: ssh -t HOST hookrow")
    term = environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        return Say("This terminal (TERM={term}) can't place a cursor. Commands work: hookrow --help", term=term)
    return None


class Guarded:
    """A context in which the terminal comes back as it was, whatever ends the program."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream
        self.attributes: list[Any] | None = None

    def __enter__(self) -> Guarded:
        try:
            self.attributes = termios.tcgetattr(self.stream.fileno())
        except (OSError, termios.error):
            self.attributes = None
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.write(self.stream.fileno(), RESET.encode())
            if self.attributes is not None:
                termios.tcsetattr(self.stream.fileno(), termios.TCSADRAIN, self.attributes)
        except (OSError, termios.error):
            return  # the terminal is gone: nobody is left to be reset for
