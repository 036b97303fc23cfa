"""Which rows the log shows: millions of ids, a few firings in memory, a cursor that stands on an id. Pure.

Only the newest ids are known at first; older ones are added as they are read. What the cursor stands on and what stands
at the top of the window are remembered by id, so rows that come or go elsewhere move nothing.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hookrow_tui.presenters.log.rows import LogRow

__all__ = ["Ids", "LogList", "Place", "WindowLine"]

KEPT = 600
"""Firings whose lines are kept in memory."""
MARGIN = 30
"""Firings beyond the window that are read ahead."""


class Ids:
    """Row ids, newest first; an index is a place in the log. Eight bytes each."""

    def __init__(self) -> None:
        self.old: array[int] = array("q")
        """Newest first; grows at its end while the log is being read."""
        self.fresh: list[int] = []
        """What came since, oldest first."""

    def __len__(self) -> int:
        return len(self.fresh) + len(self.old)

    def __getitem__(self, index: int) -> int:
        fresh = len(self.fresh)
        return self.fresh[fresh - 1 - index] if index < fresh else self.old[index - fresh]

    def whole(self) -> array[int]:
        """All of them, newest first."""
        return array("q", reversed(self.fresh)) + self.old

    def add_older(self, ids: Sequence[int]) -> None:
        """Ids below all that are known, newest first."""
        if ids and self.old and ids[0] >= self.old[-1]:
            ids = [each for each in ids if each < self.old[-1]]
        self.old.extend(ids)

    def add_newest(self, ids: Iterable[int]) -> int:
        """A window of the newest ids, read again: what is not known yet is put where it belongs, however late it became
        visible (PostgreSQL). Gives how many were new."""
        new = 0
        for number in ids:
            if self.index(number) is not None:
                continue
            new += 1
            if self.old and number < self.old[0]:
                self.old.insert(self.place(number) - len(self.fresh), number)
            else:
                insort(self.fresh, number)
        return new

    def remove(self, number: int) -> None:
        """Forget an id."""
        place = self.index(number)
        if place is None:
            return
        if place < len(self.fresh):
            self.fresh.remove(number)
        else:
            del self.old[place - len(self.fresh)]

    def place(self, number: int) -> int:
        """Where this id stands, or the next older one would."""
        fresh = self.fresh
        newer = len(fresh) - bisect_left(fresh, number)
        if newer and fresh[-newer] == number:
            return newer - 1
        return newer + bisect_left(self.old, -number, key=int.__neg__)

    def index(self, number: int) -> int | None:
        """The place of this id, None if it is not known."""
        place = self.place(number)
        return place if place < len(self) and self[place] == number else None


@dataclass(frozen=True, slots=True)
class Place:
    """A line: the firing's row id, and which line of it (0 is the firing)."""

    firing: int
    line: int = 0


@dataclass(frozen=True, slots=True)
class WindowLine:
    """A line in the window. `row` is None while it is being read, or if it was purged."""

    place: Place
    row: LogRow | None
    cursor: bool
    marked: bool


class LogList:
    """The window over the log."""

    def __init__(self) -> None:
        self.ids = Ids()
        self.blocks: OrderedDict[int, tuple[LogRow, ...]] = OrderedDict()
        self.marks: set[int] = set()
        self.top: Place | None = None
        self.cursor: Place | None = None
        self.following = True
        self.seen = 0
        """The newest id that was on the screen."""

    # What is known

    def clear(self) -> None:
        """Forget every id: another filter holds. Marks stay."""
        self.ids = Ids()
        self.top = self.cursor = None
        self.seen = 0

    def learn(self, blocks: Iterable[tuple[LogRow, ...]]) -> None:
        """The lines of some firings, read now."""
        for block in blocks:
            self.blocks[block[0].firing] = block
            self.blocks.move_to_end(block[0].firing)
        while len(self.blocks) > KEPT:
            self.blocks.popitem(last=False)
        self.settle()

    def gone(self, ids: Iterable[int]) -> None:
        """These firings were purged meanwhile: they leave the list."""
        for number in ids:
            self.ids.remove(number)
            self.blocks.pop(number, None)
        self.settle()

    def older(self, ids: Sequence[int]) -> None:
        """The next older ids."""
        self.ids.add_older(ids)
        self.settle()

    def newest(self, ids: Iterable[int]) -> int:
        """The newest ids, read again. While following, window and cursor go with them. Gives how many were new."""
        new = self.ids.add_newest(ids)
        if self.following and len(self.ids):
            self.home()
        self.settle()
        return new

    def settle(self) -> None:
        """Keep cursor and window on lines that exist."""
        if not len(self.ids):
            self.top = self.cursor = None
            return
        self.cursor = self.nearest(self.cursor)
        self.top = self.nearest(self.top)
        self.seen = self.seen or self.ids[0]

    def nearest(self, place: Place | None) -> Place:
        if place is None:
            return Place(self.ids[0])
        index = min(self.ids.place(place.firing), len(self.ids) - 1)
        number = self.ids[index]
        return Place(number, min(place.line, self.height(number) - 1) if number == place.firing else 0)

    def height(self, number: int) -> int:
        """Lines of a firing; one as long as it was not read."""
        block = self.blocks.get(number)
        return len(block) if block else 1

    def row(self, place: Place | None) -> LogRow | None:
        """What stands there, if it was read."""
        block = self.blocks.get(place.firing) if place else None
        return block[place.line] if place and block and place.line < len(block) else None

    @property
    def missed(self) -> int:
        """How many firings are newer than all that was shown."""
        return self.ids.place(self.seen) if self.seen and len(self.ids) else 0

    # Moving

    def step(self, place: Place, lines: int) -> Place:
        """The line so many lines further down (negative: up), or the last one in that direction."""
        index = self.ids.place(place.firing)
        at = place.line
        while lines > 0:
            left = self.height(self.ids[index]) - 1 - at
            if lines <= left:
                return Place(self.ids[index], at + lines)
            if index + 1 >= len(self.ids):
                return Place(self.ids[index], at + left)
            lines -= left + 1
            index, at = index + 1, 0
        while lines < 0:
            if at + lines >= 0:
                return Place(self.ids[index], at + lines)
            if index == 0:
                return Place(self.ids[0])
            lines += at + 1
            index -= 1
            at = self.height(self.ids[index]) - 1
        return Place(self.ids[index], at)

    def go(self, place: Place, height: int) -> None:
        """Put the cursor there and bring it into a window of this height. Away from the newest row nothing follows."""
        self.cursor = place
        self.following = self.following and place == Place(self.ids[0])
        self.reveal(height)

    def move(self, lines: int, height: int) -> None:
        """Move the cursor by lines."""
        if self.cursor is not None:
            self.go(self.step(self.cursor, lines), height)

    def home(self) -> None:
        """To the newest."""
        if len(self.ids):
            self.top = self.cursor = Place(self.ids[0])
            self.seen = self.ids[0]

    def follow(self, on: bool) -> None:
        """Go with the newest rows from now on, or stay."""
        self.following = on
        if on:
            self.home()

    def reveal(self, height: int) -> None:
        """Scroll as little as brings the cursor into the window."""
        if self.top is None or self.cursor is None:
            return
        if self.before(self.cursor, self.top):
            self.top = self.cursor
        else:
            lowest = self.step(self.cursor, 1 - height)
            if self.before(self.top, lowest):
                self.top = lowest
        if self.top.firing == self.ids[0]:
            self.seen = self.ids[0]

    def before(self, one: Place, other: Place) -> bool:
        """Whether `one` stands above `other`."""
        return (-one.firing, one.line) < (-other.firing, other.line)

    # What is drawn

    def shown(self, height: int) -> list[WindowLine]:
        """The lines of a window of this height."""
        lines: list[WindowLine] = []
        if self.top is None:
            return lines
        index, at = self.ids.place(self.top.firing), self.top.line
        while len(lines) < height and index < len(self.ids):
            number = self.ids[index]
            block = self.blocks.get(number)
            for line in range(at, len(block) if block else 1):
                place = Place(number, line)
                row = block[line] if block else None
                lines.append(WindowLine(place, row, place == self.cursor, line == 0 and number in self.marks))
            index, at = index + 1, 0
        return lines[:height]

    def wanted(self, height: int, *, again: bool = False) -> list[int]:
        """Ids in and around the window that have to be read; with `again` also those in it that were."""
        if self.top is None:
            return []
        index = self.ids.place(self.top.firing)
        wanted = []
        for place in range(max(0, index - MARGIN), min(len(self.ids), index + height + MARGIN)):
            number = self.ids[place]
            if number not in self.blocks or (again and index <= place <= index + height):
                wanted.append(number)
        return wanted

    def failure(self, step: int, height: int) -> bool:
        """Put the cursor on the next line above (-1) or below (+1) that needs somebody's eyes, among those in memory.

        False if there is none before the edge of what was read.
        """
        if self.cursor is None:
            return False
        place = self.cursor
        while True:
            further = self.step(place, step)
            if further == place or further.firing not in self.blocks:
                return False
            place = further
            row = self.row(place)
            if row is not None and row.failing and (place.line > 0 or self.height(place.firing) == 1):
                self.go(place, height)
                return True

    def thumb(self, height: int) -> int:
        """The line at which the window stands in the whole log."""
        if self.top is None or len(self.ids) < 2:
            return 0
        return round(self.ids.place(self.top.firing) / (len(self.ids) - 1) * (height - 1))
