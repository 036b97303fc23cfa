"""Taking something out of the screen: to the clipboard (OSC 52), into $PAGER, into a file of mode 0600."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from hookrow_tui.presenters.body import kibibytes
from hookrow_tui.presenters.columns import steady_lines
from hookrow_tui.presenters.log.detail import Detail, Tab, clipboard_text, whole_tab
from hookrow_tui.terminal.editor import NotRun, page_text
from hookrow_tui.widgets.dialogs import ask_file
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import JsonObject
    from hookrow_tui.widgets.page import Page

__all__ = ["copy_out", "page_out", "write_file", "write_out"]

CLIPBOARD = 48 * 1024
"""Bytes that terminals take in one OSC 52."""


def copy_out(page: Page[None], tab: Tab, detail: Detail) -> None:
    """Put the tab's body on the terminal's clipboard, and say so: no terminal answers whether it took it."""
    data = clipboard_text(tab, detail).encode("utf-8", "replace")
    part = data[:CLIPBOARD].decode("utf-8", "ignore")
    page.app.copy_to_clipboard(part)
    if len(data) > CLIPBOARD:
        text = Say(
            "Copied the first {part} of {size}; w writes all of it.",
            part=kibibytes(CLIPBOARD),
            size=kibibytes(len(data)),
        )
    else:
        text = Say("Copied {size}, if the terminal allows it; else v and w.", size=kibibytes(len(data)))
    page.app.notify(str(text), markup=False, timeout=4)


def page_out(page: Page[None], tab: Tab, detail: Detail) -> None:
    """Show the whole tab in $PAGER, made harmless for the terminal."""
    text = "\n".join(steady_lines(whole_tab(tab, detail).decode("utf-8", "replace")))
    try:
        page_text(page.app, text + "\n")
    except NotRun as error:
        page.hookrow.notice(str(error))


def write_out(page: Page[None], tab: Tab, detail: Detail) -> None:
    """Ask for a name, and write the whole tab there."""
    ref = detail.delivery.id if detail.delivery is not None else detail.firing.id
    part = {"1": "request", "2": "response", "3": "times", "4": "row"}[tab]

    def write(path: Path) -> None:
        har = path.suffix.lower() == ".har"
        page.hookrow.ask(
            page,
            lambda engine: write_file(path, dumped(engine.log.har([ref])) if har else whole_tab(tab, detail)),
            said,
        )

    def said(text: Say) -> None:
        page.app.notify(str(text), markup=False, timeout=8)

    ask_file(page, Say("Write to a file (NAME.har: opens in a browser's developer tools)"), f"{ref}-{part}.txt", write)


def dumped(document: JsonObject) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8", "replace")


def write_file(path: Path, data: bytes) -> Say:
    """Write a new file that only its owner reads; gives what to say. An existing file is never overwritten."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        return Say("Could not write {path}: {reason}", path=path, reason=error.strerror or error)
    return Say("Wrote {path} ({size}, mode 0600)", path=path, size=kibibytes(len(data)))
