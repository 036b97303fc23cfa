"""docs/trusting.md: the story of a new gate holds end to end, in both languages."""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from hookrow.cli.app import run
from receivers import Receiver, reply

DOCS = Path(__file__).parents[2] / "docs"
PAYLOADS = {
    "small": {"number": "A-1", "sum": 100},
    "large": {"number": "A-2", "sum": 100_000},
    "broken": {"number": "A-3"},
}
STEP = re.compile(r"^\$ (hookrow .*)$", re.MULTILINE)


def steps(page: str) -> list[tuple[str, list[str]]]:
    """The page's commands in their order, and what each one's output is said to hold."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL):
        parts = STEP.split(block)[1:]
        found += [(line, said.strip().split("\n")) for line, said in zip(parts[::2], parts[1::2], strict=True)]
    return found


@pytest.mark.parametrize(("page", "language"), [("trusting.md", "en"), ("trusting.ru.md", "ru")])
def test_the_story_holds(
    page: str, language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shadow, a week of orders, a look at what it would have done, a mended body, promotion; then a change, tried."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    for name, order in PAYLOADS.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"order": order}), "utf-8")
    run(["init"])
    yes, no = reply(200, b'{"allow": true}'), reply(422, b'{"allow": false, "message": "too much"}')
    with Receiver(yes, no, yes, no, yes, yes, no, yes, yes) as receiver:
        for line, told_of in steps(page):
            words = shlex.split(line.replace("http://127.0.0.1:8920/limit", receiver.url))[1:]
            said = [part.replace("http://127.0.0.1:8920/limit", receiver.url) for part in told_of]
            capsys.readouterr()
            run(["--lang", language, *words])
            told = "".join(capsys.readouterr())
            assert [part for part in said if part not in told] == [], (line, told)
        assert len(receiver.requests) == 9


def test_both_pages_have_the_same_commands() -> None:
    """But for the names of hooks."""
    assert [re.sub('--name "[^"]*"', "", line) for line, _ in steps("trusting.md")] == [
        re.sub('--name "[^"]*"', "", line) for line, _ in steps("trusting.ru.md")
    ]
