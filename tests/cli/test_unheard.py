"""What may have happened although nothing was heard of it: each face of the record says so, in both languages."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cli_runs import Hookrow
from hookrow import Hook, HookEngine
from receivers import Receiver, Script, close, hold, reset, send

BEGUN = send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}")
ACTED = {"en": "; the receiver may have acted", "ru": "; получатель мог выполнить запрос"}
OVER = {"en": "whether a request left is not known", "ru": "ушёл ли запрос, неизвестно"}
UNHEARD: dict[str, tuple[Script, bool, str]] = {
    "its time ended": (hold, True, "time_ran_out_sent"),
    "its time ended, in background": (hold, False, "time_ran_out_sent"),
    "the connection closed": (close, True, "closed_without_answer"),
    "the connection was lost, in background": (reset, False, "closed_without_answer"),
    "the answer broke off": (BEGUN, True, "answer_broken_off"),
}


@pytest.mark.parametrize("case", UNHEARD)
def test_the_receiver_may_have_acted(hookrow: Hookrow, made: Path, case: str) -> None:
    """The log's line, `show`, and `--json` by its code."""
    script, waits, code = UNHEARD[case]
    with Receiver(script) as receiver, HookEngine(f"sqlite:///{made}", worker=False) as engine:
        hook = Hook(name="A", event="on_subscription", url=receiver.url, timeout=0.3, wait_for_response=waits)
        engine.hooks.add(hook if waits else hook.model_copy(update={"fire_and_forget": False}))
        firing = engine.fire("on_subscription", {"n": 1})
        engine.send_own(firing)
    for language, words in ACTED.items():
        for command in (("log",), ("show", firing.id)):
            assert words in hookrow("--lang", language, *command).out, command
    assert "300" in str(hookrow("show", firing.id, "--json").json["deliveries"][0]["requests"][0]["times"]["limit"])
    assert [each["reason"]["code"] for each in hookrow("log", "--json").json["deliveries"]] == [code]


def test_what_was_taken_over_may_have_been_sent(hookrow: Hookrow, made: Path) -> None:
    """A process ended while it had the delivery, which waits, or was cancelled with its hook; until it has arrived."""
    with HookEngine(f"sqlite:///{made}", worker=False) as engine:
        engine.hooks.add(Hook(name="A", event="on_subscription", url="http://127.0.0.1:9/"))
        firing = engine.fire("on_subscription", {"n": 1})
    with closing(sqlite3.connect(made)) as connection:
        for state, more, said in (
            ("queued", "", True),
            ("cancelled", ", skipped = 'hook_deleted'", True),
            ("sent", ", skipped = NULL", False),
        ):
            connection.execute(f"UPDATE delivery SET takeovers = 1, state = '{state}'{more}")
            connection.commit()
            for language, words in OVER.items():
                assert (words in hookrow("--lang", language, "log").out) is said, state
            assert hookrow("log", "--json").json["deliveries"][0]["takeovers"] == 1
    assert OVER["en"] in hookrow("show", firing.id).out
