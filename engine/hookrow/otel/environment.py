"""Providers of OpenTelemetry as the environment's OTEL_… variables ask for, in a process that nobody else sets up."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from opentelemetry import metrics, trace

from hookrow.lang import Text

__all__ = ["set_up"]

OTLP = ("otlp_proto_http", "otlp_proto_grpc")
"""The names under which exporters for OTLP say that they are there; one of them is asked for as `otlp`."""


def set_up(environ: Mapping[str, str]) -> None:
    """Make and set the providers, unless the process has some (`opentelemetry-instrument`); they end with it.

    Which exporters: OTEL_TRACES_EXPORTER and OTEL_METRICS_EXPORTER (`otlp`, `console`, `none`, … by commas; `otlp`
    where they are not set). All else, the SDK and the exporter read by themselves.

    Raises:
        ImportError: the SDK or an exporter is not installed.
    """
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if not isinstance(trace.get_tracer_provider(), TracerProvider) and (made := exporters("traces", environ)):
        provider = TracerProvider()
        for each in made:
            provider.add_span_processor(BatchSpanProcessor(each()))
        trace.set_tracer_provider(provider)
    if not isinstance(metrics.get_meter_provider(), MeterProvider) and (made := exporters("metrics", environ)):
        # Prometheus' way is to be asked: its exporter is a reader itself.
        readers = [each() if issubclass(each, MetricReader) else PeriodicExportingMetricReader(each()) for each in made]
        metrics.set_meter_provider(MeterProvider(readers))


def exporters(signal: str, environ: Mapping[str, str]) -> list[Any]:
    """The exporters' classes that are asked for. Raises ImportError: one is not installed."""
    asked = environ.get(f"OTEL_{signal.upper()}_EXPORTER") or "otlp"
    names = [name for name in (each.strip() for each in asked.split(",")) if name and name != "none"]
    return [found(signal, name, environ).load() for name in names]


def found(signal: str, name: str, environ: Mapping[str, str]) -> EntryPoint:
    """An exporter by its name, as installed packages declare them. Raises ImportError: none does."""
    protocol = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL") or environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    names: tuple[str, ...] = (name,)
    if name == "otlp":
        names = {"": OTLP, "grpc": OTLP[1:]}.get(protocol or "", OTLP[:1])
    for each in names:
        for point in entry_points(group=f"opentelemetry_{signal}_exporter", name=each):
            return point
    raise ImportError(str(Text('no exporter "{name}" is installed', name=name)))
