"""The list of hooks: what it shows at both sizes in both languages, and what its keys do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from apps import Shown, shown, until
from fake_engine import FakeEngine
from screen_data import told
from screens import SIZES, drawn, same_as_golden

from hookrow.errors import DatabaseBusy
from hookrow_tui.hooks import screen as hooks
from hookrow_tui.hooks.screen import HooksScreen
from hookrow_tui.hooks.table import HookTable
from hookrow_tui.widgets.dialogs import Prompt

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("on_the_day")]


def row_of(at: Shown, name: str) -> Any:
    """The line of one hook."""
    return next(line for line in drawn(at.app).splitlines() if name in line)


def go_to(at: Shown, name: str) -> None:
    """Put the cursor on a hook, by its Russian name."""
    name = told(name, at.engine.lang)
    table = at.app.screen.query_one(HookTable)
    table.go(next(place for place, row in enumerate(table.rows) if row.hook.name == name))


@pytest.mark.parametrize("lang", ["ru", "en"])
@pytest.mark.parametrize("size", SIZES)
async def test_the_list_as_drawn(size: tuple[int, int], lang: Any) -> None:
    """Title with figures, columns, rows by event and order, the chosen hook in words, the keys."""
    async with shown(size, lang=lang) as at:
        go_to(at, "Скидки по договору")
        await at.pilot.pause()
        same_as_golden(at.app, f"hooks-{size[0]}x{size[1]}-{lang}")


@pytest.mark.usefixtures("painted")
@pytest.mark.parametrize("lang", ["ru", "en"])
@pytest.mark.parametrize("size", SIZES)
async def test_the_help_as_drawn(size: tuple[int, int], lang: Any) -> None:
    """F1 shows every key."""
    async with shown(size, lang=lang) as at:
        await at.press("f1")
        same_as_golden(at.app, f"help-{size[0]}x{size[1]}-{lang}")
        await at.press("escape")
        assert "╭" not in drawn(at.app)


async def test_rows_follow_other_processes_and_the_cursor_stays_on_its_hook() -> None:
    """A hook that a colleague renamed or added appears; the cursor does not jump to another one."""
    async with shown() as at:
        go_to(at, "Остатки склада")
        at.engine.hooks.update(1, name="Проверка ИНН и КПП")
        at.engine.hooks.remove(2)
        await until(at.pilot, lambda: "ИНН и КПП" in drawn(at.app), "the new name")
        assert at.app.screen.chosen.name == "Остатки склада"


async def test_letters_work_in_the_russian_layout() -> None:
    """«о» and «л» move the cursor as j and k do."""
    async with shown() as at:
        first = at.app.screen.chosen.name
        await at.press("о")
        assert at.app.screen.chosen.name != first
        await at.press("л")
        assert at.app.screen.chosen.name == first


async def test_a_waiting_hook_is_switched_off_only_after_a_question() -> None:
    """Space on a waiting hook asks first, with «No» marked; a background hook is switched at once."""
    async with shown() as at:
        await at.press("space", "enter")
        assert at.engine.hooks.get(1).active
        await at.press("space", "right", "enter")
        await until(at.pilot, lambda: not at.engine.hooks.get(1).active, "the hook is off")
        go_to(at, "Передача заказа в 1С")
        await at.press("space")
        await until(at.pilot, lambda: not at.engine.hooks.get(6).active, "the background hook is off")


async def test_the_state_is_a_sign_and_a_word() -> None:
    """Off, not yet valid and paused are said, not only coloured."""
    async with shown() as at:
        at.engine.hooks.pause(1, "ремонт")
        await until(at.pilot, lambda: "‖" in row_of(at, "Проверка ИНН"), "the sign of the pause")
        assert "пауза" in row_of(at, "Проверка ИНН")
        assert "выкл" in row_of(at, "Расчёт доставки")
        await until(at.pilot, lambda: "ремонт" in drawn(at.app), "the reason")


async def test_the_order_is_changed_by_two_keys() -> None:
    """J moves a hook later in its event's row and K back: it takes a free number between its new neighbours."""
    async with shown() as at:
        go_to(at, "Скидки по договору")
        await at.press("J")
        await until(at.pilot, lambda: at.engine.hooks.get(4).position == 25, "the hook runs second")
        assert at.engine.hooks.get(5).position == 20
        await at.press("K")
        await until(at.pilot, lambda: at.engine.hooks.get(4).position == 10, "and first again")


async def test_a_deletion_that_is_refused_is_not_said_to_have_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    """A colleague changed the hook while the question stood: it stays, and u has nothing to bring back."""
    async with shown() as at:
        said: list[str] = []
        monkeypatch.setattr(at.app, "notify", lambda text, **_: said.append(text))
        go_to(at, "Остатки склада")
        screen = at.app.screen
        await at.press("d")
        at.engine.hooks.update(5, name="Имя коллеги")
        await at.press("right", "enter")
        await until(at.pilot, lambda: bool(screen.trouble), "the refusal")
        assert (said, at.engine.hooks.get(5).deleted) == ([], False)


async def test_the_filter_narrows_while_it_is_typed() -> None:
    """Words match the name, `событие:` and `состояние:` their columns; Escape shows all again."""
    async with shown() as at:
        await at.press("slash")
        await at.type("состояние:выкл")
        assert [row.hook.id for row in at.app.screen.query_one(HookTable).rows] == [7]
        await at.press("enter", "escape")
        assert len(at.app.screen.query_one(HookTable).rows) == 10


async def test_paused_hooks_and_a_forgotten_queue_are_said_on_the_screen() -> None:
    """The banner names paused hooks, those that refuse operations first, and a queue that nobody drains."""
    engine = FakeEngine()
    engine.hooks.update(4, on_failure="stop")
    engine.hooks.pause(4)
    engine.hooks.pause(1)
    engine.log.figures.undrained = True
    async with shown((120, 40), engine=engine) as at:
        banner = drawn(at.app).partition("На паузе: ")[2]
        assert "hookrow worker" in banner
        assert banner.index("Скидки по договору") < banner.index("Проверка ИНН")


async def test_the_banner_says_what_to_do_about_each_kind_of_pause() -> None:
    """A lost key first, which `p` does not help; then a receiver that is gone, an open breaker, what a person paused.
    Every paused hook is in exactly one sentence."""
    engine = FakeEngine()
    for number, by in ((1, "person"), (2, "breaker"), (3, "gone"), (4, "key"), (5, "person")):
        engine.hooks.pause(number)
        engine.hooks.update(number, paused_by=by)
    async with shown((120, 40), lang="en", engine=engine) as at:
        said = at.app.screen.banner
        key, gone, breaker, person = (said.index(name) for name in ("Secrets can't", "gone:", "by itself:", "Paused: "))
        assert key < gone < breaker < person
        assert "Put the key back" in said[key:gone]
        assert "p" not in said[key:gone].split()
        assert "Resume now: p" in said[breaker:person]
        for number, start, end in ((4, key, gone), (3, gone, breaker), (2, breaker, person), (1, person, None)):
            name = engine.hooks.get(number).name
            assert name in said[start:end]
            assert said.count(name) == 1


@pytest.mark.parametrize("keys", [["right"], ["tab"], ["shift+tab"], ["tab", "shift+tab", "left"]])
async def test_pausing_a_hook_that_refuses_says_so_first(keys: list[str]) -> None:
    """p on a hook set to `stop` asks, since every operation would be refused, and names those that are paused already,
    the ones that refuse first. Arrows and Tab go to the other answer."""
    engine = FakeEngine()
    engine.hooks.update(1, on_failure="stop")
    engine.hooks.update(4, on_failure="stop")
    engine.hooks.pause(3)
    engine.hooks.pause(4)
    async with shown(engine=engine) as at:
        await at.press("p")
        asked = drawn(at.app)
        assert "before_registration" in asked
        already = asked.partition("Уже на паузе: ")[2]
        assert already.index("Скидки по договору") < already.index("Карточка")
        assert engine.hooks.get(1).state == "on"
        await at.press(*keys, "enter")
        await until(at.pilot, lambda: isinstance(at.app.screen, Prompt), "the question for a reason")
        await at.press("enter")
        await until(at.pilot, lambda: engine.hooks.get(1).state == "paused", "the hook is paused")
        assert engine.hooks.get(1).paused_reason == ""


@pytest.mark.usefixtures("painted")
@pytest.mark.parametrize("lang", ["ru", "en"])
async def test_a_pause_is_asked_why(lang: Any) -> None:
    """A line of text; Escape leaves the hook as it is, Enter pauses it with the reason, which its row then tells."""
    engine = FakeEngine(lang=lang)
    async with shown(lang=lang, engine=engine) as at:
        table = at.app.screen.query_one(HookTable)
        table.go(next(place for place, row in enumerate(table.rows) if row.hook.mode == "forget"))
        hook = table.row.hook.id
        await at.press("p")
        same_as_golden(at.app, f"pause-80x24-{lang}")
        await at.press("escape")
        assert engine.hooks.get(hook).state == "on"
        await at.press("p")
        await at.type(" repairs till 5 ")
        await at.press("enter")
        await until(at.pilot, lambda: engine.hooks.get(hook).state == "paused", "the hook is paused")
        assert engine.hooks.get(hook).paused_reason == "repairs till 5"
        await until(at.pilot, lambda: "repairs till 5" in drawn(at.app), "the reason")


async def test_a_small_window_gets_a_sentence() -> None:
    """Below 80x20 nothing is ruined and no key acts but those that quit; enlarging brings the screen back."""
    async with shown() as at:
        await at.pilot.resize_terminal(60, 19)
        await until(at.pilot, lambda: "80×20" in drawn(at.app), "the sentence")
        assert "Проверка" not in drawn(at.app)
        await at.press("n", "f1", "space", "escape")
        assert len(at.app.screen_stack) == 1
        assert {hook.revision for hook in at.engine.hooks.list()} == {1}
        await at.pilot.resize_terminal(80, 24)
        await until(at.pilot, lambda: "Проверка ИНН" in drawn(at.app), "the list")


async def test_a_vanished_database_is_a_line_on_the_screen(tmp_path: Path) -> None:
    """The file is gone: said, without an end of the program; back again: the line goes."""
    engine = FakeEngine()
    engine.path = tmp_path / "hooks.db"
    engine.path.touch()
    async with shown(engine=engine) as at:
        engine.path.unlink()
        await until(at.pilot, lambda: "Файла базы больше нет" in drawn(at.app), "the line")
        engine.path.touch()
        await until(at.pilot, lambda: "Файла базы больше нет" not in drawn(at.app), "the line is gone")


async def test_a_read_only_database_opens_read_only() -> None:
    """Nothing can be changed, and the screen says so."""
    engine = FakeEngine()
    engine.read_only = True
    async with shown((120, 40), engine=engine) as at:
        assert "только чтение" in drawn(at.app)
        await at.press("space", "d")
        assert engine.hooks.get(1).active
        await at.press("enter")
        await at.pilot.pause()
        await at.press("a", "f2")
        assert engine.hooks.get(1).name == "Проверка ИНН"


@pytest.mark.parametrize(
    ("key", "count"),
    [("l", "2 срабатывания"), ("L", "5 срабатываний"), ("д", "2 срабатывания"), ("Д", "5 срабатываний")],
)
async def test_the_log_of_one_hook_and_of_all(key: str, count: str) -> None:
    """l shows what concerns the hook under the cursor, L everything."""
    async with shown() as at:
        go_to(at, "Скидки по договору")
        await at.press(key)
        await until(at.pilot, lambda: count in drawn(at.app), "the log")


async def test_commands_are_found_by_name() -> None:
    """The palette runs an action by a part of its name."""
    async with shown() as at:
        await at.press("colon")
        await at.type("копи")
        await at.press("enter")
        await until(at.pilot, lambda: type(at.app.screen).__name__ == "FormScreen", "the form of the copy")
        assert "(копия)" in drawn(at.app)
        await at.press("escape", "colon")
        await at.type("выход")
        await at.press("enter")
        await until(at.pilot, lambda: at.app._exit, "the end")


@pytest.mark.parametrize(
    ("lang", "dead", "width", "seen"),
    [
        ("en", 3, 80, " Webhooks              10 hooks · on 8 · queue 3 · dead 3 · errors in an hour 2"),
        ("ru", 1001, 80, "  10 хуков · в очереди 3 · не доставлено 1 001 · ошибок за час 2"),
        ("ru", 1001, 120, "10 хуков · включено 8 · в очереди 3 · не доставлено 1 001 · ошибок за час 2"),
    ],
)
async def test_dead_deliveries_stand_in_the_heading(lang: Any, dead: int, width: int, seen: str) -> None:
    """Where there are some; the number of hooks that are on makes room for it, since the rows show them."""
    async with shown((width, 24), lang=lang) as at:
        at.engine.log.figures.dead = dead
        at.engine.version += 1
        await until(at.pilot, lambda: seen in drawn(at.app).splitlines()[0], "the number")


@pytest.mark.parametrize("way", ["key", "action", "read"])
async def test_an_error_goes_when_it_was_seen(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the next key, the next action that succeeds, or the list read anew a while later; not before."""
    async with shown(lang="en") as at:
        at.app.notice("the disk is full")
        await until(at.pilot, lambda: "the disk is full" in drawn(at.app), "the error")
        at.engine.version += 1
        at.engine.hooks.rows[1].name = "Read anew"
        await until(at.pilot, lambda: "Read anew" in drawn(at.app), "a read right after it")
        assert "the disk is full" in drawn(at.app)
        if way == "key":
            await at.press("j")
        elif way == "action":
            screen = at.app.screen
            assert isinstance(screen, HooksScreen)
            screen.change(lambda engine: None)
        else:
            monkeypatch.setattr(hooks, "SEEN", 0.0)
            at.engine.version += 1
        await until(at.pilot, lambda: "the disk is full" not in drawn(at.app), "that it goes")


async def test_what_keeps_the_database_from_being_read_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as that lasts no key takes it away."""
    async with shown(lang="en") as at:

        def lost() -> int:
            raise DatabaseBusy("the database is locked")

        with monkeypatch.context() as patch:
            patch.setattr(at.engine.log, "data_version", lost)
            await until(at.pilot, lambda: "the database is locked" in drawn(at.app), "the trouble")
            await at.press("j")
            await at.pilot.pause()
            assert "the database is locked" in drawn(at.app)
        await until(at.pilot, lambda: "the database is locked" not in drawn(at.app), "its end")


async def test_a_search_without_a_match_says_so() -> None:
    """An empty frame, or an empty list, leaves one waiting."""
    async with shown(lang="en") as at:
        await at.press("colon")
        await at.type("zzz")
        await until(at.pilot, lambda: "Nothing matches." in drawn(at.app), "the word in the palette")
        await at.press("enter", "backspace", "backspace", "backspace")
        await until(at.pilot, lambda: "Nothing matches." not in drawn(at.app), "the commands")
        await at.press("escape", "slash")
        await at.type("zzz")
        await until(at.pilot, lambda: "Nothing matches." in drawn(at.app), "the word in the list")
        await at.press("escape")
        await until(at.pilot, lambda: "Nothing matches." not in drawn(at.app), "the hooks")


async def test_what_has_no_room_in_the_details_ends_in_a_sign() -> None:
    """A cut sentence says that it is one, in a terminal without «…» as well."""
    for environ, sign in ((None, "…"), ({"TERM": "linux"}, "...")):
        async with shown(lang="en", environ=environ) as at:
            at.engine.hooks.update(4, condition="order.sum > 1000 and order.customer.city == 'Novosibirsk'")
            go_to(at, "Скидки по договору")
            await until(at.pilot, lambda: "order.sum > 1000" in drawn(at.app), "the sentence")
            said = row_of(at, "order.sum > 1000")
            assert len(said) == 80
            assert said.endswith(sign)
