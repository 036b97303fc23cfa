"""worker, settings, keys, db: running and looking after a database."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cli_runs import Hookrow, program, said
from hookrow import HookEngine, KeyRing
from hookrow.core.care import keys as keys_door
from hookrow.secrets.keyring import write_key_file
from receivers import Receiver, reply

Add = Callable[..., dict[str, Any]]


def mode(path: Path) -> int:
    """A file's permissions."""
    return stat.S_IMODE(path.stat().st_mode)


def test_init_makes_private_files(made: Path, folder: Path) -> None:
    """The database and its key are their owner's alone."""
    assert mode(made) == 0o600
    assert mode(folder / "hookrow.key") == 0o600


@pytest.mark.usefixtures("kept_example")
def test_init_with_the_example(hookrow: Hookrow) -> None:
    """--example: sample hooks and firings."""
    hookrow("init", "--example")
    assert len(hookrow("hooks", "list", "--json").lines) > 20
    assert len(hookrow("log", "--limit", 200, "--json").lines) >= 30


def test_the_worker_sends_and_drains(add: Add, hookrow: Hookrow, made: Path) -> None:
    """What is queued by others goes out; SIGTERM ends it with 0."""
    with Receiver(reply(200)) as receiver:
        add(receiver.url)
        hookrow("fire", "before_order_add", "--no-wait")
        with program("worker", cwd=made.parent) as running:
            assert running.stderr.readline()
            receiver.wait(1)
            hookrow("fire", "before_order_add", "--no-wait")
            receiver.wait(2)
            running.terminate()
            _, err = running.communicate(timeout=30)
        assert running.returncode == 0, err
    assert [each["deliveries"][0]["outcome"] for each in hookrow("log", "--json").lines] == ["sent", "sent"]


def test_a_drain_sends_what_is_due_and_ends(add: Add, hookrow: Hookrow, made: Path) -> None:
    """For cron and CI: a whole ordering key is sent; what fails is tried once and stays queued."""
    with Receiver(reply(200)) as receiver, Receiver(reply(503)) as failing:
        add(receiver.url, "--order-key", "/order/id")
        for _ in range(3):
            hookrow("fire", "before_order_add", "--no-wait")
        done = hookrow("worker", "--drain")
        assert len(receiver.requests) == 3
        assert "Nothing is due any more. Queued: 0, dead: 0." in done.err
        add(failing.url, "--no-fire-and-forget", "--name", "failing")
        hookrow("fire", "before_order_add", "--no-wait")
        assert "Queued: 1, dead: 0." in hookrow("worker", "--drain").err
        assert "Queued: 1, dead: 0." in hookrow("worker", "--drain").err  # it is due later
        assert (len(receiver.requests), len(failing.requests)) == (4, 1)
    assert "--drain" in hookrow("worker", "--timeout", "1", code=2).err


def test_a_worker_serves_its_metrics(add: Add, hookrow: Hookrow, made: Path) -> None:
    """`--http`: what it has sent is counted there; an address that is none is refused."""
    import httpx

    with Receiver(reply(200)) as receiver:
        add(receiver.url, "--key", "stock")
        hookrow("fire", "before_order_add", "--no-wait")
        with program("worker", "--http", "127.0.0.1:0", cwd=made.parent) as running:
            url = running.stderr.readline().split()[-1]
            receiver.wait(1)
            wanted = 'hookrow_attempts_total{hook="stock",origin="worker",outcome="sent"} 1.0'
            assert any(wanted in httpx.get(url).text for _ in range(500))
            assert httpx.get(url.replace("metrics", "healthz")).status_code == 200
            running.terminate()
            running.communicate(timeout=30)
    for wrong in ("9102", "127.0.0.1:99999", "shop@127.0.0.1:1"):
        assert "127.0.0.1:9102" in hookrow("worker", "--http", wrong, code=2).err


def test_a_drain_that_runs_out_of_time_says_so(add: Add, hookrow: Hookrow, made: Path) -> None:
    """1: what was not sent is queued; a signal ends it in the same way."""
    from receivers import hold

    with Receiver(hold) as receiver:
        add(receiver.url, "--no-fire-and-forget", "--timeout", 0.5)
        add(receiver.url, "--no-fire-and-forget", "--timeout", 0.5, "--name", "second")
        hookrow("fire", "before_order_add", "--no-wait")
        assert "Stopped before everything due was sent." in hookrow("worker", "--drain", "--timeout", "0", code=1).err
    assert {each["outcome"] for each in hookrow("log", "--json").json["deliveries"]} <= {"queued", "retrying"}


def test_a_second_signal_leaves_at_once(add: Add, hookrow: Hookrow, made: Path) -> None:
    """While a request hangs, the first SIGTERM waits for it, the second does not; the delivery is not lost."""
    from receivers import hold

    with Receiver(hold) as receiver:
        add(receiver.url, "--no-fire-and-forget", "--timeout", 30)
        hookrow("fire", "before_order_add", "--no-wait")
        with program("worker", cwd=made.parent) as running:
            receiver.wait(1)
            running.terminate()
            said(running, "a second signal exits at once")
            running.terminate()
            assert running.wait(30) == 143
    assert hookrow("log", "--json").json["deliveries"][0]["outcome"] in ("queued", "retrying")


def test_a_worker_to_which_nobody_listens_stops_as_well(hookrow: Hookrow, made: Path) -> None:
    """Its error output is a pipe that was closed: what it says at its end keeps it from nothing."""
    with program("worker", cwd=made.parent) as running:
        said(running, "Sending the queue")
        assert running.stderr is not None
        running.stderr.close()
        running.terminate()
        assert running.wait(30) == 0


def test_settings(hookrow: Hookrow, made: Path) -> None:
    """list gives value and source; set checks, exit 5; every process sees it."""
    before = {each["name"]: each for each in hookrow("settings", "list", "--json").lines}
    assert before["egress"] == {
        "name": "egress",
        "value": "private",
        "default": "private",
        "source": before["egress"]["source"],
    }
    hookrow("settings", "set", "timezone", "Asia/Vladivostok")
    after = {each["name"]: each["value"] for each in hookrow("settings", "list", "--json").lines}
    assert after["timezone"] == "Asia/Vladivostok"
    assert "timezone" in hookrow("settings", "set", "timezone", "Mars/Base", code=5).err
    hookrow("settings", "set", "nothing", "1", code=5)
    with program("settings", "list", "--json", cwd=made.parent) as running:
        out, _ = running.communicate(timeout=30)
    assert "Asia/Vladivostok" in out


def test_moments_are_typed_in_the_settings_zone(hookrow: Hookrow, made: Path) -> None:
    """«01.11.2030» ends with that day in the zone; --json has UTC."""
    hookrow("settings", "set", "timezone", "Asia/Vladivostok")
    hook = hookrow(
        *("hooks", "add", "--name", "x", "--url", "http://127.0.0.1/x", "--event", "on_subscription", "--json"),
        *("--valid-until", "01.11.2030"),
    ).json
    assert hook["valid_until"] == "2030-11-01T14:00:00Z"
    assert "02.11.2030 00:00 +10:00" in hookrow("hooks", "show", 1).out


def test_a_key_file_that_can_t_be_written_is_named(
    add: Add, hookrow: Hookrow, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only file system: exit 3, the old key stays and opens everything."""
    add("http://127.0.0.1:9/a")
    hookrow("hooks", "secret", "new", 1)

    def refused(*names: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    before = (folder / "hookrow.key").read_text()
    with monkeypatch.context() as patched:
        patched.setattr("hookrow.secrets.keyring.os.replace", refused)
        assert "hookrow.key: Read-only file system" in hookrow("keys", "rotate", code=3).err
    assert (folder / "hookrow.key").read_text() == before
    hookrow("keys", "check")


def test_one_rotates_keys_at_a_time(add: Add, hookrow: Hookrow, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two at once, the second would write a ring without the key that the first sealed everything with."""
    add("http://127.0.0.1:9/a")
    hookrow("hooks", "secret", "new", 1)
    write, refused = keys_door.write, []

    def watched(path: Path, ring: Any) -> None:
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            refused.append(path)
        finally:
            os.close(handle)
        write(path, ring)

    monkeypatch.setattr(keys_door, "write", watched)
    hookrow("keys", "rotate")
    hookrow("keys", "forget", (folder / "hookrow.key").read_text().split()[-2], "--yes")
    assert [path.name for path in refused] == ["hookrow.key"] * 2


def test_keys_are_rotated(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """Every secret is sealed anew; the requests carry the same ones; check counts them."""
    with Receiver(reply(200)) as receiver:
        add(receiver.url, "--wait-for-response")
        hookrow("hooks", "edit", 1, "--auth-login", "a", "--auth-password-stdin", stdin="b")
        hookrow("hooks", "secret", "new", 1)
        hookrow("hooks", "secret", "rotate", 1)
        key = (folder / "hookrow.key").read_text()
        hookrow("keys", "rotate")
        fresh = (folder / "hookrow.key").read_text()
        hookrow("keys", "rotate")
        assert fresh != key
        assert mode(folder / "hookrow.key") == 0o600
        assert "All secrets can be decrypted: 3." in hookrow("keys", "check").err
        hookrow("fire", "before_order_add")
        request = receiver.wait(1)[0]
    assert request.header("authorization") == "Basic YTpi"
    assert len((request.header("webhook-signature") or "").split()) == 2
    (folder / "hookrow.key").write_text(key)
    hookrow("keys", "check", code=3)


def keys_in(file: Path) -> list[str]:
    """The ids of a key file, the active one first."""
    return [line.split()[0] for line in file.read_text().splitlines() if not line.startswith("#")]


def test_a_key_leaves_by_name_only(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """Not while it opens a stored secret, also of a deleted hook, or encrypts new ones; and not unasked."""
    file = folder / "hookrow.key"
    add("http://127.0.0.1:9/a")
    hookrow("hooks", "secret", "new", 1)
    [old] = keys_in(file)
    assert "keys rotate" in hookrow("keys", "forget", old, code=5).err
    write_key_file(file, KeyRing.load(folder / "hooks.db", {}).with_new_key())
    new = keys_in(file)[0]
    hookrow("hooks", "rm", 1, "--yes")
    assert "1 hook (1)" in hookrow("keys", "forget", old, "--yes", code=5).err
    assert "keys rotate" in hookrow("keys", "forget", new, "--yes", code=5).err
    assert "1 secret is encrypted with the new key" in hookrow("keys", "rotate").err
    hookrow("keys", "forget", old, stdin="n\n", code=2)  # no terminal to ask in
    assert keys_in(file) == [new, old]
    assert f"Keys left: {new}." in hookrow("keys", "forget", old, "--yes").err
    assert (keys_in(file), mode(file)) == ([new], 0o600)
    assert f"forget: {old}" in hookrow("log", "--who").out
    hookrow("keys", "forget", old, "--yes", code=5)
    hookrow("keys", "check")


def test_a_missing_key_is_exit_3(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """Sealed values without their key: exit 3, and where keys are looked for."""
    add("http://127.0.0.1:9/x")
    hookrow("hooks", "secret", "new", 1)
    hookrow("keys", "new", code=5)
    (folder / "hookrow.key").unlink()
    assert "HOOKROW_KEYS" in hookrow("keys", "check", code=3).err


def test_a_lost_key_is_given_up_by_name_only(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """No other key takes its place: until then list and show name it, nothing is stored, and abandon asks."""
    add("http://127.0.0.1:9/x", "--wait-for-response")
    hookrow("hooks", "edit", 1, "--auth-login", "a", "--auth-password-stdin", stdin="b")
    hookrow("hooks", "secret", "new", 1)
    lost = (folder / "hookrow.key").read_text().split()[-2]
    (folder / "hookrow.key").rename(folder / "elsewhere")
    for command in (("keys", "new"), ("keys", "rotate"), ("hooks", "secret", "rotate", 1), ("hooks", "resume", 1)):
        assert f"keys abandon {lost}" in hookrow(*command, code=3).err
    hookrow("hooks", "edit", 1, "--custom-header-name", "X-A", "--custom-header-stdin", stdin="b", code=3)
    assert not (folder / "hookrow.key").exists()
    assert lost in hookrow("hooks", "list").out
    assert lost in hookrow("hooks", "show", 1).out
    assert "paused_stop" not in [each["code"] for each in hookrow("doctor", "--json", code=1).json["findings"]]
    hookrow("keys", "abandon", "00000000", code=5)
    hookrow("keys", "abandon", lost, stdin="n\n", code=2)  # no terminal to ask in
    assert "auth_password, signing_secret" in hookrow("keys", "abandon", lost, "--yes").out
    assert hookrow("hooks", "show", 1, "--json").json["auth_password"] == {"set": False}
    hookrow("hooks", "secret", "new", 1)
    assert lost not in hookrow("hooks", "list").out
    own = (folder / "hookrow.key").read_text().split()[-2]
    assert own != lost
    hookrow("keys", "abandon", own, code=5)


def test_a_backup_is_whole(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """While a writer holds rows in the WAL: all of them are in the copy, which is 0600 and replaces nothing unasked."""
    from hookrow import HookEngine

    add("http://127.0.0.1:9/x")
    with HookEngine(f"sqlite:///{folder / 'hooks.db'}", worker=False) as engine:
        for number in range(10):
            engine.fire("before_order_add", {"order": {"id": number}})
        hookrow("db", "backup", "copy.db")
    with closing(sqlite3.connect(folder / "copy.db")) as connection:
        assert connection.execute("SELECT count(*) FROM firing").fetchone() == (10,)
    assert mode(folder / "copy.db") == 0o600
    hookrow("db", "backup", "copy.db", code=5)
    hookrow("db", "backup", "copy.db", "--overwrite")
    assert not list(folder.glob(".copy*"))


def test_a_newer_schema_is_refused_untouched(hookrow: Hookrow, made: Path) -> None:
    """Made by a newer Hookrow: every command is exit 3 and the file stays as it is."""
    with closing(sqlite3.connect(made)) as connection:
        connection.execute("UPDATE hookrow_version SET version_num = '9999'")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = made.read_bytes()
    for arguments in (
        ["hooks", "list"],
        ["fire", "on_subscription"],
        ["db", "upgrade"],
        ["worker"],
        ["settings", "list"],
    ):
        hookrow(*arguments, code=3)
    assert made.read_bytes() == before


def test_what_is_no_database_is_exit_3(hookrow: Hookrow, folder: Path) -> None:
    """A file of something else: exit 3, untouched."""
    (folder / "hooks.db").write_text("not a database, but long enough to look at " * 50)
    before = (folder / "hooks.db").read_bytes()
    hookrow("hooks", "list", code=3)
    assert (folder / "hooks.db").read_bytes() == before


def test_an_unsafe_file_system_is_named(
    hookrow: Hookrow, made: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`init` refuses it and leaves nothing; on a database that is there already it is a finding."""
    (folder / "mounts").write_text(f"40 21 0:45 / {folder} rw - cifs //host/share rw\n")
    monkeypatch.setattr("hookrow.store.database.places.MOUNTS", str(folder / "mounts"))
    assert [each["code"] for each in hookrow("doctor", "--json", code=1).json["findings"]] == ["file_system"]
    for name in ("hooks.db", "hooks.db-reserve", "hookrow.key"):
        (folder / name).unlink()
    for more in ((), ("--example",)):
        assert "PostgreSQL" in hookrow("init", *more, code=3).err
    assert [each.name for each in folder.iterdir()] == ["mounts"]


def test_doctor_has_nothing_to_say(hookrow: Hookrow, made: Path) -> None:
    """A new database: exit 0, and every setting with its value and source."""
    found = hookrow("doctor", "--json").json
    assert found["findings"] == []
    assert {each["name"] for each in found["settings"]} >= {"egress", "timezone", "retention_days"}
    assert "No problems found." in hookrow("doctor").out


def test_doctor_finds_what_needs_a_look(add: Add, hookrow: Hookrow, made: Path) -> None:
    """Dead deliveries, paused hooks with those set to stop first, idle flags, lost keys, open files: exit 1."""
    from hookrow import HookEngine

    add("http://127.0.0.1:9/x", "--key", "quiet", event="on_subscription")
    add(
        "http://127.0.0.1:9/x", "--wait-for-response", "--on-failure", "stop", "--key", "guard", event="before_user_new"
    )
    add("http://127.0.0.1:9/x", "--key", "both", "--body", '{"n": {{ order.number }}}')
    with HookEngine(f"sqlite:///{made}", worker=False) as engine:
        engine.hooks.update("both", wait_for_response=True, fire_and_forget=True, stored=True)
        engine.fire("before_order_add", {"order": {}})
    hookrow("hooks", "secret", "new", "quiet")
    hookrow("hooks", "pause", "quiet", "guard", "--yes", "--reason", "moving")
    made.chmod(0o644)
    (made.parent / "hookrow.key").unlink()
    found = hookrow("doctor", "--json", code=1).json["findings"]
    assert list(dict.fromkeys((each["code"], each["hook"] and each["hook"]["key"]) for each in found)) == [
        ("dead", None),
        ("paused_stop", "guard"),
        ("paused", "quiet"),
        ("contradiction", "both"),
        ("key", None),
        ("file_mode", None),
    ]
    assert "moving" in hookrow("doctor", code=1).out


def test_a_queue_that_nobody_sends_is_said(add: Add, hookrow: Hookrow, made: Path) -> None:
    """Due for more than a minute: `doctor` finds it, `hooks list` says it, with the way out."""
    add("http://127.0.0.1:9/x")
    hookrow("fire", "before_order_add", "--no-wait")
    assert "hookrow worker" not in hookrow("hooks", "list").err
    with closing(sqlite3.connect(made)) as connection:
        connection.execute("UPDATE delivery SET due_ms = due_ms - 61000")
        connection.commit()
    assert "hookrow worker" in hookrow("hooks", "list").err
    assert [each["code"] for each in hookrow("doctor", "--json", code=1).json["findings"]] == ["undrained"]


@pytest.mark.parametrize("days", ["nan", "inf", "1e12", "36501", "-1"])
def test_days_that_no_clock_has(hookrow: Hookrow, made: Path, days: str) -> None:
    """Said in words; a century is the most, as in the settings."""
    assert "--days" in hookrow("prune", "--days", days, code=2).err
    hookrow("prune", "--days", "36500")
    with HookEngine(f"sqlite:///{made}", worker=False) as engine:
        assert engine.log.prune(days=float("inf")).firings == 0


def test_postgresql(hookrow: Hookrow, folder: Path, postgres_url: str) -> None:
    """The same commands on PostgreSQL, by its own URL; no file is made here."""
    url = "postgresql://" + postgres_url.partition("://")[2]
    hookrow("--db", url, "init")
    with Receiver(reply(200)) as receiver:
        add = ("hooks", "add", "--name", "x", "--url", receiver.url, "--event", "on_subscription", "--json")
        assert hookrow("--db", url, *add).json["id"] == 1
        fired = hookrow("--db", url, "fire", "on_subscription", "--json").json
        assert [each["outcome"] for each in fired["deliveries"]] == ["sent"]
    assert hookrow("--db", url, "log", "--json").json["id"] == fired["id"]
    assert set(hookrow("--db", url, "doctor", "--json").json["versions"]) == {
        "hookrow",
        "python",
        "schema",
        "postgresql",
    }
    assert hookrow("--db", url, "hooks", "stats", "--json").json["day"]["calls"] == 1
    assert "No differences." in hookrow("--db", url, "import", "-", stdin=hookrow("--db", url, "export").out).err
    assert "pg_dump" in hookrow("--db", url, "db", "backup", "copy.db", code=2).err
    assert list(folder.iterdir()) == []


def test_doctor_finds_what_outgrows_its_limits(hookrow: Hookrow, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pending deliveries beyond retention_bytes, and a WAL that a reader keeps from being emptied."""
    from hookrow import Hook

    hookrow("settings", "set", "retention_bytes", "1M")
    monkeypatch.setattr("hookrow.cli.show.findings.LARGE_WAL", 100_000)
    with closing(sqlite3.connect(made)) as reader, HookEngine(f"sqlite:///{made}", worker=False) as engine:
        engine.hooks.add(Hook(name="a", event="on_subscription", url="http://127.0.0.1:9/"))
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM firing").fetchone()
        for _ in range(15):
            engine.fire("on_subscription", {"text": "x" * 100_000})
        found = hookrow("doctor", "--json", code=1).json["findings"]
    assert {"kept", "wal"} <= {each["code"] for each in found}
