"""The log in a real terminal, on a real database: how soon it opens, what it writes, and what can't harm it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from big_log import Writer, make
from terminal import Terminal

SCRIPT = Path(__file__).parent / "big_log.py"
ROOT = SCRIPT.parents[2]
EVIL = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m [@click=app.quit]x[/] \u202egnp.exe"


@contextmanager
def log_on(path: Path, size: tuple[int, int] = (80, 24), env: dict[str, str] | None = None) -> Iterator[Terminal]:
    """The log on this database, with its first rows on the screen."""
    env = {"PYTHONPATH": os.pathsep.join([str(ROOT / "engine"), str(ROOT / "tui")]), **(env or {})}
    with Terminal([sys.executable, str(SCRIPT), str(path)], size=size, env=env) as terminal:
        terminal.wait_for("before_order_add")
        terminal.wait_for("A-10492")
        yield terminal


def memory(terminal: Terminal) -> int:
    """Resident bytes of the program."""
    pages = Path(f"/proc/{terminal.process.pid}/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Writer]:
    """A log of fifty firings."""
    path, writer = make(tmp_path_factory.mktemp("small"), 0)
    writer.add(50)
    return path, writer


def test_a_hundred_thousand_rows_open_as_quickly_as_fifty(tmp_path: Path, small: tuple[Path, Writer]) -> None:
    """The first rows don't wait for the others, and the ids of all take little memory."""
    path, writer = make(tmp_path, 100_000)
    writer.add(50)
    few, many = opening(small[0], "50 срабатываний"), opening(path, "100 050 срабатываний")
    if many[0] >= 2 * few[0] + 0.5:  # the machine may have been busy with something else just then: once more
        few, many = opening(small[0], "50 срабатываний"), opening(path, "100 050 срабатываний")
    assert many[0] < 2 * few[0] + 0.5
    assert many[1] - few[1] < 25_000_000


def opening(path: Path, whole: str) -> tuple[float, int]:
    """Seconds until a log shows its first rows, and the memory of the program once it has counted all of them."""
    began = time.monotonic()
    with log_on(path) as terminal:
        took = time.monotonic() - began
        terminal.wait_for(whole, 60)
        terminal.settle()
        return took, memory(terminal)


def test_moving_and_resting_cost_few_bytes(small: tuple[Path, Writer]) -> None:
    """A row move stays under 800 bytes with its detail, an idle second writes nothing (DESIGN 14); only y writes the
    clipboard (OSC 52)."""
    with log_on(small[0]) as terminal:
        terminal.spend(b"j")
        moves = [terminal.spend(b"j") for _ in range(8)]
        assert max(moves) < 800, moves
        assert terminal.rests()
        assert b"\x1b]52" not in bytes(terminal.raw)
        terminal.send(b"y")
        terminal.wait_for("Скопировано")
        assert b"\x1b]52;c;" in bytes(terminal.raw)


def test_following_twenty_events_a_second_stays_in_the_budget(tmp_path: Path) -> None:
    """Under 25 KB a second on 80x24, and the newest row is on the screen at the end."""
    path, writer = make(tmp_path, 0)
    writer.add(20)
    with log_on(path) as terminal:
        terminal.settle()
        before, began = len(terminal.raw), time.monotonic()
        for number in range(80):
            writer.add(1)
            time.sleep(max(0.0, began + number / 20 - time.monotonic()))
        terminal.wait_for("100 срабатываний")
        spent = (len(terminal.raw) - before) / (time.monotonic() - began)
        assert spent < 25_000
        assert "СЛЕДИТ" in terminal.text


def test_what_a_receiver_sends_can_not_script_the_terminal(tmp_path: Path) -> None:
    """A name, a header and a body full of escape sequences and markup: no clipboard, no clearing, no quitting."""
    path, writer = make(tmp_path, 0)
    with writer.transaction() as connection:
        connection.execute("UPDATE hook SET name = ?", (EVIL[:100],))
    evil = f'[["x-evil", "{EVIL}"]]'.replace("\x1b", "\\u001b").replace("\x07", "\\u0007")
    writer.add(
        3, response_body=EVIL.encode(), response_headers=evil, request_headers=evil, detail=EVIL, error="bad_reply"
    )
    with log_on(path) as terminal:
        terminal.send(b"j")
        for tab in b"1234":
            terminal.send(bytes([tab]))
            terminal.settle(0.3)
            terminal.wait_for("[@click=app.quit]" if tab != ord("4") else "]52;c;ZXZ")
        for harm in (b"\x1b]52", b"\x1b[2J\xc2", b"\xc2\x9b", "\u202e".encode()):
            assert harm not in bytes(terminal.raw)
        assert terminal.process.poll() is None


def test_emoji_in_a_name_move_no_column(tmp_path: Path) -> None:
    """The status and the time of a hook with a hostile name stand where they stand in the next row."""
    path, writer = make(tmp_path, 0, name="⚙️ Заказ ⏺️ 👨‍👩‍👧 e\u0301")
    writer.add(3)
    with log_on(path) as terminal:
        rows = [line for line in terminal.text.splitlines() if "312 мс" in line and "200" in line]
        assert len(rows) >= 4
        columns = [[x for x in range(terminal.columns) if cell(terminal, y, x) == "2"][-1] for y in (2, 3)]
        assert abs(columns[0] - columns[1]) <= 1


def cell(terminal: Terminal, y: int, x: int) -> str:
    """What stands in one column of the screen."""
    return str(terminal.screen.buffer[y][x].data)


def test_the_whole_goes_through_the_pager_and_back(tmp_path: Path) -> None:
    """v lends the terminal to $PAGER with harmless text, and paints the screen again afterwards."""
    path, writer = make(tmp_path, 0)
    writer.add(2, response_body=EVIL.encode())
    pager = tmp_path / "pager.sh"
    pager.write_text('clear; grep -c . "$1"; grep -l $\'\\x1b\' "$1"; echo SEEN; read answer\n', "utf-8")
    with log_on(path, env={"PAGER": f"bash {pager}"}) as terminal:
        terminal.send(b"j2")
        terminal.wait_for("200 OK")
        terminal.send(b"v")
        shown = terminal.wait_for("SEEN")
        assert "hookrow.txt" not in shown
        assert "Журнал" not in shown
        terminal.send(b"\r")
        terminal.wait_for("Журнал")
        terminal.wait_for("200 OK")


def test_the_next_failure_far_below_is_found_by_the_index(tmp_path: Path) -> None:
    """«]» finds the one failed delivery behind twenty thousand good ones."""
    path, writer = make(tmp_path, 20_000)
    with writer.transaction() as connection:
        connection.execute(
            "UPDATE delivery SET state = 'failed', error = 'timeout', status = NULL"
            " WHERE id = (SELECT min(id) FROM delivery)"
        )
    writer.add(50)
    with log_on(path) as terminal:
        terminal.wait_for("20 050 срабатываний")
        terminal.send(b"]")
        assert "таймаут" in terminal.wait_for("таймаут")


def test_following_does_not_search_the_whole_log(tmp_path: Path) -> None:
    """Looks at what was committed search only the log's end, however rare the filter's rows are."""
    path, writer = make(tmp_path, 20_000)
    from hookrow import HookEngine
    from hookrow.records import LogFilter
    from hookrow_tui.log.reader import Reader
    from hookrow_tui.presenters.glyphs import UNICODE

    with HookEngine(f"sqlite:///{path}", worker=False) as engine:
        (top,) = engine.log.ids(LogFilter(), limit=1)
        asked: list[int | None] = []
        whole = engine.log.ids

        def ids(wanted: LogFilter, **given: int) -> object:
            if wanted.search:
                asked.append(given.get("after"))
            return whole(wanted, **given)

        engine.log.ids = ids  # type: ignore[assignment,method-assign]
        writer.add(1)
        fresh = Reader(UNICODE).newest(engine, LogFilter(search="A-10492"), top, 0, (), 5)
        assert fresh.top > top
        assert fresh.top in fresh.ids
        assert all(after is not None and after >= top - (15_000 << 20) for after in asked)


@pytest.mark.torture
def test_a_million_rows_open_at_once(tmp_path: Path) -> None:
    """First rows as soon as with few, all ids within seconds, memory in proportion to eight bytes a row."""
    path, writer = make(tmp_path, 1_000_000)
    writer.add(50)
    began = time.monotonic()
    with log_on(path) as terminal:
        assert time.monotonic() - began < 5
        terminal.wait_for("1 000 050 срабатываний", 60)
        terminal.settle()
        assert memory(terminal) < 200_000_000
        assert terminal.spend(b"\x1b[6~") < 6_000
