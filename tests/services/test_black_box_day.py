"""A day with a service, by its doors alone: the command line, HTTP, receivers. Every no is a no, every secret stays."""

from __future__ import annotations

import base64
import io
import json
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hookrow import Hook, HookEngine, InvalidHook
from hookrow.asgi import HookMiddleware
from hookrow.cli.app import run
from hosting import ADD, served

Answer = Callable[[Any, bytes], tuple[int, str, bytes]]
UPDATE = "/user/order/7"
PASSWORD, TOKEN = "p4ssw0rd-canary", "t0ken-canary"


class Receiver:
    """A receiver that answers whatever bytes it is told to."""

    def __init__(self) -> None:
        self.answer: Answer = lambda headers, body: (200, "application/json", b"{}")
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.asked += 1
                status, kind, said = outer.answer(self.headers, body)
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/gate"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that allows, until it is told otherwise."""
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def hookrow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """The command line, in an empty folder with a new database: exit code, and all that it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOKROW_LANG", "en")

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b""), encoding="utf-8"))
        capsys.readouterr()
        code = run([str(each) for each in arguments])
        out, err = capsys.readouterr()
        return code, out + err

    assert call("init")[0] == 0
    return call


@pytest.fixture
def engine(hookrow: Any, tmp_path: Path) -> Iterator[HookEngine]:
    """The service's own engine on that database."""
    with HookEngine(f"sqlite:///{tmp_path / 'hooks.db'}", worker=False) as made:
        yield made


@pytest.fixture
def reached() -> list[str]:
    """What the handler was reached with."""
    return []


@pytest.fixture
def url(engine: HookEngine, reached: list[str]) -> Iterator[str]:
    """The service: it takes any body for an order, whatever its type is, as careless handlers do."""

    async def handler(request: Request) -> Response:
        reached.append((await request.body()).decode("latin-1"))
        return JSONResponse({"order": {"id": 7}})

    app = Starlette(routes=[Route("/{path:path}", handler, methods=["POST"])])
    with served(HookMiddleware(app, engine, limit=1000)) as made:
        yield made


def gate(receiver: Receiver, event: str = "before_order_add", **more: Any) -> Hook:
    """A blocking hook; `continue`, as it is by default."""
    return Hook(key="gate", name="Gate", event=event, url=receiver.url, wait_for_response=True, **more)


def test_a_gate_with_a_typo_is_no_gate_and_says_so(engine: HookEngine, receiver: Receiver) -> None:
    """Morning: a developer adds a gate by code."""
    with pytest.raises(InvalidHook, match=r"wait_for_response.*on_failure"):
        Hook(
            key="gate",
            name="Gate",
            event="before_order_add",
            url=receiver.url,
            wait_for_responce=True,  # type: ignore[call-arg]
            on_failur="stop",  # type: ignore[call-arg]
        )
    assert engine.hooks.list() == []


def test_an_empty_secret_of_a_ci_job_is_refused(
    hookrow: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    """The variable is there, and empty: nothing is stored, the job fails."""
    monkeypatch.setenv("PW", "")
    add = ("hooks", "add", "--name", "Gate", "--url", receiver.url, "--event", "before_order_add", "--key", "gate")
    assert hookrow(*add, "--auth-login", "ci", "--auth-password-env", "PW")[0] == 5
    assert hookrow("hooks", "show", "gate")[0] == 4
    assert hookrow(*add)[0] == 0
    monkeypatch.setenv("HOOKROW_SECRET_SIGNING", "")
    for change in (
        ("hooks", "edit", "gate", "--signing-secret-env", "PW"),
        ("hooks", "edit", "gate", "--auth-password-env", "PW"),
    ):
        assert hookrow(*change)[0] == 5
    assert json.loads(hookrow("hooks", "show", "gate", "--json")[1])["signing_secret"] == {"set": False}


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("application/json", b'{"allow": false, "message": "\\ud83d"}'),
        ("application/json; charset=windows-1251", '{"allow": false, "message": "Нет"}'.encode("cp1251")),
    ],
)
def test_a_no_is_a_no_in_whatever_spelling(
    engine: HookEngine, url: str, receiver: Receiver, reached: list[str], kind: str, said: bytes
) -> None:
    """A broken emoji, windows-1251: the order is refused, under `continue` as well, and the handler is not reached."""
    engine.hooks.add(gate(receiver))
    for status in (200, 409):
        receiver.answer = lambda headers, body, status=status: (status, kind, said)  # type: ignore[misc]
        response = httpx.post(url + ADD, json={"order": {"sum": 5}})
        assert (response.status_code, response.json()["firing"][:4]) == (422 if status == 200 else 409, "evt_")
        assert engine.log.get(response.json()["firing"]).outcome == "vetoed"
    assert reached == []


def test_an_echoing_receiver_puts_no_secret_into_the_log(
    engine: HookEngine, hookrow: Callable[..., tuple[int, str]], receiver: Receiver, tmp_path: Path
) -> None:
    """Its reply repeats all that it was sent: not in a table, not in a command's output."""

    def echo(headers: Any, body: bytes) -> tuple[int, str, bytes]:
        told = {"headers": dict(headers), "url": receiver.url + "?token=" + TOKEN}
        return 200, "application/json", json.dumps({"allow": True, "result": told}).encode()

    receiver.answer = echo
    more = {"auth_login": "bob", "auth_password": PASSWORD, "custom_header": f"X-Key: {PASSWORD}2"}
    engine.hooks.add(gate(receiver, response_has_data=True, **more))
    engine.hooks.update("gate", url=receiver.url + "?token=" + TOKEN)
    firing = engine.fire("before_order_add", {"order": {"id": 7}})
    assert firing.allowed
    shown = "".join(
        hookrow(*command)[1]
        for command in (
            ("show", firing.id),
            ("show", firing.id, "--json"),
            ("log", "--json"),
            ("hooks", "test", "gate"),
            ("redeliver", firing.deliveries[0].id, "--dry-run"),
        )
    )
    engine.close()
    with closing(sqlite3.connect(tmp_path / "hooks.db")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        kept = {name: repr(database.execute(f"SELECT * FROM {name}").fetchall()) for name in tables}
    spellings = (PASSWORD, TOKEN, base64.b64encode(f"bob:{PASSWORD}".encode()).decode())
    for name, rows in kept.items():
        found = rows if name not in ("hook", "hook_revision") else rows.replace(TOKEN, "")  # where it is edited
        assert [each for each in spellings if each in found] == [], name
    assert [each for each in spellings if each in shown] == []


SPELLINGS: list[tuple[bytes, dict[str, str] | list[tuple[str, str]]]] = [
    (b'{"order": {"sum": 1}, "order": {"sum": 5000}}', {"content-type": "application/json"}),
    (b'{"order": {"sum": 5000, "x": NaN}}', {"content-type": "application/json"}),
    (b'{"order": {"sum": 5000, "x": "\\ud800"}}', {"content-type": "application/json"}),
    (b'{"order": {"sum": 5000, "x": 1e400}}', {"content-type": "application/json"}),
    (b'{"order": {"sum": 5000}}', {"content-type": "text/plain"}),
    (b'{"order": {"sum": 5000}}', {}),
    (b'{"order": {"sum": 5000}, "x": "' + b"x" * 1000 + b'"}', {"content-type": "application/json"}),
    ('{"order": {"sum": 5000}}'.encode("utf-16"), {"content-type": "application/json"}),
    (b'{"order": {"sum": 5000}}', {"content-type": "application/json; charset=utf-7"}),
    (b'{"order": {"sum": 5000}, "x": ' + b"[" * 101 + b"]" * 101 + b"}", {"content-type": "application/json"}),
    (b'{"order": {"sum": 5000}}', {"content-type": "application/json", "content-encoding": "br"}),
    (b'{"order": {"sum": 5000}}', [("content-type", "application/json"), ("content-type", "text/plain")]),
]


def test_twelve_spellings_of_one_order_are_one_answer(
    engine: HookEngine, url: str, receiver: Receiver, reached: list[str]
) -> None:
    """The gate refuses sums over 1,000; nobody's order gets past it by how it is written."""

    def judge(headers: Any, body: bytes) -> tuple[int, str, bytes]:
        dear = json.loads(body)["data"]["order"]["sum"] > 1000
        return 200, "application/json", json.dumps({"allow": not dear}).encode()

    receiver.answer = judge
    engine.hooks.add(gate(receiver))
    assert httpx.post(url + ADD, json={"order": {"sum": 5000}}).status_code == 422
    for content, headers in SPELLINGS:
        assert httpx.post(url + ADD, content=content, headers=headers).status_code in (400, 413, 415)
    assert reached == []
    assert httpx.post(url + ADD, json={"order": {"sum": 500}}).status_code == 200
    assert (len(reached), receiver.asked) == (1, 2)


def test_a_hook_that_updates_its_own_order_ends(
    engine: HookEngine, url: str, receiver: Receiver, reached: list[str]
) -> None:
    """Its receiver hands `hook-depth` on: the sixth call is refused before the handler."""
    statuses = []

    def again(headers: Any, body: bytes) -> tuple[int, str, bytes]:
        depth = {"hook-depth": headers["hook-depth"]}
        statuses.append(httpx.post(url + UPDATE, json={"order": {"id": 7}}, headers=depth, timeout=60).status_code)
        return 200, "application/json", b"{}"

    receiver.answer = again
    engine.hooks.add(gate(receiver, event="before_order_update", timeout=30))
    assert httpx.post(url + UPDATE, json={"order": {"id": 7}}, timeout=60).status_code == 200
    assert (statuses, len(reached), receiver.asked) == ([508, 200, 200, 200, 200, 200], 6, 6)
