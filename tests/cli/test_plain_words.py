"""What is typed is taken as it is meant, or refused by name: secrets, files, headers, flags; and lines to be pasted."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.types import FloatParamType, IntParamType

from cli_runs import Hookrow
from hookrow import HookEngine
from hookrow.cli.app import root
from hookrow.results import Request, curl_line
from hookrow.secrets.secret import MASK
from hookrow.transport.attempt import opened

Add = Callable[..., dict[str, Any]]
HOOK = {"name": "x", "event": "on_subscription", "url": "http://user.example:81/x?token=t", "auth_login": "a"}


def secret(folder: Path, name: str = "auth_password") -> str:
    """What was stored."""
    with HookEngine(f"sqlite:///{folder / 'hooks.db'}", worker=False) as engine:
        return opened(engine.runtime.vault, engine.hooks.find(1))[name]


# -- secrets and payloads ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["s3cret", "s3cret\n", "s3cret\r\n", "\ufeffs3cret\n"])
def test_one_line_is_the_secret(add: Add, hookrow: Hookrow, folder: Path, given: str) -> None:
    """A byte order mark, as editors leave one, is no part of it."""
    add("http://127.0.0.1:9/x")
    hookrow("hooks", "edit", 1, "--auth-login", "a", "--auth-password-stdin", stdin=given)
    assert secret(folder) == "s3cret"


@pytest.mark.parametrize("given", ["a\nb\n", "a\n\n", "a\rb"])
def test_more_lines_are_refused(add: Add, hookrow: Hookrow, given: str) -> None:
    """The second one was dropped without a word; now nothing is stored."""
    add("http://127.0.0.1:9/x")
    refused = hookrow("hooks", "edit", 1, "--auth-login", "a", "--auth-password-stdin", stdin=given, code=5)
    assert "--auth-password-stdin" in refused.err
    assert hookrow("hooks", "show", 1, "--json").json["auth_login"] == ""


def test_a_mark_is_stripped_from_a_variable_and_a_file(
    hookrow: Hookrow, made: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On every way in."""
    monkeypatch.setenv("HOOKROW_SECRET_PW", "\ufeffs3cret")
    (folder / "pw").write_text("\ufeffs3cret\n", "utf-8")
    for source in ("env:HOOKROW_SECRET_PW", "file:pw"):
        hookrow("import", "-", stdin=json.dumps({"hookrow": 1, "hooks": {"x": {**HOOK, "auth_password": source}}}))
        assert secret(folder) == "s3cret"
    hookrow("hooks", "edit", "x", "--auth-password-env", "HOOKROW_SECRET_PW")
    assert secret(folder) == "s3cret"


def test_a_payload_with_a_key_twice_is_refused(hookrow: Hookrow, made: Path, folder: Path) -> None:
    """Whichever of them was meant; a byte order mark is passed over."""
    (folder / "p.json").write_text('{"order": {"sum": 1}, "order": {"sum": 2}}')
    assert "twice" in hookrow("fire", "before_order_add", "--payload", "p.json", code=5).err
    (folder / "p.json").write_text('\ufeff{"order": {"sum": 1}}', "utf-8")
    hookrow("fire", "before_order_add", "--payload", "p.json")


def test_an_option_is_complained_of_by_its_own_name(
    hookrow: Hookrow, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--custom-header` is none."""
    monkeypatch.setenv("X", "v")
    add = ("hooks", "add", "--name", "A", "--url", "http://a.example/", "--event", "on_subscription")
    assert "--custom-header-name:" in hookrow(*add, "--custom-header-env", "X", code=5).err


@pytest.mark.parametrize("name", ["Webhook_Id", "content_length", "Hook_Depth", "X`id`", "X$IFS", "X.Y", "X|Y"])
def test_header_names_that_others_read_otherwise_are_refused(
    hookrow: Hookrow, made: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """WSGI servers take `_` for `-`; shells act on the rest."""
    monkeypatch.setenv("X", "v")
    add = ("hooks", "add", "--name", "A", "--url", "http://a.example/", "--event", "on_subscription")
    hookrow(*add, "--custom-header-name", name, "--custom-header-env", "X", code=5)


def test_a_header_name_of_before_is_sent_and_shown(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """By doctor; at the field's next edit it must be changed, other edits are free."""
    add("http://127.0.0.1:9/x")
    hookrow("hooks", "edit", 1, "--custom-header-name", "X-A", "--custom-header-stdin", stdin="v")
    with (
        HookEngine(f"sqlite:///{folder / 'hooks.db'}", worker=False) as engine,
        engine.runtime.database.write() as connection,
    ):
        connection.exec_driver_sql("UPDATE hook SET custom_header = 'X`id`'")
    assert "header_name" in [each["code"] for each in hookrow("doctor", "--json", code=1).json["findings"]]
    hookrow("hooks", "edit", 1, "--timeout", 3)
    hookrow("hooks", "edit", 1, "--custom-header-stdin", stdin="w", code=5)
    [shown] = hookrow("explain", "before_order_add", "--json").lines
    assert "X`id`" in dict(shown["request"]["headers"])


# -- saved, and nothing changed ---------------------------------------------------------------------------------------


def test_a_flag_that_is_named_has_an_effect(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """On a row whose flags contradict each other, too: who names one wants it to work."""
    add("http://127.0.0.1:9/x", "--key", "stock")
    with HookEngine(f"sqlite:///{folder / 'hooks.db'}", worker=False) as engine:
        engine.hooks.update("stock", {"wait_for_response": True, "fire_and_forget": True}, stored=True)
    assert "no effect" in hookrow("hooks", "edit", 1, "--timeout", 3).err
    assert "no effect" in hookrow("export").err
    ran = hookrow("hooks", "edit", 1, "--wait-for-response")
    assert "turned off" in ran.err
    assert "no effect" not in ran.err
    assert hookrow("hooks", "show", 1, "--json").json["mode"] == "gate"


def test_an_import_says_what_has_no_effect(hookrow: Hookrow, made: Path) -> None:
    """It keeps the file's flags as they are, and says so, each time."""
    flags = {"fire_and_forget": True, "wait_for_response": True}
    source = json.dumps({"hookrow": 1, "hooks": {"x": {**HOOK, **flags}}})
    for options in (("--dry-run",), (), ()):
        assert "x: " in hookrow("import", "-", *options, stdin=source).err
        assert "no effect" in hookrow("import", "-", *options, stdin=source).err
    assert hookrow("hooks", "show", "x", "--json").json["mode"] == "forget"


def test_switched_on_and_still_not_called(add: Add, hookrow: Hookrow) -> None:
    """A period that is over, one to come, a pause; resumed and still switched off."""
    add("http://127.0.0.1:9/x", "--valid-until", "01.01.2020", "--no-active")
    assert "its period ended" in hookrow("hooks", "enable", 1).err
    assert "its period ended" in hookrow("hooks", "edit", 1, "--timeout", 3).err
    hookrow("hooks", "edit", 1, "--valid-until", "", "--valid-from", "01.01.2099")
    assert "its period begins in" in hookrow("hooks", "enable", 1).err
    hookrow("hooks", "edit", 1, "--valid-from", "")
    assert "not called" not in hookrow("hooks", "enable", 1).err
    hookrow("hooks", "pause", 1, "--reason", "night")
    assert "paused (night)" in hookrow("hooks", "enable", 1).err
    hookrow("hooks", "disable", 1)
    assert "switched off" in hookrow("hooks", "resume", 1).err


# -- sources of secrets in a file -------------------------------------------------------------------------------------


def test_a_file_reads_only_what_was_made_for_it(
    hookrow: Hookrow, made: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wrote it chooses the URL as well: other variables, and files elsewhere, whatever links lead there."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    (folder / "conf").mkdir()
    (folder / "elsewhere").write_text("canary\n")
    (folder / "conf" / "link").symlink_to(folder / "elsewhere")
    for source in ("env:AWS_SECRET_ACCESS_KEY", "file:../elsewhere", f"file:{folder / 'elsewhere'}", "file:link"):
        text = json.dumps({"hookrow": 1, "hooks": {"x": {**HOOK, "auth_password": source}}})
        (folder / "conf" / "hooks.yaml").write_text(text)
        for options in ((), ("--dry-run",)):
            refused = hookrow("import", "conf/hooks.yaml", *options, code=5)
            assert "--allow-source" in refused.err
            assert "canary" not in refused.err + refused.out
        assert hookrow("hooks", "list", "--json").lines == []
        told = hookrow("import", "conf/hooks.yaml", "--dry-run", "--allow-source")
        assert f"(read from {source}, sent to user.example:81)" in told.out


def test_the_difference_names_source_and_host(
    hookrow: Hookrow, made: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For people and programs, of a new hook and of a changed one; never the value."""
    monkeypatch.setenv("HOOKROW_SECRET_PW", "canary")
    source = json.dumps({"hookrow": 1, "hooks": {"x": {**HOOK, "auth_password": "env:HOOKROW_SECRET_PW"}}})
    for value in ("canary", "canary-2"):
        monkeypatch.setenv("HOOKROW_SECRET_PW", value)
        said = "(read from env:HOOKROW_SECRET_PW, sent to user.example:81)"
        assert said in hookrow("import", "-", "--dry-run", stdin=source).out
        [change] = hookrow("import", "-", "--json", stdin=source).json["changes"]
        assert change["sources"] == {"auth_password": {"from": "env:HOOKROW_SECRET_PW", "to": "user.example:81"}}
        assert "canary" not in json.dumps(change)
    assert "read from" not in hookrow("import", "-", stdin=source).out


# -- curl lines -------------------------------------------------------------------------------------------------------


def run(line: str, **variables: str) -> list[str]:
    """The arguments that bash gives curl."""
    told = subprocess.run(
        ["bash", "-c", line.replace("curl ", "printf '%s\\0' ", 1)],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **variables},
        capture_output=True,
        check=True,
    )
    return told.stdout.decode().split("\0")[:-1]


def test_no_name_runs_in_the_shell(tmp_path: Path) -> None:
    """A colleague's file suffices to bring such a header into the database of before."""
    name = f"X-`touch$IFS{tmp_path}/PWNED`$HOME\"'"
    line = curl_line(Request("POST", f"http://a/?x[`touch {tmp_path}/Q`]={MASK}", ((name, MASK),), "{}"))
    given = run(line, **dict.fromkeys(re.findall(r"\$(HOOK_\w+)", line), "secret"))
    assert f"{name}: secret" in given
    assert list(tmp_path.iterdir()) == []


def test_brackets_make_one_request_and_each_value_has_its_variable() -> None:
    """`-g`; `ids[]` twice, and what is called login beside the login."""
    url = f"http://a/h/[1-2]/{{x,y}}?ids[]={MASK}&ids[]={MASK}&login={MASK}&{MASK}"
    request = Request(
        "POST", url, (("authorization", f"Basic {MASK}"), ("X-Ids", MASK), ("x-ids-", MASK)), "@/etc/passwd"
    )
    line = curl_line(request)
    assert shlex.split(line)[:2] == ["curl", "-g"]
    names = {"HOOK_IDS__": "1", "HOOK_IDS___2": "2", "HOOK_LOGIN_2": "3", "HOOK_QUERY": "4"}
    given = run(line, HOOK_LOGIN="u", HOOK_PASSWORD="p", HOOK_X_IDS="5", HOOK_X_IDS_="6", **names)
    assert "http://a/h/[1-2]/{x,y}?ids[]=1&ids[]=2&login=3&4" in given
    assert [given[place + 1] for place, each in enumerate(given) if each in ("--user", "-H")] == [
        "u:p",
        "X-Ids: 5",
        "x-ids-: 6",
    ]
    assert given[-2:] == ["--data-raw", "@/etc/passwd"]


@pytest.mark.parametrize("character", ["\u202e", "\u2028", "\x1b", "\n", "\u200f"])
def test_no_character_acts_on_the_terminal_that_the_line_is_pasted_from(character: str) -> None:
    """And bash gives it back as it was."""
    line = curl_line(Request("POST", f"http://a/{character}", (("X-A", f"v{character}"),), f'{{"a": "{character}"}}'))
    assert character not in line
    assert f"X-A: v{character}" in run(line)


# -- numbers ----------------------------------------------------------------------------------------------------------


def numbers(group: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command, click.Parameter]]:
    """Every option and argument of every command that takes a number."""
    context = click.Context(group)
    if isinstance(group, click.Group):
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            yield from numbers(command, *path, name)
        return
    yield from ((path, group, each) for each in group.params if isinstance(each.type, IntParamType | FloatParamType))


def test_what_is_no_number_is_told_in_the_readers_language(hookrow: Hookrow) -> None:
    """Of every command: no word of the library's own stands in the Russian sentence."""
    asked = 0
    for path, command, parameter in numbers(root):
        before = [each for each in command.params if isinstance(each, click.Argument) and each is not parameter]
        given = ["1"] * len(before) + ([f"{parameter.opts[0]}=abc"] if parameter.opts[0][0] == "-" else ["abc"])
        whole = isinstance(parameter.type, IntParamType)
        said = {language: hookrow("--lang", language, *path, *given, code=2).err for language in ("en", "ru")}
        assert ("'abc' is not a valid whole number." if whole else "'abc' is not a valid number.") in said["en"]
        assert ("«abc» — не целое число." if whole else "«abc» — не число.") in said["ru"]
        asked += 1
    assert asked >= 8
