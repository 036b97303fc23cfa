"""The wheel in a bare environment: with what it asks for and nothing else, no extras."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

import pytest

from bare_wheels import bare_environment, built_wheel, needed, python_with_pip, run

MOST = 25
"""Distributions that the engine may bring, itself among them: docs/decisions/0005-dependencies.md accounts for them."""
SCRIPT = """
import asyncio, importlib.util, json, pkgutil
import hookrow, hookrow.asgi, hookrow.testing, hookrow.wsgi
from hookrow import Hook
from hookrow.testing import HookReceiver, MemoryEngine, assert_vetoed, vetoes

assert [name for name in ("textual", "psycopg", "pytest", "starlette") if importlib.util.find_spec(name)] == []
LEFT_OUT = (
    *("hookrow.store.database.migrations", "hookrow.store.database.server", "hookrow.testing.fixtures"),
    *("hookrow.testing.plugin", "hookrow.testing.on_asyncio", "hookrow.otel"),
    *("hookrow.contrib.django", "hookrow.contrib.fastapi", "hookrow.contrib.flask"),
)
for module in pkgutil.walk_packages(hookrow.__path__, "hookrow."):
    if not module.name.startswith(LEFT_OUT) and not module.name.endswith(".__main__"):
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
    return built_wheel(tmp_path_factory.mktemp("dist"))


def test_the_engine_brings_few_distributions(wheel: Path) -> None:
    """Without extras: neither the interface nor a driver for PostgreSQL is among them."""
    found = needed(wheel)
    assert len(found) + 1 <= MOST, sorted(found)
    assert {"textual", "rich", "psycopg"} & set(found) == set()


def test_the_wheel_works_with_what_it_asks_for_alone(wheel: Path, tmp_path: Path) -> None:
    """Engine, command line, middleware and testing kit; with distributions that are installed here, from no index."""
    python = bare_environment(wheel, tmp_path / "bare")
    assert run(python, "-c", SCRIPT) == "works\n"
    assert "hooks" in run(python, "-m", "hookrow", "--lang", "en", "--help")


@pytest.mark.torture
@pytest.mark.parametrize("extras", ["", "[tui]", "[postgres]", "[postgres,tui]"])
def test_an_installer_installs_the_wheel(wheel: Path, tmp_path: Path, extras: str) -> None:
    """By pip, from the index that it is set to, with each set of extras; skipped where no index can be reached."""
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    pip = [python_with_pip(), "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    done = subprocess.run([*pip, "install", "-q", f"{wheel}{extras}"], capture_output=True, text=True, check=False)
    if done.returncode != 0 and "connection" in done.stderr.lower():
        pytest.skip(f"no index can be reached: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    listed = subprocess.run([*pip, "list", "--format=freeze"], capture_output=True, text=True, check=True).stdout
    if not extras:
        assert len(listed.splitlines()) <= MOST
        assert run(python, "-c", SCRIPT) == "works\n"
    assert ("textual==" in listed, "psycopg==" in listed) == ("tui" in extras, "postgres" in extras)
    assert "hooks" in run(python, "-m", "hookrow", "--lang", "en", "--help")
