"""`hookrow.contrib.django`: settings, transactions, problems; and a whole project, made of docs/django.md."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.base import BaseHandler
from django.core.management import call_command
from django.db import transaction
from django.http import HttpResponse
from django.test import RequestFactory
from django.test.utils import override_settings

from django_host import connected, set_up, words
from hookrow import Hook, HookEngine
from hookrow.contrib.django import close, engine, fire, using
from hookrow.contrib.django.installed import configured, place
from hookrow.contrib.django.management.commands.hookrow import Command
from hookrow.contrib.django.middleware import ProblemMiddleware
from hookrow.contrib.settings import NAMES
from hookrow.testing import HookReceiver, MemoryEngine, assert_fired, changes, vetoes
from hosting import gate
from warm import Warm, run_warm

ROOT = Path(__file__).parents[2]
PROBLEMS = ["hookrow.contrib.django.middleware.ProblemMiddleware"]
set_up()


@pytest.fixture
def either_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind."""
    return f"sqlite:///{tmp_path}/hooks.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@contextmanager
def project(url: str, **more: Any) -> Iterator[Any]:
    """Django's connection to a database that the engine shares."""
    with connected(url) as connection, override_settings(HOOKROW={"DATABASE": connection.alias, **more}):
        if connection.vendor == "postgresql":  # as is usual, and not as the databases of the tests have it
            connection.settings_dict["OPTIONS"]["isolation_level"] = psycopg.IsolationLevel.READ_COMMITTED
        try:
            yield connection
        finally:
            close()


@pytest.mark.parametrize("either_url", ["sqlite", "postgresql"], indirect=True)
def test_firings_share_djangos_transaction(
    either_url: str, hook_receiver: HookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Committed they are sent, rolled back nothing was; a before event asks at once and sends with the commit."""
    woken = []
    with project(either_url) as connection:
        monkeypatch.setattr(engine().sending, "nudge", lambda: woken.append(connection.in_atomic_block))
        engine().hooks.add(Hook(key="crm", name="CRM", event="after_registration", url=hook_receiver.url))
        engine().hooks.add(gate("before_order_add", hook_receiver.on("gate", changes({"order": {"id": 8}}))))
        engine().hooks.add(Hook(key="erp", name="ERP", event="before_order_add", url=hook_receiver.on("erp", vetoes())))
        with transaction.atomic(using=connection.alias):
            fire("after_registration", {"user": {"id": 1}})
            transaction.set_rollback(True, using=connection.alias)
        assert woken == []
        assert fire("before_order_add", {"order": {"id": 7}}).data == {"order": {"id": 8}}
        hook_receiver.wait(2)
        with transaction.atomic(using=connection.alias):
            fired = fire("after_registration", {"user": {"id": 2}})
            if either_url.startswith("postgresql"):  # SQLite has one writer: there it comes before the transaction
                asked = fire("before_order_add", {"order": {"id": 9}})
                assert [each.outcome for each in engine().log.get(asked.id).deliveries] == ["changed", "cancelled"]
                woken.clear()  # it was committed by itself
            assert len(hook_receiver.received) == (3 if either_url.startswith("postgresql") else 2)
        assert set(woken) == {False}  # the worker looks at once, after the commit
        came = hook_receiver.wait(5 if either_url.startswith("postgresql") else 3)
        assert [each.data for each in came if each.event == "after_registration"] == [{"user": {"id": 2}}]
        assert fired.id in [each.id for each in engine().log.page()]
        # Outside of a transaction it is the engine's own.
        fire("after_registration", {"user": {"id": 3}})
        assert hook_receiver.wait(len(came) + 1)[-1].data == {"user": {"id": 3}}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"DATABASES": "default"}, "HOOKROW['DATABASES']: there is no such setting; did you mean DATABASE?"),
        ({"PASSWORD": "hunter2"}, "HOOKROW['PASSWORD']: there is no such setting"),
        ({"WORKER": "false"}, "HOOKROW['WORKER']: it must be of the type bool"),
        ({"KEYS": b"hunter2"}, "HOOKROW['KEYS']: it must be of the type str"),
        ({"URL": "hooks.db", "DATABASE": "default"}, "HOOKROW: give URL or DATABASE, not both"),
        (["hunter2"], "HOOKROW: a mapping of names to values"),
    ],
)
def test_a_wrong_setting_is_refused(given: Any, said: str) -> None:
    """In words, and without its value."""
    with override_settings(HOOKROW=given), pytest.raises(ImproperlyConfigured) as refused:
        configured()
    assert (str(refused.value), "hunter2" in str(refused.value)) == (said, False)


def test_a_setting_that_can_not_hold_is_refused(tmp_path: Path) -> None:
    """What is found out when the engine is made."""
    with override_settings(HOOKROW={"DATABASE": "nowhere"}), pytest.raises(ImproperlyConfigured, match="no nowhere"):
        engine()
    for url, said in (("sqlite:///:memory:", "in memory"), ("mysql://x/y", "not on mysql")):
        with connected(url.replace("mysql", "sqlite")) as connection:
            if url.startswith("mysql"):
                connection.vendor = "mysql"
            else:
                connection.settings_dict["NAME"] = ":memory:"
            with (
                override_settings(HOOKROW={"DATABASE": connection.alias}),
                pytest.raises(ImproperlyConfigured, match=said),
            ):
                engine()
    named = {"URL": str(tmp_path / "hooks.db"), "EVENTS": "shop.hooks.EVENTS"}
    with override_settings(HOOKROW=named), pytest.raises(ImproperlyConfigured, match=r"HOOKROW\['EVENTS'\]"):
        engine()


def test_djangos_words_become_a_url() -> None:
    """All that the server's driver takes; what Django takes itself is left out."""
    with connected("postgresql://irina:x@db.test:6543/shop") as connection:
        connection.settings_dict["PASSWORD"] = "p@ss"
        connection.settings_dict["OPTIONS"] = {"sslmode": "verify-full", "pool": True, "isolation_level": 4}
        with override_settings(HOOKROW={"DATABASE": connection.alias}):
            assert place().url == "postgresql://irina:p%40ss@db.test:6543/shop?sslmode=verify-full"
            connection.settings_dict["DISABLE_SERVER_SIDE_CURSORS"] = True  # behind a pooler in transaction mode
            assert place().url.endswith("?hookrow_pooler=transaction&sslmode=verify-full")


def test_another_database_is_another_engine(tmp_path: Path) -> None:
    """Django's tests put one in the place of the project's; `EVENTS` may be named by where they are."""
    with override_settings(HOOKROW={"URL": tmp_path / "a.db", "WORKER": False, "EVENTS": "hookrow.events:CATALOGUE"}):
        first = engine()
        assert (engine() is first, first.runtime.wants_worker) == (True, False)
    with override_settings(HOOKROW={"URL": tmp_path / "b.db"}):
        assert (engine() is first, first.runtime.closed) == (False, True)
        with MemoryEngine() as own, using(own):
            fire("after_registration", {})
            assert_fired(own, "after_registration")
        close()


def test_what_a_view_raises_becomes_a_problem(hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """A veto and a conflict, in views of both kinds; anything else is left alone."""
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    hook_receiver.script = vetoes("sold out", code="STOCK", status=409)
    vetoed = hook_engine.fire("before_order_add", {}, idempotency_key="irina:1")

    def stopped(request: Any) -> HttpResponse:
        vetoed.raise_for_veto()
        raise AssertionError

    async def conflicting(request: Any) -> HttpResponse:
        await hook_engine.afire("before_order_add", {"order": {}}, idempotency_key="irina:1")
        raise AssertionError

    found = answered(stopped)
    assert (found.status_code, found["content-type"]) == (409, "application/problem+json")
    problem = json.loads(found.content)
    assert (problem["detail"], problem["code"], problem["firing"]) == ("sold out", "STOCK", vetoed.id)
    found = asyncio.run(answered_on_a_loop(conflicting))
    assert (found.status_code, json.loads(found.content)["code"]) == (422, "idempotency_conflict")
    assert b"irina" not in found.content
    assert ProblemMiddleware(stopped).process_exception(None, ValueError()) is None


def answered(view: Any) -> Any:
    """What Django answers whose middleware stands before this view."""
    with override_settings(MIDDLEWARE=PROBLEMS, ROOT_URLCONF=routed(view)):
        handler = BaseHandler()
        handler.load_middleware()
        return handler.get_response(RequestFactory().get("/"))


async def answered_on_a_loop(view: Any) -> Any:
    """The same as ASGI."""
    with override_settings(MIDDLEWARE=PROBLEMS, ROOT_URLCONF=routed(view)):
        handler = BaseHandler()
        handler.load_middleware(is_async=True)
        return await handler.get_response_async(RequestFactory().get("/"))


def routed(view: Any) -> Any:
    """A table of routes with this view alone."""
    from django.urls import path

    return type("Routes", (), {"urlpatterns": [path("", view)]})


def test_the_command_line_from_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`call_command` on the project's database; what it says next is typed as it was called; `--db` goes before."""
    with override_settings(HOOKROW={"URL": str(tmp_path / "hooks.db"), "EGRESS": "public"}):
        call_command(Command(), "init")
        assert "manage.py hookrow hooks add --help" in capsys.readouterr().err
        call_command(Command(), "settings", "list")
        assert "HOOKROW_EGRESS" in capsys.readouterr().out
        (tmp_path / "hooks.db").unlink()
        for more, said in (
            ((), "manage.py hookrow init"),
            (("--db", "other.db"), "manage.py hookrow --db other.db init"),
        ):
            with pytest.raises(SystemExit) as ended:
                call_command(Command(), "log", *more)
            assert (ended.value.code, f" {said}" in capsys.readouterr().err) == (3, True)
    assert os.environ.pop("HOOKROW_EGRESS") == "public"


# -- a project, as the page has it ------------------------------------------------------------------------------------

BOILERPLATE = """
SECRET_KEY = "x"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
WSGI_APPLICATION = "wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""
FILES = {
    "manage.py": "import os, sys\n"
    "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'settings')\n"
    "from django.core.management import execute_from_command_line\n"
    "execute_from_command_line(sys.argv)\n",
    "shop/__init__.py": "",
    "shop/models.py": "from django.db import models\n\n\nclass Member(models.Model):\n    name = models.TextField()\n",
    "urls.py": "from django.urls import path\nfrom shop.views import register\n"
    "urlpatterns = [path('register', register)]\n",
}
TABLE = "CREATE TABLE shop_member (id {kind} PRIMARY KEY, name TEXT NOT NULL)"


def laid_out(folder: Path, url: str | None = None) -> dict[str, str]:
    """The project in this folder, on the page's SQLite file or another database; gives its processes' environment."""
    page = (ROOT / "docs" / "django.md").read_text("utf-8")
    files = dict(re.findall(r"<!-- django (\S+) -->\n```python\n(.*?)```", page, re.DOTALL))
    told = re.findall(r"^\| `([A-Z]+)` \|", page, re.MULTILINE)
    assert set(told) == {*NAMES, "DATABASE"}
    assert sorted(files) == ["settings.py", "shop/tests.py", "shop/views.py", "wsgi.py"]
    files["settings.py"] += BOILERPLATE
    if url is not None:
        files["settings.py"] += f"DATABASES = {{'default': {words(url)!r}}}\n"
    (folder / "shop").mkdir()
    for name, text in {**FILES, **files}.items():
        (folder / name).write_text(text, "utf-8")
    known = {"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": f"{folder}:{ROOT}/engine", "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **known}


def hooked(url: str, receiver: HookReceiver) -> None:
    """Hooks for both events of a registration: the first may refuse."""
    with HookEngine(url, worker=False) as admin:
        admin.hooks.add(gate("before_registration", receiver.url + "gate"))
        admin.hooks.add(Hook(key="crm", name="CRM", event="after_registration", url=receiver.url + "crm"))


def registers(client: httpx.Client, receiver: HookReceiver) -> None:
    """A refusal, then a registration that is told."""
    receiver.on("gate", vetoes("banned", status=403))
    before = len(receiver.received)
    for _ in range(4):  # whichever process it is
        refused = client.post("/register", json={"user": {"name": "Irina"}})
        assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json")
    receiver.on("gate", changes({"user": {"name": "Oleg"}}))
    made = client.post("/register", json={"user": {"name": "Irina"}})
    assert made.status_code == 201
    came = receiver.wait(before + 6, seconds=15)[before:]
    assert came[-1].data == {"user": {"id": made.json()["id"], "name": "Oleg"}}


def test_a_preloaded_project_under_gunicorn(tmp_path: Path, postgres_url: str, hook_receiver: HookReceiver) -> None:
    """On PostgreSQL: the engine is made before the fork, and each process has its own."""
    environ = laid_out(tmp_path, postgres_url)
    with psycopg.connect(postgres_url) as connection:
        connection.execute(TABLE.replace("shop_", "public.shop_").format(kind="BIGSERIAL"))
    hooked(postgres_url, hook_receiver)
    command = [sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:0", "-w", "2", "--preload", "wsgi"]
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        line = next(line for line in server.stderr if "Listening at: " in line)
        try:
            with httpx.Client(base_url=line.split("Listening at: ")[1].split()[0], timeout=30) as client:
                registers(client, hook_receiver)
        finally:
            server.send_signal(signal.SIGTERM)
            said = server.stderr.read()
    assert (server.returncode, "Traceback" in said) == (0, False), said


def test_a_project_that_reloads_itself(tmp_path: Path, hook_receiver: HookReceiver) -> None:
    """On SQLite: `runserver` begins anew after an edit; `manage.py hookrow` tells what happened; its tests run."""
    environ = laid_out(tmp_path)
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as connection:
        connection.execute(TABLE.format(kind="INTEGER"))
    hooked(f"sqlite:///{tmp_path}/db.sqlite3", hook_receiver)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "manage.py", "runserver", f"127.0.0.1:{port}"]
    with Warm(
        command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        assert server.stdout is not None
        try:
            for _ in range(2):
                next(line for line in server.stdout if "development server at" in line)  # Django 6 names its kind
                with httpx.Client(transport=httpx.HTTPTransport(retries=5), timeout=30) as client:
                    client.base_url = httpx.URL(f"http://127.0.0.1:{port}")
                    registers(client, hook_receiver)
                os.utime(tmp_path / "urls.py", (2**31, 2**31))
        finally:
            server.send_signal(signal.SIGINT)
            said = server.stdout.read()
    assert "Traceback" not in said, said
    ran = manage(tmp_path, environ, "hookrow", "log", "--json", "--event", "after_registration")
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [[each["outcome"] for each in firing["deliveries"]] for firing in told] == [["sent"]] * 2
    ran = manage(tmp_path, environ, "test", "shop")
    assert "Ran 1 test" in ran.stderr


def manage(folder: Path, environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """`manage.py` with these arguments, which goes well."""
    command = [sys.executable, "manage.py", *arguments]
    ran = run_warm(command, cwd=folder, env=environ)
    ran.check_returncode()
    return ran
