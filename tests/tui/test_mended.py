"""What is mended beside Textual: what it does here, and that Textual itself still does it wrong.

A test whose name ends in `_upstream` fails once Textual mends it: then what stands in `terminal/mended.py` can go.
"""

from __future__ import annotations

import codecs
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from terminal import Terminal
from textual import events
from textual._xterm_parser import XTermParser
from textual.app import App, ComposeResult
from textual.drivers import linux_driver
from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread
from textual.widgets import TextArea

from hookrow_tui.terminal.mended import KeyParser, LastingWriter, SteadyCursor, has_shell, lend_terminal, read_any_bytes

PATHS = os.pathsep.join(str(Path(__file__).parents[2] / folder) for folder in ("engine", "tui"))


def read(data: bytes) -> list[str]:
    """The keys that Textual's driver reads of these bytes."""
    source, sink = os.pipe()
    os.write(sink, data)
    seen: list[str] = []
    driver: Any = object.__new__(linux_driver.LinuxDriver)
    driver.fileno, driver._debug = source, False
    driver.process_message = lambda event: seen.append(event.character)
    rounds = iter([False, True])
    driver.exit_event = SimpleNamespace(is_set=lambda: next(rounds))
    try:
        driver.run_input_thread()
    finally:
        os.close(source)
        os.close(sink)
    return seen


@pytest.fixture
def decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual's own decoder, put back after the test."""
    monkeypatch.setattr(linux_driver, "getincrementaldecoder", codecs.getincrementaldecoder)


@pytest.mark.usefixtures("decoder")
def test_a_byte_that_is_no_utf8_is_read_as_such() -> None:
    """Instead of ending the thread that reads."""
    read_any_bytes()
    assert read(b"\xffa") == ["\ufffd", "a"]


@pytest.mark.usefixtures("decoder")
def test_6456_a_byte_that_is_no_utf8_ends_the_input_thread_upstream() -> None:
    """textual#6456."""
    with pytest.raises(UnicodeDecodeError):
        read(b"\xffa")


def keys(parser: XTermParser, *packets: str) -> list[str]:
    """The keys and pastes in these packets, and what comes when no more does."""
    found: list[Any] = []
    for packet in packets:
        found += parser.feed(packet)
    limit = time.monotonic() + 1
    while (time.monotonic() < limit and not found[-1:]) or time.monotonic() < limit - 0.8:
        found += parser.tick()
        time.sleep(0.01)  # the parser's own patience with an Esc
    return [event.text if isinstance(event, events.Paste) else event.key for event in found]


@pytest.mark.parametrize(
    ("packets", "wanted"),
    [
        (["\x1bj"], ["escape", "j"]),
        (["\x1b", "j"], ["escape", "j"]),
        (["\x1b\r"], ["escape", "enter"]),
        (["\x1b/ab"], ["escape", "slash", "a", "b"]),
        (["\x1bо"], ["escape", "о"]),
        (["\x1b\x1bj"], ["escape", "escape", "j"]),
        (["\x1b\x1b[A"], ["escape", "up"]),
        (["\x1b", "[A"], ["up"]),
        (["\x1b[", "A"], ["up"]),
        (["\x1b"], ["escape"]),
        (["\x1b\t"], ["escape", "tab"]),
        (["\x1bn\x1b"], ["escape", "n", "escape"]),
        (["\x1b[200~a\x1bb\x1b[201~\x1bj"], ["ab", "escape", "j"]),
        (["\x1b[20", "0~a\r\x1b", "b\x1b[2", "01~j"], ["a\rb", "j"]),
        (["\x1b[200~q\x1b[A", "d\x1b[201~"], ["q[Ad"]),
    ],
)
def test_esc_is_a_key_whatever_follows_it(packets: list[str], wanted: list[str]) -> None:
    """In one packet or in two; sequences of the terminal, and what is pasted, stay as they are."""
    assert keys(KeyParser(), *packets) == wanted


@pytest.mark.parametrize(("packet", "read_as"), [("\x1b\r", ["enter"]), ("\x1bj", ["alt+j"])])
def test_6663_esc_and_a_key_in_one_packet_are_another_key_upstream(packet: str, read_as: list[str]) -> None:
    """textual#6663."""
    assert keys(XTermParser(), packet) == read_as


class Written(App[None]):
    """A text area of two lines' height."""

    CSS = "TextArea { height: 6; }"

    def __init__(self, area: type[TextArea]) -> None:
        super().__init__()
        self.area = area

    def compose(self) -> ComposeResult:
        yield self.area("line0\nline1\n", soft_wrap=False)


class Steady(SteadyCursor, TextArea):
    """As the form's body."""


async def undone(area: type[TextArea]) -> str:
    """What stands there when a large paste was undone."""
    app = Written(area)
    async with app.run_test(size=(40, 10)) as pilot:
        app.query_one(TextArea).focus()
        app.copy_to_clipboard("\n".join(f"line{number}" for number in range(2, 50)))
        await pilot.press("ctrl+v", "ctrl+z")
        return app.query_one(TextArea).text


@pytest.mark.anyio
async def test_a_large_paste_can_be_undone() -> None:
    """The text is as before."""
    assert await undone(Steady) == "line0\nline1\n"


@pytest.mark.anyio
async def test_6686_undoing_a_large_paste_raises_upstream() -> None:
    """textual#6686."""
    with pytest.raises(ValueError, match="out of bounds"):
        await undone(TextArea)


class Lending(App[None]):
    """An app whose driver only counts."""

    def __init__(self) -> None:
        super().__init__()
        self.back = 0

    def lend(self) -> None:
        @contextmanager
        def quiet() -> Iterator[None]:
            yield

        self._driver = SimpleNamespace(  # type: ignore[assignment]
            can_suspend=True,
            suspend_application_mode=lambda: None,
            no_automatic_restart=quiet,
            resume_application_mode=self.came_back,
        )
        self._suspend_signal = self._resume_signal = lambda: None  # type: ignore[method-assign]
        self.refresh = lambda *_, **__: self  # type: ignore[method-assign,assignment,misc]

    def came_back(self) -> None:
        self.back += 1


def test_a_lent_terminal_comes_back_whatever_happens() -> None:
    """And what happened is raised."""
    app = Lending()
    app.lend()
    with pytest.raises(KeyError), lend_terminal(app):
        raise KeyError
    assert app.back == 1


def test_ctrl_c_belongs_to_whom_the_terminal_is_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends neither this program nor what it waits for, and is ours again afterwards."""
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    try:
        app = Lending()
        app.lend()
        with lend_terminal(app):
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN  # the other program would not be ended by it
        assert seen == []
        signal.raise_signal(signal.SIGINT)
        assert seen == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


class Gone:
    """A terminal whose line is lost."""

    fileno = None

    def write(self, text: str) -> None:
        raise OSError(5, "Input/output error")

    flush = write


def test_a_terminal_that_is_gone_takes_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much that is; the program is told once that the line is lost."""
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *what: told.append(what))
    terminal: Any = Gone()
    writer = LastingWriter(terminal)
    writer.start()
    for _ in range(MAX_QUEUED_WRITES + 2):
        writer._queue.put("x", timeout=20)
    writer.stop()
    assert told == [(os.getpid(), signal.SIGHUP)]


def test_a_terminal_that_is_gone_ends_the_thread_that_writes_upstream() -> None:
    """Nothing empties its queue then."""
    terminal: Any = Gone()
    writer = WriterThread(terminal)
    writer.write("x")
    with pytest.raises(OSError, match="Input/output"):
        writer.run()


def test_6692_a_terminal_lent_to_what_fails_is_gone_upstream() -> None:
    """textual#6692."""
    app = Lending()
    app.lend()
    with pytest.raises(KeyError), app.suspend():
        raise KeyError
    assert app.back == 0


STOPPING = """
from textual.app import App
from textual.widgets import Static
class Plain(App):
    BINDINGS = [("ctrl+z", "suspend_process", "")]
    def compose(self):
        yield Static("stands")
Plain().run()
"""


def test_6298_ctrl_z_without_a_shell_stops_for_good_upstream() -> None:
    """textual#6298: the leader of a session stops, and nobody can wake it."""
    with Terminal([sys.executable, "-c", STOPPING]) as terminal:
        terminal.wait_for("stands")
        terminal.settle()
        terminal.send(b"\x1a")
        limit = time.monotonic() + 20
        status = Path(f"/proc/{terminal.process.pid}/stat")
        while (state := status.read_text("utf-8").rpartition(")")[2].split()[0]) != "T" and time.monotonic() < limit:
            time.sleep(0.05)  # the kernel tells nobody
        assert state == "T"


def test_a_session_leader_has_no_shell() -> None:
    """`ssh -t HOST hookrow`: nothing could let it go on."""
    code = "from hookrow_tui.terminal.mended import has_shell; print(has_shell())"
    with Terminal([sys.executable, "-c", code], env={"PYTHONPATH": PATHS}) as terminal:
        terminal.wait_for("False")
    assert isinstance(has_shell(), bool)
