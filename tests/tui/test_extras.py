"""The wheel with each set of extras, in an environment of its own outside the repository."""

from __future__ import annotations

import subprocess
import sys
import venv
from itertools import chain
from pathlib import Path

import pytest
from terminal import Terminal

from bare_wheels import bare_environment, built_wheel, without_python

BROUGHT = {"tui": "textual", "postgres": "psycopg"}
ROOT = Path(__file__).parents[2]
F10 = b"\x1b[21~"
SETS = [(), ("tui",), ("postgres",), ("tui", "postgres")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built."""
    return built_wheel(tmp_path_factory.mktemp("dist"))


def tried(python: Path, extras: tuple[str, ...], folder: Path, url: str) -> None:
    """It does what these extras are for, and says what is missing for the others."""
    command = [str(python), "-m", "hookrow", "--lang", "en"]
    path = folder / "hooks.db"
    path.write_bytes((ROOT / "hooks.db.example").read_bytes())
    with Terminal([*command, "--db", str(path)], env={"XDG_STATE_HOME": str(folder)}) as terminal:
        if "tui" in extras:
            terminal.wait_for("before_registration")
            terminal.send(F10)
        else:
            terminal.wait_for("hookrow[tui]")
        terminal.process.wait(20)
    made = subprocess.run(
        [*command, "--db", url, "init"], capture_output=True, text=True, env=without_python(), check=False, cwd="/"
    )
    assert (made.returncode == 0) is ("postgres" in extras), made.stderr
    assert ("hookrow[postgres]" in made.stderr) is ("postgres" not in extras), made.stderr


@pytest.mark.parametrize(
    "extras", [("tui",), ("postgres",), pytest.param(("tui", "postgres"), marks=pytest.mark.torture)], ids="+".join
)
def test_each_set_of_extras_does_its_work(
    wheel: Path, tmp_path: Path, postgres_url: str, extras: tuple[str, ...]
) -> None:
    """With distributions that are installed here, from no index: the terminal interface opens, PostgreSQL is used."""
    python = bare_environment(wheel, tmp_path / "bare", *extras)
    tried(python, extras, tmp_path, postgres_url)


@pytest.mark.torture
@pytest.mark.parametrize("extras", SETS, ids=lambda extras: "+".join(extras) or "none")
def test_an_installer_installs_each_set_of_extras(
    wheel: Path, tmp_path: Path, postgres_url: str, extras: tuple[str, ...]
) -> None:
    """By pip, from the index that it is set to; skipped where none can be reached."""
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    base = getattr(sys, "_base_executable", None) or sys.executable
    pip = [base, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    wanted = f"hookrow[{','.join(extras)}] @ {wheel.as_uri()}" if extras else str(wheel)
    done = subprocess.run([*pip, "install", "-q", wanted], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no index can be reached: {done.stderr.strip().splitlines()[-1]}")
    subprocess.run([*pip, "check"], check=True)
    listed = subprocess.run([*pip, "list", "--format=freeze"], capture_output=True, text=True, check=True).stdout
    names = set(chain.from_iterable(line.split("==")[:1] for line in listed.splitlines()))
    assert names & set(BROUGHT.values()) == {BROUGHT[extra] for extra in extras}
    tried(python, extras, tmp_path, postgres_url)
