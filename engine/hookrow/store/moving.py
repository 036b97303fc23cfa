"""The order of an event's hooks: one of them moved among the others, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import Connection, select

from hookrow.errors import HookNotFound, InvalidHook, Problem
from hookrow.lang import Text
from hookrow.store.configuration.revisions import Author
from hookrow.store.database.tables import HOOKS
from hookrow.store.hooks import LAST_POSITION, change, hold_order, places

__all__ = ["Goal", "move", "numbers"]

Places = Sequence[tuple[int, int]]
"""Position and id of an event's hooks, in the order in which they run."""


@dataclass(frozen=True, slots=True)
class Goal:
    """Where a hook is to go: before or after the hook of this id, or so many places later (negative: earlier)."""

    before: int | None = None
    after: int | None = None
    by: int | None = None

    @property
    def beside(self) -> int | None:
        """The other hook, if one was named."""
        return self.after if self.before is None else self.before


def move(connection: Connection, number: int, goal: Goal, author: Author) -> None:
    """Give a hook its new place; every hook whose number changes gets a revision `move`.

    Raises:
        HookNotFound: it, or the hook it is to stand beside, does not exist or is deleted.
        InvalidHook: that one is of another event, or is the hook itself; or there is no number left.
    """
    event = connection.execute(select(HOOKS.c.event).where(HOOKS.c.id == number)).scalar()
    if event is not None:
        hold_order(connection, event)
    row = places(connection, event)
    ids = {each for _, each in row}
    if number not in ids:
        raise HookNotFound(Text("there is no hook {ref}", ref=number))
    if goal.beside is not None and goal.beside not in ids:
        raise refused(Text("both hooks must be of one event"))
    for each, position in numbers(row, number, goal).items():
        change(connection, each, {"position": position}, author, action="move")


def refused(text: Text) -> InvalidHook:
    return InvalidHook([Problem("position", text)])


def numbers(row: Places, moved: int, goal: Goal) -> Mapping[int, int]:
    """The positions that change, by id. The others' equal numbers stay equal, and the moved hook joins none of them."""
    now = next(place for place, (_, number) in enumerate(row) if number == moved)
    others = [each for each in row if each[1] != moved]
    place = wanted_place(others, now, moved, goal)
    if place == now:
        return {}
    if 0 < place < len(others) and others[place - 1][0] == others[place][0]:
        place = beyond(others, place, later=goal.after is not None or (goal.by or 0) > 0)
        if place == now:
            return {}
    low = others[place - 1][0] if place else -1
    high = others[place][0] if place < len(others) else LAST_POSITION + 1
    if high - low > 1:
        return {moved: between(low, high)}
    return renumbered(row, others, place, moved)


def wanted_place(others: Places, now: int, moved: int, goal: Goal) -> int:
    """How many of the other hooks are to run before it."""
    if goal.by is not None:
        return max(0, min(now + goal.by, len(others)))
    if goal.beside == moved:
        raise refused(Text("a hook can't be moved before or after itself"))
    place = next(place for place, (_, number) in enumerate(others) if number == goal.beside)
    return place + (goal.after is not None)


def beyond(others: Places, place: int, *, later: bool) -> int:
    """The nearest place outside hooks that share one number."""
    shared = others[place][0]
    inside = [number for number, (position, _) in enumerate(others) if position == shared]
    return inside[-1] + 1 if later else inside[0]


def between(low: int, high: int) -> int:
    """A free number: a ten after the last hook, else the roundest near the middle."""
    if high > LAST_POSITION and (ten := low // 10 * 10 + 10) <= LAST_POSITION:
        return ten
    low = max(low, 0) if high > 1 else low  # before 0 nothing would fit any more
    middle = (low + high) // 2
    for step in (10, 5):
        round_ones = [number for number in (middle // step * step, middle // step * step + step) if low < number < high]
        if round_ones:
            return min(round_ones, key=lambda number: abs(number - middle))
    return middle


def renumbered(row: Places, others: Places, place: int, moved: int) -> Mapping[int, int]:
    """New numbers for the whole event, by tens where there is room for tens."""
    groups = [[number for _, number in group] for _, group in groupby(others, key=lambda each: each[0])]
    ends = [sum(map(len, groups[:count])) for count in range(len(groups) + 1)]
    groups.insert(ends.index(place), [moved])
    step = min(10, LAST_POSITION // len(groups))
    if not step:
        raise refused(Text("this event has no free number left"))
    new = {number: step * count for count, group in enumerate(groups, 1) for number in group}
    return {number: new[number] for position, number in row if new[number] != position}
