"""Four services as people run them (tests/four), on PostgreSQL behind PgBouncer in transaction mode, in a failover.

They were built from docs/ alone. With their workers they are eleven processes; the primary dies under calls to all.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from hookrow import Hook, HookEngine
from hookrow.testing import Answer, HookReceiver, Received, allows, changes, gives, vetoes
from pgbouncer import missing, pooler
from postgres_pair import postgres_pair

TESTS = Path(__file__).parents[1]
FOUR = TESTS / "four"
PYTHON = [sys.executable, "-m"]
GUNICORN = [*PYTHON, "gunicorn", "-b", "127.0.0.1:0", "--chdir", str(FOUR), "-w", "2"]
SERVICES = {
    "orders": [*PYTHON, "uvicorn", "--app-dir", str(FOUR), "--port", "0", "--workers", "2", "orders:app"],
    "accounts": [*GUNICORN, "--preload", "accounts:application"],
    "delivery": [*GUNICORN, "-k", "gthread", "--threads", "4", "delivery:app"],
    "worker": [*PYTHON, "hookrow", "worker", "--http", "127.0.0.1:0", "--otel"],
    "another": [*PYTHON, "hookrow", "worker", "--http", "127.0.0.1:0", "--otel"],
}
READY = re.compile(r"(?:running on|Listening at:|Metrics:) (http://[0-9.]+:\d+)")
ENOUGH = {"orders": 60, "accounts": 60, "delivery": 60, "nightly": 2}
"""Calls that are acknowledged before the primary dies, and after."""
TABLES = """
    CREATE TABLE orders (number text PRIMARY KEY, total int NOT NULL);
    CREATE TABLE customers (id serial PRIMARY KEY, login text NOT NULL UNIQUE);
    CREATE TABLE subscriptions (id serial PRIMARY KEY, ended boolean NOT NULL DEFAULT false);
"""


@contextmanager
def running(command: list[str], environ: dict[str, str], log: Path) -> Iterator[str]:
    """A process, once it is ready; its URL. It ends as a service manager ends it."""
    with log.open("w") as said, subprocess.Popen(command, env=environ, stdout=said, stderr=said) as process:
        try:
            until(lambda: READY.search(log.read_text()) is not None or process.poll() is not None)
            found = READY.search(log.read_text())
            assert found is not None, log.read_text()
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def until(true: Callable[[], bool], seconds: float = 90) -> None:
    """Wait for what others do."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


class Client(threading.Thread):
    """Calls one service again and again, from the first number on; keeps what it was told."""

    def __init__(self, name: str, call: Callable[[int], httpx.Response]) -> None:
        super().__init__(name=name)
        self.call = call
        self.told: dict[int, Any] = {}
        """What was acknowledged, by the call's number."""
        self.refused: list[httpx.Response] = []
        self.failed: list[str] = []
        self.last = time.monotonic()
        self.longest = 0.0
        """Seconds between two answers that were no failure, at the most."""
        self.ended = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.ended.wait(0.02):
            number += 1
            try:
                answer = self.call(number)
            except httpx.HTTPError as error:
                self.failed.append(type(error).__name__)
                continue
            if answer.status_code >= 500:
                self.failed.append(str(answer.status_code))
                continue
            if answer.is_success:
                self.told[number] = answer.json()
            else:
                self.refused.append(answer)
            now = time.monotonic()
            self.longest, self.last = max(self.longest, now - self.last), now

    def again(self, count: int) -> Callable[[], bool]:
        """Whether it was told so many more than now."""
        wanted = len(self.told) + count
        return lambda: len(self.told) >= wanted


class Shop:
    """The four services and the two workers, their receiver, and the administrator who adds the hooks."""

    def __init__(self, shop: str, hookrow: str, folder: Path, stack: ExitStack) -> None:
        self.receiver = stack.enter_context(HookReceiver())
        self.folder = folder
        self.environ = {**os.environ, "SHOP_DB": shop, "HOOKROW_DB": hookrow, "PYTHONPATH": f"{TESTS.parent}/engine"}
        self.environ |= {"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "none", "PYTHONUNBUFFERED": "1"}
        self.add_hooks(hookrow)
        self.urls: dict[str, str] = {}
        for name, command in SERVICES.items():
            self.urls[name] = stack.enter_context(running(command, self.environ, folder / f"{name}.log"))
        self.http = stack.enter_context(httpx.Client(timeout=30))
        self.nightly: list[int] = []

    def add_hooks(self, url: str) -> None:
        """One that decides, one that only hears, of each service."""

        def add(key: str, event: str, answer: Answer | Callable[[Received], Answer], **how: Any) -> None:
            engine.hooks.add(Hook(key=key, name=key, event=event, url=self.receiver.on(key, answer), **how))

        asked = {"wait_for_response": True, "response_has_data": True, "on_failure": "stop"}
        with HookEngine(url, worker=False) as engine:
            add("stock", "before_order_add", stock, **asked)
            add("books", "before_order_add", allows(), fire_and_forget=False)
            add("crm", "after_registration", allows(), fire_and_forget=False)
            add("names", "before_user_new", changes({"user": {"login": "renamed"}}), **asked)
            add("price", "before_delivery_service_calculate", gives({"cost": 300}), **asked)
            add("handover", "before_order_setstatus", handover, **asked)
            add("ended", "on_subscription", allows(), fire_and_forget=False)

    def post(self, name: str, path: str, body: Any, trace: str = "") -> httpx.Response:
        headers = {"traceparent": f"00-{trace_of(trace)}-{'7' * 16}-01"} if trace else {}
        return self.http.post(self.urls[name] + path, json=body, headers=headers)

    def order(self, number: int) -> httpx.Response:
        """Every tenth is too dear."""
        total = 5000 if number % 10 == 0 else 100
        order = {"number": f"n{number}", "total": total}
        return self.post("orders", "/organization/order/add", {"order": order}, trace=order["number"])

    def account(self, number: int) -> httpx.Response:
        """A registration with its event, or a call that a hook may change."""
        if number % 3 == 0:
            return self.post("accounts", "/user/new", {"user": {"login": "mine"}})
        return self.post("accounts", "/organization/user/new", {"user": {"login": f"u{number}"}}, trace=f"u{number}")

    def delivery(self, number: int) -> httpx.Response:
        """A price, or a status that is set; every tenth status is vetoed."""
        if number % 2:
            return self.post("delivery", "/organization/delivery_service/3/calculate", {"order": {"weight": number}})
        return self.post("delivery", "/handover", {"id": number})

    def night(self, number: int) -> httpx.Response:
        """The script, as cron runs it: its exit code is what is told."""
        ran = subprocess.run([sys.executable, FOUR / "nightly.py"], env=self.environ, capture_output=True, check=False)
        self.nightly.append(ran.returncode)
        return httpx.Response(200 if ran.returncode == 0 else 503, json=ran.returncode)

    def page(self, name: str, path: str = "/metrics") -> httpx.Response:
        return self.http.get(self.urls[name] + path)

    def heard(self, key: str) -> list[Any]:
        """What came to a hook, each delivery once."""
        return list({each.delivery: each.data for each in self.receiver.received if each.path == f"/{key}"}.values())

    def traces(self, key: str) -> list[str]:
        """The traces that a hook's requests belong to, in order."""
        came = {
            each.delivery: each.header("traceparent") or "" for each in self.receiver.received if each.path == f"/{key}"
        }
        return sorted(each.split("-")[1] for each in came.values())

    def spans(self, name: str) -> set[str]:
        """The traces of the workers' spans of this name."""
        said = "".join((self.folder / f"{each}.log").read_text() for each in ("worker", "another"))
        return set(re.findall(rf'"name": "{name}",\s+"context": \{{\s+"trace_id": "0x(\w+)"', said))


def trace_of(words: str) -> str:
    """A trace's ID that tells whose it is."""
    return words.encode().hex().rjust(32, "0")


def stock(request: Received) -> Answer:
    """A veto, or a discount."""
    total: Any = request.data["order"]["total"]  # type: ignore[index,call-overload]
    return vetoes("sold out", code="STOCK", status=409) if total > 1000 else changes({"order": {"total": total - 10}})


def handover(request: Received) -> Answer:
    """A veto for every tenth."""
    number: Any = request.data["order"]["id"]  # type: ignore[index,call-overload]
    return vetoes("not now", status=422) if number % 10 == 0 else allows()


def rows(server: str, statement: str) -> list[Any]:
    """One column, asked of the server itself."""
    with psycopg.connect(server) as connection:
        return [each for (each,) in connection.execute(statement).fetchall()]


@pytest.mark.torture
@pytest.mark.skipif(missing(), reason="pgbouncer is not installed")
def test_four_services_live_through_a_failover(tmp_path: Path) -> None:
    """What a client was told is in the tables, and its hooks were asked, obeyed and told; every service goes on."""
    with ExitStack() as stack:
        pair = stack.enter_context(postgres_pair(synchronous=True))
        primary, standby = (f"postgresql://postgres@127.0.0.1:{port}/postgres" for port in pair.ports)
        with psycopg.connect(primary) as connection:
            connection.execute(TABLES)
        pooled = stack.enter_context(pooler(primary, "transaction", "server_login_retry = 1\n"))
        url = pooled.url.render_as_string(hide_password=False)
        shop = Shop(url, f"{url}?hookrow_pooler=transaction", tmp_path, stack)
        calls = {"orders": shop.order, "accounts": shop.account, "delivery": shop.delivery, "nightly": shop.night}
        clients = [Client(name, call) for name, call in calls.items()]
        for each in clients:
            each.start()
        try:
            for each in clients:
                until(each.again(ENOUGH[each.name]))
            died = time.monotonic()
            pair.fail_over()
            until(lambda: shop.page("worker", "/healthz").status_code == 503)
            assert "hookrow_up 0.0" in shop.page("worker").text
            pooled.point_at(standby)
            moved = time.monotonic()
            for each in clients:
                until(each.again(ENOUGH[each.name]))
                print(
                    f"{each.name}: {len(each.told)} told, failed {Counter(each.failed)}, longest {each.longest:.1f} s"
                )
            print(f"the pooler was told of the standby {moved - died:.1f} s after the primary died")
        finally:
            for each in clients:
                each.ended.set()
            for each in clients:
                each.join(60)
        until(lambda: "hookrow_queued_deliveries 0.0" in shop.page("worker").text)
        judge(shop, standby, {each.name: each for each in clients})


def judge(shop: Shop, server: str, clients: dict[str, Client]) -> None:
    """Everybody was told the truth: clients what is stored, receivers what is stored, and nothing else."""
    orders = rows(server, "SELECT number FROM orders")
    told = [each["order"] for each in clients["orders"].told.values()]
    assert {each["number"] for each in told} <= set(orders)
    assert {each["total"] for each in told} == {90}, "what the hook has changed"
    assert {each.json()["code"] for each in clients["orders"].refused} == {"STOCK"}
    assert sorted(each["order"]["number"] for each in shop.heard("books")) == sorted(orders)
    assert shop.traces("books") == sorted(map(trace_of, orders)), "sent by whatever process, it is the caller's trace"

    customers = rows(server, "SELECT login FROM customers")
    answers = [each["user"]["login"] for each in clients["accounts"].told.values()]
    assert set(answers) - {"renamed"} <= set(customers)
    assert "renamed" in answers
    assert sorted(each["user"]["login"] for each in shop.heard("crm")) == sorted(customers)
    assert shop.traces("crm") == sorted(map(trace_of, customers))
    until(lambda: shop.spans("deliver crm") != set())  # written every 5 s
    assert shop.spans("deliver crm") <= set(map(trace_of, customers))

    answers = list(clients["delivery"].told.values())
    assert {each["cost"] for each in answers if "cost" in each} == {300}
    assert {each.json()["detail"] for each in clients["delivery"].refused} == {"not now"}

    ended = rows(server, "SELECT id FROM subscriptions WHERE ended")
    assert sorted(each["subscription"]["id"] for each in shop.heard("ended")) == sorted(ended) != []

    assert shop.page("worker", "/healthz").status_code == 200
    page = shop.page("orders").text
    for outcome in ("allowed", "vetoed"):
        assert f'hookrow_firings_total{{event="before_order_add",outcome="{outcome}"}}' in page
    pages = page + shop.page("worker").text + shop.page("another").text
    for sample in ('hookrow_attempts_total{hook="crm",origin="worker",outcome="ok"}', "hookrow_up 1.0"):
        assert sample in pages, sample
