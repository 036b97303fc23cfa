"""Observers: told of every firing and every attempt, for metrics and traces. None can break or delay a firing.

    class Count:
        def on_firing(self, seen: FiringObserved) -> None:
            firings.labels(seen.event, seen.outcome).inc()

        def on_attempt(self, seen: AttemptObserved) -> None:
            seconds.labels(seen.hook.key, seen.outcome).observe(seen.ms / 1000)

    engine = HookEngine(url, observers=[Count()])

Each observer has a thread of its own, in which it is told what happened, one record after another, inside a copy of
the context (`contextvars`) of what it tells of, so that a trace finds its parent. It may be as slow as it likes: up to
`MOST` records wait for it, further ones are dropped, and a warning says how many. What it raises is logged. Closing the
engine waits for it `LAST` seconds at most. A child of fork begins with an empty queue.

The records hold no payload, no body, no header and no credentials; of a URL what the log shows of it.

An observer may have more: `on_delivery` and `on_commit`, told in the same way; `begin_firing` and `begin_attempt`
(`Tracer`), which are asked in the caller's thread, since a request carries the id of its span. What it lacks it is not
told.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from typing import Any, Final, Protocol

from hookrow.errors import EngineClosed, StorageError
from hookrow.hook.stored import HookRef
from hookrow.records import Firing

__all__ = [
    "LAST",
    "MOST",
    "AttemptObserved",
    "DeliveryObserved",
    "FiringObserved",
    "HookOutcome",
    "Labels",
    "Observer",
    "OpenSpan",
    "Tracer",
    "Watch",
]

log: Final = logging.getLogger("hookrow")
MOST = 10_000
"""Records that wait for one observer."""
OTHER: Final = "other"
LAST = 2.0
"""Seconds that closing the engine waits for an observer to take what is left."""


@dataclass(frozen=True, slots=True)
class HookOutcome:
    """One hook's share of a firing, as it ended.

    `outcome` is a delivery's (`ok`, `changed`, `vetoed`, `failed`, `queued`, `skipped`, …); `reason` says why it
    was left out or failed (`condition_false`, `timeout`, …), else None. `ms` is a blocking hook's time in milliseconds.
    """

    hook: HookRef
    mode: str
    outcome: str
    reason: str | None = None
    ms: int | None = None

    @property
    def ended(self) -> bool:
        """Nothing more becomes of it: it is neither queued nor kept back."""
        return self.outcome not in ("queued", "parked") and self.reason != "not_enqueued"


@dataclass(frozen=True, slots=True)
class FiringObserved:
    """One `fire()` that had hooks, as it ended. Moments in milliseconds since 1970, `ms` how long it took.

    `outcome` is `allowed`, `vetoed`, `failed` or `cancelled`; `refused_by` the hook that refused, `code` its code or,
    where it failed, the error's word. `recorded` is false where the record is not committed: the database failed
    (`error` is then the error's class name), or it was written through the caller's connection and goes with its
    transaction, which may still be rolled back. `reused`: the outcome of an earlier call with the same key.
    `traceparent` is that of the firing (W3C Trace Context), `span` what `begin_firing` gave.
    """

    id: str
    event: str
    moment: str
    at_ms: int
    ms: int
    outcome: str
    hooks: tuple[HookOutcome, ...] = ()
    refused_by: HookRef | None = None
    code: str = ""
    recorded: bool = True
    error: str | None = None
    reused: bool = False
    replay_of: str | None = None
    traceparent: str | None = None
    span: OpenSpan | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(
        cls, firing: Firing, *, recorded: bool = True, error: Exception | None = None, span: OpenSpan | None = None
    ) -> FiringObserved:
        """What may be told of a firing."""
        veto, error = firing.veto, firing.error or error
        return cls(
            id=firing.id,
            event=firing.event,
            moment=firing.moment,
            at_ms=firing.at_ms,
            ms=firing.ms or 0,
            outcome=firing.outcome or "allowed",
            hooks=tuple(
                HookOutcome(each.hook, each.mode, each.outcome, each.skipped or each.error, each.ms)
                for each in firing.deliveries
            ),
            refused_by=None if veto is None else veto.hook,
            code="" if veto is None else veto.code,
            recorded=recorded and error is None,
            error=None if error is None else type(error).__name__,
            reused=firing.reused,
            replay_of=firing.replay_of,
            traceparent=firing.traceparent,
            span=span,
        )


@dataclass(frozen=True, slots=True)
class AttemptObserved:
    """One HTTP request that ended, whatever came of it; one whose caller was cancelled is not told.

    `number` counts from 1 within the delivery; `origin` is `fire`, `worker` or `redeliver`; `elsewhere`: it went to
    another URL than the hook's; `test`: it was marked as a test. `at_ms` in milliseconds since 1970, `ms` how long the
    whole exchange took. `outcome` is `ok`, `changed`, `vetoed`, `refused`, `sent` or `failed`, `error` the word of
    docs/reference/outcomes.md for a failure. `host` is the receiver's host, with the port where the URL names one;
    `url` the URL as the log has it, without credentials, the values of its query masked. `traceparent` is what the
    request carried, `span` what `begin_attempt` gave.
    """

    delivery_id: str
    firing_id: str
    event: str
    hook: HookRef
    mode: str
    number: int
    origin: str
    host: str
    at_ms: int
    ms: int
    outcome: str
    status: int | None = None
    error: str | None = None
    elsewhere: bool = False
    test: bool = False
    url: str = ""
    traceparent: str | None = None
    span: OpenSpan | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class DeliveryObserved:
    """A background delivery that a worker has brought to its end: `outcome` is `ok`, `sent`, `failed` or `dead`.

    `attempts`: how many it took; `error` the last one's, a word of docs/reference/outcomes.md.
    """

    id: str
    firing_id: str
    event: str
    hook: HookRef
    mode: str
    outcome: str
    attempts: int
    error: str | None = None


class OpenSpan(Protocol):
    """A span under way. It ends with the record that carries it, or is abandoned."""

    @property
    def traceparent(self) -> str | None:
        """As receivers get it (W3C Trace Context, version 00); None: nothing of it is sent."""
        ...

    def abandon(self, error: str, /) -> None:
        """There will be no record; `error` is the word or class of what ended it."""
        ...


class Tracer(Protocol):
    """What an observer has that makes spans. Of several observers the first one's spans are sent to receivers.

    Moments are in milliseconds since 1970. What these raise is logged, and the firing goes on without a span.
    """

    def begin_firing(
        self, event: str, at_ms: int, *, traceparent: str | None, chosen: bool, replayed: str | None
    ) -> OpenSpan:
        """A firing begins, in the context of who fires.

        Args:
            traceparent: of its call; where it is `chosen` by who fires, it stands above the span that is current.
                Chosen and None: the firing has nothing to do with what is current.
            replayed: that of the firing which is replayed.
        """
        ...

    def begin_attempt(self, hook: HookRef, origin: str, at_ms: int, *, traceparent: str | None) -> OpenSpan:
        """A request is about to be made; `traceparent`: its firing's."""
        ...


class Labels:
    """Names of hooks as labels of metrics: the first `most` have their own, all others are `other`."""

    def __init__(self, most: int) -> None:
        self.most: Final = most
        self.named: set[str] = set()

    def of(self, hook: str) -> str:
        """A hook's own label, or that of all beyond the bound."""
        if hook not in self.named and len(self.named) >= self.most:
            return OTHER
        self.named.add(hook)
        return hook


class UnderWay(Protocol):
    """A firing, as far as it has come."""

    @property
    def ended(self) -> Firing | None: ...

    def record(self) -> Firing: ...


class Observer(Protocol):
    """Told what happened, in a thread of its own. What it raises is logged; how long it takes delays nobody."""

    def on_firing(self, seen: FiringObserved, /) -> None:
        """A firing has ended."""
        ...

    def on_attempt(self, seen: AttemptObserved, /) -> None:
        """A request has ended."""
        ...


class Feed:
    """What waits for one observer, and the thread that tells it. The thread starts with the first record."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.waiting: deque[Callable[[], None]] = deque()
        self.changed: Final = threading.Condition()
        self.thread: threading.Thread | None = None
        self.dropped: int = 0
        self.failing: bool = False
        self.ended: bool = False

    def put(self, tell: Callable[[], None]) -> None:
        """Have this told; dropped where too much waits already."""
        with self.changed:
            if self.ended:
                return
            if len(self.waiting) >= MOST:
                self.dropped += 1
                return
            self.waiting.append(tell)
            if self.thread is None:
                thread = threading.Thread(target=self.run, name="hookrow-observer", daemon=True)
                with suppress(RuntimeError):  # there is no room for one: it is told later, or at the end
                    thread.start()
                    self.thread = thread
            self.changed.notify()

    def run(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.waiting or self.ended)
                if not self.waiting:
                    return
                tell = self.waiting.popleft()
                dropped, self.dropped = self.dropped, 0
            if dropped:
                log.warning("%s is too slow: %d records were dropped", type(self.observer).__name__, dropped)
            # In its own thread there is no Ctrl+C nor exit of a process: the next record is told whatever it raises.
            with self.excused(BaseException if self.thread is threading.current_thread() else Exception):
                tell()

    @contextmanager
    def excused(self, errors: type[BaseException] = Exception) -> Iterator[None]:
        """What it raises is said once, until it works again: it may fail for every firing."""
        try:
            yield
        except errors:
            if not self.failing:
                log.exception("the observer %s failed", type(self.observer).__name__)
            self.failing = True
        else:
            self.failing = False

    def end(self) -> None:
        """Take no more."""
        with self.changed:
            self.ended = True
            self.changed.notify()

    def join(self, seconds: float) -> None:
        """Wait until what is left is told, at most so long."""
        if self.thread is None:
            self.run()
        elif self.thread is not threading.current_thread():
            self.thread.join(seconds)


class Watch:
    """An engine's observers in one process."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self.feeds: Final = [Feed(observer) for observer in observers]
        self.until: float = inf
        self.of_firings: Final = self.that_have("on_firing")
        self.of_attempts: Final = self.that_have("on_attempt")
        self.of_deliveries: Final = self.that_have("on_delivery")
        self.of_commits: Final = self.that_have("on_commit")
        self.tracing: Final = next((feed for feed, _ in self.that_have("begin_firing")), None)

    def that_have(self, name: str) -> list[tuple[Feed, Callable[..., Any]]]:
        """The feeds of observers that have this method, and the method: no firing fails for one that is not there."""
        return [(feed, told) for feed in self.feeds if callable(told := getattr(feed.observer, name, None))]

    def begin(self, what: str, *given: object, **named: object) -> OpenSpan | None:
        """The span of a firing or an attempt that begins; None where nobody traces."""
        if self.tracing is None:
            return None
        with self.tracing.excused():
            begin: Callable[..., OpenSpan] | None = getattr(self.tracing.observer, f"begin_{what}", None)
            span = None if begin is None else begin(*given, **named)
            _ = span and span.traceparent  # what is no span fails here, not in the firing
            return span
        return None

    def abandon(self, span: OpenSpan | None, error: BaseException) -> None:
        """Nothing will be told of what the span stands for."""
        if span is not None and self.tracing is not None:
            cancelled = isinstance(error, (asyncio.CancelledError, EngineClosed, KeyboardInterrupt, SystemExit))
            word = "cancelled" if cancelled else type(error).__name__
            self.tracing.put(lambda: span.abandon(word))

    @contextmanager
    def observing(self, firing: UnderWay, span: OpenSpan | None, *, recorded: bool = True) -> Iterator[None]:
        """Tell all how a firing ends."""
        try:
            yield
        except StorageError as error:
            known = error.firing or replace(firing.record(), outcome="failed")
            self.firing(FiringObserved.of(known, error=error, span=span))
            raise
        except (asyncio.CancelledError, EngineClosed, KeyboardInterrupt, SystemExit):
            self.firing(FiringObserved.of(replace(firing.record(), outcome="cancelled"), span=span))
            raise
        except BaseException as error:
            self.abandon(span, error)
            raise
        if firing.ended is not None:
            self.firing(FiringObserved.of(firing.ended, recorded=recorded, span=span))

    def delivery(self, seen: DeliveryObserved) -> None:
        """Tell those who ask for it of a delivery that ended, from any thread."""
        for feed, told in self.of_deliveries:
            feed.put(partial(told, seen))

    def commit(self, seconds: float) -> None:
        """Tell those who ask for it how long a commit took, from any thread."""
        for feed, told in self.of_commits:
            feed.put(partial(told, seconds))

    def firing(self, seen: FiringObserved) -> None:
        """Tell all of a firing, from any thread."""
        for feed, told in self.of_firings:
            feed.put(partial(contextvars.copy_context().run, told, seen))

    def attempt(self, seen: AttemptObserved) -> None:
        """Tell all of an attempt, from any thread."""
        for feed, told in self.of_attempts:
            feed.put(partial(contextvars.copy_context().run, told, seen))

    def close(self) -> None:
        """Let each take what is left, within `LAST` seconds, all together, however often this is called."""
        self.until = min(self.until, time.monotonic() + LAST)  # noqa: TID251 (a test's clock may stand still)
        for feed in self.feeds:
            feed.end()
        for feed in self.feeds:
            feed.join(max(self.until - time.monotonic(), 0))  # noqa: TID251
