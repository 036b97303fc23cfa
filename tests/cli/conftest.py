"""The command line as a person runs it: in a folder of their own, in this process."""

from __future__ import annotations

import io
import os
import shutil
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli_runs import ROOT, Hookrow, Ran
from hookrow import lang
from hookrow.cli.app import run
from hookrow.cli.example import example
from hookrow.cli.example.example import build


def where_it_is_noon() -> str:
    """A time zone without summer time in which no day ends while a test runs: «today» stays the same."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "UTC"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder, and an environment that says nothing."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("HOOKROW", "LC_", "CREDENTIALS", "SSH_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TZ", where_it_is_noon())
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("LANGUAGE", "en")
    before = lang.current()
    yield tmp_path
    lang.use(before)


@pytest.fixture
def hookrow(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Hookrow:
    """Runs a command line in this process."""

    def call(*arguments: object, stdin: str = "", code: int | None = 0) -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
        capsys.readouterr()
        ended = run([str(each) for each in arguments])
        out, err = capsys.readouterr()
        assert code is None or ended == code, f"exit {ended} instead of {code}\n{out}\n{err}"
        return Ran(ended, out, err)

    return call


@pytest.fixture(scope="session")
def initial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `hookrow init` was called, to be copied."""
    folder = tmp_path_factory.mktemp("initial")
    assert run(["--db", str(folder / "hooks.db"), "init"]) == 0
    return folder


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """What `init --example` and the demo build, in place of that: made once for each language, then a copy. In Russian
    it is the shipped one (test_the_example_is_fresh)."""
    kept = {"ru": ROOT / "hooks.db.example"}

    def copied(path: Path) -> None:
        language = lang.current()
        if language not in kept:
            kept[language] = tmp_path_factory.mktemp("example") / "hooks.db"
            build(kept[language])
        shutil.copyfile(kept[language], path)

    return copied


@pytest.fixture
def kept_example(examples: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what is done with the example."""
    monkeypatch.setattr(example, "build", examples)


@pytest.fixture
def made(initial: Path, folder: Path) -> Path:
    """A new database in the folder, as `init` makes it."""
    shutil.copytree(initial, folder, dirs_exist_ok=True)
    return folder / "hooks.db"


@pytest.fixture
def add(hookrow: Hookrow, made: Path) -> Callable[..., dict[str, Any]]:
    """Adds a hook by the command line and gives its --json."""

    def call(url: str, *options: object, name: str = "Stock", event: str = "before_order_add") -> dict[str, Any]:
        ran = hookrow("hooks", "add", "--name", name, "--url", url, "--event", event, "--json", *options)
        found: dict[str, Any] = ran.json
        return found

    return call


@pytest.fixture
def doorkeeper() -> Iterator[int]:
    """The port of what takes itself for a PostgreSQL server that asks for a password and refuses every one."""
    listening = socket.create_server(("127.0.0.1", 0))

    def told(kind: bytes, said: bytes) -> bytes:
        return kind + struct.pack("!i", len(said) + 4) + said

    def serve() -> None:
        while True:
            try:
                peer, _ = listening.accept()
            except OSError:
                return
            with peer, suppress(OSError):
                while struct.unpack("!ii", peer.recv(4096)[:8])[1] != 196608:  # no TLS, no GSS
                    peer.sendall(b"N")
                peer.sendall(told(b"R", struct.pack("!i", 3)))
                peer.recv(4096)
                peer.sendall(told(b"E", b'SFATAL\0C28P01\0Mpassword authentication failed for user "admin"\0\0'))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(10)
