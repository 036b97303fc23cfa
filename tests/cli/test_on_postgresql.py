"""Every command on PostgreSQL as on a file; no word of it shows the password of the URL."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import click
import psycopg
import pytest
from sqlalchemy import Connection, create_engine, make_url

from cli_runs import Hookrow, Ran, program
from crash_sizes import until
from hookrow import Hook, HookEngine
from hookrow.cli.app import root
from hookrow.cli.commands.log import follow_log
from hookrow.cli.commands.tap import Attempts
from hookrow.records import LogFilter
from receivers import Receiver, reply

PASSWORD = "tell-nobody"
EVENT = "on_subscription"
ELSEWHERE = {"tui", "listen", "demo", "worker", "tap"}
"""In a terminal, without a database of one's own, or called here as a process of its own."""


@pytest.fixture
def db(postgres_url: str) -> str:
    """The URL as an administrator writes it; the server trusts them whatever the password."""
    return make_url(postgres_url).set(password=PASSWORD).render_as_string(hide_password=False)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that says yes to all."""
    with Receiver(reply(200, b"{}")) as made:
        yield made


def leaves(group: click.Command, *path: str) -> Iterator[str]:
    """Every command's words."""
    if not isinstance(group, click.Group):
        yield " ".join(path)
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield from leaves(command, *path, name)


def test_every_command(
    hookrow: Hookrow, folder: Path, db: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook's life, a firing's, the queue's and the upkeep, by `$HOOKROW_DB`; no file is made."""
    monkeypatch.setenv("HOOKROW_DB", db)
    called: set[str] = set()
    commands = set(leaves(root))

    def run(words: str, *more: object, code: int = 0, stdin: str = "") -> Ran:
        called.add(max((each for each in commands if f"{words} ".startswith(f"{each} ")), key=len))
        ran = hookrow(*words.split(), *more, code=code, stdin=stdin)
        assert PASSWORD not in ran.out + ran.err
        return ran

    assert "tell-nobody" not in run("init").err
    assert "exists already" in run("init", code=5).err
    key = run("keys new").out.strip()
    monkeypatch.setenv("HOOKROW_KEYS", key)
    assert "***" in run("doctor").out

    add = ("--url", receiver.url, "--event", EVENT, "--json")
    first = run(
        "hooks add --name first --response-has-data --auth-login me --auth-password-stdin", *add, stdin="secret"
    ).json
    body = ("--body", '{"n": {{ subscription.id }}}')
    second = run("hooks add --name second", *add, *body).json
    assert [first["id"], second["id"]] == [1, 2]
    assert run("keys check").err.count("decrypted: 1.") == 1
    run("keys rotate", code=5)
    run("hooks edit 1 --timeout 3")
    assert run("hooks show 1 --json").json["auth_password"] == {"set": True}
    assert "whsec_" in run("hooks secret new 1").out
    assert "whsec_" in run("hooks secret rotate 1").out
    for words in ("disable", "enable", "pause", "resume"):
        run(f"hooks {words} 1", *(["--yes"] if words == "pause" else []))
    assert len(run("hooks history 1 --json").lines) >= 4
    run("hooks rollback 1 1")
    run("hooks undo --yes")
    run("rehearse 1 --json", code=None)
    run("hooks edit 1 --shadow")
    run("hooks stats")
    run("hooks promote 1 --yes")
    run("hooks add --name gate --wait-for-response --event before_order_add", "--url", receiver.url)
    run("hooks try gate --timeout 2")
    run("hooks drop-candidate gate")
    run("hooks rm gate --yes")
    run("hooks move 2 --before 1")
    run("hooks move 1 --before 2")
    assert "No secret" in run("keys abandon 00000000", code=5).err
    run("hooks test 1")
    assert run("events match POST /user/new").out
    assert "behind a refusal" in run("events set before_order_add --together").err

    assert [each["act"] for each in run("explain", EVENT, "--json").lines] == ["queue", "queue"]
    fired = run("fire", EVENT, "--json").json
    assert [each["outcome"] for each in fired["deliveries"]] == ["ok", "sent"]
    lost = run("fire", EVENT, "--json", "--payload", "-", stdin='{"subscription": {}}').json
    assert [each["outcome"] for each in lost["deliveries"]] == ["ok", "dead"]
    assert {each["id"] for each in run("log --json").lines} == {fired["id"], lost["id"]}
    assert [each["id"] for each in run("log --json --outcome dead").lines] == [lost["id"]]
    assert [each["id"] for each in run("log --json --search COFFEE").lines] == [fired["id"]]
    assert fired["id"] in run("show", fired["id"]).out
    assert "def test_" in run("fixture", fired["deliveries"][0]["id"], "--yes").out
    run("redeliver", fired["deliveries"][0]["id"], "--yes")
    run("replay", fired["id"], "--yes")
    run("drop", lost["id"], "--yes")

    waiting = run("fire", EVENT, "--no-wait", "--json").json
    with program("worker", env={"HOOKROW_DB": db, "HOOKROW_KEYS": key}) as worker:
        assert worker.stderr is not None
        said = worker.stderr.readline()
        shown = ("show", waiting["id"], "--json")
        until(lambda: {each["outcome"] for each in hookrow(*shown).json["deliveries"]} == {"ok", "sent"}, 30)
        worker.send_signal(signal.SIGTERM)
        said += worker.communicate(timeout=30)[1]
    assert worker.returncode == 0
    assert PASSWORD not in said

    run("export", "-o", "hooks.yaml")
    assert "No differences" in run("import hooks.yaml --yes").err
    Path("hooks.yaml").unlink()
    assert len(run("hooks stats --json").lines) == 2
    run("settings set retention_days 20")
    assert "20" in run("settings list").out
    run("prune --days 0")
    assert "up to date" in run("db upgrade").err
    assert "pg_dump" in run("db backup", "copy.db", code=2).err
    assert "pg_amcheck" in run("db check", code=2).err
    assert "pg_restore" in run("db restore", "copy.db", code=2).err
    assert "unfinished" in run("db restore", "--yes").err.casefold()
    assert "the database itself" in run("db copy --to", db, code=5).err
    run("hooks rm 2 --yes")
    assert "second" in run("hooks deleted").out
    run("hooks restore 2")
    run("hooks rm 2 --yes")
    assert "first" in run("hooks list").out
    assert "second" in run("hooks deleted").out
    run("hooks restore 2")
    run("hooks move 2 --before 1")
    run("hooks undo --yes")
    run("keys abandon 00000000", code=5)
    assert "by hand" in run("keys forget", key.partition(":")[0], code=5).err
    assert commands - called == ELSEWHERE
    assert list(folder.iterdir()) == []


def test_hooks_move_from_a_file(hookrow: Hookrow, folder: Path, db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`export` there, `import` here: the hooks as they are; a secret is named again, or said to be missing."""
    key = hookrow("--db", db, "keys", "new").out.strip()
    monkeypatch.setenv("HOOKROW_KEYS", key)
    monkeypatch.setenv("STOCK_PASSWORD", "secret")
    hookrow("init")
    add = ("--url", "http://127.0.0.1:9/", "--event", EVENT, "--key", "stock", "--timeout", "3")
    hookrow("hooks", "add", "--name", "Склад", *add, "--auth-login", "me", "--auth-password-env", "STOCK_PASSWORD")
    hookrow("export", "-o", "hooks.yaml")
    hookrow("--db", db, "init")
    assert "this database has none" in hookrow("--db", db, "import", "hooks.yaml", "--dry-run", code=None).err
    given = Path("hooks.yaml").read_text("utf-8").replace("auth_password: kept", "auth_password: env:STOCK_PASSWORD")
    Path("hooks.yaml").write_text(given, "utf-8")
    hookrow("--db", db, "import", "hooks.yaml", "--yes", code=5)  # any variable: only where that is wanted
    hookrow("--db", db, "import", "hooks.yaml", "--yes", "--allow-source")
    moved, there = (hookrow(*on, "hooks", "show", "stock", "--json").json for on in (("--db", db), ()))
    same = ("key", "name", "url", "event", "position", "timeout", "auth_login", "auth_password", "mode", "state")
    assert [moved[name] for name in same] == [there[name] for name in same]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:tell-nobody@127.0.0.1:1/x", "127.0.0.1"),
        ("postgresql://127.0.0.1:1/x?user=me&password=tell-nobody", "127.0.0.1"),
        ("postgresql://me:tell-nobody@127.0.0.1:port/x", "not a database URL"),
        ("postgresql://me:tell-nobody@@:::/x", "not a database URL"),
        ("mysql://me:tell-nobody@127.0.0.1/x", "mysql"),
    ],
)
@pytest.mark.parametrize("words", ["init", "hooks list", "worker"])
def test_a_url_that_leads_nowhere(hookrow: Hookrow, url: str, said: str, words: str) -> None:
    """One sentence, exit 3, and not the password."""
    ran = hookrow("--db", url, *words.split(), code=3)
    assert said in ran.err
    assert PASSWORD not in ran.out + ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_database_without_our_tables(hookrow: Hookrow, db: str) -> None:
    """Commands make none by accident; `init` does."""
    ran = hookrow("--db", db, "hooks", "list", code=3)
    assert "hookrow --db URL init" in ran.err
    assert PASSWORD not in ran.err
    with psycopg.connect(db) as connection:
        assert connection.execute("SELECT to_regnamespace('hookrow')").fetchone() == (None,)


def test_attempts_are_followed(db: str, receiver: Receiver) -> None:
    """As `tap` does: each that is recorded from now on, once, and told in order."""
    with HookEngine(db, worker=False) as engine:
        engine.hooks.add(Hook(name="a", event=EVENT, url=receiver.url))
        engine.send_own(engine.fire(EVENT, {"n": 0}))
        follower = Attempts(engine, LogFilter())
        fired = [engine.send_own(engine.fire(EVENT, {"n": number})).id for number in (1, 2)]
        tapped = [engine.tap(number, to=receiver.url) for number in follower.fresh()]
        assert [each.firing.id for each in tapped if each is not None] == fired
        assert follower.fresh() == []


def test_a_firing_that_is_committed_late_is_followed(db: str) -> None:
    """`log --follow` shows a firing of an open transaction when it is there, although later ones came before it."""
    theirs = create_engine(make_url(db).set(drivername="postgresql+psycopg"))
    with HookEngine(db, worker=False) as engine:
        engine.hooks.add(Hook(name="a", event=EVENT, url="http://127.0.0.1:9/"))
        before = [engine.fire(EVENT, {"n": number}).id for number in range(3)]
        follower = follow_log(engine, LogFilter(), 2)
        assert [next(follower).id for _ in range(2)] == before[1:]

        def fire(connection: Connection) -> str:
            return engine.fire(EVENT, {"late": True}, connection=connection).id

        with theirs.begin() as connection:
            late = fire(connection)
            early = engine.fire(EVENT, {"late": False}).id
            assert next(follower).id == early
        assert next(follower).id == late
        last = engine.fire(EVENT, {"n": 9}).id
        assert next(follower).id == last
    theirs.dispose()
