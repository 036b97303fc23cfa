"""What OpenTelemetry gets: nested spans of one trace, whoever sends and however late; metrics; no secrets."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from hookrow import AsyncHookEngine, Hook, HookEngine
from hookrow.cli.commands.worker import telemetry
from hookrow.otel import Telemetry
from hookrow.otel.environment import exporters
from hookrow.testing import HookReceiver, MemoryEngine, allows, fails, vetoes
from hookrow.testing.fixtures import hook_receiver
from hosting import gate
from scripted import Network, answer
from warm import run_warm

__all__ = ["hook_receiver"]
BEFORE, AFTER = "before_order_add", "after_registration"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
SECRET = "s3cr3t-t0ken"
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "telemetry.py"


class Backend:
    """Where spans and metrics end up; `telemetry` feeds it."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.traces = TracerProvider()
        self.traces.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader])
        self.tracer = self.traces.get_tracer("shop")
        self.telemetry = Telemetry(self.traces, self.meters)

    def close(self) -> None:
        self.traces.shutdown()
        self.meters.shutdown()

    def spans(self) -> dict[str, ReadableSpan]:
        """Finished spans by name; of several of a name the last."""
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def points(self, metric: str) -> dict[tuple[Any, ...], Any]:
        """A metric's values (a histogram's counts) by the values of its attributes, in their names' order."""
        data = self.reader.get_metrics_data()
        assert data is not None
        return {
            tuple(value for _, value in sorted((point.attributes or {}).items())): getattr(point, "count", None)
            or getattr(point, "value", None)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for each in scope.metrics
            if each.name == metric
            for point in each.data.data_points
        }


@pytest.fixture
def backend() -> Iterator[Backend]:
    """One of its own for each test."""
    with closing(Backend()) as made:
        yield made


def ids(span: ReadableSpan) -> tuple[str, str, str | None]:
    """Of a span: its trace, itself, its parent."""
    context = span.get_span_context()
    assert context is not None
    parent = None if span.parent is None else format_span_id(span.parent.span_id)
    return format_trace_id(context.trace_id), format_span_id(context.span_id), parent


def carried(receiver: HookReceiver) -> list[list[str]]:
    """Trace and span that each request carried."""
    return [each.headers["traceparent"].split("-")[1:3] for each in receiver.received]


def settle(engine: HookEngine) -> None:
    """Until its observers have been told."""
    assert engine.runtime.watch is not None
    engine.runtime.watch.close()


def test_spans_are_nested_and_one_trace_an_hour_later_in_another_process(
    either_url: str, hook_receiver: HookReceiver, backend: Backend
) -> None:
    """Firing, deliveries, requests of a before event with two gates; its background hook, by `hookrow worker`."""
    with HookEngine(either_url, worker=False, observers=[backend.telemetry]) as engine:
        for place, key in enumerate(("first", "second"), 1):
            engine.hooks.add(gate(BEFORE, hook_receiver.on(key, allows()), key=key, position=place))
        erp = Hook(key="erp", name="ERP", event=BEFORE, url=hook_receiver.on("erp", fails()), position=9)
        engine.hooks.add(erp)
        engine.hooks.update("erp", fire_and_forget=False)
        with backend.tracer.start_as_current_span("POST /order/add") as request:
            firing = engine.fire(BEFORE, {"order": {"id": 7}})
        assert engine.send_own(firing).deliveries[2].outcome == "retrying"
        with engine.runtime.database.write() as writing:  # an hour later
            name = "delivery" if engine.path else "hookrow.delivery"
            writing.exec_driver_sql(f"UPDATE {name} SET due_ms = 1 WHERE state = 'retrying'")
    hook_receiver.on("erp", allows())
    known = backend.spans()
    fired, root = ids(known[f"fire {BEFORE}"]), request.get_span_context()
    assert fired[2] == format_span_id(root.span_id)
    assert (firing.traceparent or "")[:52] == f"00-{fired[0]}-{fired[1]}"
    requests = [span for span in backend.exporter.get_finished_spans() if span.name == "POST"]
    for key, sent in zip(("first", "second", "erp"), requests, strict=True):
        delivery = known[f"deliver {key}"]
        assert ids(delivery)[2] == fired[1]
        assert ids(sent)[2] == ids(delivery)[1]
    assert {ids(span)[0] for span in known.values()} == {format_trace_id(root.trace_id)}
    assert carried(hook_receiver) == [list(ids(span)[:2]) for span in requests]
    assert [span.kind for span in requests] == [SpanKind.CLIENT] * 3
    assert known["deliver erp"].kind == SpanKind.CONSUMER

    ran = worker(either_url, OTEL_TRACES_EXPORTER="console", OTEL_METRICS_EXPORTER="none")
    assert ran.returncode == 0, ran.stderr
    later = {span["name"]: span for span in objects(ran.stdout)}
    assert {span["context"]["trace_id"] for span in later.values()} == {f"0x{fired[0]}"}
    assert later["deliver erp"]["parent_id"] == f"0x{fired[1]}"
    assert later["POST"]["parent_id"] == later["deliver erp"]["context"]["span_id"]
    assert later["POST"]["attributes"]["http.request.resend_count"] == 1
    assert carried(hook_receiver)[-1] == [fired[0], later["POST"]["context"]["span_id"].removeprefix("0x")]


def worker(url: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`hookrow worker --drain --otel`, in a process of its own."""
    command = [sys.executable, "-m", "hookrow", "worker", "--drain", "--otel", "--db", url]
    known = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return run_warm(command, env={**known, **env})


def objects(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects, one after another."""
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        found, end = decoder.raw_decode(text)
        yield found
        text = text[end:]


def test_names_are_those_of_the_conventions_and_secrets_are_masked(tmp_path: Path, backend: Backend) -> None:
    """Of an HTTP client; an IPv6 address has its brackets off; a status that failed is its error's type."""
    network = Network(stock=answer(503), sold=answer(409, {"allow": False, "code": "SOLD"}))
    url = f"sqlite:///{tmp_path}/hooks.db"
    with HookEngine(url, worker=False, transport=network, observers=[backend.telemetry]) as engine:
        addresses = (f"http://login:{SECRET}@[::1]:81/stock?key={SECRET}", "https://receiver.test/sold")
        for place, address in enumerate(addresses, 1):
            engine.hooks.add(gate(BEFORE, address, key=f"h{place}", position=place, custom_header=f"X-Key: {SECRET}"))
        firing = engine.fire(BEFORE, {"order": {"card": SECRET}})
    stock, sold = [span for span in backend.exporter.get_finished_spans() if span.name == "POST"]
    assert dict(stock.attributes or {}) == {
        "http.request.method": "POST",
        "url.full": "http://[::1]:81/stock?key=••••••••",
        "server.address": "::1",
        "server.port": 81,
        "http.response.status_code": 503,
        "error.type": "503",
    }
    assert (stock.status.status_code, sold.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    assert (sold.attributes or {})["server.port"] == 443
    fired = backend.spans()[f"fire {BEFORE}"]
    assert (fired.attributes or {})["hookrow.firing.id"] == firing.id
    assert ((fired.attributes or {})["hookrow.refused_by"], (fired.attributes or {})["hookrow.code"]) == ("h2", "SOLD")
    assert fired.status.status_code == StatusCode.UNSET
    assert fired.start_time == firing.at_ms * 1_000_000
    assert backend.points("http.client.request.duration") == {
        ("503", "POST", 503, "::1", 81): 1,
        ("POST", 409, "receiver.test", 443): 1,
    }
    assert backend.points("hookrow.firing.duration") == {(BEFORE, "vetoed"): 1}
    assert backend.points("hookrow.deliveries") == {("h1", "failed"): 1, ("h2", "vetoed"): 1}
    everything = "".join(span.to_json() for span in backend.exporter.get_finished_spans())
    assert SECRET not in everything + str(backend.reader.get_metrics_data())


def test_whose_child_a_firing_is(hook_receiver: HookReceiver, backend: Backend) -> None:
    """Of what is current; of what its call names where that is another trace; of nothing where there is nothing."""
    with MemoryEngine(observers=[backend.telemetry]) as engine:
        engine.hooks.add(gate(BEFORE, hook_receiver.url))
        with backend.tracer.start_as_current_span("shop") as current:
            here = current.get_span_context()
            inside = engine.fire(BEFORE, {})
            same = f"00-{format_trace_id(here.trace_id)}-{SPAN}-01"
            nearer = engine.fire(BEFORE, {}, traceparent=same)
            other = engine.fire(BEFORE, {}, traceparent=PARENT)
            unread = engine.fire(BEFORE, {}, traceparent="nothing")
        alone = engine.fire(BEFORE, {})
        dark = engine.fire(BEFORE, {}, traceparent=f"00-{TRACE}-{SPAN}-00")
        again = engine.replay(inside.id).firing
        settle(engine)
    assert again is not None
    fired = [span for span in backend.exporter.get_finished_spans() if span.name == f"fire {BEFORE}"]
    parents = [ids(span)[2] for span in fired]
    me = format_span_id(here.span_id)
    assert parents == [me, me, SPAN, me, None, None]  # what is not sampled is not seen here
    assert [each.traceparent and each.traceparent[3:35] for each in (inside, nearer, other, unread)] == [
        format_trace_id(here.trace_id)
    ] * 2 + [TRACE, format_trace_id(here.trace_id)]
    assert alone.traceparent is not None
    assert (dark.traceparent or "").startswith(f"00-{TRACE}-")
    assert (dark.traceparent or "").endswith("-00")
    [link] = fired[-1].links
    assert inside.traceparent is not None
    assert format_span_id(link.context.span_id) == inside.traceparent[36:52]
    assert again.traceparent != inside.traceparent


def test_a_repeated_call_says_whose_outcome_it_got(hook_receiver: HookReceiver, backend: Backend) -> None:
    """It keeps the first one's trace, asks nobody, and counts once."""
    with MemoryEngine(observers=[backend.telemetry]) as engine:
        engine.hooks.add(gate(BEFORE, hook_receiver.url))
        first, second = [engine.fire(BEFORE, {}, idempotency_key="7") for _ in range(2)]
        settle(engine)
    fired = [span for span in backend.exporter.get_finished_spans() if span.name == f"fire {BEFORE}"]
    assert [(span.attributes or {})["hookrow.reused"] for span in fired] == [False, True]
    assert {(span.attributes or {})["hookrow.firing.id"] for span in fired} == {first.id}
    assert second.traceparent == first.traceparent
    assert backend.points("hookrow.deliveries") == {("gate", "ok"): 1}


def test_without_traces_set_up_the_callers_goes_on(hook_receiver: HookReceiver) -> None:
    """Nobody has set up an SDK: the header is handed on, none is made up."""
    with MemoryEngine(observers=[Telemetry(trace.NoOpTracerProvider())]) as engine:
        engine.hooks.add(gate(BEFORE, hook_receiver.url))
        engine.fire(BEFORE, {}, traceparent=PARENT)
        engine.fire(BEFORE, {})
    assert [each.headers.get("traceparent") for each in hook_receiver.received] == [PARENT, None]


def test_the_engines_own_events_belong_to_no_caller(hook_receiver: HookReceiver, backend: Backend) -> None:
    """Whoever needed the worker first is not whose delivery is dead."""
    with MemoryEngine(observers=[backend.telemetry]) as engine:
        engine.hooks.add(Hook(key="erp", name="ERP", event=AFTER, url=hook_receiver.on("erp", fails(410))))
        engine.hooks.update("erp", fire_and_forget=False)
        engine.hooks.add(Hook(key="told", name="Told", event="hook.paused", url=hook_receiver.url))
        with backend.tracer.start_as_current_span("shop"):
            engine.fire(AFTER, {})
            engine.deliver()
        settle(engine)
    assert ids(backend.spans()["fire hook.paused"])[2] is None
    assert ids(backend.spans()[f"fire {AFTER}"])[2] is not None


def test_what_is_called_off_ends_its_spans(tmp_path: Path, backend: Backend) -> None:
    """A caller that is cancelled while a hook is asked."""
    asked = asyncio.Event()

    async def hangs(request: Any) -> Any:
        asked.set()
        await asyncio.Event().wait()

    async def run() -> None:
        url, network = f"sqlite:///{tmp_path}/hooks.db", Network(gate=hangs)
        async with AsyncHookEngine(url, transport=network, observers=[backend.telemetry]) as engine:
            await engine.hooks.add(gate(BEFORE, "http://receiver.test/gate"))
            firing = asyncio.ensure_future(engine.fire(BEFORE, {}))
            await asked.wait()
            firing.cancel()
            await asyncio.wait([firing])
            assert firing.cancelled()

    asyncio.run(run())
    spans = backend.spans()
    for name in (f"fire {BEFORE}", "deliver gate", "POST"):
        assert spans[name].status.description == "cancelled", name


def test_a_tracer_that_fails_costs_a_span_and_nothing_else(
    hook_receiver: HookReceiver, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once; the caller's header goes on."""

    class Broken(Telemetry):
        def begin_firing(self, *given: Any, **named: Any) -> Any:
            raise RuntimeError("no traces today")

        begin_attempt = begin_firing

    with MemoryEngine(observers=[Broken(backend.traces, backend.meters)]) as engine:
        engine.hooks.add(gate(BEFORE, hook_receiver.on("gate", vetoes())))
        assert engine.fire(BEFORE, {}, traceparent=PARENT).outcome == "vetoed"
        settle(engine)
    assert [each.headers["traceparent"] for each in hook_receiver.received] == [PARENT]
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == [
        "the observer Broken failed"
    ]
    assert backend.points("hookrow.firing.duration") == {(BEFORE, "vetoed"): 1}


def test_a_worker_exports_what_the_environment_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the names under which installed packages declare exporters; what is not installed is said in words."""
    assert exporters("traces", {"OTEL_TRACES_EXPORTER": " console ,none"}) == [ConsoleSpanExporter]
    assert exporters("metrics", {"OTEL_METRICS_EXPORTER": "none"}) == []
    for protocol in ("", "grpc", "http/protobuf"):
        with pytest.raises(ImportError, match='no exporter "otlp"'):
            exporters("traces", {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "nowhere")
    with pytest.raises(click.UsageError, match='no exporter "nowhere" is installed'):
        telemetry()


def test_the_example_runs(tmp_path: Path) -> None:
    """docs/examples/telemetry.py, as a program: it prints the firing's span."""
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db") as engine:
        engine.hooks.add(Hook(key="erp", name="ERP", event=BEFORE, url="http://127.0.0.1:9/", active=False))
    ran = run_warm([sys.executable, str(EXAMPLE)], cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert f"fire {BEFORE}" in ran.stdout
    assert "hookrow.firing.duration" in ran.stdout
