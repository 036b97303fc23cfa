"""Python programs that start in milliseconds: forked from a parent that has imported what they would import.

`Warm` stands where `subprocess.Popen` would. What depends on the very start of a program (what it imports and when, its
command line, its interpreter's options) is started by `subprocess`; so is everything where there is no Linux.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from fcntl import ioctl
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Warm"]

SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER (prctl(2)): whose parent ends becomes a child of this process."""
PATHS = [str(Path(__file__).parent), *(str(Path(__file__).parents[1] / each) for each in ("engine", "tui"))]
AT_IMPORT = {"PYTHONPATH": os.pathsep.join(PATHS), "TEXTUAL_DISABLE_KITTY_KEY": "1"}
"""What is read when a module is imported, for all alike."""


class Warm(subprocess.Popen[Any]):
    """A Python program, as `subprocess.Popen` has it: `[sys.executable, "-m" MODULE | "-c" CODE | FILE, …]`.

    Args:
        on_terminal: standard input is the terminal that it is to be controlled by.
    """

    def __init__(self, argv: Sequence[str], *, on_terminal: bool = False, **how: Any) -> None:
        self.on_terminal = on_terminal
        super().__init__(argv, **how)

    def _execute_child(
        self, args: Sequence[str], executable: Any, preexec_fn: Any, close_fds: bool, pass_fds: Any, cwd: Any,
        env: Mapping[str, str] | None, startupinfo: Any, creationflags: Any, shell: Any, p2cread: int, p2cwrite: int,
        c2pread: int, c2pwrite: int, errread: int, errwrite: int, *rest: Any,
    ) -> None:  # fmt: skip
        *_, start_new_session, _ = rest
        job = {
            "argv": [str(each) for each in args][1:],
            "env": dict(os.environ if env is None else env),
            "cwd": os.getcwd() if cwd is None else str(cwd),
            "session": start_new_session or self.on_terminal,
            "terminal": self.on_terminal,
        }
        streams = [own if given == -1 else given for own, given in enumerate((p2cread, c2pwrite, errwrite))]
        self.pid = parent().start(job, streams)
        self._child_created = True
        devnull = getattr(self, "_devnull", None)
        kept = {p2cwrite, c2pread, errread, devnull}
        for ours, given in ((p2cwrite, p2cread), (c2pread, c2pwrite), (errread, errwrite)):
            if ours != -1 and given != -1 and given not in kept:
                os.close(given)
        if devnull is not None:
            os.close(devnull)


class Parent:
    """The process that has imported everything, and forks."""

    def __init__(self) -> None:
        self.asking, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environ = {**os.environ, **AT_IMPORT}
        command = [sys.executable, __file__, str(theirs.fileno())]
        self.process = subprocess.Popen(
            command, env=environ, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
        )
        theirs.close()
        assert self.asking.recv(100) == b"ready"
        atexit.register(self.close)

    def start(self, job: dict[str, Any], streams: list[int]) -> int:
        """The number of a new process: by and by it has lost its own parents, and is a child of this one."""
        prctl = ctypes.CDLL(None).prctl
        assert prctl(SUBREAPER, 1, 0, 0, 0) == 0
        try:
            socket.send_fds(self.asking, [json.dumps(job).encode()], streams)
            return int(self.asking.recv(100))
        finally:
            prctl(SUBREAPER, 0, 0, 0, 0)

    def close(self) -> None:
        self.asking.close()
        self.process.wait(20)


@cache
def parent() -> Parent:
    """One for this process."""
    return Parent()


def import_all() -> None:
    """The engine, its command line, the interface, and what they import late."""
    for package in ("hookrow", "hookrow_tui"):
        for each in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if "__main__" not in each.name and "versions" not in each.name and not each.name.endswith("env"):
                importlib.import_module(each.name)
    for name in ("sqlalchemy.dialects.sqlite.pysqlite", "sqlalchemy.dialects.postgresql.psycopg", "textual.widgets"):
        importlib.import_module(name)


def serve(asked: socket.socket) -> dict[str, Any] | None:
    """Fork for each job that comes. The child returns with its job, the parent with none when nobody can ask more."""
    while True:
        said, streams, _, _ = socket.recv_fds(asked, 1 << 20, 3)
        if not said:
            return None
        heard, told = os.pipe()
        between = os.fork()  # whoever asked adopts its child when it ends
        if between == 0:
            number = os.fork()
            if number:
                os.write(told, str(number).encode())
                os._exit(0)
            for each in (asked.fileno(), heard, told):
                os.close(each)
            return json.loads(said) | {"streams": streams}
        os.waitpid(between, 0)
        asked.send(os.read(heard, 100))
        for each in (heard, told, *streams):
            os.close(each)


def become(job: dict[str, Any]) -> None:
    """Be as if just started so."""
    if job["session"]:
        os.setsid()
    for number, given in enumerate(job["streams"]):
        os.dup2(given, number)
    for given in {*job["streams"]} - {0, 1, 2}:
        os.close(given)
    if job["terminal"]:
        ioctl(0, termios.TIOCSCTTY, 0)
    os.environ.clear()
    os.environ.update(job["env"])
    assert "PYTHONIOENCODING" not in os.environ
    time.tzset()
    os.chdir(job["cwd"])
    at_once = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
    for name, errors in (("stdout", "strict"), ("stderr", "backslashreplace")):
        number = 1 if name == "stdout" else 2
        lines = number == 2 or os.isatty(number)
        binary: Any = io.FileIO(number, "w")
        if not at_once:
            binary = io.BufferedWriter(binary)
        text = io.TextIOWrapper(binary, "utf-8", errors, line_buffering=lines, write_through=at_once)
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)


def run(argv: list[str]) -> None:
    """What the interpreter does with these arguments."""
    if argv[0] == "-m":
        sys.path[0] = os.getcwd()
        sys.argv = argv[1:]
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    elif argv[0] == "-c":
        sys.path[0] = ""
        sys.argv = ["-c", *argv[2:]]
        exec(compile(argv[1], "<string>", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})
    else:
        assert not argv[0].startswith("-"), argv
        sys.path[0] = os.path.dirname(argv[0])
        sys.argv = argv
        runpy.run_path(argv[0], run_name="__main__")


if __name__ == "__main__":
    asked = socket.socket(fileno=int(sys.argv[1]))
    import_all()
    gc.collect()
    gc.freeze()
    assert len(os.listdir("/proc/self/task")) == 1, "a thread would be missing in each child"
    asked.send(b"ready")
    job = serve(asked)
    if job is not None:
        become(job)
        run(job["argv"])
