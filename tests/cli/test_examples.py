"""Every command's help has one example, and the example works."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import click
import pytest

from cli_runs import ROOT, Hookrow, program
from hookrow.cli.app import root
from hookrow.cli.catalogue import EXAMPLES

STAYS = {"worker", "listen", "tap"}
"""What runs until it is told to stop."""
ELSEWHERE = {"tui", "demo", "", "keys abandon", "keys forget"}
"""What needs a terminal, a certain key or seconds; their own tests run them. Here their options must be known."""
FINDS = {"doctor", "hooks test", "redeliver", "fire"}
"""What may end with a negative result: on the example database there are findings, and no receiver is there."""
ORDER = '{"order": {"id": 7, "number": "A-7", "sum": 100, "items": [], "user": {"id": 1}}}'


def paths(command: click.Command, above: str = "") -> list[str]:
    """Every command, as `EXAMPLES` names it."""
    found = [above]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            found += paths(below, f"{above} {name}".strip())
    return found


def test_every_command_has_an_example() -> None:
    """And there is none of a command that is gone."""
    assert sorted(EXAMPLES) == sorted(paths(root))


@pytest.mark.parametrize("path", sorted(set(EXAMPLES) - STAYS - ELSEWHERE))
def test_an_example_works(path: str, hookrow: Hookrow, folder: Path) -> None:
    """On a copy of the example database."""
    shutil.copy(ROOT / "hooks.db.example", folder / "hooks.db")
    (folder / "order.json").write_text(ORDER, "utf-8")
    [firing] = hookrow("log", "--event", "before_order_add", "--limit", "1", "--json").lines
    tried = next(each["id"] for each in firing["deliveries"] if each["status"])
    example = EXAMPLES[path].replace("evt_…", firing["id"]).replace("msg_…", tried)
    prepare(path, hookrow, folder)
    ran = hookrow(*shlex.split(example)[1:], code=None)
    assert ran.code in ((0, 1) if path in FINDS else (0,)), ran.err


def prepare(path: str, hookrow: Hookrow, folder: Path) -> None:
    """What has to be there before."""
    if path == "hooks secret rotate":
        hookrow("hooks", "secret", "new", "stock")
    if path == "hooks resume":
        hookrow("hooks", "pause", "stock", "--yes")
    if path == "hooks restore":
        hookrow("hooks", "rm", "new-year", "--yes")
    if path == "hooks promote":
        hookrow("hooks", "edit", "stock", "--shadow")
    if path == "hooks drop-candidate":
        hookrow("hooks", "try", "stock", "--timeout", "2")
    if path == "hooks undo":
        hookrow("hooks", "edit", "stock", "--timeout", "2")
    if path == "db restore":
        hookrow("db", "backup", "copy.db")
    if path == "import":
        hookrow("export", "-o", "hooks.yaml")


@pytest.mark.parametrize("path", sorted(ELSEWHERE))
def test_the_options_of_the_others_are_known(path: str) -> None:
    """Every option of the example is one of its command's, or of the program's."""
    commands: list[click.Command] = [root]
    for word in path.split() or ["log"]:
        family = commands[-1]
        assert isinstance(family, click.Group)
        below = family.get_command(click.Context(family), word)
        assert below is not None
        commands.append(below)
    known = {name for command in commands for each in command.get_params(click.Context(command)) for name in each.opts}
    assert {word for word in shlex.split(EXAMPLES[path]) if word.startswith("--")} <= known


@pytest.mark.parametrize("path", sorted(STAYS))
def test_what_stays_starts_and_ends(path: str, hookrow: Hookrow, folder: Path) -> None:
    """The example's options are taken; SIGTERM ends it."""
    hookrow("init")
    example = re.sub(r"--port \d+", "--port 0", EXAMPLES[path])
    with program(*shlex.split(example)[1:], cwd=folder) as running:
        assert running.stderr is not None
        said = running.stderr.readline()
        running.send_signal(signal.SIGTERM)
        try:
            running.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            running.kill()
            raise
    assert said
