"""`hookrow hooks`: everything that the form can, by its fields' codes."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cli_runs import Hookrow, command_line, program
from hookrow.hook.fields import FIELDS
from receivers import Receiver, reply

Add = Callable[..., dict[str, Any]]
URL = "http://127.0.0.1:9/x"


def test_the_contract_of_a_hooks_json(add: Add, hookrow: Hookrow) -> None:
    """Keys are the fields' codes in their order, with id, mode, state and revision; a secret is only «set»."""
    hook = add(URL, "--valid-until", "01.11.2999", "--timeout", "2,5")
    assert list(hook) == ["id", *[field.code for field in FIELDS], "mode", "state", "revision", "candidate"]
    assert hook["id"] == 1
    assert hook["timeout"] == 2.5
    assert hook["valid_until"].endswith("Z")
    assert hook["auth_password"] == {"set": False}
    assert hook["custom_header"] == {"name": "", "set": False}
    assert (hook["mode"], hook["state"], hook["revision"]) == ("forget", "on", 1)
    assert hookrow("hooks", "list", "--json").lines == [hook]
    assert hookrow("hooks", "show", "Stock", "--json").json == hook


def test_every_field_has_its_option(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """What the form holds can be given on one command line, by the fields' codes, and reads back."""
    (folder / "body.txt").write_text('{"n": {{ order.number }}}', "utf-8")
    hook = add(
        URL,
        *("--position", 35, "--key", "stock", "--no-fire-and-forget", "--wait-for-response", "--response-has-data"),
        *(
            "--valid-from",
            "2026-01-01T00:00:00+03:00",
            "--no-active",
            "--body-file",
            "body.txt",
            "--auth-login",
            "shop",
        ),
        *(
            "--condition",
            "order.sum > 10",
            "--on-failure",
            "stop",
            "--fallback-message",
            "Позже",
            "--order-key",
            "/order/id",
        ),
    )
    assert hook["valid_from"] == "2025-12-31T21:00:00Z"
    wanted = {
        "position": 35,
        "key": "stock",
        "fire_and_forget": False,
        "active": False,
        "auth_login": "shop",
        "body": '{"n": {{ order.number }}}',
        "condition": "order.sum > 10",
        "on_failure": "stop",
        "fallback_message": "Позже",
        "order_key": "/order/id",
        "shadow": False,
        "mode": "transform",
        "state": "off",
    }
    assert {name: hook[name] for name in wanted} == wanted


def test_labels_are_the_forms(hookrow: Hookrow) -> None:
    """Help shows each field's label in the language in use."""
    russian = " ".join(hookrow("--lang", "ru", "hooks", "add", "--help").out.split())
    for field in FIELDS:
        assert field.label.ru in russian


def test_a_flag_turns_fire_and_forget_off_and_says_so(add: Add, hookrow: Hookrow) -> None:
    """Turning on one of the other two without naming it turns «Блок без ответа» off, in add and in edit."""
    assert add(URL, "--wait-for-response", name="A")["mode"] == "gate"
    add(URL, name="B")
    ran = hookrow("hooks", "edit", "B", "--response-has-data", "--json")
    assert ran.json["mode"] == "record"
    assert "fire_and_forget was turned off" in ran.err


def test_a_contradiction_on_one_line_is_refused(hookrow: Hookrow, made: Path) -> None:
    """Both flags at once by one person: exit 5, the field is named, nothing is kept."""
    ran = hookrow(
        *("hooks", "add", "--name", "x", "--url", URL, "--event", "on_subscription"),
        *("--fire-and-forget", "--wait-for-response"),
        code=5,
    )
    assert "--fire-and-forget:" in ran.err
    assert hookrow("hooks", "list", "--json").out == ""


def test_a_stored_contradiction_is_kept_and_said(add: Add, hookrow: Hookrow, made: Path) -> None:
    """A row that holds both runs as forget; list and show say that the other flag has no effect."""
    from hookrow import HookEngine

    add(URL)
    with HookEngine(f"sqlite:///{made}", worker=False) as engine:
        engine.hooks.update(1, wait_for_response=True, fire_and_forget=True, stored=True)
    assert hookrow("hooks", "list", "--json").json["wait_for_response"] is True
    for language, words in (
        ("en", "no effect: fire_and_forget is on"),
        ("ru", "не действует: включён «Блок без ответа»"),
    ):
        assert words in hookrow("--lang", language, "hooks", "list").out
        assert words in hookrow("--lang", language, "hooks", "show", 1).out


def test_every_fault_is_named_at_once(hookrow: Hookrow, made: Path) -> None:
    """Invalid values: exit 5, one sentence a field, by the option's name."""
    ran = hookrow(
        *("hooks", "add", "--name", "", "--url", "ftp://h/", "--event", "on_subscription"),
        *("--timeout", "-1", "--position", "abc", "--valid-until", "32.13.2026"),
        code=5,
    )
    for option in ("--name:", "--url:", "--timeout:", "--position:", "--valid-until:"):
        assert ran.err.count(option) == 1
    assert hookrow("hooks", "add", "--url", URL, code=5).err.count("--name:") == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["hooks", "show", "77"], 4),
        (["hooks", "add", "--name", "x", "--url", URL, "--event", "no_such_event"], 4),
        (["hooks", "show", "Twin"], 2),
        (["hooks", "edit", "1"], 2),
        (["hooks", "edit", "1", "--key", "second"], 5),
        (["hooks", "edit", "1", "--timeout", "3", "--revision", "9"], 5),
        (["hooks", "rm", "1"], 2),
        (["hooks", "nonsense"], 2),
        (["hooks", "add", "--body", "{{ order.", "--name", "x", "--url", URL, "--event", "on_subscription"], 5),
    ],
)
def test_exit_codes(add: Add, hookrow: Hookrow, arguments: list[str], code: int) -> None:
    """Not found 4, ambiguous or nobody to ask 2, refused or invalid 5."""
    add(URL, name="Twin")
    add(URL, "--key", "second", name="Twin")
    ran = hookrow(*arguments, code=code)
    assert ran.out == ""
    if arguments[-1] == "Twin":
        assert "1 (" in ran.err
        assert "second" in ran.err


def test_switching_pausing_removing(add: Add, hookrow: Hookrow) -> None:
    """enable, disable, pause with its reason, resume, rm --yes; each is a revision of the hook."""
    add(URL, "--key", "stock")
    state = lambda: hookrow("hooks", "show", "stock", "--json").json["state"]  # noqa: E731
    hookrow("hooks", "disable", "stock")
    assert state() == "off"
    hookrow("hooks", "enable", "stock")
    hookrow("hooks", "pause", "stock", "--reason", "moving house")
    assert state() == "paused"
    assert "moving house" in hookrow("hooks", "list").out
    hookrow("hooks", "resume", "stock")
    assert state() == "on"
    actions = [each["action"] for each in hookrow("hooks", "history", "stock", "--json").lines]
    assert actions == ["resume", "pause", "edit", "edit", "add"]
    hookrow("hooks", "rm", "stock", "--yes")
    hookrow("hooks", "show", "stock", code=4)


def test_pausing_a_hook_set_to_stop_asks(add: Add, hookrow: Hookrow) -> None:
    """Pausing a fail-closed hook refuses every operation of its event: that is asked first."""
    add(URL, "--wait-for-response", "--on-failure", "stop")
    assert "--yes" in hookrow("hooks", "pause", 1, code=2).err
    hookrow("hooks", "pause", 1, "--yes")


def test_rollback(add: Add, hookrow: Hookrow) -> None:
    """A hook becomes what it was, as a new revision."""
    add(URL)
    hookrow("hooks", "edit", 1, "--timeout", 9)
    ran = hookrow("hooks", "rollback", 1, 1, "--json")
    assert (ran.json["timeout"], ran.json["revision"]) == (5, 3)


def test_move_says_the_new_order(add: Add, hookrow: Hookrow) -> None:
    """By places or beside another hook; exactly one of the three options, else a usage error."""
    for _ in range(3):
        add(URL)
    ran = hookrow("hooks", "move", 3, "--by", -1, "--json")
    assert [(each["id"], each["position"]) for each in ran.lines] == [(1, 10), (3, 15), (2, 20)]
    assert hookrow("hooks", "move", 1, "--after", 2).out.split()[0::2][:3] != []
    assert [each["id"] for each in hookrow("hooks", "list", "--json").lines] == [3, 2, 1]
    hookrow("hooks", "move", 1, code=2)
    hookrow("hooks", "move", 1, "--by", 1, "--before", 2, code=2)


def test_a_test_sends_one_marked_request(add: Add, hookrow: Hookrow) -> None:
    """`hooks test`: hook-test: 1 goes out, nothing is recorded; exit 0 for allow, 1 for a veto or a failure."""
    with Receiver(
        reply(200, b'{"allow": true}'), reply(409, b'{"allow": false, "message": "no"}'), reply(404, b"lost")
    ) as receiver:
        add(receiver.url, "--wait-for-response")
        assert hookrow("hooks", "test", 1, "--json").json["ok"] is True
        vetoed = hookrow("hooks", "test", 1, "--json", code=1).json
        assert (vetoed["ok"], vetoed["outcome"], vetoed["status"]) == (False, "vetoed", 409)
        assert "a failure, not a veto" in hookrow("hooks", "test", 1, code=1).err
        assert [request.header("hook-test") for request in receiver.wait(3)] == ["1", "1", "1"]
    assert hookrow("log", "--json").out == ""


CANARY = "s3cret-" + "canary"


@pytest.mark.parametrize("way", ["stdin", "env"])
def test_a_secret_comes_from_stdin_or_a_variable(
    add: Add, hookrow: Hookrow, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The password and the header's value arrive at the receiver, and are shown nowhere."""
    monkeypatch.setenv("SECRET", CANARY)
    source = ["stdin"] if way == "stdin" else ["env", "SECRET"]
    with Receiver(reply(200)) as receiver:
        add(receiver.url)
        said = [
            hookrow(
                "hooks",
                "edit",
                1,
                "--auth-login",
                "shop",
                f"--auth-password-{source[0]}",
                *source[1:],
                stdin=f"{CANARY}\n",
            ),
            hookrow(
                *("hooks", "edit", 1, "--custom-header-name", "X-Token", f"--custom-header-{source[0]}", *source[1:]),
                stdin=f"{CANARY}\n",
            ),
            hookrow("hooks", "test", 1, "--json"),
            hookrow("hooks", "show", 1),
            hookrow("hooks", "show", 1, "--json"),
            hookrow("hooks", "history", 1),
        ]
        request = receiver.wait(1)[0]
    assert request.header("x-token") == CANARY
    assert (
        request.header(
            "authorization",
        )
        == "Basic c2hvcDpzM2NyZXQtY2FuYXJ5"
    )
    assert said[4].json["custom_header"] == {"name": "X-Token", "set": True}
    assert said[4].json["auth_password"] == {"set": True}
    for ran in said:
        assert CANARY not in ran.out + ran.err


def test_a_secret_is_not_lost_by_another_edit(add: Add, hookrow: Hookrow) -> None:
    """Editing something else leaves the secret; --no-auth-password removes it."""
    add(URL)
    hookrow("hooks", "edit", 1, "--auth-login", "a", "--auth-password-stdin", stdin=CANARY)
    assert hookrow("hooks", "edit", 1, "--name", "Other", "--json").json["auth_password"] == {"set": True}
    assert hookrow("hooks", "edit", 1, "--no-auth-password", "--json").json["auth_password"] == {"set": False}


def test_no_option_takes_a_secret(add: Add, hookrow: Hookrow) -> None:
    """`--auth-password VALUE` is not offered: without a terminal it is a usage error that does not repeat the value."""
    add(URL)
    ran = hookrow("hooks", "edit", 1, "--auth-password", CANARY, code=2)
    assert CANARY not in ran.err + ran.out
    assert "--auth-password-stdin" in hookrow("hooks", "edit", 1, "--auth-password", code=2).err
    hookrow("hooks", "edit", 1, "--auth-password-env", "NOT_SET", code=2)
    hookrow("hooks", "edit", 1, "--auth-password-stdin", "--custom-header-name", "X", "--custom-header-stdin", code=2)


def test_the_list_of_processes_shows_no_secret(add: Add, made: Path) -> None:
    """While the command runs, `ps` has nothing to show, which reads what is read here."""
    add(URL)
    with program(
        "hooks", "edit", 1, "--auth-password-stdin", "--auth-login", "a", cwd=made.parent, by_exec=True
    ) as running:
        seen = command_line(running)
        assert "--auth-password-stdin" in seen
        assert CANARY not in seen
        _, err = running.communicate(CANARY + "\n", timeout=30)
        assert running.returncode == 0, err


def test_the_signing_secret_is_shown_once(add: Add, hookrow: Hookrow) -> None:
    """`secret new` prints it; a second `new` is refused, `rotate` gives another."""
    add(URL)
    first = hookrow("hooks", "secret", "new", 1, "--json").json["signing_secret"]
    assert first.startswith("whsec_")
    hookrow("hooks", "secret", "new", 1, code=5)
    second = hookrow("hooks", "secret", "rotate", 1).out.strip()
    assert second.startswith("whsec_")
    assert second != first
    assert hookrow("hooks", "show", 1, "--json").json["signing_secret"] == {"set": True}


def test_hostile_names_cannot_script_the_terminal(add: Add, hookrow: Hookrow, made: Path) -> None:
    """Escape sequences and direction marks in data, however they came there, are spelled in tables and in --json."""
    add(URL)
    with closing(sqlite3.connect(made)) as connection:
        connection.execute("UPDATE hook SET name = ?", ("a\x1b]52;c;AAAA\x07b\u202ec\x9bd",))
        connection.commit()
    for ran in (hookrow("hooks", "list"), hookrow("hooks", "show", 1), hookrow("hooks", "list", "--json")):
        for character in "\x1b\x07\u202e\x9b":
            assert character not in ran.out
    assert hookrow("hooks", "list", "--json").json["name"] == "a\x1b]52;c;AAAA\x07b\u202ec\x9bd"


def test_deleted_hooks_are_listed_and_restored(add: Add, hookrow: Hookrow) -> None:
    """Who deleted each and when; by id or key; another reference is 4."""
    hook = add(URL, "--key", "stock")
    hookrow("hooks", "rm", "stock", "--yes")
    (line,) = hookrow("hooks", "deleted", "--json").lines
    assert (line["id"], line["key"], line["event"]) == (hook["id"], "stock", hook["event"])
    assert line["who"]
    assert "Stock" in hookrow("hooks", "deleted").out
    hookrow("hooks", "restore", "nope", code=4)
    hookrow("hooks", "restore", "stock")
    assert hookrow("hooks", "show", "stock", "--json").json["revision"] == 3
    assert hookrow("hooks", "deleted", "--json").lines == []


def test_ones_own_last_change_is_undone(add: Add, hookrow: Hookrow) -> None:
    """It asks, does it by --yes, and a second one does the first again; with nothing to undo it says so."""
    assert "have not changed" in hookrow("hooks", "undo", "--yes").err
    add(URL, "--key", "stock")
    hookrow("hooks", "edit", "stock", "--timeout", "7")
    hookrow("hooks", "undo", code=2)
    done = hookrow("hooks", "undo", "--yes", "--json").json
    assert (done["action"], [hook["name"] for hook in done["hooks"]]) == ("edit", ["Stock"])
    assert hookrow("hooks", "show", "stock", "--json").json["timeout"] == 5
    hookrow("hooks", "undo", "--yes")
    assert hookrow("hooks", "show", "stock", "--json").json["timeout"] == 7


def test_history_speaks_as_the_form_does(hookrow: Hookrow, add: Any) -> None:
    """No code, no Python value, one zone: labels and words of the language, the reason of a pause as it was given."""
    add("http://127.0.0.1:9/stock")
    hookrow("hooks", "edit", "Stock", "--timeout", "3", "--on-failure", "stop")
    hookrow("hooks", "pause", "Stock", "--reason", "inventory", "--yes")
    said = hookrow("hooks", "history", "Stock").out
    assert "Reason of the pause: inventory" in said
    assert "On failure: allow the operation → stop the operation" in said
    russian = hookrow("--lang", "ru", "hooks", "history", "Stock").out
    assert re.search(r" {2}приостановлен\n {6}Причина паузы: inventory\n", russian)
    assert "Таймаут ожидания: 5 → 3" in russian
    assert not re.search(r"None|paused_|person|T\d\d:", said + russian)


def test_options_that_contradict_each_other_are_refused(add: Add, hookrow: Hookrow) -> None:
    """Neither wins unseen: the header that was named stays away, the password is asked for and removed."""
    add("http://127.0.0.1:9/", "--custom-header-name", "X-Old", "--custom-header-env", "HOME")
    for given in (
        ("--no-custom-header", "--custom-header-name", "X-New"),
        ("--no-custom-header", "--custom-header-name", "X-New", "--custom-header-env", "HOME"),
        ("--auth-password", "--no-auth-password"),
    ):
        assert "name one source only" in hookrow("hooks", "edit", 1, *given, code=2).err
    assert hookrow("hooks", "show", 1, "--json").json["custom_header"] == {"name": "X-Old", "set": True}
    for given in (("--follow",), ("--since", "1h"), ("--event", "before_order_add")):
        assert "--who goes without" in hookrow("log", "--who", "me", *given, code=2).err
