"""Which of the rows that a worker holds is sent next, and how many of a hook at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from hookrow.store.outbox import Claimed

__all__ = ["Held", "Slots"]


@dataclass(slots=True)
class Held:
    """A row that this process may send, until when by the monotonic clock, and for how long from its last renewal.

    Both in seconds.
    """

    claimed: Claimed
    until: float
    length: float


class Slots:
    """The rows that are held and those in flight, hook by hook."""

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self.held: dict[int, deque[Held]] = {}
        self.flying: dict[int, int] = {}
        self.in_flight: int = 0
        """The sum of them."""
        self.well: dict[int, bool] = {}
        self.shut: Collection[int] = frozenset()
        """The hooks that can't be sent to from here."""

    def hold(self, rows: Iterable[Claimed], lease_now: int, started: float) -> None:
        """Hold rows that were leased from `lease_now` by the clock of leases, `started` by the monotonic one."""
        for claimed in rows:
            length = (claimed.lease_ms - lease_now) / 1000
            queue = self.held.setdefault(claimed.hook_id, deque())
            held = Held(claimed, started + length, length)
            if claimed.takeovers:  # its claim says that it begins at once
                queue.appendleft(held)
            else:
                queue.append(held)

    def unsent(self) -> list[Held]:
        """All that is held."""
        return [held for queue in self.held.values() for held in queue]

    def let_go(self, lost: Collection[int]) -> None:
        """Hold these rows (ids) no longer."""
        kept = {hook: deque(each for each in q if each.claimed.row_id not in lost) for hook, q in self.held.items()}
        self.held = {hook: queue for hook, queue in kept.items() if queue}

    def busy(self, hook: int) -> int:
        """How many of the hook's requests are in flight."""
        return self.flying.get(hook, 0)

    def cap(self, hook: int) -> int:
        """How many slots a hook may use.

        All while its last attempt was a quick success; else half of what other hooks leave that are not well either, at
        least one. A hook that was not tried yet is not known to be well.
        """
        if self.well.get(hook, False):
            return self.concurrency
        others = sum(count for other, count in self.flying.items() if other != hook and not self.well.get(other, False))
        return max((self.concurrency - others) // 2, 1)

    def allowances(self) -> dict[int, int]:
        """How many rows more a claim may bring of each hook that is known here."""
        known = {*self.held, *self.flying, *self.well}
        found = {hook: self.most(hook) - self.busy(hook) - len(self.held.get(hook, ())) for hook in known}
        return {**found, **dict.fromkeys(self.shut, 0)}

    def most(self, hook: int) -> int:
        """How many rows of a hook may be in flight and held, where they are claimed: a well one's next ones, too."""
        return self.cap(hook) * (2 if self.well.get(hook, False) else 1)

    def spare(self, hook: int) -> int:
        """How many rows of a hook may come with results; from any thread. One, of a hook that is not known to be well,
        where it has none here: a receiver that is dead must not gather rows that other workers could send."""
        if self.well.get(hook, False):
            return self.concurrency
        return 0 if hook in self.flying or hook in self.held or hook in self.shut else 1

    def wanted(self) -> int:
        """How many rows a claim may bring: for the free slots, and for each slot the next one, so that none waits."""
        held = sum(min(len(queue), max(self.most(hook) - self.busy(hook), 0)) for hook, queue in self.held.items())
        return 2 * self.concurrency - self.in_flight - held

    def wanting(self) -> bool:
        """Whether it is time to claim: a slot is free for a row more, or half of them have no next one."""
        return self.room() > 0 or self.wanted() >= max(self.concurrency // 2, 1)

    def room(self) -> int:
        """How many rows more could start now, beside those that are held and could."""
        free = self.concurrency - self.in_flight
        return free - sum(
            min(len(queue), max(self.cap(hook) - self.busy(hook), 0)) for hook, queue in self.held.items()
        )

    def beginning(self) -> dict[int, int]:
        """How many requests could begin now, of each hook that is known here."""
        room = max(self.room(), 0)
        return {hook: min(self.cap(hook) - self.busy(hook), room) for hook in {*self.held, *self.flying, *self.well}}

    def next(self) -> Held | None:
        """Take a slot for the next row that may start, hooks in turn; None if there is none."""
        if self.in_flight >= self.concurrency:
            return None
        for hook, queue in self.held.items():
            if self.busy(hook) < self.cap(hook):
                found = queue.popleft()
                if not queue:
                    del self.held[hook]
                elif len(self.held) > 1:  # to the end of the line, so that the next row is another hook's
                    del self.held[hook]
                    self.held[hook] = queue
                self.flying[hook] = self.busy(hook) + 1
                self.in_flight += 1
                return found
        return None

    def free(self, hook: int) -> None:
        """A request has ended: its slot is free."""
        self.in_flight -= 1
        left = self.busy(hook) - 1
        if left:
            self.flying[hook] = left
        else:
            del self.flying[hook]
