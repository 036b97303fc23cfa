"""What a worker has in hand, and the tasks that carry it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextvars import copy_context
from typing import Any, Final

from hookrow.store.outbox import Claimed

__all__ = ["Hand"]

log: Final = logging.getLogger("hookrow")


class Hand:
    """Rows in flight, and those whose results are not recorded yet: `rows`, each by its id and fence.

    `tasks` are the senders, each with one row after another, and what follows from results.
    """

    def __init__(self) -> None:
        self.rows: set[tuple[int, int]] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.empty: Final = asyncio.Event()
        self.empty.set()
        self.context: Final = copy_context()  # a sender outlives the call whose firing it began with

    def take(self, claimed: Claimed) -> None:
        """A row more."""
        self.rows.add((claimed.row_id, claimed.fence))
        self.empty.clear()

    def put_down(self, claimed: Claimed) -> None:
        """A row less."""
        self.rows.discard((claimed.row_id, claimed.fence))
        if not self.rows:
            self.empty.set()

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Have it run as a task."""
        task = asyncio.get_running_loop().create_task(work, context=self.context.copy())
        self.tasks.add(task)
        task.add_done_callback(self.ended)

    def ended(self, task: asyncio.Task[None]) -> None:
        """A task has ended."""
        self.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("a fault of Hookrow's own", exc_info=error)

    async def let_go(self, seconds: float) -> None:
        """Cancel the tasks; they have so long to end."""
        late = list(self.tasks)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=seconds)
