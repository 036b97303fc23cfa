"""The wheel in a bare environment: with what it asks for and nothing else, no extras (DESIGN 11)."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
MOST = 33
"""Distributions that the engine may bring, itself among them: docs/decisions/0005-dependencies.md accounts for them."""
SCRIPT = """
import asyncio, importlib.util, json, pkgutil
import hookrow, hookrow.asgi, hookrow.testing
from hookrow import Hook
from hookrow.testing import HookReceiver, MemoryEngine, assert_vetoed, vetoes

assert [name for name in ("textual", "psycopg", "pytest", "starlette") if importlib.util.find_spec(name)] == []
for module in pkgutil.walk_packages(hookrow.__path__, "hookrow."):
    if not module.name.startswith(("hookrow.store.database.migrations", "hookrow.__main__", "hookrow.testing.fixtures")):
        importlib.import_module(module.name)
with MemoryEngine() as engine, HookReceiver(vetoes("no", code="NO")) as receiver:
    engine.hooks.add(Hook(key="gate", name="Gate", event="before_order_add", url=receiver.url, wait_for_response=True))
    assert_vetoed(engine.fire("before_order_add", {"order": {}}), by="gate")
    sent = []

    async def call():
        async def send(message):
            sent.append(message)

        async def receive():
            return {"type": "http.request", "body": b"{}", "more_body": False}

        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/user/order/add", "headers": headers}
        await hookrow.asgi.HookMiddleware(None, engine)(scope, receive, send)

    asyncio.run(call())
    assert (sent[0]["status"], json.loads(sent[1]["body"])["code"]) == (422, "NO")
print("works")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def needed(wheel: Path) -> dict[str, Distribution]:
    """What the wheel asks for, and what that asks for, without extras: the distributions installed here."""
    metadata = next(name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("METADATA"))
    lines = zipfile.ZipFile(wheel).read(metadata).decode().splitlines()
    waiting = [Requirement(line.partition(": ")[2]) for line in lines if line.startswith("Requires-Dist: ")]
    waiting = [need for need in waiting if need.marker is None or need.marker.evaluate({"extra": ""})]
    found: dict[str, Distribution] = {}
    while waiting:
        need = waiting.pop()
        name = canonicalize_name(need.name)
        if name in found and not need.extras:
            continue
        found[name] = distribution(name)
        extras = need.extras or {""}
        for text in found[name].requires or ():
            more = Requirement(text)
            if more.marker is None or any(more.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(more)
    return found


def run(python: Path, *arguments: str) -> str:
    """What a program of the bare environment prints."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([python, *arguments], capture_output=True, text=True, env=environ, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_engine_brings_few_distributions(wheel: Path) -> None:
    """Without extras: neither the interface nor a driver for PostgreSQL is among them."""
    found = needed(wheel)
    assert len(found) + 1 <= MOST, sorted(found)
    assert {"textual", "rich", "psycopg"} & set(found) == set()


def test_the_wheel_works_with_what_it_asks_for_alone(wheel: Path, tmp_path: Path) -> None:
    """Engine, command line, middleware and testing kit; with distributions that are installed here, from no index."""
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    for found in needed(wheel).values():
        for name in {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}:
            link = site / name
            if not link.exists():
                link.symlink_to(Path(str(found.locate_file(name))))
    zipfile.ZipFile(wheel).extractall(site)
    assert run(python, "-c", SCRIPT) == "works\n"
    assert "hooks" in run(python, "-m", "hookrow", "--lang", "en", "--help")


@pytest.mark.torture
def test_an_installer_installs_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """By pip, from the index that it is set to; skipped where none can be reached."""
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    done = subprocess.run([*pip, "install", "-q", str(wheel)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no index can be reached: {done.stderr.strip().splitlines()[-1]}")
    listed = subprocess.run([*pip, "list", "--format=freeze"], capture_output=True, text=True, check=True).stdout
    assert len(listed.splitlines()) <= MOST
    assert run(python, "-c", SCRIPT) == "works\n"
