"""Typing a body in a real terminal: how many bytes it costs."""

from __future__ import annotations

from test_real_terminal import env, in_form, opened

__all__ = ["env"]  # the fixture of its own folder

LINE = '"n":{{ o }},"'


def test_a_key_in_the_body_is_cheap_on_a_narrow_screen(env: dict[str, str]) -> None:
    """Colours, completion and the hint included: less than 200 bytes a key at 80 columns, but for the first.

    That one changes three places (332 bytes): its own cell; the title, which says from then on that the form was
    changed (two bytes a Cyrillic letter); and the hint, whose example gives way to the body's state. Of these 108 are
    spaces over the example: sequences that erase in the background's colour are not understood by every terminal.
    """
    with opened(env) as terminal:
        in_form(terminal)
        terminal.send(b"\x1b[20~4")  # F9 4 is the body
        terminal.settle()
        assert terminal.spend("{") < 400
        spent = [terminal.spend(sign) for sign in LINE]
        assert max(spent) < 200, spent


def test_the_result_beside_the_body_costs_no_more_than_allowed(env: dict[str, str]) -> None:
    """At 120 columns, the body as it would leave beside it: at most 1,200 bytes a key, the result included."""
    with opened(env, size=(120, 40)) as terminal:
        in_form(terminal)
        terminal.send(b"\x1b[20~4")
        terminal.settle()
        terminal.send(b"\x1bOR")  # F3
        terminal.settle()
        spent = [terminal.spend(sign) for sign in LINE]
        assert max(spent) <= 1200, spent
