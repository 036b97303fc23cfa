"""The interface's tests share a fake engine, goldens and a terminal: `from fake_engine import FakeEngine`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookrow_tui.presenters import spans

sys.path.insert(0, str(Path(__file__).parent))
from fake_engine import DAY
from kept_styles import styles_once
from pauses import at_rest, unpainted


@pytest.fixture
def on_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the day of the drawn screens: what is near or past stays so."""
    monkeypatch.setattr(spans, "clock", lambda: DAY)


@pytest.fixture
def painted() -> None:
    """Each change is painted, as on a terminal: for what painting meets, and what is seen behind a dialog."""


@pytest.fixture(autouse=True, scope="session")
def kept_styles() -> Iterator[None]:
    """What an interface works out at its start is what the one before has worked out."""
    with styles_once():
        yield


@pytest.fixture(autouse=True)
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits longer than for what is waited for, and nothing is painted that nobody looks at."""
    at_rest(monkeypatch)
    if "painted" not in request.fixturenames:
        unpainted(monkeypatch)


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Drafts of a test stay in its own folder, which this names."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "hookrow" / "drafts"
