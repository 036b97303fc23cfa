"""Python programs that start in milliseconds: forked from a parent that has imported what they would import.

`Warm` stands where `subprocess.Popen` would. What depends on the very start of a program (what it imports and when, its
command line, its interpreter's options) is started by `subprocess`; so is everything where there is no Linux.

The processes that pytest-xdist spreads the tests over are such programs too (`Worker`).
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
import warnings
from collections.abc import Callable, Mapping, Sequence
from fcntl import ioctl
from functools import cache
from pathlib import Path
from typing import Any

from execnet.gateway_io import Popen2IO, Popen2IOMaster

__all__ = ["Warm", "Worker"]

SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER (prctl(2)): whose parent ends becomes a child of this process."""
PATHS = [str(Path(__file__).parent), *(str(Path(__file__).parents[1] / each) for each in ("engine", "tui"))]
AT_IMPORT = {"PYTHONPATH": os.pathsep.join(PATHS), "TEXTUAL_DISABLE_KITTY_KEY": "1"}
"""What is read when a module is imported, for all alike."""


class Warm(subprocess.Popen[Any]):
    """A Python program, as `subprocess.Popen` has it: `[sys.executable, "-m" MODULE | "-c" CODE | FILE, …]`.

    Args:
        on_terminal: standard input is the terminal that it is to be controlled by.
        fertile: what it starts warm itself is forked from a parent that was forked before it.
    """

    def __init__(self, argv: Sequence[str], *, on_terminal: bool = False, fertile: bool = False, **how: Any) -> None:
        self.on_terminal = on_terminal
        self.fertile = fertile
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
            "fertile": self.fertile,
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


class Worker(Popen2IOMaster):
    """A process of pytest-xdist, in place of execnet's own: what all tests import is imported once for all of them."""

    def __init__(self, args: Sequence[str], execmodel: Any) -> None:
        # Plugins were imported by what they are plugins of; their assertions are not what is tested.
        quiet = "from _pytest.assertion.rewrite import AssertionRewritingHook as hook\n"
        quiet += "hook._warn_already_imported = lambda *_: None\n"
        argv = [sys.executable, "-c", quiet + args[-1]]
        self.popen = Warm(argv, fertile=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        Popen2IO.__init__(self, self.popen.stdin, self.popen.stdout, execmodel)


class Parent:
    """The process that has imported everything, and forks."""

    def __init__(self, asking: socket.socket, ended: Callable[[], object]) -> None:
        self.asking = asking
        self.ended = ended
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
        self.ended()


inherited: Parent | None = None
"""Of a fertile process."""


@cache
def parent() -> Parent:
    """One for this process."""
    return inherited or started()


def started() -> Parent:
    """One that is made for this process."""
    asking, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environ = {**os.environ, **AT_IMPORT}
    command = [sys.executable, __file__, str(theirs.fileno())]
    process = subprocess.Popen(
        command, env=environ, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
    )
    theirs.close()
    assert asking.recv(100) == b"ready"
    return Parent(asking, lambda: process.wait(20))


def import_all() -> None:
    """The engine, its command line, the interface, what they import late, and what most tests stand on."""
    for package in ("hookrow", "hookrow_tui"):
        for each in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if "__main__" not in each.name and "versions" not in each.name and not each.name.endswith("env"):
                importlib.import_module(each.name)
    for name in ("sqlalchemy.dialects.sqlite.pysqlite", "sqlalchemy.dialects.postgresql.psycopg", "textual.widgets"):
        importlib.import_module(name)
    for name in ("pytest", "hypothesis.stateful", "django.http", "fastapi"):
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
            for each in (asked.detach(), heard, told):
                os.close(each)
            return json.loads(said) | {"streams": streams}
        os.waitpid(between, 0)
        asked.send(os.read(heard, 100))
        for each in (heard, told, *streams):
            os.close(each)


def fork_parent(job: dict[str, Any]) -> dict[str, Any] | None:
    """Fork a parent for what this job's process will start warm. Returns as `serve`: in it, and in its children."""
    global inherited
    asking, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    number = os.fork()
    if number == 0:
        asking.close()
        for each in {*job["streams"]}:
            os.close(each)
        return serve(asked)
    asked.close()
    inherited = Parent(asking, lambda: os.waitpid(number, 0))
    return job


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
    sys.modules["warm"] = sys.modules["__main__"]  # who is born here and imports it
    asked = socket.socket(fileno=int(sys.argv[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # as where the tests import it
        import_all()
    gc.collect()
    gc.freeze()
    assert len(os.listdir("/proc/self/task")) == 1, "a thread would be missing in each child"
    asked.send(b"ready")
    job = serve(asked)
    if job is not None and job["fertile"]:
        job = fork_parent(job)
    if job is not None:
        become(job)
        run(job["argv"])
