"""The registry of actions: every key does something, is shown in the help, and is free for it."""

from __future__ import annotations

import pytest
from textual.events import Key

from hookrow.hook.form import FIELD
from hookrow.lang import use
from hookrow_tui.actions import ACTIONS, GROUPS, actions_of, bar_of, bindings
from hookrow_tui.help import help_lines
from hookrow_tui.terminal.terminal import latin_key
from hookrow_tui.widgets.keybar import fitting

SCREENS = {
    "hooks": "hookrow_tui.hooks.screen.HooksScreen",
    "form": "hookrow_tui.form.screen.FormScreen",
    "log": "hookrow_tui.log.screen.LogScreen",
    "history": "hookrow_tui.hooks.history.HistoryScreen",
    "deeds": "hookrow_tui.log.deeds.DeedsScreen",
    "deleted": "hookrow_tui.hooks.deleted.DeletedScreen",
    "overview": "hookrow_tui.hooks.overview.OverviewScreen",
    "why": "hookrow_tui.hooks.why.WhyScreen",
}
MULTIPLEXERS = {"ctrl+a", "ctrl+b", "ctrl+o", "ctrl+t"}


def screen(group: str) -> type:
    """The class of a group's screen."""
    module, _, name = SCREENS[group].rpartition(".")
    return getattr(__import__(module, fromlist=[name]), name)


@pytest.mark.parametrize("group", SCREENS)
def test_every_bound_action_is_a_method_of_its_screen(group: str) -> None:
    """No key leads nowhere."""
    for binding in bindings(group):  # type: ignore[arg-type]
        name = binding.action.partition("(")[0]
        assert hasattr(screen(group), f"action_{name}"), binding


@pytest.mark.parametrize("group", GROUPS)
def test_no_key_means_two_things_on_one_screen(group: str) -> None:
    """Bound keys are unique within a screen."""
    keys = [key for action in actions_of(group) if action.bound for key in action.keys]  # type: ignore[arg-type]
    assert len(keys) == len(set(keys))


def test_no_action_stands_on_a_key_that_multiplexers_take() -> None:
    """ctrl+a, ctrl+b, ctrl+o and ctrl+t never reach a program in screen or tmux."""
    assert not MULTIPLEXERS & {key for action in ACTIONS for key in action.keys}


@pytest.mark.parametrize("lang", ["ru", "en"])
@pytest.mark.parametrize("group", GROUPS)
def test_the_help_of_a_place_names_its_keys_and_those_that_work_everywhere(group: str, lang: str) -> None:
    """73 columns; every action with words of its own stands in one, also how to quit."""
    use("ru" if lang == "ru" else "en")
    try:
        lines = help_lines([group])  # type: ignore[list-item]
        assert max(map(len, lines)) <= 73
        for action in (*actions_of(group), *actions_of("everywhere")):  # type: ignore[arg-type]
            if action.help is not None:
                assert any(str(action.help) in line for line in lines), action
    finally:
        use("en")


@pytest.mark.parametrize("lang", ["ru", "en"])
@pytest.mark.parametrize("code", FIELD)
def test_the_help_of_a_field_begins_with_the_field(code: str, lang: str) -> None:
    """Its label and hint first; the language of bodies, conditions and moments where they are written."""
    use("ru" if lang == "ru" else "en")
    try:
        lines = help_lines(["form"], code)
        assert lines[0] == str(FIELD[code].label)
        assert max(map(len, lines)) <= 73
        assert len(lines) == len(dict.fromkeys(lines)) + lines.count("") - 1
    finally:
        use("en")


@pytest.mark.parametrize("group", SCREENS)
@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_key_bar_fits_and_always_ends_with_help(group: str, width: int) -> None:
    """Whatever the width, F1 is offered."""
    shown = fitting(bar_of([group]), width)  # type: ignore[list-item]
    assert shown[-1].cap == "F1"
    assert 1 + sum(len(f"{each.cap} {each.label}") for each in shown) + 2 * (len(shown) - 1) <= width


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (Key("о", "о"), "j"),
        (Key("Л", "Л"), "K"),
        (Key("х", "х"), "left_square_bracket"),
        (Key("Ж", "Ж"), "colon"),
        (Key("ctrl+ы", None), "ctrl+s"),
        (Key("f2", None), "f2"),
        (Key("j", "j"), "j"),
    ],
)
def test_a_russian_key_is_the_latin_one_at_its_place(typed: Key, meant: str) -> None:
    """The names are Textual's own."""
    assert latin_key(typed).key == meant
