"""A lock installs what it names, whatever else the index holds and however old pip is: by the Makefile's recipes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from bare_wheels import python_with_pip
from kept_files import kept_files

ROOT = Path(__file__).parents[2]
LOCKS = {"requirements.lock", "requirements-dev.lock", "bench/requirements.lock"}
TARGETS = {
    "requirements.lock": [".venv/.runtime"],
    "pyproject.toml": ["-o", ".venv/.runtime", ".venv/.app"],
    "requirements-dev.lock": ["-o", ".venv/.app", ".venv/.dev"],
    "bench/requirements.lock": ["-o", ".venv/.runtime", ".venv-bench/.made"],
}
"""What make is told to make of each file; what comes before it is taken as made (-o)."""
OLD_PIPS = ("22.3", "23.0", "24.0", "26.0")


def wheel(folder: Path, name: str, version: str, *needs: str, extra: str = "") -> str:
    """Make a wheel without a module; give its line of a lock."""
    info = f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Provides-Extra: {extra}"] if extra else []
    lines += [f"Requires-Dist: {need}" for need in needs]
    files = {
        "METADATA": "\n".join(lines) + "\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
    }
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        for file, text in files.items():
            made.writestr(f"{info}/{file}", text)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


class Place:
    """A folder with the Makefile, locks of a few small wheels, and an index of these and of newer ones."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder, self.python = folder, python
        self.index = folder / "index"
        self.index.mkdir(parents=True)
        shutil.copy(ROOT / "Makefile", folder)
        # As coverage[toml], which pytest-cov wants, and markdown-it-py[linkify]: an extra, of what is pinned plainly.
        lock = wheel(self.index, "wanted", "1.0", "unlocked; extra == 'more'", extra="more")
        lock += wheel(self.index, "wanting", "1.0", "wanted[more]>=1.0")
        for newer in ("wanted", "unlocked"):
            wheel(self.index, newer, "2.0")
        self.lock(lock)

    def lock(self, text: str) -> None:
        """Make all locks say this, and what `make` looks at before them be there."""
        for name in LOCKS:
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    def make(self, lock: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Install a lock as `make test`, `make demo` or `make bench` would, with nothing but this index."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MAKE", "MFLAGS"))}
        given = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index)}
        if not (self.folder / ".venv").exists() and lock != "requirements.lock":
            subprocess.run([self.python, "-m", "venv", "--without-pip", self.folder / ".venv"], check=True)
        command = ["make", "-s", f"PYTHON={self.python}", *TARGETS[lock]]
        return subprocess.run(
            command, cwd=self.folder, env={**kept, **given, **env}, capture_output=True, text=True, check=False
        )

    def installed(self) -> set[str]:
        """The distributions in the environments."""
        return {
            path.name.removesuffix(".dist-info") for path in self.folder.glob(".venv*/lib/*/site-packages/*.dist-info")
        }


def pip_of(version: str, folder: Path) -> str:
    """An interpreter with this pip, from the index that this machine has; skipped where none can be reached."""
    python = str(folder / "bin" / "python")
    subprocess.run([python_with_pip(), "-m", "venv", folder], check=True)
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", f"pip=={version}.*"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no index can be reached: {done.stderr.strip().splitlines()[-1]}")
    said = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"pip {version}"), said
    return python


@pytest.fixture(
    scope="module", params=["at hand", *(pytest.param(each, marks=pytest.mark.torture) for each in OLD_PIPS)]
)
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Whose pip installs: the one at hand, and in torture old and new ones."""
    return python_with_pip() if request.param == "at hand" else pip_of(request.param, tmp_path_factory.mktemp("pip"))


@pytest.fixture
def place(python: str, tmp_path: Path) -> Place:
    """Where the locks are installed."""
    return Place(tmp_path / "place", python)


@pytest.mark.parametrize(
    "lock",
    [
        each if each == "requirements-dev.lock" else pytest.param(each, marks=pytest.mark.torture)
        for each in sorted(LOCKS)
    ],
    ids=lambda lock: Path(lock).parent.name + Path(lock).stem,
)
def test_a_lock_installs_what_it_names(place: Place, lock: str) -> None:
    """Neither a newer release beside it nor what an extra would want changes anything."""
    made = place.make(lock)
    assert (made.returncode, made.stderr) == (0, "")
    assert place.installed() == {"wanted-1.0", "wanting-1.0"}, made.stdout


def test_dependencies_resolved_beside_a_lock_refuse_it(place: Place) -> None:
    """The test above can fail: without --no-deps make ends with pip's refusal, two days or two years after."""
    makefile = place.folder / "Makefile"
    makefile.write_text(makefile.read_text("utf-8").replace("--no-deps", ""), "utf-8")
    made = place.make("requirements.lock")
    assert made.returncode != 0
    assert "In --require-hashes mode" in made.stderr
    assert place.installed() == set()


def test_a_lock_that_lacks_something_stops_make(place: Place) -> None:
    """Nothing is resolved, so what is missing is asked for afterwards: make names it and ends."""
    place.lock(wheel(place.index, "lonely", "1.0", "unlocked"))
    made = place.make("requirements-dev.lock")
    assert made.returncode != 0
    assert "lonely 1.0 requires unlocked, which is not installed." in made.stdout
    assert not (place.folder / ".venv" / ".dev").exists()


def test_a_file_that_the_lock_does_not_know_stops_make(place: Place) -> None:
    """Another file under the same name and version is not installed."""
    wheel(place.index, "wanted", "1.0", "unlocked; extra == 'more'", "something-else", extra="more")
    made = place.make("requirements.lock")
    assert made.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in made.stderr


def test_the_users_settings_change_nothing(place: Place) -> None:
    """Where pip installs for people, what their Python looks at, in which language it speaks: these are not asked."""
    found = str(place.index / "wanted-1.0-py3-none-any.whl")
    theirs = {"PIP_USER": "1", "PIP_REQUIRE_VIRTUALENV": "1", "PYTHONHOME": os.devnull, "PYTHONPATH": found}
    made = place.make("requirements.lock", **theirs, PYTHONWARNINGS="error", LC_ALL="C", LANG="ru_RU.UTF-8")
    assert (made.returncode, made.stderr) == (0, "")
    assert place.installed() == {"wanted-1.0", "wanting-1.0"}


BACKEND = """
import pathlib, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    name, info = "hookrow-1.0-py3-none-any.whl", "hookrow-1.0.dist-info"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as made:
        made.writestr("_hookrow.pth", f"{pathlib.Path.cwd() / 'engine'}\\n")
        made.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: hookrow\\nVersion: 1.0\\n")
        made.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        made.writestr(f"{info}/RECORD", "")
    return name
"""
"""As hatchling, it names the folder of the source by its whole path."""


def test_the_source_is_found_in_a_folder_of_any_name(python: str, tmp_path: Path) -> None:
    """In the locale C Python 3.11 ends at its start where an installed path has a letter beyond ASCII."""
    place = Place(tmp_path / "мои проекты", python)
    (place.folder / "backend.py").write_text(BACKEND)
    (place.folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "hookrow"\nversion = "1.0"\n'
    )
    for folder, module in (("engine", "hookrow"), ("tui", "hookrow_tui")):
        (place.folder / folder).mkdir()
        (place.folder / folder / f"{module}.py").touch()
    made = place.make("pyproject.toml", LC_ALL="C")
    assert (made.returncode, made.stderr) == (0, "")
    started = subprocess.run(
        [place.folder / ".venv/bin/python", "-c", "import hookrow, hookrow_tui"],
        env={"LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (started.returncode, started.stderr) == (0, "")


@pytest.mark.torture
def test_a_fresh_copy_sets_itself_up(python: str, tmp_path: Path) -> None:
    """`make demo` and `make test` from nothing, by this pip from the index that it has; the tests are a few here."""
    copy = tmp_path / "hookrow"
    for name in kept_files():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    for target in ("demo", "test"):
        command = ["make", f"PYTHON={python}", target, "PYTEST_ARGS=tests/engine/test_dates.py"]
        done = subprocess.run(command, cwd=copy, env=kept, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout[-5000:]}\n{done.stderr[-5000:]}"
        assert ("before_user_new" if target == "demo" else "passed") in done.stdout


def test_every_install_is_told_the_same() -> None:
    """No recipe installs in a way of its own."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Makefile").read_text("utf-8"))
    recipes = [line for line in text.splitlines() if line.startswith("\t") and "$(PIP)" in line]
    assert [line for line in recipes if not re.search(r"\$\((INSTALL|LOCKED|SOUND)\)", line)] == []
    locked = [line for line in recipes if " -r " in line]
    assert {line.rpartition(" -r ")[2].partition(";")[0] for line in locked} == LOCKS
    assert [line for line in locked if "$(LOCKED)" not in line] == []
