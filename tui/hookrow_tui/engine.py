"""The engine as the interface holds it: opened and asked in workers, followed four times a second.

Everything here blocks or waits; it runs in threads that only post messages.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.message import Message

from hookrow.errors import HookrowError, NoDatabase
from hookrow_tui.terminal.crashes import mishap
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from textual.message_pump import MessagePump

    from hookrow import HookEngine
    from hookrow.glance import Glance

__all__ = ["Answered", "Follower", "Glanced", "Moved", "Opened", "Troubled", "first_look", "open_engine"]

INTERVAL = 0.25
"""Seconds between two looks at the database (at most four a second)."""
PATIENCE = 1.0
"""Seconds that the last of them may still take when the interface ends."""
FRESHEN = 40
"""Looks after which the figures are read again even if nothing was committed: the hour of errors moves."""


@dataclass
class Glanced(Message):
    """What could be read before the engine is there; None where it could not."""

    glance: Glance | None


@dataclass
class Opened(Message):
    """The engine is there."""

    engine: HookEngine


@dataclass(eq=False)
class Answered(Message):
    """What a call in a worker came to; `then` or `failed` is called on the loop if `owner` is still on the screen."""

    owner: MessagePump
    then: Callable[[Any], None]
    failed: Callable[[HookrowError], None]
    value: Any = None
    error: HookrowError | None = None


@dataclass
class Moved(Message):
    """Something was committed, or enough time has passed for the figures to differ."""


@dataclass
class Troubled(Message):
    """The database can't be read just now; '' when it can again."""

    text: str


def first_look(url: str) -> Glance | None:
    """What the list of hooks shows, without the engine: it takes milliseconds, where importing that takes a second."""
    from hookrow.glance import glance

    return glance(url)


def open_engine(url: str) -> HookEngine:
    """The engine on a database, without a worker of its own: the interface sends only what it is asked to.

    It brings what sends requests along, so that the first one is as quick as any other. What was loaded so far stays as
    long as the process: Python's collector, which was off while the interface started, never looks at it again.

    Raises:
        StorageError, KeyProblem
    """
    try:
        from hookrow import HookEngine  # the list is painted before this import begins

        return HookEngine(url, worker=False, create=False)
    finally:
        if not gc.isenabled():
            gc.freeze()
            gc.enable()


class Follower(threading.Thread):
    """Asks whether anything was committed, and says so to `pump`."""

    def __init__(self, engine: HookEngine, pump: MessagePump) -> None:
        super().__init__(name="hookrow-follower", daemon=True)
        self.engine = engine
        self.pump = pump
        self.ended = threading.Event()

    def run(self) -> None:
        version, quiet, trouble = None, 0, ""
        while not self.ended.wait(INTERVAL):
            try:
                path = self.engine.path
                if path is not None and not path.exists():
                    raise NoDatabase(Say("The database file is gone: {path}", path=path))
                seen = self.engine.log.data_version()
            except Exception as fault:  # noqa: BLE001 - whatever it is, the next look may go well
                error = fault if isinstance(fault, HookrowError) else mishap(fault)
                if type(fault).__name__ != trouble:
                    trouble = type(fault).__name__
                    self.pump.post_message(Troubled(str(error)))
                continue
            quiet += 1
            if trouble:
                trouble = ""
                self.pump.post_message(Troubled(""))
            if seen != version or quiet >= FRESHEN:
                version, quiet = seen, 0
                self.pump.post_message(Moved())

    def end(self) -> None:
        """Look no more. What is being asked has a moment to be answered: its connection would outlive the engine."""
        self.ended.set()
        self.join(PATIENCE)
