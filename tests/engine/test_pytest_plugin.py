"""Pytest's plugin, in runs of their own: what services get without configuration, and what nobody pays for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from hookrow.errors import StorageError
from hookrow.testing.databases import prepared
from hookrow.testing.plugin import postgres_of
from warm import run_warm

TESTS = """
import sys

import pytest

PAID = [name for name in ("sqlalchemy", "hookrow.core", "hookrow.testing.engine") if name in sys.modules]

from hookrow import Hook

EVENT, KIND = "after_registration", "KIND_OF_IT"


@pytest.fixture
def anyio_backend():
    return "asyncio"


def test_what_is_not_used_costs_nothing():
    assert PAID == []


@pytest.mark.parametrize("user", [1, 2])
def test_blocking(hook_engine, hook_clock, hook_receiver, hook_database_url, user):
    assert hook_database_url.startswith(KIND)
    assert hook_engine.hooks.list() == [] and hook_engine.log.page() == []
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    hook_engine.hooks.add(Hook(key="crm", name="CRM", event=EVENT, url=hook_receiver.url, signing_secret=secret))
    hook_engine.fire(EVENT, {"user": {"id": user}})
    assert (hook_engine.clock is hook_clock, hook_engine.deliver()) == (True, 1)
    assert [each.data for each in hook_receiver.received] == [{"user": {"id": user}}]


async def check(engine, receiver):
    await engine.hooks.add(Hook(key="crm", name="CRM", event=EVENT, url=receiver.url))
    await engine.fire(EVENT, {})
    assert await engine.deliver() == 1


@pytest.mark.anyio
async def test_on_anyio(async_hook_engine, hook_receiver):
    await check(async_hook_engine, hook_receiver)


@pytest.mark.asyncio
async def test_on_pytest_asyncio(async_hook_engine, hook_receiver):
    await check(async_hook_engine, hook_receiver)
"""


# What is there before pytest starts is not its to rewrite.
WARM = """
import sys

import pytest
from _pytest.assertion.rewrite import AssertionRewritingHook

AssertionRewritingHook._warn_already_imported = lambda *_: None
sys.exit(pytest.main(sys.argv[1:]))
"""


def ran(
    folder: Path, source: str, *more: str, by_exec: bool = False, **environ: str
) -> subprocess.CompletedProcess[str]:
    """A run of pytest, in which every warning is an error, on a file of tests; by `exec` where it matters what is
    imported when."""
    (folder / "test_shop.py").write_text(source, "utf-8")
    ini = "" if "PYTEST_DISABLE_PLUGIN_AUTOLOAD" in environ else "asyncio_default_fixture_loop_scope = function\n"
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}", "utf-8")
    command = ["-q", "-W", "error", "-p", "no:cacheprovider", "--strict-config", *more]
    if not by_exec:
        return run_warm([sys.executable, "-c", WARM, *command], cwd=folder, env=os.environ | environ, timeout=300)
    command = [sys.executable, "-m", "pytest", *command]
    return subprocess.run(
        command, cwd=folder, env=os.environ | environ, capture_output=True, text=True, check=False, timeout=300
    )


def test_fixtures_on_sqlite(tmp_path: Path) -> None:
    """Blocking and on the loops of both plugins for async tests; nothing is loaded before it is asked for."""
    done = ran(tmp_path, TESTS.replace("KIND_OF_IT", "sqlite:"), by_exec=True)
    assert "5 passed" in done.stdout, done.stdout
    # Plugins switched off: the one for async tests is missed in words, the fixtures can be asked for.
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["hookrow.testing.fixtures"]\n')
    source = (
        "def test_it(hook_engine):\n    assert hook_engine.fired == []\n\n\ndef test_no(async_hook_engine):\n    pass\n"
    )
    done = ran(tmp_path, source, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert ("1 passed, 1 error" in done.stdout, "is for async tests: mark this one" in done.stdout) == (True, True)


def test_what_the_page_shows(tmp_path: Path) -> None:
    """docs/testing.md, in a folder without a conftest."""
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")
    [source] = re.findall(r"<!-- pytest -->\n```python\n(.*?)```", page, re.DOTALL)
    done = ran(tmp_path, source)
    assert "2 passed" in done.stdout, done.stdout


def test_fixtures_on_postgresql(tmp_path: Path, postgres_server: str) -> None:
    """Each test has a database of its own, and none is left."""
    given = f"--hookrow-postgres={postgres_server}", "--deselect=test_shop.py::test_what_is_not_used_costs_nothing"
    done = ran(tmp_path, TESTS.replace("KIND_OF_IT", "postgresql:"), *given)
    assert "4 passed" in done.stdout, done.stdout
    with psycopg.connect(postgres_server) as connection:
        assert connection.execute("SELECT datname FROM pg_database WHERE datname ~ '^hookrow_test'").fetchall() == []


def test_where_postgresql_is(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the option, else the environment, else the file of settings; else SQLite it is."""
    assert postgres_of(pytestconfig) == ""
    monkeypatch.setitem(pytestconfig._inicache, "hookrow_postgres", "by the file")
    assert postgres_of(pytestconfig) == "by the file"
    monkeypatch.setenv("HOOKROW_PYTEST_POSTGRES", "by the environment")
    assert postgres_of(pytestconfig) == "by the environment"
    monkeypatch.setattr(pytestconfig.option, "hookrow_postgres", "by the option")
    assert postgres_of(pytestconfig) == "by the option"


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """It is told as the engine tells it, without the password."""
    with pytest.raises(StorageError) as refused, prepared(f"postgresql://irina:hunter2@/x?host={tmp_path}"):
        pass
    assert "hunter2" not in str(refused.value)
