"""What the repository must not hold: a package index's name, a path of somebody's machine, a file too long to read."""

import re
from functools import cache
from pathlib import Path

import pytest

from kept_files import kept_files

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
LONGEST = 500

# Written in pieces, so that this file passes its own test.
INDEX_HOSTS = re.compile("|".join([r"pypi\.(?:" + "org|io)", "python" + "hosted", r"npm" + r"js\.", "file" + "://"]))
MACHINE_PATHS = re.compile(r"(?<![\w.}/])/(?:" + "work|root|Users|home|tmp/v" + r")/[\w.]")


@cache
def texts() -> dict[str, str]:
    """Every text file of the project, by its name."""
    read = ((name, (ROOT / name).read_bytes()) for name in kept_files())
    found = {name: data.decode("utf-8") for name, data in read if b"\0" not in data}
    assert "pyproject.toml" in found
    return found


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    """`file:line: text` of every line in which the pattern occurs."""
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_package_index() -> None:
    """Where packages come from is the machine's business: the same locks serve behind any mirror."""
    assert lines_with(INDEX_HOSTS) == []


def test_no_file_names_a_path_of_a_machine() -> None:
    """Neither this checkout's folder nor anybody's home stands in a file."""
    here = re.compile(re.escape(str(ROOT)) + r"\b")
    assert lines_with(MACHINE_PATHS) + lines_with(here) == []


def test_no_file_is_too_long() -> None:
    """Nothing that a person writes is longer than 500 lines; locks, catalogues and made pages are a machine's."""
    made = "<!-- Made from the code"
    lengths = {
        name: text.count("\n")
        for name, text in texts().items()
        if not name.endswith((".lock", ".po")) and made not in text[:500]
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_hold_nothing_but_versions_and_hashes(lock: str) -> None:
    """A lock has no option, no URL and no path, and every version comes with its hashes."""
    entries = re.split(r"\n(?=\S)", re.sub(r"^ *#.*\n", "", texts()[lock], flags=re.MULTILINE).strip())
    entry = re.compile(r"[a-z0-9-]+==[\w.]+(?: ; [^\\/@]+)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\\n|$))+")
    assert [text for text in entries if not entry.fullmatch(text)] == []
    assert len(entries) > 20


def test_both_locks_agree() -> None:
    """What the product runs on is what it is tested on: the development lock repeats the runtime's versions."""
    runtime, development = (set(re.findall(r"^\S+==\S+", texts()[lock], flags=re.MULTILINE)) for lock in LOCKS)
    assert runtime < development
