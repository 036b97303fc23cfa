"""One hostile text in every field that people see, through every screen: nothing that acts on a terminal is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from apps import Shown, shown, until
from rich.segment import Segment
from screens import drawn
from textual.color import Color
from textual.widgets._toast import Toast

from hookrow import HookEngine
from hookrow.safetext import UNSAFE
from hookrow_tui.terminal.terminal import Harmless
from hostile_text import clean, hostile_example

pytestmark = pytest.mark.anyio
SHOWN = "]52"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database whose every text is hostile."""
    return hostile_example(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def dropped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What reached the last line of defence: a widget that drew foreign text as it came."""
    found: list[str] = []
    apply = Harmless.apply

    def noted(self: Harmless, segments: list[Segment], background: Color) -> list[Segment]:
        found.extend(each.text for each in segments if not each.control and UNSAFE.search(each.text))
        return apply(self, segments, background)

    monkeypatch.setattr(Harmless, "apply", noted)
    return found


WALKS: dict[str, Sequence[str]] = {
    "list": ("j", "j", "j", "k", "slash", *"event", "escape"),
    "form": ("enter", "tab", "tab", "tab", "pagedown", "tab", "f3", "escape", "escape"),
    "history": ("h", "j", "j", "tab", "escape"),
    "why": ("w", "j", "j", "tab", "escape"),
    "log": ("l", *"jj1234j234j4j3j2jj4r", "escape"),
    "help": ("f1", "escape"),
    "pause": ("p", "escape"),
    "delete": ("d", "escape"),
    "copy": ("c", "escape", "escape"),
    "palette": ("colon", "escape"),
}  # fmt: skip


async def settled(at: Shown) -> str:
    """What is drawn when nothing is being asked any more."""
    await at.app.workers.wait_for_complete()
    await at.pilot.pause()
    return drawn(at.app)


@pytest.mark.parametrize("walk", WALKS)
async def test_no_screen_lets_a_hostile_text_act(example: Path, walk: str, dropped: list[str], tmp_path: Path) -> None:
    """Each key's screen, its dialogues, notices and panes."""
    copy = tmp_path / "hooks.db"
    for name in ("hooks.db", "hookrow.key"):
        if (example / name).exists():
            (tmp_path / name).write_bytes((example / name).read_bytes())
    async with shown((120, 40), lang="en", engine=HookEngine(f"sqlite:///{copy}", worker=False)) as at:
        await until(at.pilot, lambda: SHOWN in drawn(at.app), "the list")
        seen = 0
        for key in WALKS[walk]:
            await at.press(key)
            text = await settled(at)
            assert clean(text), (walk, key)
            seen += SHOWN in text
            for toast in at.app.screen.query(Toast):
                assert clean(str(toast.render())), (walk, key)
        assert seen
    # Only what is being edited is drawn as it is: the inputs of the form, cleaned by the last line of defence.
    assert walk in ("form", "copy") or dropped == []
