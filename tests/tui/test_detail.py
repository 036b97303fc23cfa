"""Records as lines: what was sent, what came back, when, and what each hook changed; whatever the receiver sends."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from fake_engine import FakeEngine
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hookrow.records import Attempt
from hookrow.safetext import UNSAFE
from hookrow_tui.presenters.body import FIRST, read_body
from hookrow_tui.presenters.columns import fit, steady
from hookrow_tui.presenters.glyphs import ASCII, UNICODE
from hookrow_tui.presenters.log.detail import TABS, Detail, clipboard_text, lines_of, whole_tab
from hookrow_tui.presenters.log.rows import line, rows_of
from hookrow_tui.presenters.log.waterfall import bar, diff
from hookrow_tui.presenters.styled import json_lines, plain, wrap

ENGINE = FakeEngine()
FIRING = ENGINE.log.page()[0]
EVIL = "\x1b]52;c;ZXZpbA==\x07 [@click=app.quit]x[/] \u202egnp.exe \x9b31m"


def attempt(**changes: Any) -> Attempt:
    """The discount hook's attempt of the drawn screen."""
    return replace(
        Attempt(
            number=1,
            at_ms=FIRING.at_ms,
            url="https://price.example.ru/discount",
            status=200,
            ms=312,
            times={"connect": 4, "tls": 31, "wait": 270, "read": 7, "total": 312},
            request_headers=(("authorization", "Basic ••••••••"), ("webhook-id", "msg_2f9c1")),
            request_body='{"order":"A-10492","sum":12850.10}',
            response_headers=(("content-type", "application/json"),),
            response_body=b'{"data":{"order":{"sum":11950}}}',
            response_length=32,
        ),
        **changes,
    )


def detail(place: int = 0, *tries: Attempt, **changes: Any) -> Detail:
    """One delivery of the newest firing with these attempts."""
    delivery = replace(FIRING.deliveries[place], **changes)
    return Detail(FIRING, delivery, {delivery.id: tries or (attempt(),)}, now_ms=FIRING.at_ms)


def shown(tab: Any, of: Detail, width: int = 78) -> str:
    """A tab as text."""
    return plain(lines_of(tab, of, width))


def test_the_request_shows_url_masked_headers_and_the_body_as_it_went_out() -> None:
    """JSON is laid out, its numbers untouched."""
    text = shown("1", detail())
    assert "POST https://price.example.ru/discount\nauthorization: Basic ••••••••" in text
    assert '  "order": "A-10492",\n  "sum": 12850.10\n}' in text


def test_the_response_shows_what_changed_as_a_diff() -> None:
    """Removed and added lines carry signs, not only colours."""
    text = shown("2", detail())
    assert text.startswith("200 OK\ncontent-type: application/json")
    assert '-  "order.sum": 12850\n+  "order.sum": 11950' in text


def test_every_attempt_of_a_background_delivery_is_visible() -> None:
    """With its number out of ten, its error, and when the next one comes."""
    tries = [attempt(number=n, status=None, error="timeout", response_body=None, ms=30000) for n in (1, 2, 3)]
    waiting = detail(2, *tries, state="retrying", mode="record", attempts=3, due_ms=FIRING.at_ms + 240_000)
    text = shown("3", waiting)
    assert [f"attempt {n}/10" in text for n in (1, 2, 3, 4)] == [True, True, True, False]
    assert "timeout" in text
    assert "in 4 min" in text


def test_the_row_shows_each_hook_its_bar_and_its_changes() -> None:
    """In order, also those that were not reached."""
    text = shown("4", detail(), 38)
    assert [text.index(name) for name in ("Скидки", "Остатки", "Передача")] == sorted(
        text.index(name) for name in ("Скидки", "Остатки", "Передача")
    )
    assert "order.sum: 12850 → 11950" in text
    assert "█" in text


def test_gates_that_were_asked_together_stand_beside_each_other() -> None:
    """Their bars begin at the same place; one that was cut off says so, and how long it ran."""
    first, second = (replace(each, mode="gate", changes=()) for each in FIRING.deliveries[:2])
    asked = (replace(first, state="vetoed", ms=200), replace(second, state="cancelled", ms=200, skipped=None))
    firing = replace(FIRING, deliveries=asked, ms=300)
    tries = {each.id: (attempt(at_ms=FIRING.at_ms + 100),) for each in asked}
    lines = plain(lines_of("4", Detail(firing, None, tries, now_ms=FIRING.at_ms), 78)).split("\n")
    one, other = (line for line in lines if "█" in line)
    assert one.index("█") == other.index("█") > 10
    assert "cancelled" in lines[lines.index(other, lines.index(one) + 1) + 1]


def test_private_fields_are_named_not_shown() -> None:
    """`/user/password` was not kept, and the request says so."""
    hidden = Detail(replace(FIRING, hidden=("/user/password",)))
    assert "/user/password" in shown("1", hidden)


def test_a_reply_that_may_repeat_what_is_private_is_a_length() -> None:
    """Its text is not stored, which is said instead of "no body"; what the mode never stores is another thing."""
    gone = attempt(response_body=None, response_length=2048)
    assert "2 KiB, not stored: they may repeat private values or a secret" in shown("2", detail(0, gone, mode="record"))
    assert "not stored: they" in shown("2", detail(0, gone, mode="gate", state="vetoed"))
    assert "not stored: they" not in shown("2", detail(0, gone, mode="gate", state="ok"))


def test_only_the_first_part_of_a_huge_reply_is_read() -> None:
    """Five megabytes: 64 KiB are laid out at once, what is missing is said, all of it can be written."""
    huge = b'{"a": "' + b"x" * 5_000_000 + b'"}'
    of = detail(0, attempt(response_body=huge, response_length=len(huge)))
    text = shown("2", of)
    assert len(text) < FIRST + 2000
    assert "4.7 MiB more" in text
    assert huge in whole_tab("2", of)
    assert len(shown("2", of)) < len(plain(lines_of("2", of, 78, 2 * FIRST)))


def test_a_cut_reply_names_its_true_length() -> None:
    """What the engine did not keep is not passed over in silence."""
    assert "1 KiB of 5 KiB are stored" in shown(
        "2", detail(0, attempt(response_body=b"x" * 1024, response_length=5120))
    )


@pytest.mark.parametrize(
    ("body", "kind", "part"),
    [
        ("привет".encode("cp1251"), "text/plain; charset=windows-1251", "привет"),
        (b"\x00\x01\xff\xfe", "application/octet-stream", "00 01 ff fe"),
        (b"caf\xe9 au lait, twice", "text/plain", "caf\ufffd"),
        (b"aGk=", "text/plain; charset=base64", "aGk="),
        (b"\xff" * 9, "text/plain; charset=base64", "ff ff"),
    ],
)
def test_bodies_that_are_not_utf8_are_shown_safely(body: bytes, kind: str, part: str) -> None:
    """By their charset, as text with holes, or as bytes; a codec that gives no text is not used."""
    assert part in plain(read_body(body, [("Content-Type", kind)]).lines)


def test_forget_says_that_nothing_is_kept() -> None:
    """«Блок без ответа» keeps nothing of the response."""
    assert "the response is not stored" in shown("2", detail(2, attempt(response_body=None), mode="forget"))


def test_a_long_line_is_wrapped_not_lost() -> None:
    """4,000 characters in one line are all there, in lines of the pane's width."""
    rows = [row for each in read_body(b"y" * 4000).lines for row in wrap(each, 78)]
    assert "".join(text for row in rows for text, _ in row) == "y" * 4000
    assert {cell_len(plain([row])) for row in rows} == {78, 4000 % 78}


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_no_reply_can_steer_the_terminal(body: bytes) -> None:
    """Whatever the bytes are, no control or bidi character is left in any tab."""
    of = detail(0, attempt(response_body=body, request_body=body.decode("latin-1"), detail=body.decode("latin-1")))
    for tab in TABS:
        for each in lines_of(tab, of, 60):
            assert not UNSAFE.search(plain([each]))


def test_hostile_names_and_headers_are_made_visible() -> None:
    """Markup stays text, escape sequences lose their escape, in the list and in the pane."""
    hook = replace(FIRING.deliveries[0].hook, name=EVIL)
    firing = replace(FIRING, event=EVIL, deliveries=[replace(FIRING.deliveries[0], hook=hook)])
    of = Detail(firing, firing.deliveries[0], {firing.deliveries[0].id: [attempt(response_headers=((EVIL, EVIL),))]})
    for text in [shown(tab, of) for tab in TABS] + ["".join(line(row, 79)) for row in log_rows(firing)]:
        assert not UNSAFE.search(text.replace("\n", ""))
    assert "[@click=app.quit]x[/]" in shown("2", of)


def log_rows(firing: Any, glyphs: Any = UNICODE) -> Any:
    """A firing's lines in the list."""
    from datetime import UTC

    return rows_of(firing, zone=UTC, today_ms=firing.at_ms, glyphs=glyphs)


@pytest.mark.parametrize(("glyphs", "sign"), [(UNICODE, "↻"), (ASCII, "@")])
def test_what_was_fired_anew_is_marked(glyphs: Any, sign: str) -> None:
    """The original, in its first line only; nobody repeats it a second time without seeing that."""
    first, *rest = log_rows(replace(FIRING, replayed=True), glyphs)
    assert first.name == f"{sign} {FIRING.event}"
    assert not any(sign in row.name for row in (*rest, *log_rows(FIRING, glyphs)))


@given(st.text(max_size=60), st.integers(0, 30))
def test_a_column_has_its_width_whatever_stands_in_it(text: str, width: int) -> None:
    """Emoji, joiners, flags, marks, wide letters: exactly so many columns."""
    assert cell_len(fit(steady(text), width)) == width


@pytest.mark.parametrize(
    "name", ["⚙️ Заказ ⏺️ 👨‍👩‍👧", "e\u0301" * 9, "🇷🇺 Москва", "👍🏽", "שלום", "\x1b\x07", "日本語のフック名がここにある"]
)
def test_every_line_of_the_log_is_as_wide_as_the_screen(name: str) -> None:
    """The columns behind a hostile name stand where they stand elsewhere, also counted character by character."""
    hook = replace(FIRING.deliveries[0].hook, name=name)
    for row in log_rows(replace(FIRING, deliveries=[replace(FIRING.deliveries[0], hook=hook)])):
        for width in (79, 119):
            text = "".join(line(row, width))
            assert cell_len(text) == sum(cell_len(char) for char in text) == width
            assert text.endswith(" ms")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_laid_out_json_is_the_same_json(value: Any) -> None:
    """Laying out adds only white space."""
    text = json.dumps({"value": value})
    assert json.loads(plain(json_lines(text))) == {"value": value}


def test_deep_nesting_stays_small() -> None:
    """60,000 open brackets neither recurse nor grow quadratically."""
    assert len(plain(json_lines("[" * 60_000))) < 60_000 * 30


@given(st.floats(0, 1e5), st.floats(0, 1e5), st.floats(0, 1e5), st.integers(1, 60))
def test_a_bar_never_leaves_its_column(start: float, length: float, whole_ms: float, width: int) -> None:
    """Whatever the clocks said; it is never invisible."""
    for glyphs in (UNICODE, ASCII):
        drawn = bar(start, length, whole_ms, width, glyphs)
        assert len(drawn) == width
        assert drawn.strip()


def test_a_private_change_is_no_change_to_null() -> None:
    """Neither value was kept."""
    assert "null" not in plain(diff([("/user/password", None, None)]))


def test_what_is_copied_is_the_body_as_it_came() -> None:
    """Not the laid-out lines."""
    assert clipboard_text("2", detail()) == '{"data":{"order":{"sum":11950}}}'
    assert clipboard_text("1", detail()) == '{"order":"A-10492","sum":12850.10}'
