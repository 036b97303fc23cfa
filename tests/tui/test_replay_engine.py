"""Repeating on the real engine with a real receiver: what the dialog sends arrives, and is recorded."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from apps import Beside, Shown, shown, until
from log_fixtures import log_of
from screens import drawn

from hookrow import Hook, HookEngine
from hookrow_tui.log.screen import LogScreen
from hookrow_tui.replay.many import ManyScreen
from hookrow_tui.replay.screen import ReplayScreen, ResultScreen
from hookrow_tui.widgets.dialogs import Question
from hookrow_tui.widgets.ways import Ways

pytestmark = pytest.mark.anyio
EVENT = "before_order_add"


class Receiver(BaseHTTPRequestHandler):
    """Remembers what came, and answers as it is told."""

    came: ClassVar[list[tuple[dict[str, str], dict[str, Any]]]] = []
    answer: ClassVar[tuple[int, dict[str, Any]]] = (200, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.came.append(({name.lower(): value for name, value in self.headers.items()}, json.loads(body)))
        status, reply = self.answer
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[str]:
    """A receiver's URL on this machine."""
    Receiver.came.clear()
    Receiver.answer = (200, {"data": {"order": {"sum": 90}}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def engine(tmp_path: Path, receiver: str) -> HookEngine:
    """An engine without a worker, with a hook that changes the sum and one that is told afterwards; one firing."""
    engine = HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False)
    engine.hooks.add(Hook(name="Скидки", event=EVENT, url=receiver, wait_for_response=True, response_has_data=True))
    engine.hooks.add(Hook(name="Передача", event=EVENT, url=receiver))
    engine.fire(EVENT, {"order": {"number": "A-1", "sum": 100}})
    return engine


async def dialog(at: Shown, row: int) -> ReplayScreen:
    """The log on that line, and the dialog over it."""
    at.app.push_screen(LogScreen())
    await until(at.pilot, lambda: isinstance(at.app.screen, LogScreen) and log_of(at).laid is not None, "the log")
    await until(at.pilot, lambda: log_of(at).feed.complete, "the whole log")  # all of it can be repeated only then
    await at.press(*["down"] * row)
    wanted = log_of(at).view.row
    assert wanted is not None

    def read() -> bool:
        laid = log_of(at).laid
        return laid is not None and wanted.ref in (
            laid.detail.firing.id,
            laid.detail.delivery and laid.detail.delivery.id,
        )

    await until(at.pilot, read, "the detail")
    await at.press("r")
    await until(at.pilot, lambda: isinstance(at.app.screen, ReplayScreen), "the dialog")
    assert isinstance(at.app.screen, ReplayScreen)
    return at.app.screen


async def result(at: Shown) -> str:
    """The result on the screen."""
    await until(at.pilot, lambda: isinstance(at.app.screen, ResultScreen), "the result")
    await until(at.pilot, lambda: "═" in drawn(at.app) or "= " in drawn(at.app) or "≠" in drawn(at.app), "its lines")
    return drawn(at.app)


async def test_the_same_delivery_again(engine: HookEngine, receiver: str) -> None:
    """Same bytes, same webhook-id; the second attempt is recorded as made by hand."""
    async with shown(engine=engine) as at:
        await dialog(at, 1)
        await at.press("f5")
        assert "200" in await result(at)
        (first, body), (second, again) = Receiver.came
        assert first["webhook-id"] == second["webhook-id"]
        assert body == again
        assert second["hook-attempt"] == "2"
        share = at.engine.log.page()[0].deliveries[0]
        assert [each.origin for each in at.engine.log.attempts(share.id)] == ["fire", "redeliver"]


async def test_the_whole_row_anew_with_another_answer(engine: HookEngine, receiver: str) -> None:
    """A new firing with `replay_of`; the change stands beside the recorded one; the background hook is sent too."""
    async with shown((120, 40), engine=engine) as at:
        Receiver.answer = (200, {"data": {"order": {"sum": 80}}})
        screen = await dialog(at, 1)
        screen.query_one(Ways).choose("row")
        await at.press("f5")
        text = await result(at)
        assert "- order.sum: 90" in text
        assert "+ order.sum: 80" in text
        newest, oldest = at.engine.log.page()
        assert newest.replay_of == oldest.id
        assert [each.outcome for each in newest.deliveries] == ["changed", "sent"]
        await at.press("escape")
        await until(at.pilot, lambda: "1 новая" in drawn(at.app), "that there is a new row")
        await at.press("f")
        await until(at.pilot, lambda: "повтор: before_order_add" in drawn(at.app), "the replay in the log")


async def test_only_show_leaves_the_receiver_alone(engine: HookEngine, receiver: str) -> None:
    """The plan and a curl line; nothing came, nothing was recorded."""
    async with shown((120, 40), engine=engine) as at:
        before = len(Receiver.came)
        screen = await dialog(at, 0)
        screen.query_one(Ways).choose("row")
        await at.press("tab", "tab", "space", "f5")
        await until(at.pilot, lambda: "curl -g -X POST" in drawn(at.app), "the command")
        assert len(Receiver.came) == before
        assert len(at.engine.log.page()) == 1


async def test_edited_data_to_another_url(engine: HookEngine, receiver: str) -> None:
    """The edited payload arrives at the URL that was typed, and only there."""
    async with shown(engine=engine) as at:
        screen = await dialog(at, 1)
        screen.take_edited('{"order": {"number": "B-2", "sum": 7}}')
        await at.press("tab")
        await at.type(receiver.replace("/hook", "/laptop"))
        before = len(Receiver.came)
        await at.press("enter")
        await result(at)
        came = Receiver.came[before:]
        assert [body["data"]["order"]["number"] for _, body in came] == ["B-2"]
        newest = at.engine.log.page()[0]
        (attempt,) = at.engine.log.attempts(newest.deliveries[0].id)
        assert attempt.elsewhere


async def test_edited_data_in_all_that_the_filter_shows(engine: HookEngine, receiver: str) -> None:
    """The same changes in each, where it has that place; the question names them. The rest of each stays its own."""
    Beside(engine).fire(EVENT, {"order": {"number": "A-2", "sum": 1, "note": "x"}, "items": [1, 2]})
    async with shown((120, 40), engine=engine) as at:
        screen = await dialog(at, 0)
        screen.take_edited('{"order": {"number": "A-2", "sum": 7, "gift": null}, "items": [1, 3]}')
        screen.query_one(Ways).choose("all")
        await at.press("tab")
        await at.type(receiver.replace("/hook", "/laptop"))
        before = len(Receiver.came)
        await at.press("f5")
        await until(at.pilot, lambda: isinstance(at.app.screen, Question), "the question")
        text = " ".join(drawn(at.app).replace("│", " ").split())
        assert "Изменено в каждом: order.sum = 7; без order.note; order.gift" in text
        await ended(at)
        # Newest first: what the first hook of each got, before its answer changed the sum.
        came = {each["data"]["order"]["number"]: each["data"] for _, each in reversed(Receiver.came[before:])}
        assert came["A-1"] == {"order": {"number": "A-1", "sum": 7, "gift": None}}
        assert came["A-2"] == {"order": {"number": "A-2", "sum": 7, "gift": None}, "items": [1, 3]}


async def test_many_that_fail_and_their_deliveries_once_more(engine: HookEngine, receiver: str) -> None:
    """Fired anew at a receiver that answers 500 they count as errors; what failed goes again under its own id."""
    Receiver.answer = (500, {})
    Beside(engine).fire(EVENT, {"order": {"number": "A-2", "sum": 1}})
    async with shown(engine=engine) as at:
        screen = await dialog(at, 0)
        screen.query_one(Ways).choose("all")
        await at.press("f5")
        await ended(at)
        assert "ошибка: 2" in drawn(at.app)
        assert "разрешено" not in drawn(at.app).partition("2 / 2")[2].partition("╰")[0]
        await at.press("escape")
        failed = [each for firing in at.engine.log.page() for each in firing.deliveries if each.failed]
        assert failed
        Receiver.answer = (200, {})
        Receiver.came.clear()
        await until(at.pilot, lambda: len(log_of(at).view.rows.ids) == 4 and log_of(at).feed.complete, "the new ones")
        await at.press("r")
        await until(at.pilot, lambda: isinstance(at.app.screen, ReplayScreen), "the dialog")
        at.app.screen.query_one(Ways).choose("failed")
        await at.press("f5")
        await ended(at)
        assert f"дошло: {len(failed)}" in drawn(at.app)
        assert sorted(head["webhook-id"] for head, _ in Receiver.came) == sorted(each.id for each in failed)
        assert len(at.engine.log.page()) == 4


async def ended(at: Shown) -> None:
    """Answer the question with yes, and wait for the end."""
    await until(at.pilot, lambda: isinstance(at.app.screen, Question), "the question")
    await at.press("right", "enter")
    await until(at.pilot, lambda: isinstance(at.app.screen, ManyScreen) and at.app.screen.ended, "the end")
    await at.pilot.pause()
