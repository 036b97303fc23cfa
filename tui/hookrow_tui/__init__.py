"""The terminal interface of Hookrow. It speaks to the engine through the front door (`hookrow`) only."""

from __future__ import annotations

import gc
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hookrow.lang import Language

__all__ = ["run"]


def run(url: str, *, lang: Language | None = None) -> int:
    """Open the interface on a database and stay until the person leaves.

    Args:
        url: `sqlite:///hooks.db`, a path, or a PostgreSQL URL.
        lang: `ru` or `en`; left out: the language already in use.

    Returns:
        The exit code: 0; 2 where this terminal can't show it (said on stderr); 128 + the signal that ended it.
    """
    gc.disable()  # of what starting makes nothing is garbage, and looking for some takes a tenth of the time
    try:
        return stay(url, lang)
    finally:
        gc.enable()  # `open_engine` has done so, if it came to that


def stay(url: str, lang: Language | None) -> int:
    """As `run`."""
    from hookrow.lang import use
    from hookrow_tui.terminal.terminal import Guarded, refusal

    if lang is not None:
        use(lang)
    reason = refusal()
    if reason is not None:
        sys.stderr.write(f"hookrow: {reason}\n")
        return 2

    from hookrow_tui.own import read_own

    own = read_own()
    from hookrow_tui.app import HookrowApp
    from hookrow_tui.engine import first_look, open_engine
    from hookrow_tui.terminal.look import choose
    from hookrow_tui.terminal.mended import read_any_bytes, read_keys, write_on

    assert isinstance(sys.__stderr__, TextIOWrapper)
    sys.__stderr__.reconfigure(errors="replace")  # a sign that the terminal's encoding lacks must not end the program
    look = choose(wished=own.theme, colours=own.colours)
    read_any_bytes(look.encoding)
    read_keys()
    write_on()
    with Guarded(sys.__stderr__):
        app = HookrowApp(url, start=open_engine, glance=first_look, look=look, faults=own.faults)
        left = app.run(mouse=look.mouse)
    return left if left is not None else app.return_code or 0
