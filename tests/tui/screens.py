"""What a screen shows, as text: goldens that can be read in a diff. `UPDATE_GOLDEN=1` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

__all__ = ["GOLDEN", "SIZES", "drawn", "same_as_golden"]

GOLDEN = Path(__file__).parent / "golden"
SIZES = ((80, 24), (120, 40))


def drawn(app: Any) -> str:
    """The lines of the app's screen, without trailing blanks."""
    strips = app.screen._compositor.render_strips(app.size)
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


def same_as_golden(app: Any, name: str) -> None:
    """Compare with `golden/NAME.txt`."""
    path, seen = GOLDEN / f"{name}.txt", drawn(app)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(seen, "utf-8")
    assert seen == path.read_text("utf-8"), f"{path.name} differs; UPDATE_GOLDEN=1 accepts what is drawn now"
