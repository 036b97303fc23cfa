"""The interface's tests share a fake engine, goldens and a terminal: `from fake_engine import FakeEngine`."""

import sys
from pathlib import Path

import pytest
from textual._compositor import Compositor

from hookrow_tui.presenters import spans

sys.path.insert(0, str(Path(__file__).parent))
from fake_engine import DAY


@pytest.fixture
def on_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the day of the drawn screens: what is near or past stays so."""
    monkeypatch.setattr(spans, "clock", lambda: DAY)


@pytest.fixture
def unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is painted but what the test itself looks at (`drawn`): that is half of what many screens cost."""
    monkeypatch.setattr(Compositor, "render_update", lambda *_, **__: None)


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Drafts of a test stay in its own folder, which this names."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "hookrow" / "drafts"
