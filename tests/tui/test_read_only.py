"""Who may only read the database, as another user of the system: everything is seen but secrets, nothing changes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from read_only_process import walk

from hookrow import Hook, HookEngine
from hookrow_tui.words import READ_ONLY
from postgres_roles import documented, role
from warm import Warm

HERE = Path(__file__).parent
EVENT = "before_order_add"
ROOT = HERE.parents[1]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter, with two databases, of which they may read one."""
    with tempfile.TemporaryDirectory(prefix="hookrow-") as name:
        for base in ("hooks", "loading"):
            with HookEngine(f"sqlite:///{name}/{base}.db", worker=False) as engine:
                values = {"auth_login": "b2b", "auth_password": "hidden-pass", "wait_for_response": True}
                engine.hooks.add(Hook(name="Stock", event="before_order_add", url="http://127.0.0.1:9/x", **values))
                engine.fire("before_order_add", {"order": {"number": "A-1"}})
        path = Path(name)
        (path / "hooks.db").chmod(0o644 if os.geteuid() == 0 else 0o444)
        path.chmod(0o755 if os.geteuid() == 0 else 0o555)
        yield path
        path.chmod(0o700)


def walked(folder: Path, *, state: Path) -> str:
    """What the screens showed to the reader."""
    paths = os.pathsep.join([str(ROOT / "engine"), str(ROOT / "tui")])
    command = [sys.executable, str(HERE / "read_only_process.py"), str(folder / "hooks.db")]
    env = {**os.environ, "PYTHONPATH": paths, "XDG_STATE_HOME": str(state), "PYTHONUTF8": "1"}
    with Warm(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as walking:
        out, err = walking.communicate(timeout=120)
    assert walking.returncode == 0, err
    return str(out)


@pytest.mark.parametrize(
    "running", [pytest.param(False, id="at-rest"), pytest.param(True, id="in-use", marks=pytest.mark.torture)]
)
def test_a_reader_sees_all_but_secrets_and_changes_nothing(folder: Path, tmp_path: Path, running: bool) -> None:
    """With the service stopped and with it running: list, form, history, why and log are read; each key that would
    write says why it does not."""
    if running:
        with HookEngine(f"sqlite:///{folder}/hooks.db", worker=False) as engine:
            engine.fire("before_order_add", {"order": {"number": "A-2"}})
            for name in folder.glob("hooks.db*"):
                name.chmod(0o644 if os.geteuid() == 0 else 0o444)
            seen = walked(folder, state=tmp_path)
    else:
        seen = walked(folder, state=tmp_path)
    assert "hidden-pass" not in seen
    assert seen.count(str(READ_ONLY)) >= 8
    assert "read only" in seen
    assert "Request: POST http://127.0.0.1:9/x" in seen


def test_a_role_of_a_server_that_may_only_look(postgres_url: str) -> None:
    """The same walk on PostgreSQL, with the rights that docs/postgresql.md gives."""
    with HookEngine(postgres_url, worker=False) as engine:
        engine.hooks.add(Hook(name="Stock", event=EVENT, url="http://127.0.0.1:9/x", wait_for_response=True))
        engine.fire(EVENT, {"order": {"number": "A-1"}})
        before = engine.hooks.list(), engine.log.page()
        with role(postgres_url, *documented("look")) as url:
            seen = "\n".join(asyncio.run(walk(url)))
        assert (engine.hooks.list(), engine.log.page()) == before
    assert seen.count(str(READ_ONLY)) >= 8
    assert "read only" in seen
