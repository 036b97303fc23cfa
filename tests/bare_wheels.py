"""The wheel in bare environments: with what it asks for, by an extra or none, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from functools import cache
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["bare_environment", "built_wheel", "needed", "python_with_pip", "run", "without_python"]

ROOT = Path(__file__).parents[1]


def built_wheel(folder: Path) -> Path:
    """The wheel, built into this folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def needed(wheel: Path, *extras: str) -> dict[str, Distribution]:
    """What the wheel asks for with these extras, and what that asks for: the distributions installed here."""
    metadata = next(name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("METADATA"))
    lines = zipfile.ZipFile(wheel).read(metadata).decode().splitlines()
    asked = [Requirement(line.partition(": ")[2]) for line in lines if line.startswith("Requires-Dist: ")]
    waiting = [need for need in asked if wanted(need, extras)]
    found: dict[str, Distribution] = {}
    while waiting:
        need = waiting.pop()
        name = canonicalize_name(need.name)
        if name in found and not need.extras:
            continue
        found[name] = distribution(name)
        more = map(Requirement, found[name].requires or ())
        waiting.extend(each for each in more if wanted(each, tuple(need.extras)))
    return found


def wanted(need: Requirement, extras: tuple[str, ...]) -> bool:
    """Whether a requirement holds here with these extras."""
    return need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras or ("",))


def without_python() -> dict[str, str]:
    """This environment without what leads a Python to other packages than its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(python: Path, *arguments: str) -> str:
    """What a program of the bare environment prints."""
    done = subprocess.run(
        [python, *arguments], capture_output=True, text=True, env=without_python(), check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def bare_environment(wheel: Path, folder: Path, *extras: str) -> Path:
    """The interpreter of a new environment with the wheel and what it needs, linked from here: no index is asked."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    for found in needed(wheel, *extras).values():
        for name in {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}:
            link = site / name
            if not link.exists():
                link.symlink_to(Path(str(found.locate_file(name))))
    zipfile.ZipFile(wheel).extractall(site)
    return python


@cache
def python_with_pip() -> str:
    """The interpreter whose pip made this environment, or another that has one."""
    for python in (os.environ.get("PYTHON"), getattr(sys, "_base_executable", None), shutil.which("python3")):
        if python and subprocess.run([python, "-c", "import pip"], capture_output=True, check=False).returncode == 0:
            return str(python)
    pytest.skip("no pip at hand")
