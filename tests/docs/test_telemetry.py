"""docs/examples/telemetry.py: what an OpenTelemetry backend gets of a firing."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hookrow import Hook, HookEngine
from scripted import Network, answer

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "telemetry.py"


def example() -> ModuleType:
    """The example, loaded from its file."""
    spec = importlib.util.spec_from_file_location("telemetry", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_spans_and_metrics_of_a_firing(tmp_path: Path) -> None:
    """Spans of the firing and its request are children of the request's own span; both metrics count."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    traces = TracerProvider()
    traces.add_span_processor(SimpleSpanProcessor(spans))
    figures = MeterProvider(metric_readers=[reader])
    network = Network(stock=answer(503))
    telemetry = example().Telemetry(traces, figures)
    with (
        traces.get_tracer("shop").start_as_current_span("POST /order/add") as parent,
        HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False, transport=network, observers=[telemetry]) as engine,
    ):
        hook = Hook(
            key="stock",
            name="Stock",
            event="before_order_add",
            url="http://[::1]:81/stock",
            wait_for_response=True,
        )
        engine.hooks.add(hook)
        firing = engine.fire("before_order_add", {"order": {"id": 7}})
    sent, fired, _ = spans.get_finished_spans()
    assert fired.name == "fire before_order_add"
    assert fired.attributes is not None
    assert fired.attributes["hookrow.firing.id"] == firing.id
    assert fired.start_time == firing.at_ms * 1_000_000
    assert sent.attributes is not None
    assert (sent.attributes["server.address"], sent.attributes["server.port"]) == ("::1", 81)
    assert (sent.attributes["http.response.status_code"], sent.status.description) == (503, "bad_status")
    for span in (fired, sent):
        assert span.parent is not None
        assert span.parent.span_id == parent.get_span_context().span_id
    data = reader.get_metrics_data()
    assert data is not None
    [scope] = data.resource_metrics[0].scope_metrics
    assert {metric.name for metric in scope.metrics} == {"hookrow.firings", "hookrow.attempt.duration"}
    traces.shutdown()
    figures.shutdown()
