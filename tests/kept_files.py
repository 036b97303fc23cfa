"""The files that belong to the project: what git keeps; without git what .gitignore does not name."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

__all__ = ["kept_files"]

ROOT = Path(__file__).parents[1]


def kept_files(root: Path = ROOT) -> list[str]:
    """Their names, sorted. A repository around an unpacked sdist knows nothing of it: it is not asked."""
    asked = (root / ".git").exists() and shutil.which("git")
    return sorted(name for name in (by_git(root) if asked else by_walking(root)) if (root / name).is_file())


def by_git(root: Path) -> Iterator[str]:
    """What git keeps; also of a checkout that belongs to another user, and inside a hook, which sets GIT_DIR."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-c", f"safe.directory={root.resolve()}", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=root, env=environ, capture_output=True, check=True).stdout
    return (os.fsdecode(name) for name in listed.split(b"\0") if name)


def by_walking(root: Path) -> Iterator[str]:
    """Everything but what .gitignore names, and what an sdist has besides."""
    ignored = GitIgnoreSpec.from_lines((root / ".gitignore").read_text("utf-8").splitlines())
    for folder, folders, files in os.walk(root):
        place = Path(folder).relative_to(root)
        folders[:] = [name for name in folders if name != ".git" and not ignored.match_file(f"{place / name}/")]
        names = ((place / name).as_posix() for name in files)
        yield from (name for name in names if name != "PKG-INFO" and not ignored.match_file(name))
