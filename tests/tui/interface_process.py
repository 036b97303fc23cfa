"""The interface as a program of its own, on the fake engine or a database: `interface_process.py LANG [URL]`.

HOSTILE=1 gives the first hook a name that tries to steer the terminal; OPEN_WHEN names a file that must exist before
the engine is open; SAVED names one into which the hooks are written at the end; ON_THE_DAY=1 makes it the day of the
drawn screens.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fake_engine import DAY, FakeEngine, public

from hookrow_tui import engine as opening
from hookrow_tui import run
from hookrow_tui.presenters import spans
from hookrow_tui.terminal import typeahead

HOSTILE = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m[/][@click=app.quit]x[/]\u202eобман\x00"


def fake(url: str) -> FakeEngine:
    """The fake engine in the place of the real one."""
    gate = os.environ.get("OPEN_WHEN")
    while gate and not Path(gate).exists():
        time.sleep(0.01)
    made = FakeEngine(url)
    made.answers["explain"] = lambda *_, **__: []
    engines.append(made)
    if os.environ.get("HOSTILE"):
        made.hooks.update(1, name=HOSTILE, url="http://h/\x1b[31m")
    return made


engines: list[FakeEngine] = []
if os.environ.get("ON_THE_DAY"):
    setattr(spans, "clock", lambda: DAY)  # noqa: B010 - as below
    setattr(typeahead, "LATE", 60.0)  # noqa: B010 - a busy machine opens late
if len(sys.argv) < 3:
    setattr(opening, "open_engine", fake)  # noqa: B010 - a module's function is replaced on purpose
url = sys.argv[2] if len(sys.argv) > 2 else "sqlite:///fake.db"
code = run(url, lang="en" if sys.argv[1] == "en" else "ru")
if saved := os.environ.get("SAVED"):
    rows = engines[0].hooks.rows
    Path(saved).write_text(repr({number: (public(row), row.revision) for number, row in rows.items()}), "utf-8")
sys.exit(code)
