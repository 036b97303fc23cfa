"""`hookrow tap`: a line a copy, what is said once, what waits and what is dropped, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from cli_runs import Hookrow, Ran, program, said
from hookrow import Hook, HookEngine, LogFilter
from hookrow.cli.commands import tap as command
from hookrow.cli.commands.tap import Attempts
from hookrow.store.database.tables import ATTEMPTS
from hookrow.testing.server import Answer
from hookrow.testing.server import Receiver as Plain
from receivers import Receiver, hold, reply

EVENT = "before_registration"
PAYLOAD = {"user": {"name": "Irina", "password": "canary-private"}}
ALLOW = reply(200, b"{}")
HOSTILE = reply(200, b'{"allow": false, "message": "no\\u001b[2J\\u202e"}')
Run = Callable[..., Ran]


@pytest.fixture
def engine(made: Path) -> Iterator[HookEngine]:
    """Whoever fires."""
    with HookEngine(f"sqlite:///{made}", worker=False) as firing:
        yield firing


@pytest.fixture
def tap(hookrow: Hookrow, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command; what is to happen meanwhile happens whenever nothing waits; then comes Ctrl+C."""

    def call(*arguments: object, meanwhile: list[Callable[[], object]], code: int = 130) -> Ran:
        events = iter(meanwhile)

        def pause(seconds: float) -> None:
            happens = next(events, None)
            if happens is None:
                raise KeyboardInterrupt
            happens()

        monkeypatch.setattr(command, "threading", SimpleNamespace(Event=lambda: SimpleNamespace(wait=pause)))
        return hookrow("tap", *arguments, code=code)

    return call


@pytest.fixture
def shop(engine: HookEngine) -> Iterator[Receiver]:
    """The receiver of a hook that is waited for, and of one that is not."""
    with Receiver(ALLOW) as made:
        engine.hooks.add(Hook(key="gate", name="Gate", event=EVENT, url=made.url, wait_for_response=True))
        engine.hooks.add(Hook(key="crm", name="CRM", event=EVENT, url=made.url, fire_and_forget=False))
        yield made


def test_a_line_a_copy(engine: HookEngine, shop: Receiver, tap: Run) -> None:
    """What was fired before is not copied. The answers stand side by side, none can script the terminal; what is
    missing in the copies is said once."""

    def fire() -> None:
        engine.send_own(engine.fire(EVENT, PAYLOAD))

    fire()
    with Receiver(HOSTILE) as laptop:
        ran = tap("--to", laptop.url, meanwhile=[fire, fire])
        assert len(laptop.requests) == 4
        found = tap("--to", laptop.url, "--json", "--hook", "gate", meanwhile=[fire]).lines
    lines = ran.out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("* ")
    assert '200 ok → 200 vetoed "no' in lines[0]
    assert lines[1].startswith("  ")
    assert "200 ok → 200 ok" in lines[1]
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out
    assert ran.err.count("Private fields are not in the log") == 1
    assert ran.err.strip().splitlines()[-1] == "Copies answered: 4, lost: 0, dropped: 0"
    [copy] = found
    assert (copy["recorded"]["outcome"], copy["answered"]["outcome"], copy["same"]) == ("ok", "vetoed", False)
    assert ["hook-tap", "1"] in copy["request"]["headers"]
    assert copy["request"]["url"] == laptop.url


def test_copies_can_be_printed_instead(engine: HookEngine, shop: Receiver, tap: Run) -> None:
    """Head and body, no private value; with a target as well it is refused, and without both."""
    ran = tap("--print", meanwhile=[lambda: engine.fire(EVENT, PAYLOAD)])
    assert "hook-tap: 1" in ran.out
    assert "Irina" in ran.out
    assert "canary" not in ran.out
    assert ran.err.strip().splitlines()[-1] == "Private fields are not in the log: they are null in the copies."
    for wrong in ((), ("--print", "--to", "http://localhost/")):
        assert "--to" in tap(*wrong, meanwhile=[], code=2).err


def test_what_leaves_the_machine_is_asked_about(engine: HookEngine, tap: Run) -> None:
    """Any address but loopback, however it is spelled; --yes is an answer."""
    for to in ("http://10.0.0.1/", "http://laptop.example/", "http://localhost.example/", "http://128.0.0.1/"):
        assert "--yes" in tap("--to", to, meanwhile=[], code=2).err
    assert tap("--to", "http://10.0.0.1/", "--yes", meanwhile=[]).out == ""
    for to in ("http://127.1:3000/", "http://[::ffff:127.0.0.1]:3000", "http://LOCALHOST./", "http://[::1]:3000"):
        assert tap("--to", to, meanwhile=[]).out == ""


def test_a_target_that_is_down_is_said_once(engine: HookEngine, shop: Receiver, tap: Run) -> None:
    """No line for each lost copy; how many there were is said when it answers again, and at the end."""
    with Receiver(ALLOW) as gone:
        port = gone.port

    def fire() -> None:
        engine.fire(EVENT, PAYLOAD)

    later: list[Plain] = []
    up = [*(fire for _ in range(3)), lambda: later.append(Plain(lambda came: Answer.of({}), port).__enter__()), fire]
    ran = tap("--to", f"http://127.0.0.1:{port}/", meanwhile=up)
    later[0].close()
    assert len(ran.out.splitlines()) == 1
    assert ran.err.count("Copies don't reach") == 1
    assert "answers again; copies lost: 3" in ran.err
    assert ran.err.strip().splitlines()[-1] == "Copies answered: 1, lost: 3, dropped: 0"


def test_a_hundred_wait_and_more_are_dropped(engine: HookEngine, shop: Receiver, tap: Run) -> None:
    """In order, the oldest are kept, the others counted."""
    fired: list[str] = []

    def fire() -> None:
        fired.extend(engine.fire(EVENT, {}).id for _ in range(103))

    with Receiver(ALLOW) as laptop:
        ran = tap("--to", laptop.url, "--json", "--hook", "gate", meanwhile=[fire, lambda: None])
    assert [each["firing"] for each in ran.lines] == fired[:100]
    assert ran.err.count("The target is too slow") == ran.err.count("3 copies were dropped.") == 1
    assert ran.err.strip().splitlines()[-1] == "Copies answered: 100, lost: 0, dropped: 3"


def test_an_attempt_that_is_seen_late_is_copied_once(engine: HookEngine, shop: Receiver) -> None:
    """On PostgreSQL a row may become visible after a later one: the newest are looked through again."""
    follower = Attempts(engine, LogFilter())
    engine.fire(EVENT, PAYLOAD)
    [number] = follower.fresh()

    def late(connection: Any) -> None:
        row = dict(connection.execute(select(ATTEMPTS).where(ATTEMPTS.c.id == number)).mappings().one())
        connection.execute(ATTEMPTS.insert().values({**row, "id": number - 1}))

    engine.runtime.database.writer.write(late)
    assert follower.fresh() == [number - 1]
    engine.fire(EVENT, PAYLOAD)
    assert len(follower.fresh()) == 1
    assert follower.fresh() == []


def test_ctrl_c_ends_it_at_once(engine: HookEngine, shop: Receiver, made: Path) -> None:
    """While a target takes its time, too; 130 as of `log --follow`."""
    engine.hooks.update("gate", timeout=30)
    with Receiver(hold) as target, program("tap", "--to", target.url, cwd=made.parent) as running:
        said(running, "Ctrl+C")
        engine.fire(EVENT, PAYLOAD)
        target.wait(1)
        running.send_signal(2)
        out, err = running.communicate(timeout=10)
    assert (running.returncode, out) == (130, "")
    assert "Copies answered: 0" in err
