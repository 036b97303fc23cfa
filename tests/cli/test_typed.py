"""Hints name the command that was really called, in both languages."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cli_runs import environment
from hookrow.cli.app import run
from hookrow.cli.session import Session
from hookrow.lang import Text, use


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_hint_can_be_pasted_where_it_was_said(
    tmp_path: Path, language: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the name and the database that were typed: an error, a next step, an empty list, help with its example."""
    called = Session(called="python manage.py hookrow")
    file = tmp_path / "my shop.db"
    typed = f"{called.called} --db {shlex.quote(str(file))}"
    for words, said in (
        (["hooks", "list"], f"{typed} init"),
        (["init"], f"{typed} hooks add --help"),
        (["hooks", "list"], f"{typed} hooks add"),
        (["fire", "--help"], f"{called.called} fire before_order_add --payload"),
        (["log", "--nonsense"], f"{called.called} log"),
    ):
        run(["--db", str(file), "--lang", language, *words], called)
        ran = capsys.readouterr()
        assert said in ran.out + ran.err, words
    use("en")
    assert str(Text("Start one: hookrow worker")) == "Start one: hookrow worker", "a process that goes on"


def test_as_a_module(tmp_path: Path) -> None:
    """`python -m hookrow` says so."""
    command = [sys.executable, "-m", "hookrow", "log"]
    ran = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert (ran.returncode, "-m hookrow init" in ran.stderr) == (3, True), ran.stderr
