"""A night of trouble, staged once: a receiver is dead, a template is broken by a deploy, one payload kills the worker
(`kill -9`), one of two keys is lost. In the morning `doctor`, list, log, `show` and the banner tell all of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from apps import shown, until
from screens import drawn

from hookrow import AsyncHookEngine, Hook, HookEngine, KeyRing, lang
from hookrow.cli.app import run
from hookrow.errors import Vetoed

ORDER, CLIENT = "before_order_add", "after_registration"
KILLS = 6
"""The first time nothing is known; after five interrupted attempts a delivery is given up."""


class Night:
    """What the morning finds: the database, the keys that are left, and the ids of what was fired."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "hooks.db"
        self.url = f"sqlite:///{self.path}"
        self.lost, self.left = KeyRing.new().entries(), KeyRing.new().entries()
        self.ids: dict[str, str] = {}
        self.worker = 0
        self.kills = 0

    def ask(self, statement: str) -> list[Any]:
        """What a statement gives, or changes: time that passes, which nobody waits for here."""
        with closing(sqlite3.connect(self.path, timeout=10)) as connection:
            found = connection.execute(statement).fetchall()
            connection.commit()
        return found

    def start(self) -> None:
        """A worker in a process of its own, which began before the key was lost: a new one would refuse to."""
        self.worker = os.fork()
        if self.worker == 0:
            try:
                engine = AsyncHookEngine(self.url, worker=False, keys=self.left)
                asyncio.run(engine.sending.new_worker().run())
            finally:
                os._exit(1)

    def killed(self) -> None:
        """Wait until it is gone; the night passes quickly for whatever waits for its next attempt."""
        limit = time.monotonic() + 30
        while os.waitpid(self.worker, os.WNOHANG)[0] == 0:
            if time.monotonic() > limit:
                os.kill(self.worker, signal.SIGKILL)
                raise AssertionError(self.ask("SELECT hook_id, state, attempts, takeovers, error FROM delivery"))
            self.ask("UPDATE delivery SET due_ms = 1 WHERE state = 'retrying' AND due_ms > 1")
            time.sleep(0.02)


@contextmanager
def receivers(night: Night) -> Iterator[str]:
    """One that refuses its service, one whose request takes the worker down, one that is well."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/poison":
                night.kills += 1
                os.kill(night.worker, signal.SIGKILL)
                return
            self.send_response(503 if self.path == "/dead" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def evening(night: Night, url: str) -> None:
    """The hooks, all well; two of them with secrets, each under another key."""
    with HookEngine(night.url, worker=False, keys=night.lost) as engine:
        engine.hooks.add(
            Hook(key="crm", name="CRM", event=CLIENT, url=f"{url}/ok", auth_login="u", auth_password="one")
        )
    with HookEngine(night.url, worker=False, keys=f"{night.left}\n{night.lost}") as engine:
        for hook in (
            Hook(key="stock", name="Stock", event=ORDER, url=f"{url}/dead", wait_for_response=True, on_failure="stop"),
            Hook(key="letter", name="Letter", event=CLIENT, url=f"{url}/ok", body='{"to": "{{ user.login }}"}'),
            Hook(key="scores", name="Scores", event=CLIENT, url=f"{url}/poison", fire_and_forget=False),
            Hook(key="mail", name="Mail", event=CLIENT, url=f"{url}/ok", auth_login="u", auth_password="two"),
        ):
            engine.hooks.add(hook)


def staged(night: Night, url: str) -> None:
    """What happens until the morning."""
    with HookEngine(night.url, worker=False, keys=night.left) as engine:
        for _ in range(3):
            stopped = engine.fire(ORDER, {"order": {"number": "A-1"}})
            with pytest.raises(Vetoed):
                stopped.raise_for_veto()
        night.ids["order"] = stopped.id
        for _ in range(3):  # the deploy: `user` is `client` now
            fired = engine.fire(CLIENT, {"client": {"login": "anna"}})
        night.ids["client"] = fired.id
        night.ids |= {each.hook.key: each.id for each in fired.deliveries}
    night.ask("UPDATE delivery SET state = 'cancelled' WHERE hook_id = 4 AND firing_id < (SELECT max(id) FROM firing)")
    for kill in range(KILLS):
        night.start()
        night.killed()
        assert night.kills == kill + 1
        night.ask("UPDATE delivery SET lease_ms = 1 WHERE state = 'leased'")
    night.start()
    wanted = "SELECT count(*) FROM delivery WHERE state IN ('blocked', 'queued', 'leased', 'retrying')"
    while night.ask(wanted)[0][0]:
        time.sleep(0.02)
    os.kill(night.worker, signal.SIGKILL)
    night.killed()
    assert night.kills == KILLS


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """The night, once for all who read of it."""
    found = Night(tmp_path_factory.mktemp("night"))
    with receivers(found) as url:
        evening(found, url)
        staged(found, url)
    return found


@pytest.fixture
def told(night: Night, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a command says in a language, in one line."""

    def call(language: str, *arguments: str, code: int = 0) -> str:
        monkeypatch.setenv("HOOKROW_KEYS", night.left)
        before = lang.current()
        try:
            assert run(["--db", str(night.path), "--lang", language, *arguments]) == code
        finally:
            lang.use(before)
        said = " ".join(capsys.readouterr().out.split())
        return said.replace(f"hookrow --db {night.path} ", "hookrow ")  # its advice can be pasted as it is

    return call


DOCTOR = {
    "en": (
        "4 deliveries are dead: hookrow log --outcome dead",
        '2 "Stock" has failed every time since',
        "last: 503. Its on_failure is stop: 3 operations were stopped.",
        '3 "Letter" has failed every time since',
        "3 calls in a row, last: template_error",
        '1 "CRM" is paused: its secrets can\'t be decrypted: key {lost} is missing; put it back, or run:',
    ),
    "ru": (
        "Не доставлено: 4. Посмотреть: hookrow log --outcome dead",
        "2 «Stock»: ошибка при каждом вызове с",
        "последняя: 503. При ошибке хук отклоняет операцию: отклонены 3 операции.",
        "3 «Letter»: ошибка при каждом вызове с",
        "3 вызова подряд, последняя: ошибка в шаблоне тела",
        "Хук 1 «CRM» на паузе: секреты не расшифровать: нет ключа {lost}; верните его или выполните:",
    ),
}
LIST = {
    "en": ("CRM forget 5 s paused;", "Letter forget 5 s on; fails every time (3) 3 3", "Scores notify 5 s on 1 1",
           "Mail forget 5 s on 3 0", "Stock gate 5 s on; fails every time (3) 3 3"),
    "ru": ("CRM без ответа 5 с на паузе;", "Letter без ответа 5 с включён; ошибка каждый раз (3) 3 3",
           "Scores уведомление 5 с включён 1 1", "Mail без ответа 5 с включён 3 0",
           "Stock разрешение 5 с включён; ошибка каждый раз (3) 3 3"),
}  # fmt: skip
LOG = {
    "en": (
        "10 CRM forget parked",
        "20 Letter forget dead template_error: line 1: user is missing from the payload",
        "30 Scores notify dead interrupted: the process that sent it ended meanwhile; it may have reached the receiver",
        "40 Mail forget sent",
        "10 Stock gate failed 503",
        "bad_status: the receiver answered 503",
    ),
    "ru": (
        "10 CRM без ответа отложено",
        "20 Letter без ответа не доставлено ошибка в шаблоне тела: строка 1: в данных нет user",
        "30 Scores уведомление не доставлено прервано: отправлявший процесс тем временем завершился; запрос мог дойти",
        "40 Mail без ответа отправлено",
        "10 Stock разрешение ошибка 503",
        "код ответа не 2xx: получатель ответил 503",
    ),
}
SHOW = {
    "en": ("Warning: Letter: its last 3 calls all failed", "its last 3 calls all failed Payload",
           "A process ended while it had this delivery, 1 time; whether a request left is not known. attempt 2"),
    "ru": ("Предупреждение: Letter: все последние вызовы (3) закончились ошибкой",
           "(3) закончились ошибкой Данные события",
           "Процесс завершился, пока у него была эта доставка, 1 раз; ушёл ли запрос, неизвестно. попытка 2"),
}  # fmt: skip
STOPPED = {
    "en": ("before_order_add failed", 'Vetoed by "Stock": The service is temporarily unavailable'),
    "ru": ("before_order_add отклонено, ошибка", "Отклонено хуком «Stock»: Сервис временно недоступен"),
}
BANNER = {
    "en": (
        "Secrets can't be decrypted, nothing is sent: CRM. Put the key back, or enter them again (Enter).",
        "Fail every time: Stock (stops operations), Letter.",
    ),
    "ru": (
        "Секреты не расшифровать, запросы не уходят: CRM. Верните ключ или введите секреты заново (Enter).",
        "Ошибка при каждом вызове: Stock (отклоняет операции), Letter.",
    ),
}


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_morning_reads_the_whole_night(night: Night, told: Any, language: str) -> None:
    """Each sentence is true and in the reader's language: who failed, since when, how often, what may have arrived."""
    lost = night.lost.split()[0].partition("=")[0].partition(":")[0]
    doctor = told(language, "doctor", code=1)
    for sentence in DOCTOR[language]:
        assert sentence.format(lost=lost) in doctor
    listed, log = told(language, "hooks", "list"), told(language, "log")
    for sentence in LIST[language]:
        assert sentence in listed
    for sentence in LOG[language]:
        assert sentence in log
    assert "503" not in told(language, "log", "--event", CLIENT).split()  # a moment may end in it
    shown = told(language, "show", night.ids["client"])
    for sentence in SHOW[language]:
        assert sentence in shown
    for sentence in STOPPED[language]:
        assert sentence in told(language, "show", night.ids["order"])
    scores = told(language, "show", night.ids["scores"])
    asked = [f"{'attempt' if language == 'en' else 'попытка'} {number}" for number in range(2, KILLS + 1)]
    assert [word in scores for word in [*asked, asked[-1].replace("6", "7")]] == [True] * 5 + [False]
    assert " 0 " not in scores.partition(asked[0])[2]  # how long they took nobody knows


@pytest.mark.anyio
@pytest.mark.parametrize("language", ["en", "ru"])
async def test_the_banner_names_who_fails(night: Night, language: Any) -> None:
    """The hook that stops operations first."""
    with HookEngine(night.url, worker=False, keys=night.left) as engine:
        async with shown((120, 40), lang=language, engine=engine) as at:
            await until(at.pilot, lambda: at.app.screen.query_one("#banner").display, "the banner")
            seen = " ".join(drawn(at.app).split())
    for sentence in BANNER[language]:
        assert sentence in seen
