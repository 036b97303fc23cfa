"""listen, demo, and the example database."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from standardwebhooks import Webhook

from cli_runs import ROOT, Hookrow, environment, program
from hookrow import HookEngine, lang
from hookrow.cli.commands.listen import show
from hookrow.cli.example.example import build, normalise
from hookrow.cli.example.sample_hooks import SAMPLE_HOOKS
from hookrow.cli.session import typed
from hookrow.hook.modes import MODES
from hookrow.testing.server import Answer, Came, Receiver

Add = Callable[..., dict[str, Any]]


@contextmanager
def listening(*arguments: object, **env: str) -> Iterator[tuple[Popen[str], str]]:
    """`hookrow listen` on a free port, and its URL."""
    with program("listen", "--port", 0, *arguments, env={"PYTHONUNBUFFERED": "1", **env}) as running:
        said = running.stderr.readline()
        try:
            yield running, said.split()[2]
        finally:
            running.kill()


@pytest.mark.parametrize(
    ("reply", "outcome", "status"),
    [
        ("allow", "ok", 200),
        ("veto", "vetoed", 200),
        ("echo", "ok", 200),
        ("status:503", "failed", 503),
        ("status:404", "failed", 404),
    ],
)
def test_listen_answers_as_told(add: Add, hookrow: Hookrow, reply: str, outcome: str, status: int) -> None:
    """Every reply means to a waiting hook what its name says."""
    with listening("--reply", reply, "--json") as (running, url):
        add(f"{url}/hook", "--wait-for-response")
        delivery = hookrow("fire", "before_order_add", "--json", code=None).json["deliveries"][0]
        came = json.loads(running.stdout.readline())
    assert (delivery["outcome"], delivery["status"]) == (outcome, status)
    assert (came["method"], came["path"], came["status"]) == ("POST", "/hook", status)
    assert came["body"]["type"] == "before_order_add"


def test_a_slow_reply_is_slow(add: Add, hookrow: Hookrow) -> None:
    """slow:S answers after so many seconds: a shorter timeout runs out."""
    with listening("--reply", "slow:30") as (_, url):
        add(url, "--wait-for-response", "--timeout", 0.2)
        assert hookrow("fire", "before_order_add", "--json").json["deliveries"][0]["error"] == "timeout"


def test_listen_checks_signatures_and_masks_passwords(
    add: Add, hookrow: Hookrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the secret in a variable: valid or not; the basic auth's password is not printed."""
    add("http://127.0.0.1:9", "--wait-for-response")
    secret = hookrow("hooks", "secret", "new", 1).out.strip()
    hookrow("hooks", "edit", 1, "--auth-login", "shop", "--auth-password-stdin", stdin="pass-canary")
    with listening("--secret-env", "SECRET", "--json", SECRET=secret) as (running, url):
        hookrow("hooks", "edit", 1, "--url", url, "--keep-secrets")
        hookrow("fire", "before_order_add")
        assert json.loads(running.stdout.readline())["signature"] == "valid"
        hookrow("hooks", "secret", "rotate", 1)
        hookrow("hooks", "secret", "rotate", 1)
        hookrow("fire", "before_order_add")
        line = running.stdout.readline()
        assert json.loads(line)["signature"] == "invalid"
        assert json.loads(line)["headers"]["authorization"] == "Basic shop:••••••••"


def test_a_signature_is_judged_as_the_reference_judges_it() -> None:
    """Whatever is at fault has its word; one of two signatures, as during a rotation, is enough."""
    secret, now = "whsec_" + "A" * 32, datetime.now(UTC).replace(microsecond=0)
    signed = f"v1,eA== {Webhook(secret).sign('msg_1', now, '{}')}"
    sent = {"Webhook-Id": "msg_1", "webhook-timestamp": f"{now.timestamp():.0f}", "webhook-signature": signed}

    def judged(seconds: float = 0, body: bytes = b"{}", **changed: str) -> str:
        headers = sent | {f"webhook-{name}": value for name, value in changed.items()}
        return Came("POST", "/", headers, body).signature(secret, now.timestamp() + seconds)

    Webhook(secret).verify(b"{}", sent)
    assert [judged(seconds) for seconds in (0, 300, -300, 301, -301)] == [*["valid"] * 3, "too_old", "too_new"]
    assert [judged(signature=""), judged(body=b"[]"), judged(timestamp="1e9")] == ["missing", "invalid", "invalid"]


def test_listen_shows_people_what_came() -> None:
    """The request, prettily; what could script the terminal is spelled; a 4xx without `allow` is warned of."""
    with listening("--reply", "status:404") as (running, url):
        request = urllib.request.Request(f"{url}/x", data=b'{"a": "\\u001b[2J"}', headers={"hook-event": "e"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        refused.value.close()
        lines = iter(running.stdout.readline, "\n")
        shown = "".join(lines)
    assert shown.startswith("POST /x  e\n")
    assert '"a": "\\u001b[2J"' in shown
    assert "a failure, not a veto" in shown


def test_listen_names_a_taken_port(hookrow: Hookrow, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that is taken: exit 2, and the way out; so for a secret that is none, which is not repeated."""
    with Receiver(lambda came: Answer()) as receiver:
        assert "--port 0" in hookrow("listen", "--port", receiver.port, code=2).err
    hookrow("listen", "--reply", "shrug", code=2)
    hookrow("listen", "--secret-env", "NOT_SET", code=2)
    monkeypatch.setenv("MADE_UP", "S3cret")
    assert "S3cret" not in hookrow("listen", "--secret-env", "MADE_UP", code=2).err


@pytest.mark.parametrize("length", ["-1", "zz", "+5", "٣", "1_0"])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    """Nothing is read without bound, and the sender gets an answer."""
    with Receiver(lambda came: Answer()) as receiver, socket.create_connection(("127.0.0.1", receiver.port)) as sent:
        sent.settimeout(10)
        sent.sendall(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        assert sent.recv(100).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("body", [b'{"n": NaN}', b"[" * 900 + b"]" * 900, b"[" * 100_000, b'"\\ud800"', b"\xff"])
@pytest.mark.parametrize("as_json", [True, False])
def test_whatever_comes_is_shown(body: bytes, as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """As text, where it is no JSON that can be written again."""
    came = Came("POST", "/", {}, body)
    assert came.json() is None
    show(came, Answer(), None, as_json=as_json)
    assert capsys.readouterr().out


def test_the_receiver_answers_at_once() -> None:
    """Exchanges on one connection don't wait for delayed acknowledgements (40 ms each)."""
    with (
        Receiver(lambda came: Answer.of({"allow": True})) as receiver,
        closing(http.client.HTTPConnection("127.0.0.1", receiver.port)) as connection,
    ):
        took = []
        for _ in range(20):
            began = time.perf_counter()
            connection.request("POST", "/", b"{}")
            connection.getresponse().read()
            took.append(time.perf_counter() - began)
        assert min(took) < 0.035, "each waited for an acknowledgement"


@pytest.mark.usefixtures("kept_example")
@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_demo_shows_the_nine_events_in_one_table(hookrow: Hookrow, folder: Path, language: str) -> None:
    """Without a terminal, in both languages: the table of all nine events in order, with order, veto, change, failure
    and retry, every hook on a line of 80 columns; exit 0, and nothing is left behind."""
    ui = () if language == "en" else ("--no-ui",)
    out = hookrow("--lang", language, "demo", *ui).out
    hooks = [line for line in out.splitlines() if re.match(" +[0-9]+ ", line)]
    assert set(re.findall("[✓±⊘✗·]", "\n".join(hooks))) == set("✓±⊘✗·")
    assert max(map(len, hooks)) <= 80
    rows = [block.splitlines() for block in re.split(r"\n(?=[a-z_]+  )", out)[1:]]
    assert [row[0].split()[0] for row in rows] == list(dict.fromkeys(values["event"] for values in SAMPLE_HOOKS))
    assert len(rows) == 9
    for _, *hooks in rows:
        positions = [int(line.split()[0]) for line in hooks if re.match(" +[0-9]+ ", line)]
        assert positions == sorted(positions)
    if language == "en":
        for words in ("/order/sum: 2700 → 2430", "result: {", "The phone number is registered already", "timeout"):
            assert words in out
        assert re.search(r"attempt 1: 503; attempt 2 after [4-6] s: 200\n", out)
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("kept_example")
def test_the_demo_ends_with_what_to_do_next(hookrow: Hookrow, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three lines that work when they are pasted into a shell, in this order, where the demo was called."""
    monkeypatch.setattr(sys, "argv", [str(ROOT / "engine" / "hookrow" / "__main__.py"), "demo"])
    said = hookrow("--lang", "en", "demo").err
    lines = [line.strip() for line in said.splitlines() if line.startswith("  ")]
    assert len(lines) == 3
    own, listen, fire = lines
    for command in own.split(" && "):
        with program(*shlex.split(command)[3:]) as running:
            running.communicate()
        assert running.returncode == 0
    with program(*shlex.split(listen)[3:], "--port", 0) as running:
        said = running.stderr.readline().split()[2]
        with closing(sqlite3.connect("hooks.db")) as connection, connection:
            connection.execute("UPDATE hook SET url = replace(url, 'http://127.0.0.1:8920', ?)", (said.rstrip("/"),))
        ran = subprocess.run(fire, shell=True, env=environment(), capture_output=True, text=True, check=False)
        running.kill()
    assert (ran.returncode, "before_order_add" in ran.stdout) == (0, True), ran.stderr


@pytest.mark.parametrize(
    ("argv", "found", "expected"),
    [
        ("/opt/x/bin/hookrow", "/opt/x/bin/hookrow", "hookrow"),
        (".venv/bin/hookrow", None, ".venv/bin/hookrow"),
        ("my env/bin/hookrow", "/usr/bin/hookrow", "'my env/bin/hookrow'"),
        ("/x/hookrow/__main__.py", "/usr/bin/hookrow", f"{shlex.quote(sys.executable)} -m hookrow"),
    ],
)
def test_lines_to_paste_name_the_program_as_it_was_called(
    monkeypatch: pytest.MonkeyPatch, argv: str, found: str | None, expected: str
) -> None:
    """By its name where a shell finds it, else by its path."""
    monkeypatch.setattr(sys, "argv", [argv, "demo"])
    monkeypatch.setattr("shutil.which", lambda name: found)
    assert typed() == expected


@pytest.mark.usefixtures("kept_example")
def test_the_demos_outcomes(hookrow: Hookrow) -> None:
    """One vetoes, one changes the order, one answers the cost, one is slow, one fails once, the rest allow."""
    firings = {each["event"]: each for each in hookrow("demo", "--json", "--no-ui").lines}
    outcomes = {code: [each["outcome"] for each in firing["deliveries"]] for code, firing in firings.items()}
    assert firings["before_user_new"]["veto"]["code"] == "phone_taken"
    assert firings["before_delivery_service_calculate"]["result"]["cost"] == 390
    assert outcomes["before_order_add"] == ["changed", "ok", "ok", "sent"]
    assert outcomes["before_order_update"] == ["changed", "ok"]
    assert [each["attempts"] for each in firings["before_order_update"]["deliveries"]] == [1, 2]
    assert outcomes["before_user_update"] == ["failed", "ok"]
    assert outcomes["on_subscription"][0] == "refused"
    assert [code for code, firing in firings.items() if not firing["allowed"]] == ["before_user_new"]


@pytest.mark.usefixtures("kept_example")
def test_the_demos_interface_has_live_events(monkeypatch: pytest.MonkeyPatch, hookrow: Hookrow) -> None:
    """--ui opens the interface on the demo's database while events keep coming, and ends with it."""
    seen: list[str] = []

    def interface(url: str) -> int:
        with HookEngine(url, worker=False) as engine:
            known = {firing.id for firing in engine.log.page(limit=500)}
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline and not seen:
                seen.extend(firing.id for firing in engine.log.page(limit=500) if firing.id not in known)
        return 0

    monkeypatch.setattr("hookrow.cli.commands.demo.BETWEEN", 0.05)
    monkeypatch.setattr("hookrow.cli.commands.tui.open_on", interface)
    hookrow("demo", "--ui")
    assert seen
    assert "demo" not in {thread.name for thread in threading.enumerate()}


def test_the_interface_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, hookrow: Hookrow, made: Path) -> None:
    """Without Textual the commands work, and `tui` says how to get it: exit 2."""
    monkeypatch.setattr("hookrow.cli.commands.tui.find_spec", lambda name: None)
    monkeypatch.setattr("hookrow.cli.commands.tui.interactive", lambda: True)
    assert "hookrow[tui]" in hookrow("tui", code=2).err


def dump(path: Path) -> list[str]:
    """A database's content. Indexes are made in no fixed order, so lines are sorted."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return sorted(connection.iterdump())


def test_the_example_is_fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """hooks.db.example is what the story makes today; else run `make example`."""
    made = tmp_path / "made.db"
    monkeypatch.setattr(lang.Speech, "language", "ru")
    build(made)
    normalise(made)
    assert dump(made) == dump(ROOT / "hooks.db.example")


def test_the_example_just_works(tmp_path: Path) -> None:
    """A copy opens without a key: hooks for every event in every mode, every settled outcome, nothing overdue."""
    copy = tmp_path / "hooks.db"
    copy.write_bytes((ROOT / "hooks.db.example").read_bytes())
    with HookEngine(f"sqlite:///{copy}", worker=False) as engine:
        hooks = engine.hooks.list()
        firings = engine.log.page(limit=500)
        assert engine.log.summary().queue == 0
        assert {hook.event for hook in hooks} == {event.code for event in engine.events if event.origin == "document"}
    assert {hook.mode for hook in hooks} == set(MODES)
    assert {hook.state for hook in hooks} == {"on", "off", "paused", "expired", "not_yet_valid"}
    assert not any(secret.is_set for hook in hooks for secret in (hook.auth_password, hook.signing_secret) if secret)
    assert len(firings) >= 30
    deliveries = [delivery for firing in firings for delivery in firing.deliveries]
    assert {firing.outcome for firing in firings} == {"allowed", "vetoed", "failed"}
    assert {delivery.outcome for delivery in deliveries} == {
        *("ok", "changed", "vetoed", "refused", "failed", "sent", "parked", "dead", "cancelled", "skipped")
    }
    assert any(firing.replay_of for firing in firings)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".key"] == []
