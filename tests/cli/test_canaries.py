"""Secrets as canaries: a password, a header's value, a signing secret, a private value, a token in a URL, a reply's
secret. After a life of everything that the command line does, none is where it should not be."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import re
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli_runs import Hookrow, Ran, environment
from hookrow import Hook, HookEngine, lang
from hookrow.cli.app import run
from hookrow.errors import HookrowError, KeyMissing
from hookrow.hook.fields import SECRETS
from hookrow.hook.stored import SEALED
from hookrow_tui.terminal import crashes
from receivers import Receiver, reply
from warm import Warm

PASSWORD = "canary-password-7f3a"
HEADER = "canary-header-51bd"
TRIED = {
    "password": "canary-tried-password-e1",
    "header": "canary-tried-header-4c",
    "signing": "whsec_" + "canary0tried" * 4,
}
"""A candidate's."""
PRIVATE = "canary-private-90ce"
TOKEN = "canary-token-2b6e"
ANSWER = "canary-answer-c4d8"
PAYLOAD = {"user": {"id": 7, "name": "Irina", "phone": "+70000000000", "password": PRIVATE}}


def basic(password: str) -> str:
    """The middle of what goes over the wire, whatever stands around it."""
    return base64.b64encode(f"admin:{password}".encode()).decode().rstrip("=")[4:-2]


BASIC = basic(PASSWORD)

EVERYTHING = (
    ("hooks", "list"),
    ("hooks", "show", 1),
    ("hooks", "show", 2),
    ("hooks", "show", 3),
    ("hooks", "stats"),
    ("export",),
    ("hooks", "history", 1),
    ("hooks", "history", 3),
    ("events",),
    ("log",),
    ("log", "--search", "Irina"),
    ("explain", "before_registration"),
    ("settings", "list"),
    ("keys", "check"),
    ("doctor",),
)


class Life:
    """What one database saw: the outputs of every command, the records of every logger, and the secrets in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sealed = {"password": PASSWORD, "header": HEADER, "basic": BASIC, "tried basic": basic(TRIED["password"])}
        self.sealed |= {f"tried {kind}": secret for kind, secret in TRIED.items()}
        self.ran: dict[str, Ran] = {}
        self.records = io.StringIO()

    def run(self, *arguments: object) -> Ran:
        """Run a command line in this process, and keep what it printed."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run([str(each) for each in arguments])
        ran = self.ran[" ".join(map(str, arguments))] = Ran(code, out.getvalue(), err.getvalue())
        assert code in (0, 1), (arguments, ran)
        return ran

    def outputs(self) -> Iterator[tuple[str, str]]:
        """Everything that was printed, by the command that printed it."""
        for name, ran in self.ran.items():
            yield name, ran.out + ran.err

    @property
    def firings(self) -> list[Any]:
        """What `log --json` gave."""
        return self.ran["log --json"].lines


@contextmanager
def every_logger(stream: io.StringIO) -> Iterator[None]:
    """All loggers at DEBUG, written to a stream."""
    handler = logging.StreamHandler(stream)
    names = ("", "hookrow", "asyncio", "httpx", "httpcore", "sqlalchemy.engine", "alembic")
    levels = [(logging.getLogger(name), logging.getLogger(name).level) for name in names]
    logging.getLogger().addHandler(handler)
    for logger, _ in levels:
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        for logger, level in levels:
            logger.setLevel(level)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """Two hooks with all that is secret, firings of every kind, and every command that shows something."""
    life = Life(tmp_path_factory.mktemp("canaries"))
    given = tmp_path_factory.mktemp("given") / "payload.json"
    given.write_text(json.dumps(PAYLOAD))
    before = lang.current()
    with pytest.MonkeyPatch.context() as patch, every_logger(life.records):
        patch.chdir(life.folder)
        for name in [name for name in os.environ if name.startswith(("HOOKROW", "LC_", "CREDENTIALS", "SSH_"))]:
            patch.delenv(name)
        words = {f"TRIED_{kind.upper()}": secret for kind, secret in TRIED.items()}
        for name, value in {"LANG": "C.UTF-8", "LANGUAGE": "en", "PW": PASSWORD, "XKEY": HEADER, **words}.items():
            patch.setenv(name, value)
        live(life, given)
        yield life
    lang.use(before)


def live(life: Life, given: Path) -> None:
    """Everything that the command line does with secrets in its hands."""
    life.run("init")
    said = json.dumps({"allow": True, "note": ANSWER}).encode()
    with Receiver(reply(200, said, [("content-type", "application/json")])) as good:
        secrets = (
            *("--auth-login", "admin", "--auth-password-env", "PW"),
            *("--custom-header-name", "X-Key", "--custom-header-env", "XKEY"),
        )
        url = f"{good.url}?{TOKEN}&token={TOKEN}&x=1"
        added = ("hooks", "add", "--url", url)
        for event, flags in (
            ("before_registration", ("--wait-for-response", "--response-has-data")),
            ("after_registration", ("--no-fire-and-forget", "--response-has-data")),
        ):
            life.run(*added, "--name", event, "--event", event, *flags, *secrets)
        life.run(*added, "--name", "tried", "--event", "before_registration", "--wait-for-response", *secrets)
        candidate = (
            *("--auth-password-env", "TRIED_PASSWORD", "--custom-header-env", "TRIED_HEADER"),
            *("--signing-secret-env", "TRIED_SIGNING"),
        )
        life.run("hooks", "try", 3, "--url", f"{url}&v=2", *candidate)
        for number in (1, 2):
            life.sealed[f"signing {number}"] = life.run("hooks", "secret", "new", number).out.strip()
            del life.ran[f"hooks secret new {number}"]  # the one command that shows it, once
        for event in ("before_registration", "after_registration"):
            for shape in ((), ("--json",)):
                life.run("fire", event, "--payload", given, *shape)
        assert any(PRIVATE in request.body.decode() for request in good.requests)
        tried = [each.headers for each in good.requests if ("hook-revision", "candidate") in each.headers]
        assert {dict(headers)["X-Key"] for headers in tried} == {TRIED["header"]}
        life.run("hooks", "edit", 1, "--url", f"http://127.0.0.1:9/gone?token={TOKEN}", "--keep-secrets")
        life.run("fire", "before_registration", "--payload", given)
        life.run("hooks", "edit", 1, "--url", url, "--keep-secrets")
        for command in EVERYTHING:
            life.run(*command)
            if command not in (("keys", "check"), ("export",)):
                life.run(*command, "--json")
        for firing in life.firings:
            life.run("show", firing["id"])
            life.run("show", firing["id"], "--json")
            life.run("show", firing["id"], "--har")
            life.run("replay", firing["id"], "--dry-run")
            for delivery in [each for each in firing["deliveries"] if not each["candidate"]]:
                life.run("redeliver", delivery["id"], "--dry-run", "--yes")
        life.run("replay", life.firings[0]["id"], "--yes")
        life.run("redeliver", life.firings[0]["deliveries"][0]["id"], "--yes")
        life.run("hooks", "test", 1)
        life.run("hooks", "test", 2, "--json")
        life.run("db", "backup", life.folder / "copy.db")
        life.run("hooks", "promote", 3, "--yes")
        life.run("hooks", "try", 3, *candidate[:2])
        life.run("hooks", "drop-candidate", 3)
        life.run("keys", "rotate")


def test_no_output_no_log_record_and_no_file_holds_a_secret(life: Life) -> None:
    """Password, header, signing secret, basic auth, private value: 0 hits in all that was printed, logged, kept."""
    never = life.sealed | {"private": PRIVATE}
    for name, text in [*life.outputs(), ("every logger at DEBUG", life.records.getvalue())]:
        for kind, secret in never.items():
            assert secret not in text, f"{kind} in {name}"
    kept = [path for path in life.folder.rglob("*") if path.is_file()]
    assert {"hooks.db", "copy.db", "hookrow.key"} <= {path.name for path in kept}
    for path in kept:
        for kind, secret in never.items():
            assert secret.encode() not in path.read_bytes(), f"{kind} in {path.name}"


def test_a_urls_token_is_shown_only_where_the_url_is_edited(life: Life) -> None:
    """`hooks show`, `add`, `edit`, `try`, `export` have the address as it is; all else masks it."""
    holders = {name for name, text in life.outputs() if TOKEN in text}
    assert holders
    assert all(re.match(r"hooks (show|edit|add|try|promote|history)\b|export$", name) for name in holders), holders
    said = [line for line in life.records.getvalue().splitlines() if not re.match(r"Row \(", line)]
    assert not any(TOKEN in line for line in said)  # but where SQLAlchemy was told to log the rows of its results
    with closing(sqlite3.connect(life.folder / "hooks.db")) as database, database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {table for table in tables for row in database.execute(f"SELECT * FROM {table}") if TOKEN in str(row)}
    assert found == {"hook", "hook_revision"}
    lines = [text for name, text in life.outputs() if name.startswith("redeliver") and "--dry-run" in name]
    assert any('"$HOOK_QUERY"' in text and 'token="$HOOK_TOKEN"' in text.replace("'", "") for text in lines)


def test_a_replys_secret_is_only_in_the_kept_reply(life: Life) -> None:
    """Neither lists nor the log's lines repeat what a receiver answered; details do, and only for who asks for them."""
    holders = {name.split()[0] for name, text in life.outputs() if ANSWER in text}
    assert "log" not in holders
    assert holders <= {"show", "redeliver", "replay", "hooks"}, holders
    assert not any(ANSWER in text for name, text in life.outputs() if not name.startswith(("show", "re", "hooks test")))


def test_a_fixture_asks_before_it_prints_a_reply(life: Life, hookrow: Hookrow) -> None:
    """Without a terminal to ask on it refuses; with --yes it prints the reply, and still no secret of ours."""
    firing = next(each for each in life.firings if each["event"] == "after_registration")
    where = ("--db", life.folder / "hooks.db", "fixture", firing["deliveries"][0]["id"])
    refused = hookrow(*where, code=None)
    assert (refused.code != 0, ANSWER in refused.out) == (True, False)
    printed = hookrow(*where, "--yes").out
    assert ANSWER in printed
    for secret in (*life.sealed.values(), TOKEN, PRIVATE):
        assert secret not in printed


def guarded(folder: Path, hooks: int = 2) -> None:
    """A database whose hooks have every secret there is, an old signing secret too; the first one has a candidate."""
    with HookEngine(f"sqlite:///{folder / 'hooks.db'}", worker=False) as engine:
        for number in range(hooks):
            hook = engine.hooks.add(
                Hook(
                    name=f"h{number}",
                    event="after_registration",
                    url="http://127.0.0.1:9/",
                    auth_login="a",
                    auth_password=f"{PASSWORD}-{number}",
                    custom_header=f"X-Key: {HEADER}",
                )
            )
            assert hook.id is not None
            engine.hooks.new_secret(hook.id)
            engine.hooks.new_secret(hook.id, rotate=True)
        engine.hooks.update(1, event="before_registration", wait_for_response=True)
        engine.hooks.try_candidate(
            1, auth_password="p", custom_header=f"X-Key: {HEADER}2", signing_secret=TRIED["signing"]
        )


def test_after_a_rotation_no_column_of_any_table_names_the_old_key(hookrow: Hookrow, folder: Path) -> None:
    """Every sealed value of every table is found by its form, not by a list: nothing stays behind under the old key."""
    guarded(folder)
    hookrow("hooks", "rm", 2, "--yes")
    old = key_ids(folder)[0]
    before = [name for _, name in tokens(folder / "hooks.db")]
    hookrow("keys", "rotate")
    after = [name for _, name in tokens(folder / "hooks.db")]
    assert before == [old] * 11
    assert after == [key_ids(folder)[0]] * 11
    assert old not in after


def test_the_sealed_columns_are_those_that_hold_a_sealed_value(folder: Path) -> None:
    """Found by their form, in a hook with every secret there is; and all that the form never shows are among them."""
    guarded(folder)
    with closing(sqlite3.connect(folder / "hooks.db")) as database, database:
        database.row_factory = sqlite3.Row
        for row in database.execute("SELECT * FROM hook"):
            assert {name for name in row.keys() if re.match(r"v1\.[0-9a-f]{8}\.", str(row[name]))} == set(SEALED)  # noqa: SIM118
    assert set(SECRETS) == set(SEALED) - {"signing_secret_old"}


def key_ids(folder: Path) -> list[str]:
    """The key ids of the file, the active one first."""
    return [line.split()[0] for line in (folder / "hookrow.key").read_text().splitlines() if line and line[0] != "#"]


def tokens(path: Path) -> list[tuple[str, str]]:
    """Every sealed value in a database: its table, and the id of the key that seals it."""
    with closing(sqlite3.connect(path)) as database, database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [
            (table, name)
            for table in tables
            for row in database.execute(f"SELECT * FROM {table}")
            for cell in row
            for name in re.findall(r"\bv1\.([0-9a-f]{8})\.", str(cell))
        ]


def test_every_file_is_its_owners_alone_whatever_the_umask(folder: Path) -> None:
    """Database, WAL, key, copy, and what replaces them: 0600 under umask 000."""
    script = """
import os, sys
os.umask(0)
from hookrow import Hook, HookEngine
from hookrow.cli.app import run
assert run(["init"]) == 0
with HookEngine("sqlite:///hooks.db", worker=False) as engine:
    engine.hooks.add(
        Hook(name="h", event="after_registration", url="http://127.0.0.1:9/", auth_login="a", auth_password="b")
    )
    engine.fire("after_registration", {"user": {"id": 1}})
    assert run(["db", "backup", "copy.db"]) == 0
    assert run(["keys", "rotate"]) == 0
    import stat
    for name in sorted(os.listdir(".")):
        print(name, oct(stat.S_IMODE(os.stat(name).st_mode)))
"""
    ran = python(script, folder)
    modes = dict(line.split() for line in ran.splitlines() if line.endswith(tuple("01234567")) and " 0o" in line)
    assert {"hooks.db", "hooks.db-wal", "hooks.db-shm", "hookrow.key", "copy.db"} <= set(modes)
    assert set(modes.values()) == {"0o600"}


@pytest.mark.parametrize("moment", ["new key written", "inside the commit", "commit done"])
def test_a_rotation_killed_on_its_way_leaves_every_secret_readable(hookrow: Hookrow, folder: Path, moment: str) -> None:
    """Whichever half is done: `keys check` opens all, the next rotation ends it, and no key is lost."""
    script = """
import os, signal, sys
from hookrow.cli.app import run
import hookrow.cli.commands.care.keys, hookrow.core.care.keys, hookrow.store.hooks
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
moment = sys.argv[1]
write, reseal = hookrow.core.care.keys.write_key_file, hookrow.store.hooks.reseal_all
def writing(path, ring):
    write(path, ring)
    if moment == "new key written":
        die()
def resealing(connection, vault, author):
    count = reseal(connection, vault, author)
    if moment == "inside the commit":
        die()
    return count
hookrow.core.care.keys.write_key_file, hookrow.store.hooks.reseal_all = writing, resealing
if moment == "commit done":
    hookrow.cli.commands.care.keys.say = die
run(["keys", "rotate"])
"""
    guarded(folder, 5)
    [first] = key_ids(folder)
    python(script, folder, moment, code=-9)
    assert "All secrets can be decrypted: 23." in hookrow("keys", "check").err
    hookrow("keys", "rotate")
    kept = key_ids(folder)
    assert {name for _, name in tokens(folder / "hooks.db")} == {kept[0]}
    assert (kept[-1], len(kept)) == (first, 3 if moment == "commit done" else 2)


def python(script: str, folder: Path, *arguments: str, code: int = 0) -> str:
    """Run a script as a process of its own in the folder; gives what it printed."""
    command = [sys.executable, "-c", script, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Warm(command, cwd=folder, env=environment(), text=True, **pipes) as ran:
        out, err = ran.communicate()
    assert ran.returncode == code, err
    return str(out)


def test_a_secret_is_no_argument_and_a_refusal_does_not_repeat_it(hookrow: Hookrow, made: Path) -> None:
    """`--auth-password=X` is exit 2, and neither X nor its middle is printed. That the process list
    never sees one: test_the_list_of_processes_shows_no_secret."""
    given = ("--name", "h", "--url", "http://127.0.0.1:9/", "--event", "after_registration", "--auth-login", "a")
    for option in ("--auth-password", "--custom-header", "--signing-secret", "--custom-header-value"):
        ran = hookrow("hooks", "add", *given, f"{option}={PASSWORD}", code=2)
        assert PASSWORD not in ran.out + ran.err
    assert PASSWORD not in hookrow("hooks", "add", *given, "--auth-password-stdin", stdin=PASSWORD).out


URL = "http://127.0.0.1:9/"
SPARE = {"name": "x", "event": "after_registration", "url": URL, "auth_login": "admin", "auth_password": PASSWORD}
GOOD = {"auth_password": PASSWORD, "custom_header": f"X-Key: {HEADER}"}
REFUSED: dict[str, Callable[[HookEngine], object]] = {
    "a key taken": lambda engine: engine.hooks.add(Hook(**{**SPARE, **GOOD, "key": "h"})),
    "an unknown event": lambda engine: engine.hooks.add(Hook(**{**SPARE, **GOOD, "event": "no_such_event"})),
    "is not an address": lambda engine: Hook(**{**SPARE, **GOOD, "url": "nowhere"}),
    "a header that is none": lambda engine: engine.hooks.update(1, **{**GOOD, "custom_header": f"Bad Name: {HEADER}"}),
    "a body that is none": lambda engine: engine.hooks.update(1, body="{% if %}", **GOOD),
    "a wrong revision": lambda engine: engine.hooks.update(1, revision=77, **GOOD),
    "a login with a colon": lambda engine: engine.hooks.update(1, auth_login="a:b", **GOOD),
    "no such hook": lambda engine: engine.hooks.update(77, **GOOD),
}


def frames(error: BaseException) -> str:
    """What an error tracker would keep: every frame's local variables, but those of this file."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    chain = [each for each in (told, told.__cause__, told.__context__) if each is not None]
    kept = [frame for each in chain for frame in each.stack if frame.filename != __file__]
    return "\n".join(f"{frame.name} {frame.locals}" for frame in kept) + str(error) + repr(error)


@pytest.mark.parametrize("refusal", REFUSED)
def test_a_traceback_with_locals_shows_no_secret(folder: Path, refusal: str) -> None:
    """Error trackers record every frame's locals: no frame between the caller and the refusal holds a secret openly."""
    with HookEngine(f"sqlite:///{folder / 'hooks.db'}", worker=False) as engine:
        engine.hooks.add(Hook(key="h", name="h", event="after_registration", url=URL))
        with pytest.raises(HookrowError) as caught:
            REFUSED[refusal](engine)
    kept = frames(caught.value)
    assert [secret for secret in (PASSWORD, HEADER) if secret in kept] == []


def test_a_fault_of_our_own_shows_no_secret(folder: Path) -> None:
    """A transport that raises what no transport should, in the middle of a request with all secrets in its headers."""

    class Broken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise RuntimeError("broken")

    records = io.StringIO()
    with (
        every_logger(records),
        HookEngine(f"sqlite:///{folder / 'hooks.db'}", worker=False, transport=Broken()) as engine,
    ):
        engine.hooks.add(Hook(**{**SPARE, **GOOD, "event": "before_registration"}, wait_for_response=True))
        signing = engine.hooks.new_secret(1)
        try:
            told = repr(engine.fire("before_registration", PAYLOAD))
        except RuntimeError as raised:
            told = frames(raised)
    told += records.getvalue()
    assert [secret for secret in (PASSWORD, HEADER, BASIC, signing) if secret in told] == []


@pytest.mark.parametrize("door", ["the receiver's", "the database's"])
def test_a_password_that_is_refused_is_seen_nowhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch, doorkeeper: int, door: str
) -> None:
    """By 401, which repeats it; by the database server. Not in a frame, a log line, the record or a crash's file."""
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    records = io.StringIO()
    shown: list[str] = []
    basic = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    repeated = [("www-authenticate", f'Basic realm="{basic}"'), ("content-type", "text/plain")]
    with every_logger(records), Receiver(reply(401, PASSWORD.encode(), repeated)) as receiver:
        try:
            if door == "the database's":
                HookEngine(f"postgresql://admin:{PASSWORD}@127.0.0.1:{doorkeeper}/shop", worker=False).hooks.list()
            with HookEngine(f"sqlite:///{folder / 'hooks.db'}", worker=False) as engine:
                engine.hooks.add(
                    Hook(**{**SPARE, "event": "before_registration", "url": receiver.url}, wait_for_response=True)
                )
                firing = engine.fire("before_registration", PAYLOAD)
                shown += [repr(firing), repr(engine.log.attempts(firing.deliveries[0].id))]
                engine.hooks.update(1, {"on_failure": "stop"})
                engine.fire("before_registration", PAYLOAD).raise_for_veto()
        except HookrowError as error:
            crash = crashes.keep_traceback(error)
            assert crash is not None
            shown += [frames(error), crash.read_text()]
    assert len(shown) == (2 if door == "the database's" else 4)
    for text in (*shown, records.getvalue()):
        assert [secret for secret in (PASSWORD, BASIC) if secret in text] == []
    for path in folder.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes()


def test_a_world_readable_key_is_refused(hookrow: Hookrow, folder: Path) -> None:
    """What needs the key is exit 3 and says chmod; what needs none still works; no command changes the mode."""
    guarded(folder, 1)
    (folder / "hookrow.key").chmod(0o644)
    assert "chmod 600" in hookrow("keys", "check", code=3).err
    assert hookrow("hooks", "list").code == 0
    assert (folder / "hookrow.key").stat().st_mode & 0o777 == 0o644


def test_who_sends_needs_the_keys_who_edits_does_not(hookrow: Hookrow, folder: Path) -> None:
    """A worker, and a service's engine with one, say at their start that a key is lost: nothing fails quietly later."""
    guarded(folder, 1)
    (folder / "hookrow.key").rename(folder / "elsewhere.key")
    assert "hookrow.key" in hookrow("worker", code=3).err
    with pytest.raises(KeyMissing):
        HookEngine(f"sqlite:///{folder / 'hooks.db'}")
    assert hookrow("hooks", "disable", 1).code == 0
