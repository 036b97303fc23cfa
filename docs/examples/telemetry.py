"""Hooks in OpenTelemetry: spans and metrics of what an engine fires, and the trace handed on to receivers.

Needs `hookrow[otel]`, `opentelemetry-sdk` and an exporter: here the one that prints.
"""

from __future__ import annotations

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

from hookrow import HookEngine
from hookrow.otel import Telemetry

traces = TracerProvider()
traces.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
trace.set_tracer_provider(traces)
metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(ConsoleMetricExporter())]))

if __name__ == "__main__":
    with HookEngine("sqlite:///hooks.db", observers=[Telemetry()]) as engine:
        engine.fire("before_order_add", {"order": {"id": 7}})
