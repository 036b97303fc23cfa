"""The pictures of the README and of the admins' guide are the goldens of the interface's own tests.

That in colour is docs/pictures/log-*.svg, which the log's own test compares and makes.
"""

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


README = ["hooks", "form", "replay"]
GUIDE = ["hooks", "why", "history", "form", "log"]


@pytest.mark.parametrize(
    ("name", "screens"),
    [("README.md", README), ("README.ru.md", README), ("docs/admin.md", GUIDE), ("docs/admin.ru.md", GUIDE)],
)
def test_a_page_shows_the_screens_as_they_are(name: str, screens: list[str]) -> None:
    """Refreshed by UPDATE_DOCS=1."""
    page = ROOT / name
    text = page.read_text("utf-8")
    lang = "ru" if ".ru." in name else "en"
    shown = [match[2].split("-")[0] for match in PLACE.finditer(text) if match[2].endswith(f"-{lang}")]
    assert shown == screens
    pictures = re.findall(r"\]\((\S+\.svg)\)", text)
    assert pictures == ([f"docs/pictures/log-{lang}.svg"] if screens is README else [])
    wanted = PLACE.sub(picture, text)
    if os.environ.get("UPDATE_DOCS"):
        page.write_text(wanted, "utf-8")
        text = wanted
    assert text == wanted
