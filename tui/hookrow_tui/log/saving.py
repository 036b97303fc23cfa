"""All records that the log shows, into a file: one JSON object a line, as `hookrow log --json` prints them, or HAR."""

from __future__ import annotations

import json
import os
import threading
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text as Styled
from textual import on
from textual.message import Message
from textual.widgets import Static

from hookrow.errors import FiringNotFound, HookrowError
from hookrow_tui.presenters.failures import sentence
from hookrow_tui.presenters.hook_rows import number
from hookrow_tui.widgets.counting import CountingScreen
from hookrow_tui.widgets.dialogs import box_css
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import HookEngine

__all__ = ["SavingScreen", "write_lines"]

CHUNK = 200
"""Firings that are read at once."""


def write_lines(engine: HookEngine, ids: array[int], path: Path, halt: threading.Event) -> Iterator[int]:
    """Write these firings, in this order, to a new file that only its owner reads; gives how many are written, chunk by
    chunk. What was purged meanwhile is left out. A name that ends in `.har` means HAR.

    Raises:
        OSError: the file exists, or can't be written.
        HookrowError
    """
    har = path.suffix.lower() == ".har"
    head, _, tail = json.dumps(engine.log.har([])).partition("[]") if har else ("", "", "")
    done, before = 0, f"{head}[\n"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        for start in range(0, len(ids), CHUNK):
            if halt.is_set():
                break
            some = ids[start : start + CHUNK]
            found = {firing.row_id: firing for firing in engine.log.by_rows(some)}
            for firing in (found[each] for each in some if each in found):
                if har:
                    for entry in entries(engine, firing.id):
                        file.write(before + json.dumps(entry, ensure_ascii=False))
                        before = ",\n"
                else:
                    file.write(json.dumps(firing.as_json(), ensure_ascii=False) + "\n")
                done += 1
            yield done
        if har:
            file.write(f"{'' if before.startswith(',') else before}\n]{tail}\n")


def entries(engine: HookEngine, ref: str) -> list[Any]:
    """A firing's requests as HAR has them; none of one that was purged meanwhile."""
    try:
        found: Any = engine.log.har([ref])
    except FiringNotFound:
        return []
    return list(found["log"]["entries"])


class SavingScreen(CountingScreen):
    """Writes at once, with a count; Escape stops, then closes.

    Args:
        whole: whether `ids` are all that the filter finds: older ones may still be read.
    """

    DEFAULT_CSS = box_css("SavingScreen") + "SavingScreen Static { width: 100%; height: auto; padding: 0 1 1 1; }"
    HEADING = Say("Writing to a file")

    @dataclass
    class Counted(Message):
        """So many lines are written; `fault` says what went wrong."""

        done: int
        ended: bool
        fault: str = ""

    def __init__(self, ids: array[int], path: Path, *, whole: bool) -> None:
        super().__init__()
        self.ids = ids
        self.path = path
        self.whole = whole

    def act(self, engine: HookEngine) -> None:
        done = 0
        try:
            for done in write_lines(engine, self.ids, self.path, self.halt):
                self.post_message(self.Counted(done, False))
        except OSError as error:
            self.post_message(self.Counted(done, True, str(error.strerror or error)))
        except HookrowError as error:
            self.post_message(self.Counted(done, True, sentence(error)))
        else:
            self.post_message(self.Counted(done, True))

    @on(Counted)
    def show(self, message: Counted) -> None:
        lines = [self.bar(message.done, len(self.ids))]
        if message.fault:
            lines.append(str(Say("{path} was not written to its end: {reason}", path=self.path, reason=message.fault)))
        elif message.ended and self.halt.is_set():
            lines.append(str(Say("Stopped. {path} holds the newest {n}.", path=self.path, n=number(message.done))))
        elif message.ended:
            lines.append(str(Say("Written: {path}, mode 0600.", path=self.path)))
            if not self.whole:
                lines.append(str(Say("Older firings were still being read: they are not in it.")))
        self.ended = message.ended
        self.query_one(Static).update(Styled("\n".join(lines)))
