"""Runs a side: starts its program, tells it what to do, and weighs all of its processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil

__all__ = ["HERE", "ROOT", "Program", "begin", "weigh"]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PATIENCE = 4.0
"""Seconds for a side to end by itself."""
starter: type[subprocess.Popen[Any]] = subprocess.Popen
"""Starts what this interpreter runs; tiny, it is forked from a process that has its imports (`warm.Warm`)."""


def begin(command: Sequence[str], *, env: Mapping[str, str] | None = None, **how: Any) -> subprocess.Popen[Any]:
    """Start this interpreter, which finds this Hookrow, with these arguments."""
    paths = os.pathsep.join(map(str, (ROOT / "engine", ROOT / "tui")))
    whole = {**os.environ, "PYTHONPATH": paths, **(env or {})}
    return starter([sys.executable, *command], env=whole, **how)


class Program:
    """A side's program.

    Args:
        script: a module of this package, without its ending.
        given: its arguments.
        python: the interpreter, else this one.
        more: processes that serve it (a database's server): they are weighed with it.
    """

    def __init__(
        self,
        script: str,
        given: Sequence[object],
        *,
        python: Path | None = None,
        env: Mapping[str, str] | None = None,
        more: Sequence[psutil.Process] = (),
    ) -> None:
        command = [str(HERE / f"{script}.py"), *map(str, given)]
        self.more = list(more)
        how: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        how |= {"text": True, "start_new_session": True}
        if python is None:
            self.process = begin(command, env=env, **how)
        else:
            whole = {**os.environ, "PYTHONPATH": "", **(env or {})}
            self.process = subprocess.Popen([str(python), *command], env=whole, **how)
        try:
            self.hello = self.line()
        except BaseException:
            self.end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()

    def end(self) -> None:
        """It may end by itself; then whatever it left behind is killed."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def line(self) -> Any:
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        if not said:
            raise RuntimeError(f"{self.process.args} ended")
        return json.loads(said)

    def tell(self, do: str, **given: Any) -> None:
        """Say what to do."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **given}) + "\n")
        self.process.stdin.flush()

    def ask(self, do: str, **given: Any) -> Any:
        """Say what to do and wait until it is done."""
        self.tell(do, **given)
        return self.line()

    def processes(self) -> list[psutil.Process]:
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True), *self.more]

    def cpu(self) -> float:
        """Seconds of processor time of all its processes so far."""
        return weigh(self.processes())[0]

    def memory(self) -> int:
        """Resident bytes of all its processes, without the servers that they share."""
        return weigh(each for each in self.processes() if each not in self.more)[1]


def weigh(processes: Any) -> tuple[float, int]:
    """Seconds of processor time and resident bytes of some processes."""
    seconds, resident = 0.0, 0
    for process in processes:
        try:
            times, memory = process.cpu_times(), process.memory_info()
        except psutil.NoSuchProcess:
            continue
        seconds += times.user + times.system
        resident += memory.rss
    return seconds, resident
