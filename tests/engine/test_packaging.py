"""What is built and what it asks for: one distribution of two packages, complete, and locks that fit it."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from importlib.util import module_from_spec, spec_from_file_location
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from kept_files import kept_files

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
    """The files of a package that the project keeps, named as in the wheel."""
    folder = PACKAGES[package].name
    return {name.removeprefix(f"{folder}/") for name in kept_files() if name.startswith(f"{folder}/{package}/")}


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
    assert metadata.get_all("Provides-Extra") == ["metrics", "otel", "postgres", "tui"]
    base = [need for need in metadata.get_all("Requires-Dist") or [] if "extra ==" not in need]
    assert [need for need in base if need.startswith(("textual", "psycopg"))] == []


def test_the_wheel_links_to_nothing_that_is_not_there(wheel: zipfile.ZipFile) -> None:
    """Without a public address it has no project URLs, and its description names files instead of linking to them."""
    metadata = Parser().parsestr(wheel.read(f"{RELEASE}.dist-info/METADATA").decode())
    assert metadata.get_all("Project-URL") is None
    description = str(metadata.get_payload())
    assert description.startswith("# Hookrow")
    assert re.findall(r"\]\((?!https?://)", description) == []
    assert "quick start (docs/quickstart.md)" in description


def test_with_an_address_every_link_leads_there() -> None:
    """To a file that the repository has."""
    spec = spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    build = module_from_spec(spec)
    spec.loader.exec_module(build)
    source = "https://host.example/hookrow"
    links = re.findall(r"\]\(([^)]+)\)", build.described((ROOT / "README.md").read_text("utf-8"), source))
    assert len(links) > 10
    for link in links:
        assert link.startswith(f"{source}/blob/main/"), link
        assert (ROOT / link.removeprefix(f"{source}/blob/main/").partition("#")[0]).exists(), link


@pytest.fixture(scope="module")
def unpacked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked inside a repository of somebody else, who ignores all of it."""
    around = tmp_path_factory.mktemp("around")
    subprocess.run(["git", "init", "-q", str(around)], check=True)
    (around / ".gitignore").write_text("*\n")
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        safely: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python 3.11.0 to 3.11.3
        archive.extractall(around, **safely)
    return around / RELEASE


def test_the_sdist_holds_what_the_project_keeps(unpacked: Path) -> None:
    """Nothing is missing for its tests, and nothing is there besides: found there without git as here with it."""
    assert kept_files(unpacked) == kept_files()
    files = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert files - {"PKG-INFO"} == set(kept_files())


def test_the_sdist_builds_the_same_wheel(unpacked: Path, wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """What distributors rebuild from source has the same files."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=unpacked, check=True, capture_output=True)
    (again,) = tmp_path.glob("*.whl")
    assert zipfile.ZipFile(again).namelist() == wheel.namelist()


def make(folder: Path, *arguments: str) -> None:
    """Run make there, with the interpreter that made this environment; its output is shown when it fails."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTEST"))}
    base = getattr(sys, "_base_executable", None) or sys.executable
    done = subprocess.run(
        ["make", f"PYTHON={base}", *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-5000:]}\n{done.stderr[-5000:]}"


@pytest.mark.torture
def test_the_unpacked_sdist_passes_its_tests(unpacked: Path) -> None:
    """`make test`, as a distributor runs it: without git's knowledge, in an environment of its own."""
    make(unpacked, "test")


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
