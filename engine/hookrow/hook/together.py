"""Gates that are asked at the same time: which neighbours of a chain they are, and how long a chain may take.

The setting `together:EVENT` timings it on (docs/firing.md#gates-asked-together).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple, Protocol, TypeVar

from hookrow.hook.modes import WAITING

__all__ = ["MOST", "PREFIX", "Timing", "events_together", "longest", "runs", "timing_of"]

PREFIX: Final = "together:"
"""Of the setting's name; the event's code follows."""
MOST: Final = 32
"""Gates that are asked at the same time; as many requests at once as a worker makes."""


class Neighbour(Protocol):
    """What decides whether hooks that stand beside each other are asked together."""

    @property
    def position(self) -> int | None: ...
    @property
    def mode(self) -> str: ...
    @property
    def shadow(self) -> bool: ...


class Timed(Neighbour, Protocol):
    """A hook, for how long its turn may take."""

    @property
    def timeout(self) -> float: ...


class Timing(NamedTuple):
    """A hook's turn, for how long it may take: `seconds` are 0 where the operation does not wait for it."""

    position: int | None
    mode: str
    shadow: bool
    idle: bool
    """It is left out whatever the payload is: off, expired."""
    seconds: float


H = TypeVar("H", bound=Neighbour)


def events_together(settings: Mapping[str, str]) -> frozenset[str]:
    """The codes of the events whose gates are asked together, of the settings as they are stored."""
    return frozenset(
        name.removeprefix(PREFIX) for name, value in settings.items() if name.startswith(PREFIX) and value == "on"
    )


def runs(hooks: Iterable[H], idle: Callable[[H], bool]) -> Iterator[list[H]]:
    """A chain in parts: gates of one position that stand side by side are one part, every other hook is its own.

    A hook that is idle and a hook in shadow part nobody: neither can change what the next one sees. Behind `MOST`
    gates the next part begins.
    """
    part: list[H] = []
    asked = 0
    for hook in hooks:
        unasked = (hook.shadow and hook.mode in WAITING) or idle(hook)
        joins = unasked or hook.mode == "gate"
        if part and not (joins and hook.position == part[0].position and (unasked or asked < MOST)):
            yield part
            part, asked = [], 0
        if joins:
            part.append(hook)
            asked += not unasked
        else:
            yield [hook]
    if part:
        yield part


def timing_of(hook: Timed, *, idle: bool) -> Timing:
    """A hook's turn, as it stands in its event's chain."""
    waits = hook.mode in WAITING and not hook.shadow and not idle
    return Timing(hook.position, hook.mode, hook.shadow, idle, hook.timeout if waits else 0.0)


def longest(timings: Iterable[Timing], together: bool) -> float:
    """Seconds that an operation may wait for a chain; of gates that are asked together the slowest counts."""
    parts = runs(timings, lambda timing: timing.idle) if together else ([timing] for timing in timings)
    return float(sum(max(timing.seconds for timing in part) for part in parts))
