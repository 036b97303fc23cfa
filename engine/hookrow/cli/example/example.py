"""Builds the example database: the sample hooks, and some days of firings with every outcome, really fired.

    python -m hookrow.cli.example.example hooks.db.example

Requests meet a scripted transport and time is a clock that only moves when told, so the same content comes out every
time. What is random by nature (public ids, the name of who is at work) is replaced at the end by what is not.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx

from hookrow import HookEngine, Worker
from hookrow.cli.example.english import in_language
from hookrow.cli.example.sample_hooks import BASE, PAUSED, SAMPLE_HOOKS, answer, sample_hooks
from hookrow.delivery.message import user_agent
from hookrow.delivery.states import RETRIES
from hookrow.hook.model import Hook
from hookrow.ids import new_uid
from hookrow.lang import current, use
from hookrow.records import Firing
from hookrow.testing.server import Answer

__all__ = ["MOMENT_MS", "build", "normalise"]

MOMENT_MS = 1_795_597_200_000
"""2026-11-25 09:00 UTC: when the example's story ends."""
WHO = "olga"
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
CUSTOMERS = (
    *(("Ирина Соколова", "Казань", "ул. Баумана, 12"), ("Пётр Ильин", "Москва", "ул. Сретенка, 4")),
    *(("Алексей Орлов", "Тверь", "наб. Степана Разина, 9"), ("Мария Гусева", "Самара", "ул. Куйбышева, 88")),
    *(("Дмитрий Лебедев", "Пермь", "ул. Ленина, 50"), ("Ольга Крылова", "Томск", "пр. Фрунзе, 17")),
)
GOODS = (
    ("CF-250", "Кофе в зёрнах 250 г", 890),
    ("MG-01", "Кружка «Утро»", 650),
    ("TE-100", "Чай с чабрецом 100 г", 420),
)


class StoryClock:
    """A clock that moves only when told."""

    def __init__(self, now_ms: int) -> None:
        self.start = now_ms
        self.now: int = now_ms

    def now_ms(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return (self.now - self.start) / 1000

    def advance(self, ms: int) -> None:
        """Let so many milliseconds pass."""
        self.now += ms


class Scripted(httpx.AsyncBaseTransport):
    """Answers as the sample receiver does, or as a scene tells it to for a path; time passes accordingly."""

    def __init__(self, clock: StoryClock) -> None:
        self.clock = clock
        self.scenes: dict[str, Answer | type[httpx.TransportError]] = {}
        self.limits: Final = {values["url"]: round(values.get("timeout", 5.0) * SECOND) for values in SAMPLE_HOOKS}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        given = self.scenes.get(path) or answer(path, json.loads(request.content))
        if isinstance(given, type):
            self.clock.advance(3)
            raise given("", request=request)
        limit = self.limits.get(path, 5 * SECOND)
        took = round(given.seconds * SECOND) + 4 + len(path) % 7
        self.clock.advance(min(took, limit))
        if took > limit:
            raise httpx.ReadTimeout("", request=request)
        return httpx.Response(given.status, headers=dict(given.headers), content=given.body)


class Story:
    """The scenes of the example, one method a subject."""

    def __init__(self, engine: HookEngine, clock: StoryClock, transport: Scripted) -> None:
        self.engine = engine
        self.clock = clock
        self.scenes: Final = transport.scenes
        self.samples: Final = {event.code: event.sample for event in engine.events}
        self.turn: int = 0

    def fire(self, event: str, change: Callable[[Any], None] | None = None, **how: Any) -> Firing:
        """A firing of a sample with another customer and order, a little later than the last one."""
        self.turn += 1
        self.clock.advance(11 * MINUTE + self.turn * 1733)
        payload = variation(self.samples[event], self.turn)
        if change is not None:
            change(payload)
        payload = in_language(payload)
        return self.engine.send_own(self.engine.fire(event, payload, **how))

    def ordinary(self) -> None:
        """Every event once, as on a day on which little goes wrong."""
        for event in self.samples:
            if self.samples[event] and not event.startswith(("hook.", "delivery.")):
                self.fire(event)
        self.settle()

    def given_up(self, event: str, path: str, reason: str) -> None:
        """A receiver that moved away: ten attempts over four days, then dead."""
        self.scenes[path] = Answer(
            404, str(in_language(reason)).encode(), headers={"content-type": "text/plain; charset=utf-8"}
        )
        firing = self.fire(event)
        for attempt, pause in enumerate(RETRIES, start=2):
            self.clock.advance(pause * 13 // 10)
            self.work(partial(has_attempts, self.engine, firing, attempt))
        del self.scenes[path]

    def refused(self) -> None:
        """Operations that did not take place: vetoed, stopped by a failure, kept by a check that was paused."""
        self.scenes["/stop-list"] = Answer.of(
            in_language({"allow": False, "message": "Клиент в стоп-листе", "code": "stop_list", "status": 403})
        )
        self.fire("before_registration")
        del self.scenes["/stop-list"]
        self.scenes["/stock"] = Answer.of({}, seconds=60)
        self.fire("before_order_add")
        self.scenes["/stock"] = httpx.ConnectError
        self.fire("before_order_add")
        self.scenes["/stock"] = Answer.of(
            in_language({"allow": False, "message": "Кружки «Утро» нет на складе", "code": "no_stock"})
        )
        self.vetoed: Firing = self.fire("before_order_add")
        del self.scenes["/stock"]
        self.engine.hooks.pause("stop-list", in_language("Обновляем список"))
        self.fire("before_registration")
        self.engine.hooks.resume("stop-list")

    def passed(self) -> None:
        """Failures that let the operation go on, each of another kind."""
        self.scenes["/discount"] = Answer(200, b"<html>It works!</html>", headers={"content-type": "text/html"})
        self.fire("before_order_add")
        self.scenes["/discount"] = Answer(301, headers={"location": "https://price.example.ru/"})
        self.fire("before_order_add")
        self.scenes["/discount"] = Answer.of({"success": True, "data": {"id": 5}})
        self.fire("before_order_add")
        del self.scenes["/discount"]
        self.scenes["/receipt"] = Answer(
            500, str(in_language("Смена не открыта")).encode(), headers={"content-type": "text/plain"}
        )
        self.fire("before_order_setstatus")
        del self.scenes["/receipt"]
        self.fire("before_delivery_service_calculate", deadline=0.01)
        self.fire("before_order_add", lambda payload: payload["order"].pop("delivery"))  # the chat's body needs it

    def removed(self) -> None:
        """A hook that was taken away with what waited for it, and a firing that was never released."""
        old = self.engine.hooks.add(
            Hook(
                name=in_language("Старая CRM"),
                key="old-crm",
                event="on_subscription",
                url=f"{BASE}/crm/old",
                fire_and_forget=False,
            )
        )
        self.engine.hooks.pause("old-crm", in_language("Сервис выключают"))
        self.fire("on_subscription")
        self.fire("on_subscription")
        self.engine.hooks.remove(old.id or 0)
        self.fire("after_registration", defer=True)

    def again(self) -> None:
        """A delivery sent again by hand, and a vetoed order replayed after the receiver was mended."""
        dead = [
            delivery.id
            for firing in self.engine.log.page(limit=500)
            for delivery in firing.deliveries
            if delivery.outcome == "dead" and delivery.body is not None
        ]
        self.clock.advance(5 * MINUTE)
        self.engine.redeliver(dead[0])
        self.clock.advance(MINUTE)
        replayed = self.engine.replay(self.vetoed.id)
        assert replayed.firing is not None
        self.engine.send_own(replayed.firing)

    def settle(self) -> None:
        """Let the worker repeat what failed, now that every receiver is well: nothing waits in an example."""
        self.scenes["/stats"] = Answer.of({"ok": True})
        self.clock.advance(7 * SECOND)
        self.work(lambda: not any(pending(self.engine)))
        del self.scenes["/stats"]

    def work(self, done: Callable[[], bool]) -> None:
        """Run the engine's worker until something is so."""
        ended = threading.Event()
        failures: list[BaseException] = []
        started: list[tuple[Worker, asyncio.AbstractEventLoop]] = []

        def run() -> None:
            try:
                self.engine.run_worker(started=lambda worker: started.append((worker, asyncio.get_running_loop())))
            except BaseException as error:  # noqa: BLE001 - raised below, in the story's thread
                failures.append(error)
            ended.set()

        thread = threading.Thread(target=run, name="example-worker", daemon=True)
        thread.start()
        while not done() and not ended.wait(0.005):
            pass
        if not ended.is_set():
            worker, loop = started[0]
            asyncio.run_coroutine_threadsafe(worker.drain(), loop).result()
        thread.join()
        if failures:
            raise failures[0]


def variation(sample: dict[str, Any], turn: int) -> dict[str, Any]:
    """The sample with another customer, order and sum."""
    payload = deepcopy(sample)
    name, city, address = CUSTOMERS[turn % len(CUSTOMERS)]
    user, order = payload.get("user"), payload.get("order")
    if user is not None:
        user["name"] = name
        user["phone"] = f"+7 9{16 + turn % 60:02} {100 + turn * 7 % 900}-{turn * 13 % 100:02}-{turn * 29 % 100:02}"
        if "id" in user:
            user["id"] += turn
    if order is not None and "number" in order:
        order["number"] = f"A-{10450 + turn}"
    if order is not None and "delivery" in order:
        sku, title, price = GOODS[turn % len(GOODS)]
        count = 1 + turn % 4
        order["items"][0] |= {"sku": sku, "name": title, "price": price, "qty": count, "sum": price * count}
        order["delivery"] |= {"city": city, "address": address}
        order["sum"] = (
            sum(item["sum"] for item in order["items"]) + order["delivery"]["cost"] - order.get("bonus_discount", 0)
        )
    return payload


def has_attempts(engine: HookEngine, firing: Firing, wanted: int) -> bool:
    """Whether some delivery of the firing was tried so often."""
    return any(delivery.attempts >= wanted for delivery in engine.log.get(firing.id).deliveries)


def pending(engine: HookEngine) -> Iterator[str]:
    """The deliveries that a worker would send."""
    for firing in engine.log.page(limit=500):
        yield from (each.id for each in firing.deliveries if each.outcome in ("queued", "retrying"))


@contextmanager
def without_warnings() -> Iterator[None]:
    """The engine warns of what the story makes fail on purpose: that is nobody's news."""
    log = logging.getLogger("hookrow")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def build(path: Path, moment_ms: int = MOMENT_MS) -> None:
    """Make the example at `path`: a story of eleven days that ends at this moment.

    Raises:
        FileExistsError: something is there already.
    """
    if path.exists():
        raise FileExistsError(path)
    clock = StoryClock(moment_ms - 11 * DAY)
    transport = Scripted(clock)
    with without_warnings(), HookEngine(path, worker=False, transport=transport, clock=clock) as engine:
        engine.settings.set("timezone", "Europe/Moscow")
        engine.settings.set("language", current())
        for hook in sample_hooks():
            clock.advance(MINUTE)
            engine.hooks.add(hook)
        for key, reason in PAUSED.items():
            engine.hooks.pause(key, in_language(reason))
        story = Story(engine, clock, transport)
        story.given_up("after_registration", "/1c/customers", "Справочник «Клиенты» не найден")
        story.given_up("before_user_update", "/mail/lists", "Список рассылки удалён")
        clock.advance(max(0, moment_ms - 22 * HOUR - clock.now))
        story.ordinary()
        story.passed()
        story.refused()
        story.removed()
        story.ordinary()
        story.again()


def normalise(path: Path) -> None:
    """Replace what is random in a database by what is not: ids by hashes of their order, names by one name."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        firings = connection.execute("SELECT uid, at_ms FROM firing ORDER BY id").fetchall()
        hooks = connection.execute("SELECT uid FROM hook ORDER BY id").fetchall()
        names = {uid: new_uid(at_ms, int(digest(f"firing {at_ms}")[:14], 16)) for uid, at_ms in firings}
        names |= {uid: digest(f"hook {place}")[:32] for place, (uid,) in enumerate(hooks)}
        for table, column in text_columns(connection):
            for old, new in names.items():
                connection.execute(
                    f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?) WHERE "{column}" LIKE ?',  # noqa: S608
                    (old, new, f"%{old}%"),
                )
        connection.execute("UPDATE delivery SET owner = NULL")
        agent = "UPDATE attempt SET request_headers = replace(request_headers, ?, 'Hookrow')"
        connection.execute(agent, (user_agent(),))  # the version that is installed here
        connection.execute("UPDATE delivery SET due_ms = done_ms WHERE attempts > 1")  # the jitter of its retries
        connection.execute("UPDATE hook_revision SET who = ? WHERE who <> 'hookrow'", (WHO,))
        connection.execute("UPDATE firing SET asked_by = ? WHERE asked_by IS NOT NULL", (WHO,))
        connection.execute("UPDATE attempt SET asked_by = ? WHERE asked_by IS NOT NULL", (WHO,))
        connection.commit()
        connection.execute("VACUUM")


def digest(text: str) -> str:
    """Hexadecimal digits that only depend on the text."""
    return hashlib.sha256(text.encode()).hexdigest()


def text_columns(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Every column of every table that may hold text."""
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [
        (table, column[1])
        for table in tables
        if not table.startswith("sqlite_")
        for column in connection.execute(f'PRAGMA table_info("{table}")')
        if not column[2].upper().startswith(("INT", "BIGINT", "FLOAT", "BOOL"))
    ]


def main() -> None:
    """Write the example to the path that is given."""
    target = Path(sys.argv[1])
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    use("ru")  # the words that the log keeps of a failure; the sample hooks are Russian too
    build(part)
    normalise(part)
    part.with_name(f"{part.name}-reserve").unlink()
    os.chmod(part, 0o644)
    part.replace(target)


if __name__ == "__main__":
    main()
