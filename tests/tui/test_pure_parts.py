"""What the screens are made of, without a screen: order, filter, form's texts, merging, drawing only differences."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyte
import pytest
from fake_engine import hooks_of_the_screens
from hypothesis import given
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import LayoutUpdate
from textual.color import Color
from textual.geometry import Region
from textual.strip import Strip
from textual.theme import Theme

from hookrow.hook.dates import Here
from hookrow.safetext import covered
from hookrow_tui.presenters.form.state import SECRETS, FormState, longest_wait, merge, neighbours, texts_of
from hookrow_tui.presenters.glyphs import ASCII
from hookrow_tui.presenters.hook_rows import Filter, HookRow
from hookrow_tui.terminal.look import DARK, LIGHT, choose
from hookrow_tui.terminal.repaint import TerminalPicture
from hookrow_tui.terminal.terminal import Harmless, refusal

ZONE = ZoneInfo("Europe/Moscow")
HERE = Here(datetime(2026, 11, 25, 12, tzinfo=UTC), ZONE)
GROUNDS = ("background", "surface", "panel")
FORM_HOOK: Any = hooks_of_the_screens()[3]


@given(st.text())
def test_no_control_character_survives(text: str) -> None:
    """Neither `visible` nor the line filter lets through what a terminal would obey or what turns a line."""
    shown = covered(text)
    (filtered,) = Harmless().apply([Segment(text)], Color(0, 0, 0))
    for safe in (shown, filtered.text):
        assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or 0x202A <= ord(char) <= 0x202E for char in safe)


def test_what_is_harmless_stays_as_it_is() -> None:
    """Words of any language are not touched."""
    assert covered("Скидки по договору — naïve 注文 [/]") == "Скидки по договору — naïve 注文 [/]"


class Tty:
    def __init__(self, tty: bool) -> None:
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty


def test_a_terminal_is_asked_for() -> None:
    """All three streams must be terminals, and TERM must name one that can place a cursor."""
    good: Any = (Tty(True),) * 3
    assert refusal({"TERM": "xterm"}, good) is None
    assert refusal({"TERM": "xterm"}, (Tty(True), Tty(True), Tty(False))) is not None  # type: ignore[arg-type]
    assert refusal({"TERM": "dumb"}, good) is not None
    assert refusal({}, good) is not None


@pytest.mark.parametrize(
    ("environ", "theme", "mono", "ascii_signs"),
    [
        ({"TERM": "xterm-256color", "LANG": "ru_RU.UTF-8"}, "hookrow-dark", False, False),
        ({"TERM": "xterm-256color", "LANG": "ru_RU.UTF-8", "COLORFGBG": "0;15"}, "hookrow-light", False, False),
        ({"TERM": "xterm", "LANG": "ru_RU.UTF-8"}, "ansi-dark", False, False),
        ({"TERM": "linux", "LANG": "ru_RU.UTF-8"}, "ansi-dark", False, True),
        ({"TERM": "xterm-256color", "LC_ALL": "C"}, "hookrow-dark", False, True),
        ({"TERM": "xterm-256color", "LANG": "en_US.UTF-8", "NO_COLOR": ""}, "ansi-dark", True, False),
    ],
)
def test_the_look_follows_the_terminal(environ: dict[str, str], theme: str, mono: bool, ascii_signs: bool) -> None:
    """Fewer colours, no colours, no Unicode: each is known from the environment."""
    look = choose(environ, "utf-8")
    assert (look.theme, look.mono, look.glyphs == ASCII) == (theme, mono, ascii_signs)


def rows() -> list[HookRow]:
    """The drawn screens' hooks as rows."""
    return [HookRow(hook) for hook in hooks_of_the_screens()]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("typed", "count"),
    [
        ("", 10),
        ("событие:before_order", 5),
        ("event:on_", 1),
        ("состояние:выкл", 1),
        ("state:off", 1),
        ("скидки ДОГОВОР", 1),
    ],
)
def test_the_filter_reads_both_languages(typed: str, count: int) -> None:
    """Keys and words of either language narrow the list."""
    wanted = Filter.read(typed)
    assert sum(wanted.fits(row) for row in rows()) == count


def test_what_the_form_shows_reads_back_as_the_same() -> None:
    """Opening and writing all of it changes nothing; a kept secret is not among what is written."""
    state = FormState.of(FORM_HOOK, ZONE)
    state.base = dict.fromkeys(state.base)
    checked = state.checked(HERE)
    assert not checked.problems
    for code, value in checked.values.items():
        assert value == getattr(FORM_HOOK, code), code
    assert not SECRETS & set(checked.values)


def test_a_copy_takes_no_secret_key_or_order_along() -> None:
    """They belong to the hook that was copied."""
    state = FormState.of(FORM_HOOK, ZONE, copy=True)
    assert state.hook is None
    checked = state.checked(HERE)
    assert not checked.problems
    assert checked.values["auth_password"] is None
    assert (checked.values["key"], checked.values["position"]) == ("", None)


def test_only_changes_are_written() -> None:
    """A colleague's other fields are left alone."""
    state = FormState.of(FORM_HOOK, ZONE)
    state.texts["timeout"] = "0,5"
    assert state.checked(HERE).values == {"timeout": 0.5}


def test_the_row_is_shown_with_the_typed_order() -> None:
    """The hint follows what is typed, before it is saved."""
    hooks: Any = hooks_of_the_screens()
    state = FormState.of(FORM_HOOK, ZONE)
    state.texts["position"] = "25"
    assert [place for place, _ in neighbours(hooks, state)] == [20, 25, 30]
    assert longest_wait(hooks, state) == 10


def test_gates_asked_together_take_as_long_as_the_slowest() -> None:
    """Of the event's hooks the one that is edited and a gate of its position, if the event says so."""
    hooks: Any = [hook.copy(active=False) for hook in hooks_of_the_screens()]
    state = FormState.of(FORM_HOOK, ZONE)
    gate = {"position": 25, "response_has_data": False, "active": True, "timeout": 4.0}
    hooks.append(FORM_HOOK.copy(id=99, **gate))
    state.texts |= {"position": "25", "response_has_data": False}
    assert (longest_wait(hooks, state), longest_wait(hooks, state, {FORM_HOOK.event})) == (9, 5)
    state.texts["position"] = "26"
    assert longest_wait(hooks, state, {FORM_HOOK.event}) == 9


@given(st.dictionaries(st.sampled_from("abc"), st.tuples(*[st.sampled_from("xyz")] * 3), min_size=1))
def test_merging_loses_nothing(fields: dict[str, tuple[str, str, str]]) -> None:
    """Each side's own changes stand in the result, or the field is in conflict with mine still there."""
    base, mine, theirs = ({code: values[n] for code, values in fields.items()} for n in range(3))
    merged = merge(base, mine, theirs)
    for code in fields:
        if mine[code] == base[code]:
            assert merged.texts[code] == theirs[code]
        elif theirs[code] in (base[code], mine[code]):
            assert merged.texts[code] == mine[code]
        else:
            assert code in merged.conflicts
            assert merged.texts[code] == mine[code]


def test_flags_keep_their_texts() -> None:
    """A new form has the document's defaults."""
    assert texts_of(None, ZONE)["fire_and_forget"] is True


LETTERS = st.text(st.sampled_from("aбв ─●注"), min_size=0, max_size=20)
STYLES = st.sampled_from([Style(), Style(color="red"), Style(bold=True, bgcolor="#102030")])


@given(
    st.lists(st.lists(st.lists(st.tuples(LETTERS, STYLES), max_size=3), min_size=4, max_size=4), min_size=2, max_size=5)
)
def test_a_terminal_that_gets_only_differences_shows_the_whole(frames: list[list[list[tuple[str, Style]]]]) -> None:
    """Whatever was drawn before, after a frame the terminal shows that frame."""
    width, height = 20, 4
    console = Console(color_system="truecolor", force_terminal=True)
    assert console._color_system is ColorSystem.TRUECOLOR
    screen = pyte.Screen(width, height)
    stream = pyte.Stream(screen)
    shown = TerminalPicture()
    for frame in frames:
        strips = [
            Strip([Segment(text, style) for text, style in line]).adjust_cell_length(width).crop(0, width)
            for line in frame
        ]
        update = LayoutUpdate([[strip] for strip in strips], Region(0, 0, width, height))
        stream.feed(shown.difference(update, console))
        fresh = pyte.Screen(width, height)
        pyte.Stream(fresh).feed(TerminalPicture().difference(update, console))
        assert screen.display == fresh.display
        assert shown.difference(update, console) == ""


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_both_themes_can_be_read(theme: Theme) -> None:
    """Every colour of text has a contrast of 4.5 at least on every ground that it stands on (WCAG AA)."""
    colours = {**theme.variables, **{name: value for name, value in vars(theme).items() if isinstance(value, str)}}
    pairs = [(text, ground) for text in ("foreground", "quiet", "primary", "error", "warning") for ground in GROUNDS]
    pairs += [("cursor-text", "cursor"), ("background", "warning")]
    for text, ground in pairs:
        light, dark = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
