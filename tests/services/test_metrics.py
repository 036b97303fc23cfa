"""What Prometheus is told: by a worker over HTTP, by a service's own registry."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from hookrow import Hook, HookEngine, StorageError
from hookrow.clock import SystemClock
from hookrow.metrics import Metrics
from hookrow.metrics.page import MetricsPage
from hookrow.testing import HookReceiver, allows, fails
from hosting import gate

EVENT = "before_order_add"
BOARD = Path(__file__).parents[2] / "docs" / "examples" / "grafana.json"


def samples(text: str) -> dict[str, float]:
    """The figures by name and labels, in the order of the labels' names."""
    found = {}
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            found[" ".join([each.name, *(each.labels[name] for name in sorted(each.labels))])] = each.value
    return found


def test_what_a_process_saw_and_what_the_database_holds(tmp_path: Path, hook_receiver: HookReceiver) -> None:
    """Counters, a histogram a hook, gauges; hooks beyond the bound are one. Grafana asks for no other."""
    metrics = Metrics(hooks=1)
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False, observers=[metrics]) as engine:
        engine.hooks.add(gate(EVENT, hook_receiver.on("gate", allows())))
        engine.hooks.add(gate(EVENT, hook_receiver.on("other", fails()), key="second", name="Second"))
        engine.hooks.add(Hook(key="erp", name="ERP", event=EVENT, url=hook_receiver.url, position=9))
        engine.hooks.add(Hook(key="idle", name="Idle", event="on_subscription", url=hook_receiver.url))
        engine.hooks.pause("idle")
        page = MetricsPage(metrics, engine, "127.0.0.1", 0)
        try:
            url = f"http://127.0.0.1:{page.port}"
            engine.send_own(engine.fire(EVENT, {"order": {"id": 7}}))
            engine.fire(EVENT, {"order": {"id": 7}})
            assert engine.runtime.watch is not None
            engine.runtime.watch.close()  # what it was told is counted by now
            text = httpx.get(url + "/metrics").text
            found = samples(text)
            assert httpx.get(url + "/healthz").text == "ok\n"
            assert httpx.get(url + "/").status_code == 404
        finally:
            page.close()
    wanted = {
        f"hookrow_firings_total {EVENT} allowed": 2,
        "hookrow_deliveries_total gate ok": 2,
        "hookrow_deliveries_total other failed": 2,
        "hookrow_deliveries_total other sent": 1,
        "hookrow_attempts_total gate fire ok": 2,
        "hookrow_attempts_total other fire failed": 2,
        "hookrow_attempts_total other worker sent": 1,
        "hookrow_attempt_seconds_count gate": 2,
        "hookrow_attempt_seconds_count other": 3,
        "hookrow_up": 1,
        "hookrow_queued_deliveries": 1,
        "hookrow_dead_deliveries": 0,
        "hookrow_paused_hooks person": 1,
    }
    assert {name: found.get(name) for name in wanted} == wanted
    assert found["hookrow_oldest_due_seconds"] >= 0
    # As many commits as the writer made, each well under a second.
    assert found["hookrow_commit_seconds_count"] == found["hookrow_commit_seconds_bucket +Inf"] > 4
    assert found["hookrow_commit_seconds_sum"] < 5
    answered(text, found)


def answered(text: str, found: dict[str, float]) -> None:
    """Every query of the dashboard asks for a metric that /metrics has, and for labels that this metric has."""
    labels = {each.name: set(each.labels) for family in text_string_to_metric_families(text) for each in family.samples}
    queries = [query["expr"] for panel in json.loads(BOARD.read_text("utf-8"))["panels"] for query in panel["targets"]]
    shown = set()
    for query in queries:
        [metric] = re.findall(r"hookrow_\w+", query)
        asked = [name for part in re.findall(r"by \(([^)]*)\)", query) for name in part.split(", ")]
        asked += re.findall(r"(\w+)=", query)
        assert set(asked) <= labels[metric], query
        shown.add(metric.removesuffix("_bucket"))
    families = {name.split()[0] for name in found if not re.search("_(count|sum|bucket|created)( |$)", name)}
    assert shown >= families - {"hookrow_oldest_due_seconds"}


def test_a_database_that_is_away_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`hookrow_up` is 0, /healthz answers 503; the process's own counters are still there."""
    metrics, registry = Metrics(), CollectorRegistry()
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False, observers=[metrics]) as engine:
        metrics.register(engine, registry)
        page = MetricsPage(metrics, engine, "127.0.0.1", 0)

        def broken() -> None:
            raise StorageError("the disk is gone")

        monkeypatch.setattr(engine.runtime, "config_now", broken)
        try:
            assert httpx.get(f"http://127.0.0.1:{page.port}/healthz").status_code == 503
        finally:
            page.close()
        found = samples(generate_latest(registry).decode())
    assert (found["hookrow_up"], "hookrow_queued_deliveries" in found) == (0, False)


def test_a_closed_engine_leaves_the_registry_to_the_others(tmp_path: Path) -> None:
    """The service's own metrics, and those of the engine that came in its place."""
    registry, url = CollectorRegistry(), f"sqlite:///{tmp_path}/hooks.db"
    Counter("shop_orders", "The service's own", registry=registry).inc()
    for _ in range(2):
        metrics = Metrics()
        with HookEngine(url, worker=False, observers=[metrics]) as engine:
            metrics.register(engine, registry)
            page = generate_latest(registry).decode()
            assert (page.count("\nhookrow_up "), samples(page)["hookrow_up"]) == (1, 1)
    found = samples(generate_latest(registry).decode())
    assert {name.split("_")[0] for name in found} == {"shop"}
    assert found["shop_orders_total"] == 1


def test_how_late_is_told_by_the_databases_clock(postgres_url: str, hook_receiver: HookReceiver) -> None:
    """The due times are its own: a machine whose clock is wrong tells the same."""

    class Ahead(SystemClock):
        def now_ms(self) -> int:
            return super().now_ms() + 7_200_000

    metrics, registry = Metrics(), CollectorRegistry()
    with HookEngine(postgres_url, worker=False, observers=[metrics], clock=Ahead()) as engine:
        engine.hooks.add(Hook(key="erp", name="ERP", event=EVENT, url=hook_receiver.url))
        engine.fire(EVENT, {"order": {"id": 7}})
        metrics.register(engine, registry)
        found = samples(generate_latest(registry).decode())
    assert found["hookrow_oldest_due_seconds"] < 3600


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[HookEngine]:
    """One that sends nothing by itself."""
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as made:
        yield made


@contextmanager
def listening(engine: HookEngine) -> Iterator[MetricsPage]:
    """The page of its metrics."""
    page = MetricsPage(Metrics(), engine, "127.0.0.1", 0)
    try:
        yield page
    finally:
        page.close()


@pytest.mark.parametrize("drips", [b"", b"GET /metrics HTTP/1.0\r\nX-Slow: "])
def test_a_client_that_does_not_ask_is_hung_up_on(
    engine: HookEngine, monkeypatch: pytest.MonkeyPatch, drips: bytes
) -> None:
    """It says nothing, or a letter now and then for ever: neither keeps its thread."""
    monkeypatch.setattr("hookrow.metrics.page.PATIENCE", 0.2)
    with listening(engine) as page, socket.create_connection(("127.0.0.1", page.port), 0.02) as client:
        until, said = time.monotonic() + 20, drips
        with suppress(ConnectionError):
            while time.monotonic() < until:
                if drips:
                    client.sendall(said)
                    said = b"a"
                with suppress(TimeoutError):
                    if not client.recv(1):
                        break
        assert time.monotonic() < until


def test_many_clients_are_not_served_at_once(engine: HookEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beyond the bound are sent away; when the others have gone the next one is served."""
    monkeypatch.setattr("hookrow.metrics.page.AT_ONCE", 2)
    monkeypatch.setattr("hookrow.metrics.page.PATIENCE", 60.0)
    with listening(engine) as page:
        place = ("127.0.0.1", page.port)
        first, second, third = (socket.create_connection(place, 20) for _ in range(3))
        with first, second, third:
            assert third.recv(1) == b""
        answers: list[int] = []
        until = time.monotonic() + 20
        while not answers and time.monotonic() < until:
            with suppress(httpx.TransportError):
                answers.append(httpx.get(f"http://127.0.0.1:{page.port}/healthz").status_code)
        assert answers == [200]
