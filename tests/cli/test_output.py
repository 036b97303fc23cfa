"""Where output goes: to a full disk, to nobody, to a stream that is not UTF-8."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_runs import Hookrow
from hookrow import HookEngine
from hookrow.cli.app import run

Add = Callable[..., dict[str, Any]]
NOWHERE = "http://127.0.0.1:9/x"
FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="/dev/full is Linux")
NAME = "Café 😀"


def encoded(monkeypatch: pytest.MonkeyPatch, encoding: str, *arguments: str) -> bytes:
    """What a command writes to a stdout of this encoding."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stream)
        assert run(arguments) == 0
    stream.flush()
    return stream.buffer.getvalue()


@pytest.mark.parametrize(
    "command",
    [
        ("fire", "before_order_add", "--no-wait"),
        ("fire", "before_order_add", "--no-wait", "--json"),
        ("hooks", "secret", "new", "1"),
        ("hooks", "list"),
        ("export",),
        ("export", "--schema"),
        ("hooks", "--help"),
        ("--version",),
    ],
    ids=" ".join,
)
def test_output_that_cannot_be_written_is_no_veto_and_no_fault_of_ours(
    add: Add, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    """Exit 1 would be a veto: the firing happened. It is said, with what to think of the change, and has its code."""
    add(NOWHERE)
    with FULL.open("w") as full, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", full)
        assert run(command) == 3
    said = capsys.readouterr().err
    assert "the output can't be written: No space left on device" in said
    assert "Internal error" not in said


def test_messages_that_nobody_can_be_told_stop_nothing(add: Add, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`2>/dev/full`: the firing happens, and a refusal keeps its code."""
    add(NOWHERE)
    for command, code in (
        (("fire", "before_order_add", "--no-wait"), 0),
        (("fire", "none"), 4),
        (("fire",), 2),
        ((), 0),
    ):
        full = FULL.open("w")
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", full)
            patched.setattr(sys, "stdin", io.StringIO())
            assert run(command) == code
        with pytest.raises(OSError, match="No space left"):
            full.close()
    with HookEngine(f"sqlite:///{made}", worker=False) as engine:
        assert len(engine.log.page()) == 1


def test_closed_streams_are_as_empty_ones(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    """`<&- >&- 2>&-`, as some services start their children."""
    add(NOWHERE)
    for command, code in ((("hooks", "list"), 0), (("import", "-"), 5), (("fire",), 2), ((), 0)):
        with monkeypatch.context() as patched:
            for name in ("stdin", "stdout", "stderr"):
                patched.setattr(sys, name, None)
            assert run(command) == code, command
            for each in (sys.stdin, sys.stdout, sys.stderr):
                each.close()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "koi8-r", "utf-8"])
def test_json_is_json_in_any_encoding(add: Add, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    """JSON is UTF-8: on another stream all of it is ASCII."""
    add(NOWHERE, name=NAME)
    written = encoded(monkeypatch, encoding, "hooks", "list", "--json")
    assert json.loads(written.decode())["name"] == NAME
    assert written.isascii() is (encoding != "utf-8")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_file_is_utf_8_in_any_encoding(
    add: Add, hookrow: Hookrow, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """What is exported there and imported again says the same."""
    add(NOWHERE, name=NAME)
    assert encoded(monkeypatch, encoding, "export").decode() == hookrow("export").out
    assert NAME in hookrow("export").out
    encoded(monkeypatch, encoding, "export", "--schema").decode()
