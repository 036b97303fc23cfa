"""What Prometheus is told: counters and a histogram of what this process saw, gauges of what the database holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from hookrow.core.blocking import HookEngine
from hookrow.core.engine import AsyncHookEngine
from hookrow.core.log import Log
from hookrow.errors import EngineClosed, InvalidInput, Problem, StorageError
from hookrow.lang import Text
from hookrow.observers import AttemptObserved, DeliveryObserved, FiringObserved, Labels

__all__ = ["Metrics", "Scrape", "client"]

HOOKS = 100
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
COMMITS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
GAUGES = {
    "hookrow_up": "1 if the database could be read",
    "hookrow_queued_deliveries": "Deliveries that wait or are being sent; counted up to 1001",
    "hookrow_oldest_due_seconds": "How long the oldest due delivery has waited; 0 if none is due",
    "hookrow_dead_deliveries": "Dead deliveries; counted up to 1001",
    "hookrow_failing_hooks": "Hooks whose last calls all failed",
    "hookrow_paused_hooks": "Paused hooks, by who paused them",
}


def client() -> Any:
    """The library. Raises InvalidInput: it is not installed."""
    try:
        import prometheus_client  # an extra
        import prometheus_client.core
    except ImportError:
        text = Text("This needs prometheus-client: install hookrow[metrics].")
        raise InvalidInput([Problem("metrics", text)]) from None
    return prometheus_client


class Metrics:
    """An observer that counts for Prometheus."""

    def __init__(self, *, hooks: int = HOOKS) -> None:
        """Begin at 0.

        Args:
            hooks: how many hooks have labels of their own; all others are counted as `other`.

        Raises:
            InvalidInput: prometheus-client is not installed.
        """
        library = client()
        self.labels: Final = Labels(hooks)
        self.firings: Final = library.Counter(
            "hookrow_firings", "Firings that had hooks", ["event", "outcome"], registry=None
        )
        self.attempts: Final = library.Counter(
            "hookrow_attempts", "Requests to receivers", ["hook", "origin", "outcome"], registry=None
        )
        self.deliveries: Final = library.Counter(
            "hookrow_deliveries", "Deliveries that ended", ["hook", "outcome"], registry=None
        )
        self.commits: Final = library.Histogram(
            "hookrow_commit_seconds", "Duration of commits", registry=None, buckets=COMMITS
        )
        self.seconds: Final = library.Histogram(
            "hookrow_attempt_seconds", "Duration of requests to receivers", ["hook"], registry=None, buckets=SECONDS
        )

    def register(self, engine: HookEngine | AsyncHookEngine, registry: Any = None) -> None:
        """Have a registry ask for all of it; without one it is prometheus_client's own.

        The gauges read the engine's database at each scrape, in the thread that scrapes.
        """
        (registry or client().REGISTRY).register(Scrape(self, engine))

    def on_firing(self, seen: FiringObserved) -> None:
        """One more, and the deliveries that ended with it."""
        self.firings.labels(seen.event, seen.outcome).inc()
        for share in seen.hooks:
            if share.ended and not seen.reused:
                self.deliveries.labels(self.labels.of(share.hook.key), share.outcome).inc()

    def on_attempt(self, seen: AttemptObserved) -> None:
        """One more, and how long it took."""
        hook = self.labels.of(seen.hook.key)
        self.attempts.labels(hook, seen.origin, seen.outcome).inc()
        self.seconds.labels(hook).observe(seen.ms / 1000)

    def on_delivery(self, seen: DeliveryObserved) -> None:
        """One more that a worker has brought to its end."""
        self.deliveries.labels(self.labels.of(seen.hook.key), seen.outcome).inc()

    def on_commit(self, seconds: float) -> None:
        """How long it took."""
        self.commits.observe(seconds)


class Scrape:
    """What a registry asks: the counters, and the database as it is at that moment."""

    def __init__(self, metrics: Metrics, engine: HookEngine | AsyncHookEngine) -> None:
        self.metrics = metrics
        self.log: Final = Log(engine.runtime)

    def describe(self) -> list[Any]:
        """Nothing beforehand: to be registered needs no database."""
        return []

    def collect(self) -> Iterator[Any]:
        try:
            found = self.figures()
        except EngineClosed:  # the registry has more than ours, and it may have the engine that came in its place
            return
        except StorageError:
            found = {"hookrow_up": 0.0}
        counted = self.metrics
        for each in (counted.firings, counted.deliveries, counted.attempts, counted.seconds, counted.commits):
            yield from each.collect()
        gauge = client().core.GaugeMetricFamily
        for name, value in found.items():
            if isinstance(value, dict):
                family = gauge(name, GAUGES[name], labels=["by"])
                for by, count in sorted(value.items()):
                    family.add_metric([by], count)
                yield family
            else:
                yield gauge(name, GAUGES[name], value=value)

    def figures(self) -> dict[str, float | dict[str, int]]:
        """The gauges' values. Raises StorageError."""
        runtime, summary = self.log.runtime, self.log.summary()
        oldest, now_ms = summary.oldest_due_ms, runtime.database.clock.now_ms()
        paused: dict[str, int] = {}
        for hook in runtime.config().hooks.values():
            if hook.paused_by is not None and not hook.deleted:
                paused[hook.paused_by] = paused.get(hook.paused_by, 0) + 1
        return {
            "hookrow_up": 1.0,
            "hookrow_queued_deliveries": summary.queue,
            "hookrow_oldest_due_seconds": 0.0 if oldest is None else max(now_ms - oldest, 0) / 1000,
            "hookrow_dead_deliveries": summary.dead,
            "hookrow_failing_hooks": len(summary.failing),
            "hookrow_paused_hooks": paused,
        }
