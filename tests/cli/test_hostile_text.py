"""One hostile text in every field that people see, through every command: nothing that acts on a terminal comes out."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from cli_runs import Hookrow
from hookrow.cli.app import root
from hookrow.cli.show import output
from hookrow.cli.show.curl import quoted
from hookrow.cli.show.output import to_json
from hookrow.safetext import JOINERS, UNSAFE, covered, in_yaml, visible, visible_lines

EVIL = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\u202eexe\u2028\u200b\ufeff\u00ad\U000e0041[/]\\ ' \" \r\x00\x85\u0600"
KEPT = {
    ("event", "code"), ("event", "moment"), ("event", "methods"), ("event", "sample"), ("event", "private"),
    ("firing", "uid"), ("firing", "event"), ("firing", "moment"), ("firing", "outcome"), ("firing", "replay_of"),
    ("firing", "payload_hash"), ("firing", "idempotency_key"),
    ("hook", "key"), ("hook", "event"), ("hook", "on_failure"), ("hook", "uid"), ("hook", "paused_by"),
    ("hook", "auth_password"), ("hook", "custom_header_value"), ("hook", "signing_secret"),
    ("hook", "signing_secret_old"), ("hook", "valid_from"), ("hook", "valid_until"), ("hook", "order_key"),
    ("setting", "name"), ("setting", "value"),
    ("delivery", "mode"), ("delivery", "state"), ("delivery", "skipped"), ("delivery", "owner"),
    ("delivery", "order_key"), ("hook_revision", "event"), ("attempt", "origin"),
}  # fmt: skip
"""Columns of codes, ids, sealed values and parsed settings: no text of anybody's."""
SHAPED = {"changes", "request_headers", "response_headers", "times", "veto", "before", "after"}
"""JSON whose keys are the engine's own."""


def test_the_table_is_what_unicode_says() -> None:
    """Controls, halves of characters, separators, format characters; not the two joiners, and nothing that is seen."""
    for number in range(0x110000):
        character = chr(number)
        category = unicodedata.category(character)
        acts = category in ("Cc", "Cs", "Zl", "Zp") or (category == "Cf" and character not in JOINERS)
        unassigned = category == "Cn"  # some of these are reserved for format characters
        assert bool(UNSAFE.match(character)) == acts or unassigned, hex(number)


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


def clean(text: str) -> bool:
    """Nothing in it acts, but for line breaks and tabs."""
    return UNSAFE.search(text.replace("\n", "").replace("\t", "")) is None


def poisoned(value: Any, *, keys: bool) -> Any:
    """JSON in which every text holds the hostile one, and with `keys` every object has such a key."""
    if isinstance(value, str):
        return value + EVIL
    if isinstance(value, list):
        return [poisoned(each, keys=keys) for each in value]
    if isinstance(value, dict):
        inside = {name: poisoned(each, keys=keys) for name, each in value.items()}
        return {**inside, f"key {EVIL}": EVIL} if keys else inside
    return value


def poison(path: Path) -> None:
    """Write the hostile text into every text of the database."""
    with closing(sqlite3.connect(path)) as database, database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = database.execute(f"PRAGMA table_info({table})").fetchall()
            texts = [name for _, name, kind, *_ in columns if "TEXT" in kind or "CHAR" in kind or "BLOB" in kind]
            for column in texts:
                if (table, column) in KEPT or table.startswith(("sqlite_", "alembic_")):
                    continue
                rows = database.execute(f"SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL").fetchall()
                for row, value in rows:
                    new = hostile(table, column, value)
                    database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (new, row))
        sample = "SELECT id FROM firing WHERE json_type(payload) = 'object'"
        database.execute(f"UPDATE firing SET hidden = ? WHERE id IN ({sample})", (json.dumps([f"/order/{EVIL}"]),))


def hostile(table: str, column: str, value: Any) -> Any:
    """The value of a column with the hostile text in it, as JSON where it is JSON."""
    if isinstance(value, bytes):
        return value + EVIL.encode()
    if column == "url":
        return f"{value}/{EVIL}"
    if table == "hook":
        return value[:20] + EVIL.replace("\x00", "")
    try:
        parsed = json.loads(value)
    except ValueError:
        return value + EVIL.replace("\x00", "")
    return json.dumps(poisoned(parsed, keys=column not in SHAPED))


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's database, whose every text is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    made = CliRunner().invoke(root, ["--db", str(folder / "hooks.db"), "init", "--example", "--yes"])
    assert made.exit_code == 0, made.output
    poison(folder / "hooks.db")
    return folder


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
    "hooks pause": ((HOOK, "--reason", EVIL, "--yes"),),
    "hooks resume": ((HOOK, "--yes"),),
    "hooks disable": ((HOOK, "--yes"),),
    "hooks enable": ((HOOK,),),
    "hooks rollback": ((HOOK, "1", "--yes"),),
    "hooks rm": (("{spare}", "--yes"),),
    "export": ((), ("--event", EVIL)),
    "import": (("{file}", "--dry-run"), ("{file}",)),
    "events list": ((), ("--json",)),
    "events match": (("GET", f"/{EVIL}"), ("POST", f"/order/{EVIL}")),
    "fire": (("before_order_add", "--payload", "{payload}"), (EVIL, "--payload", "{payload}")),
    "explain": (("before_order_add",), ("before_order_add", "--json"), ("before_order_add", "--at", EVIL)),
    "log": (
        ("--limit", "200"), ("--limit", "200", "--json"), ("--hook", EVIL), ("--event", EVIL), ("--outcome", EVIL),
        ("--since", EVIL), ("--code", EVIL), ("--search", EVIL),
    ),
    "show": ((FIRING,), (FIRING, "--json"), (DELIVERY,), (DELIVERY, "--curl"), (DELIVERY, "--http", "--yes"), (EVIL,)),
    "fixture": ((DELIVERY, "--yes"),),
    "redeliver": ((DELIVERY, *CHOSEN), (DELIVERY, *CHOSEN, "--json"), (DELIVERY, "--yes"), (EVIL, "--yes")),
    "replay": ((FIRING, *CHOSEN), (FIRING, *CHOSEN, "--json"), (FIRING, "--yes"), (DELIVERY, *CHOSEN)),
    "drop": (("--outcome", "dead", "--yes"), (EVIL, "--yes")),
    "doctor": ((), ("--json",)),
    "prune": (("--dry-run",), ()),
    "settings list": ((), ("--json",)),
    "settings set": (("timezone", EVIL), (EVIL, "1"), ("egress", EVIL)),
    "keys check": ((),),
}  # fmt: skip
ELSEWHERE = {
    "tui": "the screens, below",
    "worker": "test_the_worker_and_the_listener_say_nothing_hostile",
    "listen": "test_the_worker_and_the_listener_say_nothing_hostile",
    "demo": "its hooks and payloads are its own",
    "init": "it reads nothing of anybody's",
    "keys": "they print keys and counts",
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
    assert {name for name in COMMANDS if name not in ELSEWHERE} - set(leaves(root)) == set()


def places(path: Path) -> dict[str, list[str]]:
    """What the arguments of the commands stand for: one of each kind that the log holds."""
    with closing(sqlite3.connect(path)) as database:
        hooks = [str(number) for (number,) in database.execute("SELECT id FROM hook WHERE deleted_ms IS NULL LIMIT 6")]
    runner = CliRunner()
    lines = runner.invoke(root, ["--db", str(path), "log", "--limit", "400", "--json"]).output.splitlines()
    firings: dict[str, str] = {}
    deliveries: dict[str, str] = {}
    for firing in map(json.loads, lines):
        firings.setdefault(f"{firing['outcome']} {firing['event']}", firing["id"])
        for each in firing["deliveries"]:
            deliveries.setdefault(f"{each['outcome']} {each['error']} {each['skipped']}", each["id"])
    assert len(firings) >= 5
    assert len(deliveries) >= 8
    return {
        FIRING: list(firings.values()), DELIVERY: list(deliveries.values()), HOOK: hooks[:4], "{spare}": hooks[-1:],
    }  # fmt: skip


@pytest.fixture(params=["plain", "coloured"])
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
    named = places(database)
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
        for variant in variants:
            slot = next((each for each in variant if each in named), None)
            for value in named.get(slot or "", [""])[: 40 if look == "plain" else 6]:
                arguments = [value if each == slot else each for each in variant]
                ran = hookrow(*command.split(), *arguments, code=None)
                said = re.sub(r"\x1b\[[0-9;]*m", "", ran.out) if look == "coloured" else ran.out
                assert clean(said), (command, arguments, UNSAFE.findall(said.replace("\n", ""))[:3], said[-2000:])
                assert clean(ran.err), (command, arguments, ran.err[-2000:])
                assert "Traceback" not in ran.err, (command, arguments, ran.err[-3000:])
                shown += "]52" in said + ran.err
    assert shown > 60
