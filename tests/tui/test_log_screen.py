"""The log's screen: as drawn at both sizes in both languages, and what its keys do."""

from __future__ import annotations

import json
from array import array
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from apps import Shown, shown, until
from fake_engine import FakeEngine
from log_fixtures import log_of, open_log, with_attempts
from screens import SIZES, drawn, same_as_golden, same_as_picture
from textual.widgets import Input

from hookrow.errors import DatabaseBusy
from hookrow.records import LogFilter
from hookrow_tui.log import reader, screen
from hookrow_tui.log.reader import read_detail
from hookrow_tui.log.screen import LogScreen
from hookrow_tui.log.taking import write_file
from hookrow_tui.presenters.log.list import Place
from hookrow_tui.widgets.page import SEEN
from hookrow_tui.widgets.pane import Pane

pytestmark = pytest.mark.anyio
HOUR = 3_600_000


def title(at: Shown) -> str:
    """The first line."""
    return drawn(at.app).splitlines()[0]


def line_with(at: Shown, text: str) -> str:
    """The first line of the screen that holds this text."""
    return next((line for line in drawn(at.app).splitlines() if text in line), "")


async def go(at: Shown, lines: int) -> None:
    """Move the cursor down and let its detail be read."""
    await at.press(*["down"] * lines)
    row = log_of(at).view.row
    assert row is not None
    await until(at.pilot, lambda: ref(at) == row.ref, "the detail of this row")
    await at.pilot.pause()


def ref(at: Shown) -> str:
    """Whose detail is on the screen."""
    laid = log_of(at).laid
    assert laid is not None
    return laid.detail.delivery.id if laid.detail.delivery else laid.detail.firing.id


@pytest.mark.parametrize("lang", ["ru", "en"])
@pytest.mark.parametrize("size", SIZES)
async def test_the_log_as_drawn(size: tuple[int, int], lang: Any) -> None:
    """Rows with their hooks, the filter, the count, and what belongs to the row under the cursor."""
    async with open_log(size, lang=lang) as at:
        await go(at, 1)
        same_as_golden(at.app, f"log-{size[0]}x{size[1]}-{lang}")
        if size == SIZES[0]:
            same_as_picture(at.app, f"log-{lang}")


@pytest.mark.parametrize(("tab", "last"), [("2", '"data": {'), ("3", "попытка 1 ·"), ("4", "    в очереди")])
async def test_the_tabs_as_drawn(tab: str, last: str) -> None:
    """Response with the diff, times, the row of hooks: one key each."""
    async with open_log() as at:
        await go(at, 1)
        await at.press(tab)
        await until(at.pilot, lambda: last in drawn(at.app), "the tab's last line")
        same_as_golden(at.app, f"log-tab{tab}-80x24-ru")


async def test_new_firings_appear_while_following() -> None:
    """The newest stands on top, with the cursor on it, and the title says «СЛЕДИТ ●»."""
    async with open_log() as at:
        assert "СЛЕДИТ ●" in title(at)
        added = at.engine.log.append()
        await until(at.pilot, lambda: log_of(at).view.rows.cursor == Place(added.row_id), "the cursor on the new row")
        await until(at.pilot, lambda: "6 срабатываний" in title(at), "the count")


async def test_what_the_person_looks_at_stays() -> None:
    """Away from the top nothing moves when rows come; how many came is said; f goes to them."""
    async with open_log() as at:
        await go(at, 3)
        before = drawn(at.app).splitlines()[1:-1]
        for _ in range(5):
            at.engine.log.append()
        await until(at.pilot, lambda: "5 новых" in title(at), "how many are new")
        assert drawn(at.app).splitlines()[1:-1] == before
        await at.press("f")
        await until(at.pilot, lambda: "СЛЕДИТ" in title(at), "following again")
        assert log_of(at).view.rows.missed == 0


async def test_a_row_that_changes_is_drawn_anew() -> None:
    """A queued delivery that was sent by another process says so without a key."""
    async with open_log() as at:
        rows = at.engine.log.rows
        place, newest = next((place, each) for place, each in enumerate(rows) if each.row_id == 5)
        shares = [*newest.deliveries[:2], replace(newest.deliveries[2], state="sent", attempts=1, ms=77)]
        rows[place] = replace(newest, deliveries=shares)
        at.engine.version += 1
        await until(at.pilot, lambda: "77 мс" in line_with(at, "Передача"), "the new state")


async def test_the_filter_is_typed_in_words() -> None:
    """«итог:отклонено» leaves one firing; the title shows it; Escape in the field changes nothing."""
    async with open_log() as at:
        await at.press("/")
        await at.pilot.pause()
        await at.type("итог:отклонено")
        await at.press("enter")
        await until(at.pilot, lambda: "1 срабатывание" in title(at), "one row")
        assert "отклонено" in title(at)
        assert log_of(at).filter == LogFilter(outcome="vetoed")
        await at.press("/", "escape")
        assert log_of(at).filter == LogFilter(outcome="vetoed")


async def test_a_filter_that_nothing_fits_shows_nothing() -> None:
    """Neither rows nor the detail of a row that is not there."""
    async with open_log() as at:
        await at.press("/")
        log_of(at).query_one("#find", Input).value = "итог:отложено"
        await at.press("enter")
        await until(at.pilot, lambda: "0 срабатываний" in title(at), "no row")
        await at.press("r", "y", "v")
        await at.pilot.pause()
        assert "A-10492" not in drawn(at.app)
        assert log_of(at)


async def test_a_filter_that_is_not_understood_says_why() -> None:
    """The field stays open with what was typed, and a sentence names the fault; an unknown hook too."""
    async with open_log() as at:
        for typed, named in (("чудо:1", "чудо"), ("хук:нет-такого", "нет-такого")):
            await at.press("/")
            log_of(at).query_one("#find", Input).value = typed
            await at.press("enter")
            await until(at.pilot, lambda named=named: named in drawn(at.app).splitlines()[2], "the sentence")
            assert log_of(at).has_class("-finding")
            await at.press("escape")
        assert log_of(at).filter == LogFilter()


async def test_the_log_of_one_hook() -> None:
    """Opened from the list of hooks it shows only that hook's firings and says so as a filter."""
    engine = with_attempts(FakeEngine())
    async with open_log(engine=engine, hook=engine.hooks.get(3)) as at:
        assert len(log_of(at).view.rows.ids) == 1
        assert 'хук:"Карточка' in title(at)


async def test_brackets_jump_between_errors() -> None:
    """«]» goes to the failed delivery below, also as «ъ» of the Russian layout; at the last one the cursor stays."""
    async with open_log() as at:
        await at.press("ъ")
        assert log_of(at).view.rows.cursor == Place(4, 1)
        at.engine.log.ids = lambda wanted, **_: array("q")
        await at.press("right_square_bracket")
        await at.pilot.pause()
        assert log_of(at).view.rows.cursor == Place(4, 1)


async def test_marked_rows_alone() -> None:
    """m marks a firing and goes on; M shows only the marked, and all again."""
    async with open_log() as at:
        await at.press("m", "m", "M")
        await until(at.pilot, lambda: "только отмеченные" in title(at), "the marked")
        assert [log_of(at).view.rows.ids[place] for place in range(len(log_of(at).view.rows.ids))] == [5, 4]
        await at.press("escape")
        await until(at.pilot, lambda: "5 срабатываний" in title(at), "all")


async def test_copying_says_so_and_hands_out_the_body() -> None:
    """OSC 52 has no answer, so the sentence names the other ways."""
    async with open_log() as at:
        await go(at, 1)
        await at.press("y")
        await at.pilot.pause()
        assert json.loads(at.app.clipboard)["order"] == "A-10492"
        assert "v и w" in drawn(at.app).splitlines()[-1]


async def test_a_file_is_new_and_private(tmp_path: Path) -> None:
    """w writes mode 0600, never over an existing file."""
    path = tmp_path / "reply.txt"
    write_file(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert path.stat().st_mode & 0o777 == 0o600
    assert str(path) in str(write_file(path, b"again"))
    assert path.read_bytes() == b"\x00\xff"


async def test_w_writes_the_whole_reply(tmp_path: Path) -> None:
    """The name is asked for; the file holds status, headers and the body as it came."""
    async with open_log() as at:
        await go(at, 1)
        await at.press("2", "w")
        await at.pilot.pause()
        at.app.screen.query_one(Input).value = str(tmp_path / "out.txt")
        await at.press("enter")
        await until(at.pilot, lambda: (tmp_path / "out.txt").exists(), "the file")
        assert (tmp_path / "out.txt").read_bytes().endswith(b'\n\n{"data":{"order":{"sum":11950}}}')


async def test_more_of_a_long_reply_is_shown_on_demand() -> None:
    """64 KiB at first; + shows the next; another row begins with 64 KiB again."""
    engine = with_attempts(FakeEngine())
    for ident, tries in engine.log.tries.items():
        long = [replace(each, response_body=b"z" * 200_000, response_length=200_000) for each in tries]
        engine.log.tries[ident] = long
    async with open_log(engine=engine) as at:
        await go(at, 1)
        await at.press("2", "enter")
        pane = log_of(at).query_one("#pane2", Pane)
        before = len(pane.content)
        await at.press("plus")
        await until(at.pilot, lambda: len(pane.content) > before * 1.9, "the next part")
        await at.press("escape")
        await go(at, 1)
        await until(at.pilot, lambda: len(pane.content) <= before, "the first part of another reply")


async def test_a_tab_just_chosen_is_read_for_the_width_that_it_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detail that comes to be read before the tab has its place waits for it."""
    widths: list[int] = []

    def noted(engine: Any, row: Any, reader: Any, of_tabs: dict[str, int], limit: int) -> Any:
        widths.append(of_tabs["2"])
        return read_detail(engine, row, reader, of_tabs, limit)

    async with open_log() as at:
        screen = log_of(at)
        monkeypatch.setattr("hookrow_tui.log.screen.read_detail", noted)
        screen.action_tab("2")
        assert screen.pane("2").size.width == 0
        screen.read_detail()
        await until(at.pilot, lambda: bool(widths), "the detail")
        assert set(widths) == {78}


async def test_a_database_that_can_not_be_read_is_a_line_not_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence stands on the screen until the database answers again, and has been seen."""
    monkeypatch.setattr(screen, "monotonic", lambda: 0.0)
    async with open_log() as at:
        whole, at.engine.log.by_rows = at.engine.log.by_rows, busy
        at.engine.version += 1
        await until(at.pilot, lambda: "занята" in drawn(at.app), "the sentence")
        at.engine.log.by_rows = whole
        at.engine.log.append()
        at.engine.version += 1
        await until(at.pilot, lambda: "6 срабатываний" in title(at), "somebody's firing")
        assert "занята" in drawn(at.app)
        monkeypatch.setattr(screen, "monotonic", lambda: SEEN)
        at.engine.version += 1
        await until(at.pilot, lambda: "занята" not in drawn(at.app), "the sentence is gone")


async def test_a_first_read_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locked when it was opened: the log comes by itself as soon as the database answers."""
    engine = with_attempts(FakeEngine())
    whole, engine.log.ids = engine.log.ids, lambda wanted, **_: busy(wanted)
    monkeypatch.setattr(screen, "SEEN", 0.0)
    async with shown(engine=engine) as at:
        at.app.push_screen(LogScreen())
        await until(at.pilot, lambda: "занята" in drawn(at.app), "the sentence")
        engine.log.ids = whole
        engine.version += 1
        await until(at.pilot, lambda: "5 срабатываний" in title(at), "the log")
        assert "занята" not in drawn(at.app)


def busy(ids: Any) -> Any:
    """What a locked database raises."""
    raise DatabaseBusy("база занята")


async def test_a_purged_row_leaves_the_list() -> None:
    """A firing that retention removed is not a hole."""
    async with open_log() as at:
        at.engine.log.rows = [each for each in at.engine.log.rows if each.row_id != 5]
        rows = log_of(at).view.rows
        rows.blocks.clear()
        log_of(at).view.draw()
        await until(at.pilot, lambda: rows.ids.index(5) is None, "the purged id is gone")
        assert rows.cursor is not None
        assert rows.cursor.firing == 4


async def test_a_key_on_a_row_that_was_purged_meanwhile_locks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row leaves the list, nothing of another one is in the panes, and that is said; the next key acts. The row
    that the cursor stands on now is read, whatever else happens."""
    monkeypatch.setattr("hookrow_tui.engine.FRESHEN", 10**9)
    async with open_log() as at:
        at.engine.log.rows = [each for each in at.engine.log.rows if each.row_id != 4]
        log, rows = log_of(at), log_of(at).view.rows
        while rows.cursor is not None and rows.cursor.firing != 4:
            log.view.action_move(1)
        log.action_replay()
        assert log.holds(None)
        await until(at.pilot, lambda: rows.ids.index(4) is None, "the purged row is gone")
        assert not log.holds(None)
        assert "Строки для этой клавиши" in drawn(at.app)
        await until(at.pilot, lambda: log.laid is not None, "a detail")
        assert log.view.row is not None
        assert ref(at) == log.view.row.ref


async def test_a_row_in_sight_that_is_purged_leaves_the_list() -> None:
    """Although it was read, and the cursor is elsewhere: with the commit of whoever purged it."""
    async with open_log() as at:
        rows = log_of(at).view.rows
        await until(at.pilot, lambda: 4 in rows.blocks, "the row in sight")
        at.engine.log.rows = [each for each in at.engine.log.rows if each.row_id != 4]
        at.engine.version += 1
        await until(at.pilot, lambda: rows.ids.index(4) is None, "the purged row is gone")
        assert 4 not in rows.blocks


async def test_a_purge_swallows_nothing_of_the_filter_that_is_being_typed() -> None:
    """The row under the cursor goes; who types the filter goes on, and whoever uses the rows is guarded."""
    async with open_log() as at:
        log, guards = log_of(at), at.app.ahead.guards
        row = log.view.row
        assert row is not None
        await at.press("slash")
        log.take_detail(row, None)
        assert log.view.rows.ids.index(row.firing) is None
        assert log not in guards
        await at.press("escape")
        row = log.view.row
        assert row is not None
        log.take_detail(row, None)
        assert log in guards


async def test_a_key_on_a_row_that_cannot_be_read_locks_nothing() -> None:
    """The sentence is shown in the place of the detail."""
    async with open_log() as at:
        log = log_of(at)
        at.engine.log.get = lambda _: busy([])
        log.view.action_move(2)
        log.action_replay()
        await until(at.pilot, lambda: "занята" in drawn(at.app), "the sentence")
        assert log.waiting is None
        assert log.laid is None


async def test_a_key_acts_on_its_own_row_though_a_newer_one_comes() -> None:
    """While the log follows, its cursor goes to what comes."""
    async with open_log() as at:
        log = log_of(at)
        wanted, log.laid, seen = log.view.row, None, list[str]()
        log.with_detail(lambda detail: seen.append(detail.firing.id))
        at.engine.log.append()
        log.moved()
        await until(at.pilot, lambda: bool(seen), "what is to be done")
        await until(at.pilot, lambda: "6 срабатываний" in title(at), "the newer row")
        assert wanted is not None
        assert seen == [wanted.ref]


async def test_a_filter_by_age_is_read_anew_when_the_log_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """`since:1h` is the last hour then, not the one before the filter was typed."""
    monkeypatch.setattr(reader, "now_ms", lambda: 10 * HOUR)
    async with shown() as at:
        at.app.screen.kept_log = reader.Chosen(LogFilter(hook=3, since_ms=1), 'hook:"3" since:1h')  # type: ignore[attr-defined]
        await at.press("L")
        assert log_of(at).filter == LogFilter(hook=3, since_ms=9 * HOUR)


async def test_every_action_of_the_registry_exists() -> None:
    """No key of the log leads nowhere."""
    from hookrow_tui.actions import actions_of

    async with open_log() as at:
        for action in actions_of("log"):
            if action.bound:
                assert hasattr(log_of(at), f"action_{action.name.partition('(')[0]}"), action.id


@pytest.mark.parametrize(
    ("typed", "seen"),
    [
        ("code:200 since:20m", "Найти: code:200 since:20m "),
        ("code:200 event:before_order_add", "Событие: before_order_add  Найти: code:200 "),
        ("code:200 since:20m event:before_order_add", "Событие: before_order_add  Найти: code:200 s… "),
    ],
)
async def test_a_filter_is_read_as_it_holds(typed: str, seen: str) -> None:
    """What narrows nothing makes room for it; where it is cut all the same, a sign says so."""
    async with open_log() as at:
        await at.press("slash")
        await at.type(typed)
        await at.press("enter")
        await until(at.pilot, lambda: seen in title(at), "the filter in the heading, when all are counted")


async def test_a_filter_without_hits_says_so() -> None:
    """An empty list would look like one that is being read; an empty log is another thing."""
    async with open_log(lang="en") as at:
        await at.press("slash")
        await at.type("outcome:dead")
        await at.press("enter")
        await until(at.pilot, lambda: drawn(at.app).splitlines()[1] == " Nothing matches.", "the word")
        await at.press("slash", *["backspace"] * 12, "enter")
        await until(at.pilot, lambda: "before_order_add" in drawn(at.app).splitlines()[1], "the rows")
        at.engine.log.rows.clear()
        await at.press("slash", "enter")
        await until(at.pilot, lambda: "No firings yet." in drawn(at.app), "that there is nothing")
