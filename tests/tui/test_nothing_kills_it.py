"""In a real terminal: what goes wrong beside the interface is said in a sentence, and the screen is as before."""

from __future__ import annotations

import resource
import signal
import stat
import sys
import time
from pathlib import Path

import pytest
from terminal import Terminal
from test_mended import Lending
from test_real_terminal import FIRST_HOOK, HERE, PROGRAM, RESETS, env, in_form, opened, program

from hookrow import Hook, HookEngine
from hookrow_tui.terminal import crashes
from hookrow_tui.terminal.editor import NotRun, edit_text

__all__ = ["env"]  # the fixture of its own folder

BREAKING = """
import sys; sys.path.insert(0, {here!r})
from fake_engine import FakeEngine, FakeHooks
from hookrow_tui import engine, run
from hookrow_tui.hooks.screen import HooksScreen
from hookrow_tui.hooks.table import HookTable
from hookrow_tui.hooks.history import HistoryScreen
def broken(*a, **k):
    password = "hunter" + "2"
    raise ZeroDivisionError("ours")
{breaks}
engine.open_engine = FakeEngine
sys.exit(run("sqlite:///fake.db", lang="en"))
"""

STUMBLING = """
from hookrow_tui.terminal.typeahead import TypeAhead
takes = TypeAhead.takes
TypeAhead.takes = lambda self, event: broken() if getattr(event, "key", "") == "x" else takes(self, event)
"""


def broken(env: dict[str, str], breaks: str) -> Terminal:
    """The interface with something of it broken."""
    return Terminal([sys.executable, "-c", BREAKING.format(here=str(HERE), breaks=breaks)], env=env)


def lives(terminal: Terminal) -> None:
    """The list stands and takes keys."""
    terminal.wait_for(FIRST_HOOK)
    terminal.settle()
    terminal.send(b"\x1bOP")
    terminal.wait_for("F1  ?")
    terminal.send(b"\x1b")
    terminal.wait_for(lambda screen: "F1  ?" not in screen and FIRST_HOOK in screen)


@pytest.mark.parametrize("editor", ["nano-that-is-not-there", "'", "false", "rm"])
def test_an_editor_that_does_not_work_is_told(monkeypatch: pytest.MonkeyPatch, editor: str) -> None:
    """Not installed, not a command, ending with an error, removing the file: a sentence."""
    monkeypatch.setenv("VISUAL", editor)
    app = Lending()
    app.lend()
    with pytest.raises(NotRun):
        edit_text(app, "{}", "body.json")


def test_what_an_editor_saved_counts_also_if_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some vi end with an error after any mistake in a command."""
    monkeypatch.setenv("VISUAL", "sh -c 'echo typed > \"$0\"; exit 1'")
    app = Lending()
    app.lend()
    assert edit_text(app, "{}", "body.json") == "typed"


def test_an_editor_that_does_not_work_leaves_the_form_as_it_was(env: dict[str, str]) -> None:
    """The sentence is shown, and typing goes on."""
    with opened({**env, "EDITOR": "rm", "VISUAL": ""}, lang="en") as terminal:
        terminal.wait_for(FIRST_HOOK)
        terminal.settle()
        terminal.send("\r")
        terminal.wait_for("Body")
        terminal.settle()
        terminal.send(b"\x1bOS")
        terminal.wait_for("as it was")
        terminal.settle()
        terminal.send("Ж")
        terminal.wait_for("Ж")


def page(terminal: Terminal) -> None:
    """Have the pager show the whole body of the log's first row."""
    terminal.wait_for(FIRST_HOOK)
    terminal.settle()
    terminal.send("L")
    terminal.wait_for("A-10492")
    terminal.settle()
    terminal.send("v")


def test_a_pager_that_is_not_there_leaves_the_log_as_it_was(env: dict[str, str]) -> None:
    """The same for what shows a whole body."""
    with opened({**env, "PAGER": "no-such-pager"}, lang="en") as terminal:
        page(terminal)
        terminal.wait_for("no-such-pager")
        terminal.send(b"\x1b")
        lives(terminal)


def test_ctrl_c_in_the_pager_ends_the_pager_alone(env: dict[str, str], tmp_path: Path) -> None:
    """The log stands as before, and takes keys."""
    pager = program(tmp_path, "trap 'exit 0' INT; echo opened; while :; do sleep 0.05; done")
    with opened({**env, "PAGER": pager}, lang="en") as terminal:
        page(terminal)
        terminal.wait_for("opened")
        terminal.send(b"\x03")
        terminal.wait_for(lambda screen: "opened" not in screen)
        terminal.settle()
        terminal.send(b"\x1b")
        lives(terminal)


def test_ctrl_z_without_a_shell_does_nothing(env: dict[str, str]) -> None:
    """`ssh -t HOST hookrow`: a stopped session leader could never go on."""
    with opened(env, lang="en") as terminal:
        terminal.wait_for(FIRST_HOOK)
        terminal.settle()
        terminal.send(b"\x1a")
        terminal.wait_for("no shell")
        lives(terminal)


def test_an_error_of_our_own_is_said_and_the_screen_stays(env: dict[str, str], tmp_path: Path) -> None:
    """In a handler, in what opens a screen, over a key; the details are in a file of mode 0600, without values."""
    breaks = "HooksScreen.action_log = broken; HistoryScreen.compose = broken\n" + STUMBLING
    with broken(env, breaks) as terminal:
        terminal.wait_for(FIRST_HOOK)
        terminal.settle()
        for key in ("l", "h", "x"):
            terminal.settle()
            terminal.send(key)
            terminal.wait_for("An error of Hookrow's own")
            lives(terminal)
        assert terminal.process.poll() is None
    paths = list((tmp_path / "hookrow").glob("crash-*.txt"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    told = "".join(path.read_text("utf-8") for path in paths)
    assert "in broken" in told
    assert "hunter2" not in told


def test_an_error_that_comes_again_and_again_ends_it_in_order(env: dict[str, str], tmp_path: Path) -> None:
    """One sentence that names the file of the details; the terminal is given back, the draft is kept."""
    state = tmp_path / "a folder whose name is so long that its files' names meet the edge"
    with broken({**env, "XDG_STATE_HOME": str(state)}, "HookTable.line = broken") as terminal:
        assert terminal.end() == 1
        assert all(reset in terminal.raw for reset in RESETS)
        assert b"an error of its own" in terminal.raw
        assert b"Traceback" not in terminal.raw
    (path,) = (state / "hookrow").glob("crash-*.txt")
    assert str(path).encode() in terminal.raw
    assert "ZeroDivisionError" in path.read_text("utf-8")


def test_the_errors_of_one_process_share_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the second comes a second later: the file that was named holds both."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    moments = iter(("20261129-094410", "20261129-094411"))
    monkeypatch.setattr("hookrow_tui.terminal.crashes.time.strftime", lambda _: next(moments))
    crashes.name_of.cache_clear()
    first, second = crashes.keep_traceback(ValueError("one")), crashes.keep_traceback(ValueError("two"))
    crashes.name_of.cache_clear()
    assert first is not None
    assert first == second
    assert [word in first.read_text("utf-8") for word in ("one", "two")] == [True, True]


def test_a_list_that_cannot_be_read_has_a_page(env: dict[str, str]) -> None:
    """With the reason, and the keys that work."""
    with broken(env, "FakeHooks.list = broken") as terminal:
        terminal.wait_for("ZeroDivisionError")
        terminal.settle()
        terminal.send("n \r")
        terminal.settle()
        assert "Try again" in terminal.text
        terminal.send("q")
        assert terminal.end() == 0


def test_any_size_is_survived(env: dict[str, str]) -> None:
    """From one cell to a wall of them, with a form and a question open; and back before the program has looked: then
    the window has lost what did not fit, although its size is the old one."""
    with opened(env, lang="en") as terminal:
        in_form_en(terminal)
        terminal.send("Ж")
        terminal.wait_for("Ж")
        terminal.send(b"\x1b")
        terminal.wait_for("not saved")
        for size in ((1, 1), (300, 3), (3, 120), (79, 20), (80, 20), (250, 90), (80, 24)):
            terminal.resize(*size)
            terminal.process.send_signal(signal.SIGWINCH)
            terminal.settle(0.2)
            assert terminal.process.poll() is None
        terminal.wait_for("not saved")
        terminal.process.send_signal(signal.SIGSTOP)
        for size in ((1, 1), (80, 24)):
            terminal.resize(*size)
        terminal.process.send_signal(signal.SIGCONT)
        terminal.wait_for("not saved")


def in_form_en(terminal: Terminal) -> None:
    """Open the first hook's form."""
    terminal.wait_for(FIRST_HOOK)
    terminal.settle()
    terminal.send("\r")
    terminal.wait_for("Body")
    terminal.settle()


def test_a_large_paste_is_undone(env: dict[str, str]) -> None:
    """Forty lines into the body, then Ctrl+Z: the body is as before, and the form lives."""
    with opened(env) as terminal:
        in_form(terminal)
        terminal.send(b"\x1b[20~4")  # F9 4 is the body
        terminal.settle()
        terminal.send("\x1b[200~" + "\n".join(f'"line": {number},' for number in range(40)) + "\x1b[201~")
        terminal.wait_for('"line": 39')
        terminal.send(b"\x1a")
        terminal.wait_for(lambda screen: '"line"' not in screen)
        terminal.send("{")
        terminal.wait_for("{")
        assert terminal.process.poll() is None


def test_a_killed_interface_leaves_its_draft(env: dict[str, str], tmp_path: Path) -> None:
    """`kill -9`: what was typed more than a moment ago is offered again."""
    with opened(env) as terminal:
        in_form(terminal)
        terminal.send("Начатое")
        terminal.wait_for("Начатое")
        drafts = tmp_path / "hookrow" / "drafts"
        limit = time.monotonic() + 20
        while not any("Начатое" in each.read_text("utf-8") for each in drafts.glob("*.json")):
            assert time.monotonic() < limit, "no draft was written"
            time.sleep(0.05)  # the program tells nobody
        terminal.process.kill()
        terminal.process.wait(20)
    assert list(drafts.glob("*.json"))


def test_a_full_disk_and_a_lost_database_are_told(env: dict[str, str], tmp_path: Path) -> None:
    """No file may grow: the change is refused in a sentence, and done once there is room. Then the file is gone: that
    is said too, also of what was typed in a form, which stays; put back, it is read again."""
    path = tmp_path / "hooks.db"
    with HookEngine(f"sqlite:///{path}", worker=False) as engine:
        engine.hooks.add(Hook(name="Only one", event="on_subscription", url="https://a.example/x"))
    with Terminal([*PROGRAM, "en", f"sqlite:///{path}"], env=env) as terminal:
        terminal.wait_for("Not called in the last seven days")  # what the engine alone can tell
        no_limit = resource.prlimit(terminal.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        terminal.send(" ")
        terminal.wait_for("disk")
        assert "on 1" in terminal.text
        resource.prlimit(terminal.process.pid, resource.RLIMIT_FSIZE, no_limit)
        terminal.settle()  # what was refused takes no key that was typed before
        terminal.send(" ")
        terminal.wait_for("on 0")
        terminal.send("\rЩ")
        terminal.wait_for("changed · not saved")
        for name in ("", "-wal", "-shm"):
            path.with_name(path.name + name).rename(tmp_path / f"away{name}")
        terminal.wait_for("is gone")
        terminal.send(b"\x1bOQ")
        terminal.settle()
        assert "Щ" in terminal.text
        assert "was open; this was not reco" in terminal.text
        for name in ("-wal", "-shm", ""):
            (tmp_path / f"away{name}").rename(path.with_name(path.name + name))
        terminal.wait_for(lambda screen: "gone" not in screen)
        terminal.settle()
        terminal.send(b"\x1bOQ")
        terminal.wait_for(lambda screen: "Щ" in screen and "Event: all" in screen)
