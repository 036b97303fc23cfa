"""What is mended beside Textual, and only here: with its number there, and a test that fails once it is mended there.

| upstream | what happens there | here |
|---|---|---|
| textual#6456 | a byte that is no UTF-8 ends the thread that reads the keyboard | `read_any_bytes` |
| textual#6663 | Esc and the next key in one packet: the Esc is lost, or both | `KeyParser` |
| textual#6686 | undoing a large paste in a text area ends the program | `SteadyCursor` |
| textual#6692 | what goes wrong while the terminal is lent: it is never given back | `lend_terminal` |
| textual#6298 | Ctrl+Z without a shell behind it stops the program for good | `has_shell` |
| (unreported) | a lost terminal ends the thread that writes: what draws waits for ever | `LastingWriter` |
| (its design) | Ctrl+C in the program that has the terminal ends this one | `lend_terminal` |
| (its design) | an exception in a handler ends the program | `endure` |
"""

from __future__ import annotations

import codecs
import functools
import os
import re
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from textual import events
from textual._time import get_time
from textual._xterm_parser import XTermParser
from textual.app import App, ScreenStackError
from textual.constants import ESCAPE_DELAY
from textual.dom import NoScreen
from textual.drivers import linux_driver
from textual.drivers._writer_thread import WriterThread
from textual.message import Message
from textual.message_pump import MessagePump
from textual.screen import Screen

__all__ = [
    "KeyParser",
    "LastingWriter",
    "SteadyCursor",
    "endure",
    "has_shell",
    "lend_terminal",
    "read_any_bytes",
    "read_keys",
    "screen_of",
    "write_on",
]

LONE = re.compile(r"\x1b(?![\[\]OPX^_])")
"""An Esc that begins no sequence of a terminal."""
START, END = "\x1b[200~", "\x1b[201~"
"""Around what is pasted."""


def read_any_bytes(encoding: str = "utf-8") -> None:
    """From now on a byte that the terminal's encoding doesn't know is read as «�» instead of ending the input thread.

    PuTTY set to CP1251, or an old mouse code after tmux re-attached, sends such bytes.
    """

    def decoder(_: str) -> Callable[[], codecs.IncrementalDecoder]:
        return functools.partial(codecs.getincrementaldecoder(encoding), errors="replace")

    setattr(linux_driver, "getincrementaldecoder", decoder)  # noqa: B010 - the module's own name, not ours


class KeyParser(XTermParser):
    """Reads Esc as a key of its own, also where the next key came in the same packet; and a paste as a paste, whatever
    is in it.

    A terminal writes Alt and a key in the same way as Esc and a key; no key here is bound with Alt.
    """

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self.pasting = False
        self.held = ""
        """What may go on in the next packet."""
        self.held_at = 0.0

    def feed(self, data: str) -> Iterable[Message]:
        if not data:
            yield from super().feed(data)
            return
        data, self.held = self.held + data, ""
        while data:
            mark = END if self.pasting else START
            before, found, data = data.partition(mark)
            if not found:
                self.held = next((mark[:n] for n in range(len(mark) - 1, 0, -1) if before.endswith(mark[:n])), "")
                self.held_at = get_time()
                before = before.removesuffix(self.held)
            yield from self.read(before.replace("\x1b", "") if self.pasting else before)
            if found:
                yield from super().feed(mark)
                self.pasting = not self.pasting

    def read(self, text: str) -> Iterable[Message]:
        """What a text is that ends where a key ends."""
        for number, piece in enumerate(LONE.split(text)):
            if number:
                yield events.Key("escape", "\x1b")
            if piece:
                yield from super().feed(piece)

    def tick(self) -> Iterable[Message]:
        if self.held and not self.pasting and get_time() - self.held_at >= ESCAPE_DELAY:
            ready, self.held = self.held, ""
            yield from [events.Key("escape", "\x1b")] if ready == "\x1b" else super().feed(ready)
        yield from super().tick()


def read_keys() -> None:
    """From now on the keyboard is read by `KeyParser`."""
    setattr(linux_driver, "XTermParser", KeyParser)  # noqa: B010 - the module's own name, not ours


class Lasting:
    """A terminal to write to, also when it is gone: then the program is told once, as by a lost line."""

    def __init__(self, terminal: IO[str]) -> None:
        self.terminal = terminal
        self.gone = False
        self.fileno = terminal.fileno

    def write(self, text: str) -> None:
        self.try_to(lambda: self.terminal.write(text))

    def flush(self) -> None:
        self.try_to(self.terminal.flush)

    def try_to(self, act: Callable[[], object]) -> None:
        if self.gone:
            return
        try:
            act()
        except OSError:
            self.gone = True
            os.kill(os.getpid(), signal.SIGHUP)


class LastingWriter(WriterThread):
    """Takes what is to be drawn as long as the program runs: when nobody does, drawing waits for ever."""

    def __init__(self, file: IO[str]) -> None:
        super().__init__(cast("IO[str]", Lasting(file)))


def write_on() -> None:
    """From now on the terminal is written to by `LastingWriter`."""
    setattr(linux_driver, "WriterThread", LastingWriter)  # noqa: B010 - the module's own name, not ours


class SteadyCursor:
    """Before `TextArea` among the bases of a class: while a paste is undone the cursor may point below the text."""

    def _recompute_cursor_offset(self: Any) -> None:
        self._cursor_offset = self.wrapped_document.location_to_offset(self.clamp_visitable(self.cursor_location))


@contextmanager
def lend_terminal(app: App[Any]) -> Iterator[None]:
    """Lend the terminal to another program; it comes back whatever happens there. Ctrl+C is that program's meanwhile.

    Raises:
        SuspendNotSupported: this terminal can't be lent.
    """
    fault: BaseException | None = None
    with app.suspend():
        ours = signal.signal(signal.SIGINT, lambda *_: None)  # SIG_IGN would hold in the other program too
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - it is raised again below
            fault = error
        finally:
            signal.signal(signal.SIGINT, ours)
    if fault is not None:
        raise fault


def has_shell() -> bool:
    """Whether somebody waits for this process group to stop and can let it go on: a shell with job control.

    Otherwise the kernel calls the group orphaned, and what is stopped in it stays so.
    """
    try:
        number, group, session = os.getpid(), os.getpgrp(), os.getsid(0)
        while True:
            parent = int(Path(f"/proc/{number}/stat").read_text("utf-8").rpartition(")")[2].split()[1])
            if parent <= 1 or os.getsid(parent) != session:
                return False
            if os.getpgid(parent) != group:
                return True
            number = parent
    except (OSError, ValueError, IndexError):
        return False


def screen_of(pump: MessagePump) -> Screen[Any] | None:
    """The screen that it stands on, or that is open if it is the app; None if there is none, or none any more."""
    try:
        return pump if isinstance(pump, Screen) else getattr(pump, "screen", None)
    except (NoScreen, ScreenStackError):
        return None


def endure(survives: Callable[[MessagePump, Message, Exception], bool]) -> None:
    """From now on an exception in a handler goes to `survives`; if that gives False it ends the program, as ever."""
    dispatch = getattr(MessagePump._dispatch_message, "__wrapped__", MessagePump._dispatch_message)

    @functools.wraps(dispatch)
    async def guarded(self: MessagePump, message: Message) -> None:
        try:
            await dispatch(self, message)
        except Exception as error:
            if not survives(self, message, error):
                raise

    setattr(MessagePump, "_dispatch_message", guarded)  # noqa: B010 - Textual's own name
