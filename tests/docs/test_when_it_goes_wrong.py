"""The page «When it goes wrong»: its commands are run, each in the trouble that it is for."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hookrow.cli.app import run
from receivers import Receiver, reply

DOCS = Path(__file__).parents[2] / "docs"
ASKS = ("db restore", "keys abandon", "redeliver")
EVENT = "after_registration"
Say = Callable[..., str]


def blocks(page: str) -> list[list[str]]:
    """The commands of each block that is tried, in the page's order."""
    text = (DOCS / page).read_text("utf-8")
    return [found.splitlines() for found in re.findall(r"<!-- tried -->\n```sh\n(.*?)```", text, re.DOTALL)]


@pytest.fixture
def hookrow(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    """Runs a command line in a folder where a database with a key, a hook, a sent and a waiting firing is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))

    def call(line: str, code: int = 0) -> str:
        words = shlex.split(line)
        if words[0] == "cp":
            shutil.copy(words[1], words[2])
            return ""
        asks = any(line.startswith(f"hookrow {each}") for each in ASKS)
        ended = run(["--lang", "en", *words[1:], *(["--yes"] if asks else [])])
        said = "".join(capsys.readouterr())
        assert ended == code, f"{line}: exit {ended}\n{said}"
        return said

    return call


@pytest.fixture
def receiver(hookrow: Say) -> Iterator[Receiver]:
    """The hook's; a backup was made while the second firing waited."""
    with Receiver(reply(200)) as made:
        hookrow("hookrow init")
        hookrow(f"hookrow hooks add --key stock --name Stock --event {EVENT} --url {made.url} --response-has-data")
        hookrow("hookrow hooks secret new stock")
        hookrow(f"hookrow fire {EVENT}")
        hookrow(f"hookrow fire {EVENT} --no-wait")
        hookrow("hookrow db backup copy.db")
        yield made


def test_both_pages_have_the_same_commands() -> None:
    """In the same order."""
    assert blocks("when-it-goes-wrong.md") == blocks("when-it-goes-wrong.ru.md")
    assert len(blocks("when-it-goes-wrong.md")) == 7


def test_the_disk_is_full(hookrow: Say, receiver: Receiver) -> None:
    """On a really full one: tests/crash/test_full_disk.py."""
    for line in blocks("when-it-goes-wrong.md")[0]:
        hookrow(line)


def test_the_file_is_damaged(hookrow: Say, receiver: Receiver, tmp_path: Path) -> None:
    """Found, answered from by nobody, replaced, whole."""
    look, restore, again = blocks("when-it-goes-wrong.md")[1]
    path = tmp_path / "hooks.db"
    path.write_bytes(path.read_bytes()[: 3 * 4096] + b"\xff" * (path.stat().st_size - 3 * 4096))
    hookrow(look, code=3)
    hookrow("hookrow log", code=3)
    hookrow(restore)
    hookrow(again)
    hookrow("hookrow log")


def test_the_key_is_lost(hookrow: Say, receiver: Receiver, tmp_path: Path) -> None:
    """With a copy of it, and without."""
    look, back, again = blocks("when-it-goes-wrong.md")[2]
    (tmp_path / "copies").mkdir()
    (tmp_path / "hookrow.key").rename(tmp_path / "copies/hookrow.key")
    hookrow(look, code=3)
    hookrow(back)
    assert "All secrets can be decrypted" in hookrow(again)
    abandon, new = blocks("when-it-goes-wrong.md")[3]
    lost = (tmp_path / "hookrow.key").read_text().split()[-2]
    (tmp_path / "hookrow.key").unlink()
    hookrow("hookrow db restore copy.db", code=3)
    hookrow(abandon.replace("KEYID", lost))
    assert "whsec_" in hookrow(new)
    hookrow(f"hookrow --db copy.db keys abandon {lost} --yes")
    hookrow("hookrow db restore copy.db")


def test_a_backup_comes_back(hookrow: Say, receiver: Receiver) -> None:
    """What it has as unfinished is found, looked at and sent."""
    restore, log, dry, send = blocks("when-it-goes-wrong.md")[4]
    assert "Unfinished deliveries: 1" in hookrow(restore)
    assert EVENT in hookrow(log)
    hookrow(dry)
    assert len(receiver.requests) == 1
    hookrow(send)
    assert len(receiver.requests) == 2


def test_the_machine_is_another(
    hookrow: Say, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that waits goes on there."""
    [back_up], there = blocks("when-it-goes-wrong.md")[5:]
    hookrow(back_up)
    (tmp_path / "new").mkdir()
    for name in ("move.db", "hookrow.key"):
        (tmp_path / name).rename(tmp_path / "new" / name)
    monkeypatch.chdir(tmp_path / "new")
    for line in there:
        hookrow(line)
    assert "queued" in hookrow("hookrow log")
