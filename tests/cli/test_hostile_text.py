"""One hostile text in every field that people see, through every command: nothing that acts on a terminal comes out."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import subprocess
import unicodedata
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest
import yaml

from cli_runs import Hookrow, program
from hookrow.cli.app import root
from hookrow.cli.show import output
from hookrow.cli.show.output import to_json
from hookrow.results import quoted
from hookrow.safetext import JOINERS, UNSAFE, covered, in_yaml, visible, visible_lines
from hostile_text import EVIL, clean, hostile_example


def test_the_table_is_what_unicode_says() -> None:
    """Controls, halves of characters, separators, format characters; not the two joiners, and nothing that is seen."""
    characters = "".join(map(chr, range(0x110000)))
    kinds = map(unicodedata.category, characters)
    acting = {each for each, kind in zip(characters, kinds, strict=True) if kind in ("Cc", "Cs", "Zl", "Zp", "Cf")}
    found = UNSAFE.findall(characters)
    assigned = {each for each in found if unicodedata.category(each) != "Cn"}  # others are kept for format characters
    assert sorted(map(ascii, assigned ^ (acting - JOINERS))) == []


def test_every_spelling_is_safe_and_reads_back() -> None:
    """In JSON, YAML and the shell the same value comes out again; elsewhere it is shown as it is spelled."""
    text = EVIL.replace("\x00", "") + "\nend\t."
    assert json.loads(to_json({text: [text]}, indent=2)) == {text: [text]}
    assert yaml.safe_load(in_yaml(yaml.dump(text, allow_unicode=True, default_style='"', width=10**6))) == text
    shell = ["bash", "-c", f"printf %s {quoted(text)}"]
    assert subprocess.run(shell, env={"LC_ALL": "C.UTF-8"}, capture_output=True, check=True).stdout.decode() == text
    for safe in (to_json(text), visible(text), covered(text), quoted(text)):
        assert not UNSAFE.search(safe)
    assert clean(visible_lines(text))
    assert "\\x1b]52" in visible(text)
    assert "\u200d" in visible("\u200d")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database whose every text is hostile."""
    return hostile_example(tmp_path_factory.mktemp("hostile"))


FIRING, DELIVERY, HOOK = "{firing}", "{delivery}", "{hook}"
CHOSEN = ("--yes", "--dry-run")
COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "hooks list": ((), ("--json",)),
    "hooks show": ((HOOK,), (HOOK, "--json"), (EVIL,)),
    "hooks stats": ((), ("--json",)),
    "hooks history": ((HOOK,), (HOOK, "--json")),
    "hooks test": ((HOOK,), (HOOK, "--json")),
    "hooks add": (("--name", EVIL, "--url", f"http://{EVIL}", "--event", EVIL),),
    "hooks edit": ((HOOK, "--condition", EVIL), (HOOK, "--timeout", EVIL), (HOOK, "--name", "x", "--dry-run")),
    "hooks move": ((HOOK, "--by", "1"), (HOOK, "--before", EVIL)),
    "hooks pause": ((HOOK, "--reason", EVIL, "--yes"),),
    "hooks resume": ((HOOK, "--yes"),),
    "hooks disable": ((HOOK, "--yes"),),
    "hooks enable": ((HOOK,),),
    "hooks rollback": ((HOOK, "1", "--yes"),),
    "hooks rm": (("{spare}", "--yes"),),
    "hooks deleted": ((), ("--json",)),
    "hooks restore": ((EVIL,),),
    "rehearse": ((HOOK,), (HOOK, "--condition", "order.x == 1"), (HOOK, "--json"), ("--file", "{file}")),
    "hooks try": ((HOOK, "--condition", EVIL), (HOOK, "--fallback-message", "x"), (HOOK, "--timeout", EVIL)),
    "hooks promote": ((HOOK, "--yes"), (HOOK, "--yes", "--json")),
    "hooks drop-candidate": ((HOOK,), (HOOK, "--json"), (EVIL,)),
    "hooks undo": (("--yes",), ("--yes", "--json")),
    "export": ((), ("--event", EVIL)),
    "import": (("{file}", "--dry-run"), ("{file}",)),
    "events": ((), ("--json",)),
    "events set": (("before_order_add", "--together"), (EVIL, "--together")),
    "events match": (("GET", f"/{EVIL}"), ("POST", f"/order/{EVIL}")),
    "fire": (("before_order_add", "--payload", "{payload}"), (EVIL, "--payload", "{payload}")),
    "explain": (("before_order_add",), ("before_order_add", "--json"), ("before_order_add", "--at", EVIL)),
    "log": (
        ("--limit", "200"), ("--limit", "200", "--json"), ("--hook", EVIL), ("--event", EVIL), ("--outcome", EVIL),
        ("--since", EVIL), ("--code", EVIL), ("--search", EVIL), ("--har",),
    ),
    "show": (
        (FIRING,), (FIRING, "--json"), (FIRING, "--har"), (DELIVERY,), (DELIVERY, "--curl"),
        (DELIVERY, "--http", "--yes"), (EVIL,),
    ),
    "fixture": ((DELIVERY, "--yes"),),
    "redeliver": ((DELIVERY, *CHOSEN), (DELIVERY, *CHOSEN, "--json"), (DELIVERY, "--yes"), (EVIL, "--yes")),
    "replay": ((FIRING, *CHOSEN), (FIRING, *CHOSEN, "--json"), (FIRING, "--yes"), (DELIVERY, *CHOSEN)),
    "drop": (("--outcome", "dead", "--yes"), (EVIL, "--yes")),
    "doctor": ((), ("--json",)),
    "prune": (("--dry-run",), ()),
    "keys abandon": ((EVIL, "--yes"),),
    "keys forget": ((EVIL, "--yes"),),
    "settings list": ((), ("--json",)),
    "settings set": (("timezone", EVIL), (EVIL, "1"), ("egress", EVIL)),
    "keys check": ((),),
}  # fmt: skip
ELSEWHERE = {
    "tui": "tests/tui/test_hostile_text.py",
    "worker": "test_the_worker_shows_hostile_hooks_harmlessly",
    "listen": "test_the_listener_shows_a_hostile_request_harmlessly",
    "tap": "tests/cli/test_tap_command.py",
    "demo": "its hooks and payloads are its own",
    "init": "it reads nothing of anybody's",
    "keys new": "it prints a new key only",
    "keys check": "it prints counts",
    "keys rotate": "it prints a new key only",
    "db": "it prints paths of the person who typed them",
    "hooks secret": "it prints a new secret only",
}


def leaves(command: click.Command, name: str = "") -> Iterator[str]:
    """The full names of all commands."""
    if not isinstance(command, click.Group):
        yield name
        return
    context = click.Context(command)
    for each in command.list_commands(context):
        found = command.get_command(context, each)
        assert found is not None
        yield from leaves(found, f"{name} {each}".strip())


def test_every_command_is_in_one_of_the_lists() -> None:
    """A new command comes with the texts that it shows."""
    known = {name for name in leaves(root) if not any(f"{name} ".startswith(f"{each} ") for each in ELSEWHERE)}
    assert known - set(COMMANDS) == set()
    assert set(COMMANDS) - set(leaves(root)) == {"events"}


def places(hookrow: Hookrow, path: Path) -> dict[str, list[str]]:
    """What the arguments of the commands stand for: one of each kind that the log holds."""
    with closing(sqlite3.connect(path)) as database:
        kinds = "SELECT min(id) FROM hook WHERE deleted_ms IS NULL GROUP BY wait_for_response, paused_by ORDER BY 1"
        hooks = [str(number) for (number,) in database.execute(kinds)]
    firings: dict[str, str] = {}
    deliveries: dict[str, str] = {}
    for firing in hookrow("log", "--limit", "400", "--json").lines:
        firings.setdefault(f"{firing['outcome']} {firing['event']}", firing["id"])
        for each in firing["deliveries"]:
            deliveries.setdefault(f"{each['outcome']} {each['error']} {each['skipped']}", each["id"])
    assert len(firings) >= 5
    assert len(deliveries) >= 8
    return {
        FIRING: list(firings.values()), DELIVERY: list(deliveries.values()), HOOK: hooks, "{spare}": ["6"],
    }  # fmt: skip


MOST = {"plain": 5, "coloured": 2, "every": 40}
"""Of so many firings, deliveries and hooks, each another kind, a command is asked, with other options of others; what
shows a delivery, of all."""
COLOURLESS = {"--json", "--har", "--curl", "--http", EVIL}
"""What is for machines looks the same in a terminal, and so does a refusal."""


@pytest.fixture(params=["plain", "coloured", pytest.param("every", marks=pytest.mark.torture)])
def look(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether stdout is taken for a terminal with colours."""
    if request.param == "coloured":
        monkeypatch.setattr(output, "in_terminal", lambda stream=None: stream is None)
        monkeypatch.setattr(output, "terminal_width", lambda: 100)
    return str(request.param)


def test_no_command_lets_a_hostile_text_act(
    example: Path, hookrow: Hookrow, folder: Path, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain, --json, --curl, --http, dry runs, fixture, and every refusal."""
    database = folder / "hooks.db"
    for name in ("hooks.db", "hookrow.key"):
        if (example / name).exists():
            (folder / name).write_bytes((example / name).read_bytes())
    monkeypatch.setenv("USER", f"x{EVIL}".replace("\x00", ""))
    named = places(hookrow, database)
    payload = folder / "payload.json"
    payload.write_text(json.dumps({"order": {"id": 1, EVIL: EVIL}}))
    sheet = folder / "hooks.yaml"
    sheet.write_text(
        in_yaml(
            yaml.dump({"hookrow": 1, "hooks": {"k": {"name": f"n{EVIL}", "url": f"http://h/{EVIL}", "event": EVIL}}})
        )
    )
    named |= {"{payload}": [str(payload)], "{file}": [str(sheet)]}
    shown = 0
    for command, variants in COMMANDS.items():
        for number, variant in enumerate(variants):
            if look == "coloured" and COLOURLESS & {*variant}:
                continue
            slot = next((each for each in variant if each in named), None)
            most = MOST["every" if (command, variant, look) == ("show", (DELIVERY,), "plain") else look]
            values = deque(named.get(slot or "", [""]))
            values.rotate(-number * most)
            for value in [*values][:most]:
                arguments = [value if each == slot else each for each in variant]
                ran = hookrow(*command.split(), *arguments, code=None)
                said = re.sub(r"\x1b\[[0-9;]*m", "", ran.out) if look == "coloured" else ran.out
                assert clean(said), (command, arguments, UNSAFE.findall(said.replace("\n", ""))[:3], said[-2000:])
                assert clean(ran.err), (command, arguments, ran.err[-2000:])
                assert "Traceback" not in ran.err, (command, arguments, ran.err[-3000:])
                shown += "]52" in said + ran.err
    assert shown > 30


def raw_request(url: str) -> bytes:
    """A request whose path, header and body are hostile, as bytes that no client would send."""
    host, port = url.removeprefix("http://").split(":")
    evil = EVIL.replace("\r", "").replace("\x00", "").encode("utf-8", "surrogatepass")
    path = "/x?\x1b]52;c;ZXZpbA==\x07\x9b31m\u202eexe".encode()
    lines = [b"POST " + path + b" HTTP/1.1", b"host: h", b"hook-event: " + evil, b"x-evil: " + evil]
    with socket.create_connection((host, int(port.rstrip("/"))), timeout=10) as client:
        client.sendall(b"\r\n".join([*lines, b"content-length: %d" % len(evil), b"", evil]))
        return client.recv(1000)


@pytest.mark.parametrize("shape", [(), ("--json",)], ids=["plain", "json"])
def test_the_listener_shows_a_hostile_request_harmlessly(shape: tuple[str, ...]) -> None:
    """Its path, headers and body, as a person reads them and as JSON."""
    with program("listen", "--port", 0, *shape, env={"PYTHONUNBUFFERED": "1"}) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        url = running.stderr.readline().split()[2]
        try:
            answer = raw_request(url)
        finally:
            running.terminate()
        out, err = running.communicate(timeout=20)
    assert answer.startswith(b"HTTP/1.1 200")
    assert "]52" in out + err
    assert clean(out)
    assert clean(err)


def test_the_worker_shows_hostile_hooks_harmlessly(example: Path, folder: Path) -> None:
    """Whatever it says of the example's hooks, whose receivers are gone."""
    for name in ("hooks.db", "hookrow.key"):
        if (example / name).exists():
            (folder / name).write_bytes((example / name).read_bytes())
    with program("--db", folder / "hooks.db", "worker", env={"PYTHONUNBUFFERED": "1"}) as running:
        assert running.stderr is not None
        first = running.stderr.readline()
        running.terminate()
        out, err = running.communicate(timeout=30)
    assert first
    assert clean(out + first + err)
