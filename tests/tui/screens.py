"""What a screen shows, as text: goldens that can be read in a diff. `UPDATE_GOLDEN=1` writes them anew.

The pages' picture in colour is one of them: an SVG that loads nothing from elsewhere.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.segment import Segment, Segments

__all__ = ["GOLDEN", "PICTURES", "SIZES", "drawn", "same_as_golden", "same_as_picture"]

GOLDEN = Path(__file__).parent / "golden"
PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
SVG = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" xml:space="preserve">
<style>
.{unique_id}-matrix {{ font: {char_height}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
SIZES = ((80, 24), (120, 40))


def drawn(app: Any) -> str:
    """The lines of the app's screen, without trailing blanks."""
    strips = app.screen._compositor.render_strips(app.size)
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


def in_colour(app: Any) -> str:
    """The app's screen as an SVG."""
    width = app.size.width
    console = Console(width=width, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    strips = app.screen._compositor.render_strips(app.size)
    console.print(Segments([each for strip in strips for each in (*strip, Segment.line())]), end="")
    return console.export_svg(title="hookrow", code_format=SVG, unique_id="hookrow")


def same(path: Path, seen: str) -> None:
    """Compare with this file."""
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(seen, "utf-8")
    assert seen == path.read_text("utf-8"), f"{path.name} differs; UPDATE_GOLDEN=1 accepts what is drawn now"


def same_as_golden(app: Any, name: str) -> None:
    """Compare with `golden/NAME.txt`."""
    same(GOLDEN / f"{name}.txt", drawn(app))


def same_as_picture(app: Any, name: str) -> None:
    """Compare with `docs/pictures/NAME.svg`."""
    same(PICTURES / f"{name}.svg", in_colour(app))
