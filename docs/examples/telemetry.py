"""Hooks in OpenTelemetry: a span for every firing and every attempt, and two metrics. Needs opentelemetry-api.

    HookEngine("sqlite:///hooks.db", observers=[Telemetry()])

Observers are told afterwards, so spans are made with the times of what happened. They are told in the context of the
call that fired, so the spans are children of the request's own span, where there is one.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from hookrow import AttemptObserved, FiringObserved

__all__ = ["Telemetry"]


class Telemetry:
    """Feeds the providers that the service has set up, or those given here."""

    def __init__(
        self, traces: trace.TracerProvider | None = None, figures: metrics.MeterProvider | None = None
    ) -> None:
        self.tracer = trace.get_tracer("hookrow", tracer_provider=traces)
        meter = metrics.get_meter("hookrow", meter_provider=figures)
        self.firings = meter.create_counter("hookrow.firings", description="Firings, by event and outcome")
        self.durations = meter.create_histogram(
            "hookrow.attempt.duration", unit="s", description="Duration of requests to receivers"
        )

    def on_firing(self, seen: FiringObserved) -> None:
        """A span `fire EVENT` and one more in the counter."""
        self.firings.add(1, {"hookrow.event": seen.event, "hookrow.outcome": seen.outcome})
        span = self.tracer.start_span(
            f"fire {seen.event}",
            start_time=seen.at_ms * 1_000_000,
            attributes={
                "hookrow.firing.id": seen.id,
                "hookrow.outcome": seen.outcome,
                "hookrow.hooks": len(seen.hooks),
                "hookrow.refused_by": seen.refused_by.key if seen.refused_by else "",
            },
        )
        if seen.error is not None:
            span.set_status(Status(StatusCode.ERROR, seen.error))
        span.end((seen.at_ms + seen.ms) * 1_000_000)

    def on_attempt(self, seen: AttemptObserved) -> None:
        """A client span `POST` and its duration."""
        known = {"hookrow.event": seen.event, "hookrow.hook": seen.hook.key, "hookrow.outcome": seen.outcome}
        self.durations.record(seen.ms / 1000, known)
        receiver = urlsplit(f"//{seen.host}")  # also `[::1]:8080`
        span = self.tracer.start_span(
            "POST",
            kind=SpanKind.CLIENT,
            start_time=seen.at_ms * 1_000_000,
            attributes={
                **known,
                "hookrow.firing.id": seen.firing_id,
                "hookrow.delivery.id": seen.delivery_id,
                "http.request.method": "POST",
                "http.request.resend_count": seen.number - 1,
                "http.response.status_code": seen.status or 0,
                "server.address": receiver.hostname or "",
                "server.port": receiver.port or 0,
            },
        )
        if seen.error is not None:
            span.set_status(Status(StatusCode.ERROR, seen.error))
        span.end((seen.at_ms + seen.ms) * 1_000_000)
