"""docs/production.md and its files: systemd takes the unit, the command lines run, and every word of theirs exists."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import click
import httpx
import prometheus_client
import psycopg
import pytest
import yaml

from hookrow import Hook, HookEngine, KeyRing
from hookrow.cli.app import root
from hookrow.metrics import Metrics
from hookrow.store.database import address, server
from hookrow.testing import HookReceiver, allows
from warm import Warm

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
UNIT = DOCS / "examples" / "hookrow-worker@.service"
COMPOSE = DOCS / "examples" / "compose.yaml"
PAGES = ("production.md", "production.ru.md")
VERIFY = shutil.which("systemd-analyze")
BEFORE, AFTER = "before_order_add", "after_registration"
READY = re.compile(r"(?:running on|Metrics:) http://[0-9.]+:(\d+)")


def rows(page: str, mark: str) -> list[list[str]]:
    """The table under this mark."""
    text = (DOCS / page).read_text("utf-8")
    table = text[text.index(f"<!-- table: {mark} -->") :].partition("\n\n")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.split("\n")[3:]]


@contextmanager
def started(command: list[str], *, by_exec: bool = False, **how: Any) -> Iterator[int]:
    """A program once it listens; its port. It ends on SIGTERM, and well."""
    said = subprocess.PIPE
    start = subprocess.Popen if by_exec else Warm
    with start(command, stdout=said, stderr=subprocess.STDOUT, text=True, **how) as process:
        assert process.stdout is not None
        try:
            lines: list[str] = []
            for line in process.stdout:
                lines.append(line)
                if (found := READY.search(line)) is not None:
                    yield int(found[1])
                    break
            else:
                raise AssertionError("".join(lines))
        finally:
            process.send_signal(signal.SIGTERM)
            left = process.stdout.read()
    assert (process.returncode, "Traceback" in left) == (0, False), left


def installed(command: list[str]) -> list[str]:
    """A command line of a file, with the programs of this environment."""
    program, *rest = command
    return [sys.executable, *([] if program == "python" else ["-m", Path(program).name]), *rest]


@pytest.mark.skipif(VERIFY is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("name", ["hookrow-worker.service", "hookrow-worker@.service"])
def test_systemd_takes_the_unit(tmp_path: Path, name: str) -> None:
    """As a template of several, and as one service; only the program of the page is not on this machine."""
    file = tmp_path / name
    file.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text("utf-8")))
    ran = subprocess.run([str(VERIFY), "verify", str(file)], capture_output=True, text=True, check=False)
    assert (ran.returncode, [line for line in ran.stderr.splitlines() if name in line]) == (0, [])


def test_the_units_of_two_workers_run(tmp_path: Path) -> None:
    """What systemd would do: command, environment, the key as a credential; both are healthy, the queue is sent."""
    said = dict(re.findall(r"(?m)^(?:Environment=)?(\w+)=(.*)$", UNIT.read_text("utf-8")))
    assert said["LoadCredential"].startswith("hookrow.key:")
    credentials, place = tmp_path / "credentials", tmp_path / "shop"
    credentials.mkdir()
    place.mkdir()
    with HookReceiver() as receiver, ExitStack() as stack:
        with HookEngine(place / "hooks.db", worker=False) as engine:
            known = {"auth_login": "a", "auth_password": "b"}
            engine.hooks.add(Hook(key="crm", name="CRM", event=AFTER, url=receiver.url, **known))
            engine.fire(AFTER, {"user": {"id": 1}})
        (place / "hookrow.key").rename(credentials / "hookrow.key")
        path = said["HOOKROW_DB"].replace(said["WorkingDirectory"], str(place))
        environ = {**os.environ, "HOOKROW_DB": path, "CREDENTIALS_DIRECTORY": str(credentials)}
        assert said["ExecStart"].endswith(":910%i"), "a port a worker"
        command = installed(shlex.split(said["ExecStart"].replace("910%i", "0")))
        ports = [stack.enter_context(started(command, cwd=place, env=environ)) for _ in range(2)]
        for port in ports:
            assert httpx.get(f"http://127.0.0.1:{port}/healthz").text == "ok\n"
        [sent] = receiver.wait(1, seconds=20)
        assert sent.header("authorization") is not None


def compose() -> dict[str, Any]:
    """The services of the compose file."""
    services: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    return services


def test_the_compose_file_names_what_exists() -> None:
    """Each command of ours is one, each variable is known or the service's own."""
    known = (DOCS / "reference" / "settings.md").read_text("utf-8")
    for name, service in compose().items():
        for variable in service["environment"]:
            assert variable.startswith(("POSTGRES_", "SHOP_")) or f"`{variable}`" in known, (name, variable)
        for line in " ".join(service.get("command", [])).replace("sh -c ", "").split(" || "):
            program, *words = shlex.split(line) or [""]
            if program == "hookrow":
                _, found, rest = root.resolve_command(root.make_context("hookrow", words), words)
                if isinstance(found, click.Group):
                    found.resolve_command(found.make_context(words[0], rest), rest)


@pytest.mark.torture
def test_the_compose_files_commands_run(postgres_url: str) -> None:
    """Each service as a process, as many as are said, with the variables of the file: a whole little shop.

    In a container engine it was run by hand once (podman 4.3, runc, 28 November 2026; images made here: the service's
    from this environment, PostgreSQL 18 in the place of the official image): tables made and upgraded, an order through
    `web` asked a gate, `worker` sent the rest, both health checks were passed, both ended with 0 on SIGTERM.
    """
    services = compose()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.orders (number text PRIMARY KEY, total int NOT NULL)")

    where = {
        "postgresql://shop@db/shop": postgres_url,
        "postgresql+psycopg://shop@db/shop": f"{driver_url(postgres_url)}&options=-csearch_path%3Dpublic",
        "${HOOKROW_KEYS:?}": KeyRing.new().text(),
        "${POSTGRES_PASSWORD:?}": "unused",
    }

    def environ(name: str) -> dict[str, str]:
        given = {key: where.get(value, value) for key, value in services[name]["environment"].items()}
        assert not [value for value in given.values() if "$" in value or "@db" in value]
        return os.environ | given | {"PYTHONPATH": f"{ROOT}/engine", "PYTHONUNBUFFERED": "1"}

    def command(name: str) -> list[str]:  # any port is as good here
        words = [re.sub(r"^0\.0\.0\.0", "127.0.0.1", word) for word in services[name]["command"]]
        return installed([re.sub(r"^8000$|(?<=:)9102$", "0", word) for word in words])

    shell = services["tables"]["command"]
    assert (shell[:2], services["tables"]["restart"]) == (["sh", "-c"], "no")
    shell = [*shell[:2], shell[2].replace("hookrow", f"{sys.executable} -m hookrow")]
    for first in (True, False):  # at the first start, and at each after it
        ran = subprocess.run(shell, env=environ("tables"), capture_output=True, text=True, check=False)
        assert (ran.returncode, "Created" in ran.stderr + ran.stdout) == (0, first), ran
    with HookReceiver() as receiver, ExitStack() as stack:
        with HookEngine(postgres_url, worker=False) as engine:
            gate = {"wait_for_response": True, "response_has_data": True}
            engine.hooks.add(Hook(key="gate", name="Gate", event=BEFORE, url=receiver.on("gate", allows()), **gate))
            books = receiver.on("books", allows())
            engine.hooks.add(Hook(key="books", name="Books", event=BEFORE, url=books, fire_and_forget=False))
        web = stack.enter_context(
            started(command("web"), by_exec=True, env=environ("web"), cwd=ROOT / "tests" / "four")
        )
        number = services["worker"]["deploy"]["replicas"]
        workers = [
            stack.enter_context(started(command("worker"), by_exec=True, env=environ("worker"))) for _ in range(number)
        ]
        order = {"order": {"number": "n1", "total": 100}}
        assert httpx.post(f"http://127.0.0.1:{web}/organization/order/add", json=order).status_code == 201
        assert {each.path for each in receiver.wait(2, seconds=20)} == {"/gate", "/books"}
        for port in workers:
            kind, *check = services["worker"]["healthcheck"]["test"]
            assert kind == "CMD"
            check = [word.replace(":9102", f":{port}") for word in check]
            subprocess.run(installed(check), check=True)


def driver_url(url: str) -> str:
    """For SQLAlchemy."""
    return url.replace("postgresql://", "postgresql+psycopg://")


@pytest.mark.parametrize("page", PAGES)
def test_what_is_watched_exists(page: str, tmp_path: Path) -> None:
    """Each metric, label and value of the page's table; both pages watch the same."""
    watched = [first for first, *_ in rows(page, "watched")]
    assert watched == [first for first, *_ in rows(PAGES[0], "watched")]
    registry, metrics = prometheus_client.CollectorRegistry(), Metrics()
    with HookEngine(tmp_path / "hooks.db", worker=False) as engine:
        metrics.register(engine, registry)
        for outcome in ("failed", "allowed"):
            metrics.firings.labels(BEFORE, outcome).inc()
        metrics.attempts.labels("a", "fire", "failed").inc()
        metrics.seconds.labels("a").observe(1)
        engine.hooks.add(Hook(key="a", name="a", event=BEFORE, url="http://127.0.0.1:9/"))
        engine.hooks.pause("a")
        text = prometheus_client.generate_latest(registry).decode().replace('by="person"', 'by="breaker"')
    for words in watched:
        for name, labels in re.findall(r"(hookrow_\w+)(\{[^}]*\})?", words):
            assert re.search(rf"(?m)^{name}\b.*{re.escape(labels.strip('{}'))}", text), (name, labels)


@cache
def said_by_the_code() -> list[tuple[str, str]]:
    """What is logged anywhere in the engine."""
    return [each for file in (ROOT / "engine" / "hookrow").rglob("*.py") for each in said_in(file)]


def said_in(file: Path) -> Iterator[tuple[str, str]]:
    """The level and the first fixed words of each line that the engine logs."""
    of = {"warning": "WARNING", "error": "ERROR", "exception": "ERROR", "info": "INFO"}
    text = file.read_text("utf-8")
    if "log." not in text and "Outage(" not in text:
        return
    nodes = list(ast.walk(ast.parse(text)))
    texts = {  # names that hold a line's words
        node.targets[0].id: node.value.value
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if isinstance(node.value, ast.Constant)
    }
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        given = [getattr(each, "value", None) or texts.get(getattr(each, "id", "")) for each in node.args]
        match node.func:
            case ast.Name("Outage"):
                level = "WARNING" if any(each.arg == "level" for each in node.keywords) else "ERROR"
                yield level, str(given[-2])
                yield "WARNING", str(given[-1])
            case ast.Attribute(ast.Name("log"), name) if name in of:
                parts = [each.strip(" :;,()") for each in re.split(r"%[-.\d]*[a-z]", str(given[0]))]
                yield from [(of[name], each) for each in parts if len(each) > 8][:1]


@pytest.mark.parametrize("page", PAGES)
def test_every_line_of_the_log_is_told(page: str) -> None:
    """Under its level; and there is one logger."""
    told = {re.findall("[A-Z]+", level)[0]: lines for level, lines in rows(page, "logs")}
    found = said_by_the_code()
    assert len(found) > 25
    assert [(level, words) for level, words in found if words not in told[level]] == []
    sources = "".join(each.read_text("utf-8") for each in (ROOT / "engine").rglob("*.py"))
    assert set(re.findall(r"getLogger\((.*?)\)", sources)) == {'"hookrow"'}


@pytest.mark.parametrize("page", PAGES)
def test_the_budget_is_the_engines(page: str) -> None:
    """The numbers of the table, and the formula, whose constants they are."""
    text = (DOCS / page).read_text("utf-8")
    assert f"`hookrow_connections` + {server.WRITING}) + " in text
    for number in (address.EACH, server.KEPT, server.WRITING):
        assert re.search(rf"(?m)^\|.*\b{number}\b", text)


def test_an_engine_keeps_to_its_budget(postgres_url: str) -> None:
    """Three to read, two to write, one to listen: with more threads that fire and look."""
    url = f"{postgres_url}&hookrow_connections=3"
    seen = 0
    with (
        HookReceiver() as receiver,
        HookEngine(url) as engine,
        psycopg.connect(postgres_url, autocommit=True) as asking,
    ):
        engine.hooks.add(Hook(key="a", name="a", event=AFTER, url=receiver.url, fire_and_forget=False))

        def busy(number: int) -> None:
            assert engine.fire(AFTER, {"n": number}).error is None
            engine.log.page()

        with ThreadPoolExecutor(8) as threads:
            done = [threads.submit(busy, number) for number in range(80)]
            while wait(done, 0.005).not_done:
                [[count]] = asking.execute(COUNT).fetchall()
                seen = max(seen, count)
            for each in done:
                each.result()
    assert 3 < seen <= 3 + server.WRITING + 1


COUNT = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'hookrow'"
