"""The interface in a real terminal: what is typed, what is sent, what happens when the line is lost.

What Pilot can't see: bytes, encodings, signals, modes of the terminal.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from terminal import Terminal

from hookrow import Hook, HookEngine
from warm import run_warm

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PROGRAM = [sys.executable, str(HERE / "interface_process.py")]
PATHS = os.pathsep.join([str(ROOT / "engine"), str(ROOT / "tui")])
RESETS = (b"\x1b[?1000l", b"\x1b[?1003l", b"\x1b[?1006l", b"\x1b[?2004l", b"\x1b[?1049l", b"\x1b[?25h")
FIRST_HOOK = "Проверка ИНН"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of the program: its drafts in a folder of the test's own."""
    return {"PYTHONPATH": PATHS, "XDG_STATE_HOME": str(tmp_path)}


def opened(
    env: dict[str, str], lang: str = "ru", size: tuple[int, int] = (80, 24), *, by_exec: bool = False
) -> Terminal:
    """The interface, not yet started."""
    return Terminal([*PROGRAM, lang], env=env, size=size, by_exec=by_exec)


def in_form(terminal: Terminal) -> None:
    """Open the first hook's form."""
    terminal.wait_for(FIRST_HOOK)
    terminal.settle()
    terminal.send("\r")
    terminal.wait_for("Основные параметры")
    terminal.settle()


def test_cyrillic_is_typed_and_saved_bytes_stay_within_the_budget(env: dict[str, str]) -> None:
    """On 80x24: key in a field < 200 B, Tab < 1.2 KB, row move < 800 B, form < 16 kB, idle nothing."""
    with opened(env, by_exec=True) as terminal:
        terminal.wait_for(FIRST_HOOK)
        moves = [terminal.spend(key) for key in ("j", "о", "k", b"\x1b[B")]
        assert max(moves) < 800, moves
        terminal.send("kk")
        form = terminal.spend("\r", "Основные параметры")
        assert form < 16_000
        keys = [terminal.spend("Щит№1"[place], "Щит№1"[: place + 1]) for place in range(5)]
        assert max(keys) < 200, keys
        tabs = [terminal.spend("\t") for _ in range(14)]
        assert max(tabs) < 1200, tabs
        assert terminal.rests()
        terminal.send(b"\x13")  # ctrl+s, which freezes terminals elsewhere
        terminal.wait_for(lambda screen: "Щит№1" in screen and "Событие: все" in screen)


def test_a_byte_that_is_no_utf8_is_not_the_end(env: dict[str, str]) -> None:
    """A PuTTY in CP1251: said once; the program goes on, and so after an old mouse code."""
    with opened(env) as terminal:
        in_form(terminal)
        terminal.send("привет".encode("cp1251"))
        terminal.wait_for("UTF-8")
        terminal.send(b"\x1b[M \xc0\xc0")
        terminal.send("Щ")
        terminal.wait_for("Щ")
        assert terminal.process.poll() is None


def test_a_hostile_name_can_neither_crash_nor_script_the_terminal(env: dict[str, str]) -> None:
    """ESC, OSC 52, C1, bidi, NUL and markup of a hook's name reach the screen as signs only."""
    with opened({**env, "HOSTILE": "1"}) as terminal:
        terminal.wait_for("обман")
        terminal.settle()
        for key in ("\r", "\x1b", "d", "\x1b"):
            terminal.send(key)
            terminal.settle(1.0 if key == "\x1b" else 0.5)
        sent = bytes(terminal.raw)
        assert b"\x1b]52" not in sent
        assert b"\x1b[2J" not in sent
        assert b"\xc2\x9b" not in sent
        assert "\u202e".encode() not in sent
        assert b"\x00" not in sent
        assert "�" in terminal.text
        assert terminal.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_keeps_the_draft_and_gives_the_terminal_back(
    env: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    """A dirty form survives: a draft of mode 0600; every mode of the terminal is reset; the next start offers it."""
    with opened(env) as terminal:
        in_form(terminal)
        terminal.send("Начатое")
        terminal.wait_for("Начатое")
        terminal.process.send_signal(number)
        assert terminal.end() == 128 + number
        assert all(reset in terminal.raw for reset in RESETS)
    (draft,) = (tmp_path / "hookrow" / "drafts").glob("*.json")
    assert stat.S_IMODE(draft.stat().st_mode) == 0o600
    assert "Начатое" in draft.read_text("utf-8")
    if number != signal.SIGHUP:
        return  # one draft is offered as the other
    with opened(env) as terminal:
        terminal.wait_for(FIRST_HOOK)
        terminal.send("\r")
        terminal.wait_for("Черновик")
        terminal.settle()  # a question takes no key that was typed before it stood there
        terminal.send("\r")
        terminal.wait_for("Начатое")


def test_a_lost_line_ends_the_program(env: dict[str, str], tmp_path: Path) -> None:
    """The terminal itself is gone: the draft is kept and the process ends instead of spinning."""
    with opened(env) as terminal:
        in_form(terminal)
        terminal.send("Начатое")
        terminal.wait_for("Начатое")
        lose(terminal)
        terminal.process.wait(20)
    (draft,) = (tmp_path / "hookrow" / "drafts").glob("*.json")
    assert "Начатое" in draft.read_text("utf-8")


def test_a_line_lost_in_the_editor_ends_the_program(env: dict[str, str], tmp_path: Path) -> None:
    """Though the editor has not noticed. What was saved there is in the draft, though the editor ends with an error."""
    saved = '{"saved": "in the editor"}'
    editor = program(
        tmp_path, f"""trap 'exit 1' HUP; echo '{saved}' > "$1"; echo opened; while :; do sleep 0.05; done"""
    )
    with opened({**env, "EDITOR": editor, "VISUAL": ""}) as terminal:
        in_form(terminal)
        terminal.send(b"\x1bOS")  # F4
        terminal.wait_for("opened")
        lose(terminal)
        terminal.process.wait(20)
    (draft,) = (tmp_path / "hookrow" / "drafts").glob("*.json")
    assert saved in json.loads(draft.read_text("utf-8"))["texts"]["body"]


def program(folder: Path, script: str) -> str:
    """A program of the shell."""
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)
    return str(path)


def lose(terminal: Terminal) -> None:
    """The terminal itself is gone."""
    terminal.ended = True
    terminal.reader.join()
    terminal.close_slave()
    os.close(terminal.master)


def test_the_window_can_be_resized(env: dict[str, str]) -> None:
    """Smaller: a sentence; larger: the columns of the wide screen."""
    with opened(env) as terminal:
        terminal.wait_for(FIRST_HOOK)
        terminal.resize(60, 20)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.wait_for("60×20")
        terminal.resize(120, 40)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.wait_for("За сутки")


SHELL = 'PS1=; "$@"; echo stopped; read -r line; fg'
"""A shell with job control: it goes on where its foreground job stops, and brings that back after a line."""


def test_the_program_can_be_suspended_and_brought_back(env: dict[str, str]) -> None:
    """ctrl+z leaves the terminal clean; fg paints the whole screen again. Without a shell: test_nothing_kills_it.py."""
    with Terminal(["bash", "--norc", "-m", "-c", SHELL, "bash", *PROGRAM, "ru"], env=env) as terminal:
        terminal.wait_for(FIRST_HOOK)
        terminal.settle()
        terminal.send(b"\x1a")
        terminal.wait_for("stopped")
        assert b"\x1b[?1049l" in terminal.raw
        terminal.screen.reset()
        terminal.send("\n")
        terminal.wait_for(FIRST_HOOK)
        terminal.wait_for("F1")
        terminal.send("j")
        terminal.wait_for("Чёрный список →")


def test_the_body_goes_through_the_editor(env: dict[str, str], tmp_path: Path) -> None:
    """F4 hands the body to $EDITOR and takes back what was written; the screen is whole again."""
    editor = program(tmp_path, """printf '{"из": "редактора"}\\n' > "$1\"""")
    with opened({**env, "EDITOR": editor, "VISUAL": ""}) as terminal:
        in_form(terminal)
        terminal.send(b"\x1bOS")  # F4
        terminal.wait_for('{"из": "редактора"}')
        terminal.wait_for("Дополнительные параметры")


def test_colours_are_optional(env: dict[str, str]) -> None:
    """NO_COLOR: no colour is sent, the cursor's row is in reverse video."""
    with opened({**env, "NO_COLOR": "1"}) as terminal:
        terminal.wait_for(FIRST_HOOK)
        terminal.settle()
        assert b"38;2;" not in terminal.raw
        row = next(y for y, line in enumerate(terminal.screen.display) if FIRST_HOOK in line and "→" not in line)
        assert terminal.screen.buffer[row][10].reverse


@pytest.mark.parametrize(
    ("more", "sign"), [({"TERM": "linux"}, "*   10"), ({"TERM": "vt100", "LC_ALL": "C"}, "*   10")]
)
def test_poor_terminals_get_plain_signs(env: dict[str, str], more: dict[str, str], sign: str) -> None:
    """TERM=linux and a locale without UTF-8 show signs of ASCII."""
    with opened({**env, **more}) as terminal:
        terminal.wait_for(sign)
        assert "●" not in terminal.text


def test_another_encoding_is_no_blank_screen(env: dict[str, str]) -> None:
    """A terminal in KOI8-R is written and read in its own encoding."""
    with opened({**env, "PYTHONIOENCODING": "koi8-r", "PYTHONUTF8": "0"}, by_exec=True) as terminal:
        limit = time.monotonic() + 20
        while FIRST_HOOK.encode("koi8-r") not in terminal.raw:
            assert time.monotonic() < limit, "the hook's name never came"
            terminal.settle(0.1)


def test_without_a_terminal_it_says_so(env: dict[str, str]) -> None:
    """One clear line on stderr, exit code 2; nothing is drawn."""
    done = run_warm([*PROGRAM, "ru"], env={**os.environ, **env}, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "ssh -t" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_dumb_terminal_is_refused(env: dict[str, str]) -> None:
    """TERM=dumb can't place a cursor: one line, exit code 2."""
    with opened({**env, "TERM": "dumb"}) as terminal:
        assert terminal.end() == 2
        assert "TERM=dumb" in terminal.text
        assert b"\x1b[?1049h" not in terminal.raw


def test_the_mouse_is_off_over_ssh(env: dict[str, str]) -> None:
    """Mouse codes would flood the shell after a lost line."""
    with opened({**env, "SSH_CONNECTION": "192.0.2.7 1 192.0.2.8 22"}) as terminal:
        terminal.wait_for(FIRST_HOOK)
        assert b"\x1b[?1003h" not in terminal.raw


def test_the_first_frame_does_not_wait_for_the_engine(env: dict[str, str], tmp_path: Path) -> None:
    """Title, columns and keys stand while the engine is being opened; it can be left, too."""
    gate = tmp_path / "open"
    with opened({**env, "OPEN_WHEN": str(gate)}) as terminal:
        screen = terminal.wait_for("открывается")
        assert all(words in terminal.wait_for("F1") for words in ("Веб-хуки", "Наименование", "Enter Открыть"))
        assert FIRST_HOOK not in screen
        gate.touch()
        terminal.wait_for(FIRST_HOOK)


def test_typing_goes_on_while_events_arrive(env: dict[str, str], tmp_path: Path) -> None:
    """20 firings a second by another process: every key arrives, and the form sends no more than it must."""
    url = f"sqlite:///{tmp_path / 'hooks.db'}"
    with HookEngine(url, worker=False) as engine:
        engine.hooks.add(Hook(name="Карточка", url="http://127.0.0.1:9/x", event="after_registration"))
        with Terminal([*PROGRAM, "ru", url], env=env) as terminal:
            terminal.wait_for("Карточка")
            terminal.send("\r")
            terminal.wait_for("Основные параметры")
            terminal.settle()
            before, stop = len(terminal.raw), threading.Event()

            def fire() -> None:
                while not stop.wait(0.05):
                    engine.fire("after_registration", {"user": {"id": 1}})

            other = threading.Thread(target=fire)
            other.start()
            started = time.monotonic()
            for letter in " клиента в 1С":
                terminal.send(letter)
                time.sleep(0.1)  # a person's pace, while events arrive
            terminal.wait_for("Карточка клиента в 1С")
            took = time.monotonic() - started
            stop.set()
            other.join()
            assert (len(terminal.raw) - before) / took < 25_000
