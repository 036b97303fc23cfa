"""A reply as an exchange takes it in, whatever brings its bytes: both drivers' rules, without I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Final, Protocol

from hookrow.transport.framing import ReplyReader
from hookrow.transport.head import Broken, Head
from hookrow.transport.progress import CONNECTING, HEADED, Progress
from hookrow.transport.reading import Unreadable

__all__ = ["Late", "Stale", "Taking", "Talk"]


class Stale(ConnectionError):
    """A kept connection broke before the reply's first byte: the request may go out once more."""


class Late(TimeoutError):
    """The exchange's time has run out."""


class Talk(Protocol):
    """What a connection needs to know of an exchange, and tells it."""

    progress: Progress

    def headed(self, head: Head) -> bool:
        """The head is there; gives whether the body is to be handed out in pieces."""
        ...

    def took(self, piece: bytes) -> bool:
        """A piece of the body came; gives whether that is enough. Raises Unreadable."""
        ...

    def ended(self) -> None:
        """The body's end was seen."""
        ...

    async def read(self, pieces: AsyncIterator[bytes]) -> None:
        """Take in a body that is handed out. Raises Unreadable."""
        ...


class Taking:
    """One exchange's reply.

    `handed` holds the pieces of a body that the exchange asks for itself; `enough`: it wants no more of the body.
    """

    __slots__ = ("enough", "handed", "reader", "talk")

    def __init__(self, talk: Talk) -> None:
        self.talk: Final = talk
        self.reader: Final = ReplyReader()
        self.handed: deque[bytes] | None = None
        self.enough: bool = False

    def take(self, data: bytes) -> bool:
        """Take in some bytes; gives whether who waits for the reply, or for more of its body, is to be told.

        Raises:
            Broken, Unreadable: what came before the fault is taken in.
        """
        talk, reader = self.talk, self.reader
        pieces: list[bytes] = []
        broken: Broken | Unreadable | None = None
        before = reader.head
        try:
            reader.feed(data, pieces)
        except (Broken, Unreadable) as error:
            broken = error
        if before is None and reader.head is not None:
            talk.progress.mark(HEADED)
            if talk.headed(reader.head):
                self.handed = deque()
        if self.handed is not None:
            self.handed.extend(pieces)
        elif any(talk.took(piece) for piece in pieces):
            self.enough = True
            return True
        if broken is not None:
            raise broken
        if self.handed is not None:
            return True
        if reader.done:
            talk.ended()
        return reader.done

    def cut(self, error: Exception | None) -> Exception | None:
        """The connection ended before the reply did; gives what that means: None where it was the body's end."""
        reader = self.reader
        if reader.to_the_end and error is None:
            reader.done = True
            if self.handed is None:
                self.talk.ended()
            return None
        reused = CONNECTING not in self.talk.progress.at
        return Stale() if reused and not reader.seen else error or ConnectionResetError()

    @property
    def clean(self) -> bool:
        """Whether nothing is left of the exchange that could reach the next one."""
        head, reader = self.reader.head, self.reader
        whole = reader.done and not reader.excess and head is not None and head.keeps and self.talk.progress.sent
        return whole and head is not None and 200 <= head.status < 600
