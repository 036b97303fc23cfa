"""Spans and metrics of OpenTelemetry: of what an engine fires, and of every request to a receiver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry import metrics, trace  # the extra `otel`
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from hookrow.hook.stored import HookRef
from hookrow.observers import AttemptObserved, DeliveryObserved, FiringObserved, Labels

__all__ = ["Telemetry"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds of the histograms' buckets, as the semantic conventions advise."""
NOT_SENT = ("key_error", "local_error")
"""Errors of attempts that made no request."""
PORTS = {"http": 80, "https": 443}


@dataclass(slots=True)
class BegunSpan:
    """A span under way; an attempt's has its delivery's `around` it."""

    span: Span
    start_ms: int
    around: Span | None = None

    @property
    def traceparent(self) -> str | None:
        """As receivers get it; None where nobody has set up traces."""
        return header_of(self.span.get_span_context())

    def abandon(self, error: str) -> None:
        """It ends without a record."""
        for each in (self.span, self.around):
            if each is not None:
                failed(each, error)
                each.end()

    def end(self, ms: int | None) -> None:
        """`ms`: how long it took; None: until now."""
        ended = None if ms is None else (self.start_ms + ms) * 1_000_000
        for each in (self.span, self.around):
            if each is not None:
                each.end(ended)


class Telemetry:
    """An observer that feeds OpenTelemetry, by the providers of the process or those given here.

    A firing's span is a child of the span in which it is fired; its requests belong to it, those of an hour later in
    another process, too. docs/observability.md has every name.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        *,
        hooks: int = 100,
    ) -> None:
        """Ask the providers for a tracer and a meter.

        Args:
            hooks: how many hooks have a name of their own in metrics; all others are counted as `other`.
        """
        self.tracer: Final = trace.get_tracer("hookrow", tracer_provider=tracer_provider)
        meter = metrics.get_meter("hookrow", meter_provider=meter_provider)
        self.labels: Final = Labels(hooks)
        self.requests: Final = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self.firings: Final = meter.create_histogram(
            "hookrow.firing.duration",
            unit="s",
            description="Duration of firings that had hooks.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self.deliveries: Final = meter.create_counter(
            "hookrow.deliveries", unit="{delivery}", description="Deliveries that ended, by outcome."
        )

    # -- in the caller's thread: what a request carries must be known before it leaves ---------------------------------

    def begin_firing(
        self, event: str, at_ms: int, *, traceparent: str | None, chosen: bool, replayed: str | None
    ) -> BegunSpan:
        """A firing begins: beneath the span that is current, or the one that its call names."""
        current = trace.get_current_span().get_span_context()
        within: Context | None = None  # what is current
        if traceparent is not None and not (current.is_valid and (not chosen or same_trace(current, traceparent))):
            within = context_of(traceparent, remote=True)
        elif traceparent is None and chosen:
            within = Context()
        links = [] if replayed is None else [trace.Link(span_context_of(replayed, remote=True))]
        span = self.tracer.start_span(
            f"fire {event}",
            context=within,
            links=links,
            start_time=at_ms * 1_000_000,
            attributes={"hookrow.event": event},
        )
        return BegunSpan(span, at_ms)

    def begin_attempt(self, hook: HookRef, origin: str, at_ms: int, *, traceparent: str | None) -> BegunSpan:
        """An attempt begins: the delivery's span, and the request's beneath it."""
        within: Context | None = None
        if traceparent is not None:
            within = context_of(traceparent, remote=origin != "fire")
        elif origin == "worker":
            within = Context()  # what is current there belongs to whoever runs the worker
        start = at_ms * 1_000_000
        around = self.tracer.start_span(
            f"deliver {hook.key}",
            context=within,
            kind=SpanKind.CONSUMER if origin == "worker" else SpanKind.INTERNAL,
            start_time=start,
            attributes={"hookrow.hook": hook.key},
        )
        span = self.tracer.start_span(
            "POST",
            context=trace.set_span_in_context(around, Context()),
            kind=SpanKind.CLIENT,
            start_time=start,
            attributes={"http.request.method": "POST"},
        )
        return BegunSpan(span, at_ms, around)

    # -- in the observer's own thread ----------------------------------------------------------------------------------

    def on_firing(self, seen: FiringObserved) -> None:
        """The firing's span ends; its duration, and the deliveries that ended with it, are counted."""
        if not seen.reused:
            self.firings.record(seen.ms / 1000, {"hookrow.event": seen.event, "hookrow.outcome": seen.outcome})
            for share in seen.hooks:
                if share.ended:
                    self.count(share.hook, share.outcome)
        if not isinstance(seen.span, BegunSpan):
            return
        span = seen.span.span
        attributes: dict[str, Any] = {
            "hookrow.firing.id": seen.id,
            "hookrow.outcome": seen.outcome,
            "hookrow.hooks": len(seen.hooks),
            "hookrow.reused": seen.reused,
        }
        if seen.refused_by is not None:
            attributes |= {"hookrow.refused_by": seen.refused_by.key, "hookrow.code": seen.code}
        if seen.replay_of is not None:
            attributes["hookrow.replay_of"] = seen.replay_of
        span.set_attributes(attributes)
        if seen.error is not None or seen.outcome in ("failed", "cancelled"):
            failed(span, seen.error or (seen.outcome if seen.outcome == "cancelled" else seen.code))
        seen.span.end(None if seen.reused else seen.ms)

    def on_attempt(self, seen: AttemptObserved) -> None:
        """The spans of the request and of its delivery end; its duration is counted."""
        address = urlsplit(seen.url)
        server: dict[str, Any] = {
            "server.address": address.hostname or "",
            "server.port": address.port or PORTS.get(address.scheme, 80),
        }
        found: dict[str, Any] = {} if seen.status is None else {"http.response.status_code": seen.status}
        error = str(seen.status) if seen.error == "bad_status" and seen.status is not None else seen.error
        if error is not None:
            found["error.type"] = error
        if seen.error not in NOT_SENT:
            self.requests.record(seen.ms / 1000, {"http.request.method": "POST", **server, **found})
        if not isinstance(seen.span, BegunSpan):
            return
        span, around = seen.span.span, seen.span.around
        if seen.number > 1:
            found["http.request.resend_count"] = seen.number - 1
        span.set_attributes({**server, "url.full": seen.url, **found})
        if around is not None:
            around.set_attributes(
                {
                    "hookrow.event": seen.event,
                    "hookrow.mode": seen.mode,
                    "hookrow.firing.id": seen.firing_id,
                    "hookrow.delivery.id": seen.delivery_id,
                    "hookrow.attempt": seen.number,
                    "hookrow.outcome": seen.outcome,
                    "hookrow.test": seen.test,
                }
            )
        if error is not None:
            failed(span, error)
            if around is not None:
                failed(around, error)
        seen.span.end(seen.ms)

    def on_delivery(self, seen: DeliveryObserved) -> None:
        """One more that a worker has brought to its end."""
        self.count(seen.hook, seen.outcome)

    def count(self, hook: HookRef, outcome: str) -> None:
        """One more delivery that ended."""
        self.deliveries.add(1, {"hookrow.hook": self.labels.of(hook.key), "hookrow.outcome": outcome})


def failed(span: Span, error: str) -> None:
    """Mark it as failed; `error` is one of a few words (docs/reference/outcomes.md) or a status."""
    span.set_attribute("error.type", error)
    span.set_status(Status(StatusCode.ERROR, error))


def header_of(context: SpanContext) -> str | None:
    """The header `traceparent`, in version 00."""
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def span_context_of(traceparent: str, *, remote: bool) -> SpanContext:
    """What a header of version 00 says."""
    flags = TraceFlags(int(traceparent[53:55], 16))
    return SpanContext(int(traceparent[3:35], 16), int(traceparent[36:52], 16), is_remote=remote, trace_flags=flags)


def context_of(traceparent: str, *, remote: bool) -> Context:
    """The context in which the span of a header of version 00 is the current one."""
    return trace.set_span_in_context(NonRecordingSpan(span_context_of(traceparent, remote=remote)), Context())


def same_trace(context: SpanContext, traceparent: str) -> bool:
    return f"{context.trace_id:032x}" == traceparent[3:35]
