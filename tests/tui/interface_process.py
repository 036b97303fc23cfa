"""The interface as a program of its own, on the fake engine or a database: `interface_process.py LANG [URL]`.

HOSTILE=1 gives the first hook a name that tries to steer the terminal; OPEN_WHEN names a file that must exist before
the engine is open.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fake_engine import FakeEngine

from hookrow_tui import engine as opening
from hookrow_tui import run

HOSTILE = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m[/][@click=app.quit]x[/]\u202eобман\x00"


def fake(url: str) -> FakeEngine:
    """The fake engine in the place of the real one."""
    gate = os.environ.get("OPEN_WHEN")
    while gate and not Path(gate).exists():
        time.sleep(0.01)
    made = FakeEngine(url)
    if os.environ.get("HOSTILE"):
        made.hooks.update(1, name=HOSTILE, url="http://h/\x1b[31m")
    return made


if len(sys.argv) < 3:
    setattr(opening, "open_engine", fake)  # noqa: B010 - a module's function is replaced on purpose
url = sys.argv[2] if len(sys.argv) > 2 else "sqlite:///fake.db"
sys.exit(run(url, lang="en" if sys.argv[1] == "en" else "ru"))
