"""A firing whose caller was interrupted or cancelled: its end is recorded where nothing cuts that short."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from hookrow.errors import EngineClosed, StorageError
from hookrow.store.aside import started
from hookrow.store.database.locks import INTERRUPTS, LET_GO, RECORD, now
from hookrow.store.outbox.ending import Ending

if TYPE_CHECKING:
    from hookrow.core.runtime import Runtime

__all__ = ["Unended", "cut_short", "end_awaited", "end_in_thread", "over"]


class Unended(Protocol):
    """A firing that has to be ended before its time."""

    runtime: Runtime

    def ending(self) -> Ending: ...

    def patience(self, least: float) -> float: ...


def cut_short(error: BaseException, *, begun: bool) -> bool:
    """Whether a firing that ends so may have done something that is not recorded.

    A cancellation, the engine's end and what a signal's handler raises (ctrl+c) come between any two steps. Anything
    else but a StorageError is a fault of ours or of a transport that the host brought: by then a request may have left.
    Where a coroutine was thrown away, nobody may wait for anything.
    """
    if isinstance(error, StorageError | GeneratorExit):
        return False
    return begun or isinstance(error, (asyncio.CancelledError, EngineClosed, *INTERRUPTS))


def end_in_thread(firing: Unended, error: BaseException) -> None:
    """Record how far it came before its caller learns of it: in another thread, since no signal is handled there."""
    once = threading.Lock()

    def end() -> None:
        if not once.acquire(blocking=False):
            return
        try:
            firing.runtime.database.writer.write(firing.ending(), firing.patience(RECORD))
        except (StorageError, EngineClosed) as error:
            firing.runtime.unrecorded.failed(f"cancelled: {error}")

    ending = begin(end)
    if ending is None:
        end()
    else:
        by = vars(error).pop("let_go_by", now() + LET_GO)  # taken off: a handler may raise the same object again
        ending.join(max(by - now(), 0.0))


def begin(end: Callable[[], None], tries: int = 3) -> threading.Thread | None:
    """Start it in a thread, also where somebody holds ctrl+c down; it may be started twice. None: none can be."""
    try:
        ending = threading.Thread(target=end, name="hookrow-ending")
        return ending if started(ending) else None
    except INTERRUPTS:
        if not tries:
            raise
        return begin(end, tries - 1)


async def end_awaited(firing: Unended) -> None:
    """The same on a loop; cancelled once more, it ends all the same."""
    try:
        await over(firing.runtime.database.writer.begin(firing.ending(), firing.patience(RECORD)).future)
    except (StorageError, EngineClosed) as error:
        firing.runtime.unrecorded.failed(f"cancelled: {error}")


async def over(commit: asyncio.Future[Any]) -> Any:
    """What became of a commit under way, however often who waits for it is cancelled. Raises what it raised."""
    while not commit.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([commit])
    return commit.result()
