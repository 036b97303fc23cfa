"""What is built and what it asks for: one distribution of two packages, complete, and locks that fit it."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RELEASE = f"hookrow-{PROJECT['project']['version']}"
PACKAGES = {"hookrow": ROOT / "engine", "hookrow_tui": ROOT / "tui"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, made as an installer makes them, and reproducibly."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    environ = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    """The wheel."""
    (path,) = built.glob("*.whl")
    return zipfile.ZipFile(path)


def kept(package: str) -> set[str]:
    """The files of a package that git keeps, named as in the wheel."""
    folder = PACKAGES[package]
    command = ["git", "ls-files", "-z", package]
    listed = subprocess.run(command, cwd=folder, capture_output=True, check=True, text=True).stdout
    return {name for name in listed.split("\0") if name and (folder / name).is_file()}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_wheel_holds_all_of_a_package(wheel: zipfile.ZipFile, package: str) -> None:
    """Migrations, templates, style sheets, catalogues and sample payloads are shipped like the modules."""
    assert kept(package) - set(wheel.namelist()) == set()


def test_the_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    """No tests, no folder named engine or tui, no byte code."""
    assert {name.partition("/")[0] for name in wheel.namelist()} == {*PACKAGES, f"{RELEASE}.dist-info"}
    assert [name for name in wheel.namelist() if name.endswith(".pyc")] == []


def test_the_wheel_installs_the_command(wheel: zipfile.ZipFile) -> None:
    """`hookrow` is a command, with the interface and PostgreSQL as extras."""
    assert "hookrow = hookrow.cli:main" in wheel.read(f"{RELEASE}.dist-info/entry_points.txt").decode()
    metadata = Parser().parsestr(wheel.read(f"{RELEASE}.dist-info/METADATA").decode())
    assert metadata.get_all("Provides-Extra") == ["postgres", "tui"]
    base = [need for need in metadata.get_all("Requires-Dist") or [] if "extra ==" not in need]
    assert [need for need in base if need.startswith(("textual", "psycopg"))] == []


def test_the_sdist_builds_the_same_wheel(built: Path, wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """What distributors rebuild from source has the same files."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        safely: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python 3.11.0 to 3.11.3
        archive.extractall(tmp_path, **safely)
    source = tmp_path / RELEASE
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (again,) = tmp_path.glob("*.whl")
    assert zipfile.ZipFile(again).namelist() == wheel.namelist()


@pytest.mark.parametrize(
    ("lock", "needs"),
    [
        ("requirements.lock", [PROJECT["project"]["dependencies"], PROJECT["dependency-groups"]["build"]]),
        ("requirements.lock", list(PROJECT["project"]["optional-dependencies"].values())),
        ("requirements-dev.lock", [PROJECT["dependency-groups"]["dev"]]),
    ],
    ids=["base", "extras", "dev"],
)
def test_locks_satisfy_the_project(lock: str, needs: list[list[str]]) -> None:
    """Everything that pyproject.toml asks for is locked, in a version that it allows: else run `make lock`."""
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / lock).read_text(), flags=re.MULTILINE))
    for need in map(Requirement, chain.from_iterable(needs)):
        assert locked[need.name] in need.specifier, need
