"""A real terminal for tests: a program on a pty, its screen by pyte, and every byte that it wrote.

with Terminal([sys.executable, "-m", "hookrow"], size=(80, 24)) as terminal:
    terminal.wait_for("Веб-хуки")
    spent = terminal.spend("\r", "Основные параметры")   # bytes written for one key
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType

import pyte

from warm import Warm

__all__ = ["Terminal"]


class Terminal:
    """A program that runs on a terminal of its own, until the block ends."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        size: tuple[int, int] = (80, 24),
        env: Mapping[str, str] | None = None,
        by_exec: bool = False,
    ) -> None:
        self.argv = list(argv)
        self.by_exec = by_exec or self.argv[0] != sys.executable
        self.columns, self.rows = size
        ours = ("LC_", "SSH_", "COLOR", "COLUMNS", "LINES", "NO_COLOR")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.env = {
            **clean,
            "TERM": "xterm-256color",
            "LANG": "ru_RU.UTF-8",
            "HOOKROW_THEME": "dark",
            "PYTHONUTF8": "1",
            "TEXTUAL_DISABLE_KITTY_KEY": "1",
            **(env or {}),
        }
        self.screen = pyte.Screen(self.columns, self.rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = bytearray()
        self.news = threading.Condition()
        self.ended = self.closed = False
        self.rested = -1
        """How much had been written when it was last seen to rest."""

    def __enter__(self) -> Terminal:
        self.master, self.slave = pty.openpty()
        self.resize(self.columns, self.rows)
        how = {"stdin": self.slave, "stdout": self.slave, "stderr": self.slave, "env": self.env}
        if self.by_exec:
            self.process = subprocess.Popen(self.argv, preexec_fn=self.take_tty, **how)
        else:
            self.process = Warm(self.argv, on_terminal=True, **how)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        return self

    def take_tty(self) -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def read(self) -> None:
        while not self.ended:
            try:
                ready, _, _ = select.select([self.master], [], [], 0.05)
                data = os.read(self.master, 65536) if ready else b""
            except OSError:
                return
            if data:
                with self.news:
                    self.raw += data
                    self.stream.feed(data)
                    self.news.notify_all()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.ended = True
        self.reader.join()
        self.close_slave()
        with suppress(OSError):  # a test that hung up has closed it already
            os.close(self.master)

    def close_slave(self) -> None:
        """Nothing here keeps the terminal open any more: what its last program wrote is read, then comes its end."""
        if not self.closed:
            self.closed = True
            os.close(self.slave)

    # What the person sees and does

    @property
    def text(self) -> str:
        """The screen's lines."""
        with self.news:
            return "\n".join(line.rstrip() for line in self.screen.display)

    def wait_for(self, wanted: str | Callable[[str], bool], seconds: float = 20.0) -> str:
        """Wait until the screen shows this; gives the screen."""
        holds = wanted if callable(wanted) else lambda screen: wanted in screen
        limit = time.monotonic() + seconds
        with self.news:
            while not holds(shown := "\n".join(line.rstrip() for line in self.screen.display)):
                left = limit - time.monotonic()
                assert left > 0, f"{wanted!r} did not come; the screen:\n{shown}"
                self.news.wait(left)
            return shown

    def send(self, data: bytes | str) -> None:
        """Type this."""
        os.write(self.master, data.encode() if isinstance(data, str) else data)

    def settle(self, quiet: float = 0.5, seconds: float = 20.0) -> None:
        """Wait until nothing was written for `quiet` seconds, while the machine was in time: else it may come yet."""
        limit = time.monotonic() + seconds
        with self.news:
            while True:
                before, until = len(self.raw), time.monotonic() + quiet
                self.news.wait_for(lambda before=before: len(self.raw) > before, quiet)
                if len(self.raw) == before and time.monotonic() - until < quiet / 10:
                    self.rested = before
                    return
                assert time.monotonic() < limit, "the program never stops writing"

    def rests(self) -> bool:
        """Whether 1.5 s pass in which nothing is written; what a busy machine wrote late is waited for first."""
        for _ in range(3):
            self.settle()
            before = len(self.raw)
            time.sleep(1.5)  # there is no event to wait for: that nothing comes is the point
            if len(self.raw) == before:
                return True
        return False

    def spend(self, data: bytes | str, shown: str = "") -> int:
        """How many bytes the program writes for what is typed, until the screen shows this and nothing more comes."""
        if self.rested != len(self.raw):
            self.settle()
        before = len(self.raw)
        self.send(data)
        with self.news:  # a busy machine may answer later than it is quiet for
            self.news.wait_for(lambda: len(self.raw) > before, 5.0)
        self.wait_for(shown)
        self.settle(0.3)
        return len(self.raw) - before

    def resize(self, columns: int, rows: int) -> None:
        """Change the window's size."""
        self.columns, self.rows = columns, rows
        with self.news:
            self.screen.resize(rows, columns)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def hang_up(self) -> None:
        """The line is lost."""
        self.process.send_signal(signal.SIGHUP)

    def end(self, seconds: float = 20.0) -> int:
        """Wait for the program to end; gives its exit code."""
        code = self.process.wait(seconds)
        self.close_slave()
        self.reader.join(seconds)
        assert not self.reader.is_alive(), "something that it started still holds the terminal"
        return code
