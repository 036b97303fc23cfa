"""Type-ahead: input waits until what the key before it asked for has happened, and acts on nothing that nobody saw.

Every key, paste and click goes through one queue. The next one is handed on when the one before it is done: its
messages, the screen that it opens, the engine's answer. So keys that come in a burst, as a slow line delivers them,
do what they would do one by one.

A screen is *guarded* when it asks a question, or when something went another way than the keys could know. Then what
comes is thrown away, and that is said, until the screen was painted and input was silent for `SILENCE` seconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from textual import events
from textual._time import get_time
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.widgets import Input, TextArea

from hookrow_tui.terminal.mended import screen_of

if TYPE_CHECKING:
    from textual.app import App

    from hookrow_tui.engine import Answered

__all__ = ["LATE", "SILENCE", "TypeAhead"]

SILENCE = 0.15
"""Seconds without input, after a guarded screen was painted, from which on it takes keys."""
UNPAINTED = 0.5
"""Seconds after which a guarded screen counts as painted: there was nothing to draw."""
LATE = 5.0
"""Seconds that input waits for what opens; then it is thrown away."""
PATIENCE = 0.5
"""Seconds from which on a key that ends things does not wait behind others."""
SPINS = 100
"""Turns of the loop that are tried at once before each is waited for."""
WORKING = 2.0
"""Seconds after which messages that never end hold nobody up."""
CUTTING = frozenset({"escape", "ctrl+c", "ctrl+q", "f10"})
"""The keys that end things."""
QUITTING = CUTTING - {"escape", "ctrl+c"}
"""What acts even where nothing can be seen."""


class Guard:
    """What keeps a screen from taking keys that were meant for another one."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.painted: float | None = None
        self.told = False

    def holds(self, at: float, before: float, silence: float) -> bool:
        """Whether an input of this moment is thrown away; the one before it came at `before`."""
        painted = self.painted if self.painted is not None else self.since + UNPAINTED
        return at - max(painted, before) < silence


class TypeAhead:
    """The queue of what was typed, clicked and pasted.

    Args:
        unseen: whether the window is too small for the screen to be drawn.
    """

    def __init__(self, app: App[Any], unseen: Callable[[], bool]) -> None:
        self.app = app
        self.unseen = unseen
        self.clock: Callable[[], float] = get_time
        """Seconds, as `Message.time` counts them."""
        self.queue: deque[events.Event] = deque()
        self.asked: set[Answered] = set()
        self.guards: WeakKeyDictionary[Screen[Any], Guard] = WeakKeyDictionary()
        self.news = asyncio.Event()
        self.released: events.Event | None = None
        self.before = 0.0
        self.silence = SILENCE
        self.late = False
        self.task: asyncio.Task[None] | None = None

    # Coming in

    def admits(self, event: events.Event) -> bool:
        """Whether this event's turn has come; else it is kept until then."""
        if not self.app.screen_stack:
            return False  # the app ends
        if event is self.released:
            self.released = None
            return True
        self.queue.append(event)
        self.news.set()
        return False

    @property
    def empty(self) -> bool:
        """Whether everything that came has been done."""
        return not self.queue and self.released is None and not self.works() and not self.waits(None)

    def start(self) -> None:
        """Hand on one event after the other from now on."""
        self.task = asyncio.create_task(self.run(), name="typeahead")
        self.task.add_done_callback(self.stumbled)

    def end(self) -> None:
        """The app ends."""
        if self.task is not None:
            self.task.cancel()

    def stumbled(self, task: asyncio.Task[None]) -> None:
        """An error of ours over some input: that input goes, it is said as any other error, and the keyboard lives."""
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self.queue.clear()
            self.start()
            self.app._handle_exception(error)

    async def run(self) -> None:
        while True:
            while not self.queue:
                self.news.clear()
                await self.news.wait()
            await self.settle()
            if not self.app.screen_stack:
                return  # the app ends
            if not self.queue:
                continue
            event = self.queue.popleft()
            if self.takes(event):
                self.released = event
                self.app.post_message(event)

    # Waiting

    def works(self) -> bool:
        """Whether anything in the app still has messages to deal with."""
        if self.released is not None:
            return True
        stack = self.app.screen_stack
        if stack and stack[-1]._callbacks:
            return True
        return any(map(busy, [self.app, *self.app._registry]))

    def waits(self, event: events.Event | None) -> bool:
        """Whether something opens that this event waits for."""
        stack = self.app.screen_stack
        for each in [*self.asked]:
            if screen_of(each.owner) not in stack:
                self.asked.discard(each)  # its screen was left
        if self.asked:
            return True
        holds = getattr(stack[-1], "holds", None) if stack else None
        return holds is not None and holds(event)

    async def settle(self) -> None:
        """Until the first event in the queue can be handed on; or until it was thrown away."""
        spins, working, held = 0, None, None
        while self.queue and self.app.screen_stack:
            if self.works():
                working = self.clock() if working is None else working
                if self.clock() - working < WORKING:
                    spins += 1
                    await asyncio.sleep(0 if spins < SPINS else 0.002)
                    continue
            working = None
            if not self.waits(self.queue[0]):
                self.late = False
                return
            held = self.clock() if held is None else held
            waited = self.clock() - held
            if (waited > PATIENCE or self.late) and self.cut():
                return
            if waited > LATE or self.late:
                self.late = True
                self.queue.clear()
                self.app.screen.thrown_away()  # type: ignore[attr-defined]
                return
            self.app.screen.held()  # type: ignore[attr-defined]
            self.news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.news.wait(), 0.05)

    def cut(self) -> bool:
        """Whether a key that ends things waits; it comes first then, and what was typed before it goes."""
        place = next((n for n, each in enumerate(self.queue) if getattr(each, "key", "") in CUTTING), None)
        for _ in range(place or 0):
            self.queue.popleft()
        return place is not None

    # Questions to the engine

    def ask(self, question: Answered) -> None:
        """Input waits for this answer."""
        self.asked.add(question)

    def answered(self, question: Answered) -> None:
        """The answer came, and has been dealt with."""
        self.asked.discard(question)
        self.opened()

    def opened(self) -> None:
        """What input waited for is there. What was typed while it took too long may be meant for something else."""
        self.news.set()
        if self.late and self.app.screen_stack and not self.waits(None):
            self.late = False
            self.guard(self.app.screen)

    # Guarding

    def guard(self, screen: Screen[Any]) -> None:
        """From now on this screen takes keys only after it was painted and a silence."""
        self.guards[screen] = Guard(self.clock())

    def painted(self, screen: Screen[Any]) -> None:
        """The screen stands on the terminal."""
        guard = self.guards.get(screen)
        if guard is not None and guard.painted is None:
            guard.painted = self.clock()

    def takes(self, event: events.Event) -> bool:
        """Whether this event may act."""
        if isinstance(event, events.MouseMove):
            return True
        before, self.before = self.before, event.time
        screen, key = self.app.screen, getattr(event, "key", "")
        if self.unseen():
            return key in QUITTING
        if isinstance(event, events.Paste) and not isinstance(self.app.focused, Input | TextArea):
            return False
        guard = self.guards.get(screen)
        if guard is None or key in CUTTING:
            return True
        if not guard.holds(event.time, before, self.silence):
            del self.guards[screen]
            return True
        if not guard.told:
            guard.told = True
            screen.thrown_away()  # type: ignore[attr-defined]
        return False


def busy(pump: MessagePump) -> bool:
    """Whether a message pump has something to do; one that is being closed has not."""
    if (not pump._running and pump._task is None) or pump._closing or pump._closed:
        return False
    queue: Any = pump._message_queue
    return not queue.empty() or all(each.done() for each in queue.ready_event._waiters)
