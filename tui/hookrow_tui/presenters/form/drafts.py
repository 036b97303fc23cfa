"""What was typed and not saved, kept on disk: it survives a lost connection, a signal and a crash. No secrets in it.

A draft is a JSON file of mode 0600 in `$XDG_STATE_HOME/hookrow/drafts`, named after the database, the hook and the
process that writes it. It is offered again when that process is gone.
A database is the same however its file is named, and `hooks.db` of another folder is another one. A process is told
from a later one of the same number by when it began: the first of a container always has the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hookrow.system.fileurl import file_in, without_password
from hookrow_tui.presenters.form.state import SECRETS

__all__ = ["Draft", "drafts_of", "folder", "forget", "hooks_with_drafts", "path_for", "write"]


@dataclass(frozen=True)
class Draft:
    """A form's texts as they were kept; `hook_id` is None for a new hook, `revision` the one that was edited."""

    path: Path
    hook_id: int | None
    revision: int
    texts: Mapping[str, Any]
    base: Mapping[str, Any]

    def drop(self) -> None:
        """Forget it."""
        self.path.unlink(missing_ok=True)


def folder() -> Path:
    """Where drafts are kept.

    Raises:
        OSError: this user has no home.
    """
    try:
        return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "hookrow" / "drafts"
    except RuntimeError as error:
        raise OSError(str(error)) from None


def files(pattern: str) -> list[Path]:
    """The drafts of these names; none where the folder can't be reached: nobody can have left any there."""
    try:
        return list(folder().glob(pattern))
    except OSError:
        return []


def forget(url: str, hook_id: int | None) -> None:
    """Leave no draft of this process for a hook, if there can be one."""
    with suppress(OSError):
        path_for(url, hook_id).unlink(missing_ok=True)


def stem(url: str, hook_id: int | None) -> str:
    file = file_in(url)
    database = without_password(url) if file is None else os.path.realpath(file)
    return f"{hashlib.sha256(os.fsencode(database)).hexdigest()[:16]}-{'new' if hook_id is None else hook_id}"


def path_for(url: str, hook_id: int | None) -> Path:
    """The draft of this process for a hook of this database."""
    process = os.getpid()
    return folder() / f"{stem(url, hook_id)}-{process}.{began(process)}.json"


def write(url: str, hook_id: int | None, revision: int, texts: Mapping[str, Any], base: Mapping[str, Any]) -> Path:
    """Keep these texts, without what is secret.

    Raises:
        OSError: the folder can't be written.
    """
    path = path_for(url, hook_id)
    for place in (path.parent.parent, path.parent):  # `parents` alone would leave the upper one to the umask
        place.mkdir(mode=0o700, parents=True, exist_ok=True)

    def plain(values: Mapping[str, Any]) -> dict[str, Any]:
        return {code: value for code, value in values.items() if code not in SECRETS}

    content = {"hook_id": hook_id, "revision": revision, "texts": plain(texts), "base": plain(base)}
    fresh = path.with_suffix(".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False)
    os.replace(fresh, path)
    return path


def drafts_of(url: str, hook_id: int | None) -> list[Draft]:
    """The drafts for a hook that processes left which are gone, the newest first. Damaged ones are dropped."""
    drafts = []
    for path in files(f"{stem(url, hook_id)}-*.json"):
        process, _, moment = path.stem.rpartition("-")[2].partition(".")
        if not process.isdigit() or is_running(int(process), moment):
            continue
        try:
            kept = json.loads(path.read_text("utf-8"))
            draft = Draft(path, kept["hook_id"], int(kept["revision"]), dict(kept["texts"]), dict(kept["base"]))
            drafts.append((path.stat().st_mtime, draft))
        except (ValueError, KeyError, TypeError):
            path.unlink(missing_ok=True)
        except OSError:
            continue  # another user's, or gone just now
    return [draft for _, draft in sorted(drafts, key=lambda pair: -pair[0])]


def hooks_with_drafts(url: str) -> set[int | None]:
    """The hooks of a database (None for a new one) that a lost session left drafts of."""
    names = {path.stem.split("-")[-2] for path in files(f"{stem(url, None).rpartition('-')[0]}-*.json")}
    numbers = {None if name == "new" else int(name) for name in names if name == "new" or name.isdigit()}
    return {number for number in numbers if drafts_of(url, number)}


def is_running(process: int, moment: str) -> bool:
    """Whether the process of this number runs that began then."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return began(process) in ("", moment)


def began(process: int) -> str:
    """When a process began, in the kernel's ticks; '' where that can't be known."""
    try:
        return Path(f"/proc/{process}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
