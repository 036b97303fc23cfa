"""The interface walked through by a user who may only read the database: `read_only_process.py hooks.db`.

As root it first walks once with all rights, so that every module is loaded, then becomes another user. Prints what the
screens showed; ends with 1 where a key changed something.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from apps import shown, until
from kept_styles import styles_once
from pauses import at_rest, unpainted
from screens import drawn

from hookrow import HookEngine
from hookrow_tui.form.screen import FormScreen

NOBODY = 65534


async def walk(url: str) -> list[str]:
    """Every screen that a reader wants, and every key that would write; what was seen."""
    seen = []
    async with shown((120, 40), lang="en", engine=HookEngine(url, worker=False, create=False)) as at:
        for key in ("space", "p", "d", "n", "c", "J", "u"):
            await at.press(key)
            await at.pilot.pause()
            seen.append(drawn(at.app))
            await at.press("escape")
            await at.pilot.pause()
            if isinstance(at.app.screen, FormScreen):
                await at.press("escape")
        await at.press("enter")
        await until(at.pilot, lambda: isinstance(at.app.screen, FormScreen) and bool(at.app.screen.titles), "the form")
        await at.type("x")
        await at.press("f2")
        seen.append(drawn(at.app))
        await at.press("escape")
        await at.press("h")
        await until(at.pilot, lambda: "Who, from where" in drawn(at.app), "the history")
        await at.press("escape", "w")
        await until(at.pilot, lambda: "Last time" in drawn(at.app), "why")
        seen.append(drawn(at.app))
        await at.press("escape", "L")
        await until(at.pilot, lambda: "before_order_add" in drawn(at.app), "the log")
        await at.press("r")
        await at.pilot.pause()
        seen.append(drawn(at.app))
        await at.press("escape", "escape")
    return seen


def main(path: str) -> int:
    """The exit code: 1 where a byte of the database changed."""
    url = f"sqlite:///{path}"
    if os.geteuid() == 0:
        asyncio.run(walk(url.replace("hooks.db", "loading.db")))
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    before = Path(path).read_bytes()
    seen = asyncio.run(walk(url))
    print("\n".join(seen))
    return int(Path(path).read_bytes() != before)


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch, styles_once():
        at_rest(patch)
        unpainted(patch)
        sys.exit(main(sys.argv[1]))
