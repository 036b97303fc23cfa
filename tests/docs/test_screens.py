"""The README's pictures are the goldens of the interface's own tests."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "tui" / "golden"
PLACE = re.compile(r"(<!-- screen: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def picture(match: re.Match[str]) -> str:
    """A place of the README with its golden in it."""
    screen = (GOLDEN / f"{match[2]}.txt").read_text("utf-8")
    lines = "\n".join(line.rstrip() for line in screen.rstrip("\n").split("\n"))
    return f"{match[1]}```text\n{lines}\n```\n{match[4]}"


@pytest.mark.parametrize("name", ["README.md", "README.ru.md"])
def test_the_readme_shows_the_four_screens_as_they_are(name: str) -> None:
    """Refreshed by UPDATE_DOCS=1."""
    page = ROOT / name
    text = page.read_text("utf-8")
    shown = [match[2].split("-")[0] for match in PLACE.finditer(text)]
    assert shown == ["hooks", "form", "log", "replay"]
    wanted = PLACE.sub(picture, text)
    if os.environ.get("UPDATE_DOCS"):
        page.write_text(wanted, "utf-8")
        text = wanted
    assert text == wanted
