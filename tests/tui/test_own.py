"""A person's own keys and colours: what the files may say, what is said of their faults, and that it works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from terminal import Terminal
from test_real_terminal import PATHS, PROGRAM, ROOT

from hookrow_tui import actions
from hookrow_tui.help import help_lines
from hookrow_tui.own import can_change, key_named, read_own, with_keys


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the files; the registry comes back afterwards."""
    monkeypatch.setattr(actions, "ACTIONS", actions.ACTIONS)
    (tmp_path / "hookrow").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        *(
            ("a", "a"),
            ("A", "A"),
            ("ф", "a"),
            ("/", "slash"),
            ("[", "left_square_bracket"),
            ("х", "left_square_bracket"),
        ),
        *(("F5", "f5"), ("^S", "ctrl+s"), ("Ctrl+S", "ctrl+s"), ("ctrl-ы", "ctrl+s"), ("shift+F2", "shift+f2")),
        *(("Del", "delete"), ("PgUp", "pageup"), ("Space", "space"), ("alt+x", None), ("f25", None), ("", None)),
        *((" ", None), ("\x1b", None), ("nn", None)),
    ],
)
def test_a_key_may_be_written_as_people_write_it(typed: str, key: str | None) -> None:
    """In the Russian layout too; what no terminal sends, or is no key, is none."""
    assert key_named(typed) == key


@pytest.mark.parametrize(
    ("wanted", "fault"),
    [
        ({"hooks": {"new": "q"}}, "hooks.new is not changed, q means app.leave"),
        ({"hooks": {"new": "c"}}, "c means hooks.copy"),
        ({"hooks": {"new": ["a", "enter"]}}, "Enter means hooks.open"),
        ({"app": {"leave": "l"}}, "l means hooks.log"),
        ({"app": {"back": "a"}}, "no action app.back"),
        ({"hooks": {"nwe": "a"}}, "no action hooks.nwe"),
        ({"hooks": "a"}, "no action hooks whose"),
        ({"log": {"find": 5}}, "log.find takes a key"),
        ({"hooks": {"new": []}}, "hooks.new takes a key"),
        ({"hooks": {"new": "alt+n"}}, "alt+n is no key for hooks.new"),
        ({"form": {"save": "s"}}, "s is no key for form.save"),
    ],
)
def test_what_can_not_be_done_is_said_and_the_standard_stands(wanted: dict[str, Any], fault: str) -> None:
    """A sentence for each; the registry is as it was."""
    found, faults = with_keys(wanted)
    assert found == actions.ACTIONS
    assert len(faults) == 1
    assert fault in str(faults[0])


def test_keys_can_be_exchanged_and_are_drawn_where_they_stood() -> None:
    """`n` and `c` change places; bar and help show the new keys, those of an action that shares a line too."""
    found, faults = with_keys({"hooks": {"new": "c", "copy": ["n", "f6"], "history": "y"}, "app": {"leave": ["^X"]}})
    assert not faults
    drawn = {each.id: (each.keys, str(each.cap), str(each.caps)) for each in found}
    assert drawn["hooks.new"] == (("c",), "c", "c  n")
    assert drawn["hooks.copy"][:2] == (("n", "f6"), "n")
    assert drawn["hooks.why"][2] == "w y F2"
    assert drawn["app.leave"] == (("ctrl+x",), "^X", "^X")


@pytest.mark.usefixtures("home")
def test_sentences_and_help_name_the_persons_keys() -> None:
    """Replay's box, the banner's advice, the notes and the row of function keys in the help."""
    wanted = {"hooks": {"test": "F12", "find": "F"}, "log": {"mark": "z", "replay": "x"}, "replay": {"edit": "F6"}}
    actions.ACTIONS, faults = with_keys(wanted)
    assert not faults
    hooks, log = help_lines(["hooks"]), help_lines(["log"])
    assert any("F12\xa0Test" in line for line in hooks)
    assert not any("F5" in line for line in hooks)
    assert any(line.startswith("F finds what the rows show") for line in hooks)
    assert any("z marks, x acts on the marked" in line for line in log)
    assert [each.key for each in actions.bindings("replay")] == ["f5", "f6"]
    assert actions.cap_of("replay.edit") == "F6"


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("keys.toml", "[hooks\n", "keys.toml can't be read"),
        ("keys.toml", "\xff", "keys.toml can't be read"),
        ("theme.toml", 'theme = "pink"', "theme is one of dark, light, ansi"),
        ("theme.toml", 'colors.primary = "red"', "primary = red is no colour"),
        ("theme.toml", 'colors.ground = "#000000"', "no colour ground"),
        ("theme.toml", "colors = 5", "colors is unknown"),
    ],
)
def test_a_faulty_file_is_no_end(home: Path, name: str, content: str, fault: str) -> None:
    """Bytes that are no text, no TOML, unknown names: a sentence, and nothing else is changed."""
    (home / "hookrow" / name).write_bytes(content.encode("latin-1"))
    own = read_own({"XDG_CONFIG_HOME": str(home)})
    assert len(own.faults) == 1
    assert fault in str(own.faults[0])
    assert (own.theme, own.colours) == ("", {})


def test_the_program_takes_its_keys_and_colours_from_the_files(tmp_path: Path) -> None:
    """The bar names the new key, its Russian twin works, the old one does nothing, the colour is sent, a fault
    is said."""
    (tmp_path / "hookrow").mkdir()
    (tmp_path / "hookrow" / "keys.toml").write_text('[hooks]\nnew = "a"\ncopy = "q"\n', "utf-8")
    (tmp_path / "hookrow" / "theme.toml").write_text('theme = "light"\n[colors]\nprimary = "#123456"\n', "utf-8")
    env = {"PYTHONPATH": PATHS, "XDG_STATE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "HOOKROW_THEME": ""}
    with Terminal([*PROGRAM, "en"], env={**env, "COLORTERM": "truecolor"}, by_exec=True) as terminal:
        terminal.wait_for("hooks.copy is not changed, q means app.leave")
        terminal.wait_for(lambda screen: "a New" in screen.splitlines()[-1])
        assert b"38;2;18;52;86" in terminal.raw
        terminal.send("n")
        terminal.settle()
        assert "Event: all" in terminal.text
        terminal.send("ф")
        terminal.wait_for("› new")


@pytest.mark.parametrize("page", ["admin.md", "admin.ru.md"])
def test_the_page_names_every_action_whose_keys_can_be_changed(page: str) -> None:
    """Group by group: `hooks`: `open`, `new`, …"""
    text = (ROOT / "docs" / page).read_text("utf-8")
    for group in dict.fromkeys(each.group for each in actions.ACTIONS if can_change(each)):
        (line,) = (
            line for line in text.splitlines() if line.startswith(f"| `{'app' if group == 'everywhere' else group}` |")
        )
        names = [each.name for each in actions.ACTIONS if each.group == group and can_change(each)]
        assert line.split("|")[2].replace("`", "").split() == names


def test_a_place_that_cannot_be_looked_into_is_no_end(home: Path) -> None:
    """As the home of another user: the interface starts with the standard."""
    own = read_own({"XDG_CONFIG_HOME": str(home / ("x" * 300))})  # a name too long, for root may look everywhere
    assert (own.theme, own.colours) == ("", {})
