"""On the command line: no empty secret, and none that follows a hook to another origin unasked."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from cli_runs import Hookrow
from receivers import Receiver, reply

SECRET = "canary-password-7f3a"
HOME, ELSEWHERE = "https://home.test/h", "https://elsewhere.test/h"


@pytest.fixture
def guarded(hookrow: Hookrow, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Hookrow:
    """A database with one hook that has a password."""
    monkeypatch.setenv("PW", "canary-pw")
    hookrow("init")
    where = ("--name", "S", "--key", "s", "--url", HOME, "--event", "before_order_add")
    hookrow("hooks", "add", *where, "--auth-login", "bob", "--auth-password-env", "PW")
    return hookrow


@pytest.mark.parametrize("field", ["auth-password", "signing-secret", "custom-header"])
@pytest.mark.parametrize("way", ["env", "stdin"])
@pytest.mark.parametrize("verb", ["add", "edit"])
def test_an_empty_secret_is_refused(
    guarded: Hookrow, monkeypatch: pytest.MonkeyPatch, field: str, way: str, verb: str
) -> None:
    """An unset secret of a CI job, a closed stdin: exit 5, and what was there stays."""
    monkeypatch.setenv("EMPTY", "")
    before = guarded("hooks", "show", "s", "--json").json
    target = ("s",) if verb == "edit" else ("--name", "N", "--url", HOME, "--event", "before_order_add")
    source = (f"--{field}-env", "EMPTY") if way == "env" else (f"--{field}-stdin",)
    name = ("--custom-header-name", "X-Key") if field == "custom-header" else ()
    refused = guarded("hooks", verb, *target, *name, *source, code=5)
    assert "empty secret" in refused.err
    assert guarded("hooks", "show", "s", "--json").json == before
    assert len(guarded("hooks", "list", "--json").lines) == 1


def test_another_origin_needs_a_word(guarded: Hookrow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 5 and nothing changed; a new value, a removal or --keep-secrets say what is meant."""
    refused = guarded("hooks", "edit", "s", "--url", ELSEWHERE, "--timeout", "3", code=5)
    assert "--keep-secrets" in refused.err
    assert guarded("hooks", "show", "s", "--json").json["revision"] == 1
    monkeypatch.setenv("NEW", "another")
    for way in (("--auth-password-env", "NEW"), ("--keep-secrets",), ("--no-auth-password",)):
        url = guarded("hooks", "show", "s", "--json").json["url"]
        guarded("hooks", "edit", "s", "--url", HOME if url == ELSEWHERE else ELSEWHERE, *way)
    assert guarded("hooks", "show", "s", "--json").json["auth_password"] == {"set": False}


def test_a_rollback_and_an_import_need_it_too(guarded: Hookrow, folder: Path) -> None:
    """Both refuse with exit 5 and change nothing."""
    guarded("export", "-o", folder / "hooks.yaml")
    guarded("hooks", "edit", "s", "--url", ELSEWHERE, "--auth-password-env", "PW")
    guarded("hooks", "rollback", "s", 1, code=5)
    guarded("import", folder / "hooks.yaml", code=5)
    guarded("import", folder / "hooks.yaml", "--dry-run", code=5)
    assert guarded("hooks", "show", "s", "--json").json["url"] == ELSEWHERE
    guarded("hooks", "rollback", "s", 1, "--keep-secrets")
    guarded("hooks", "edit", "s", "--url", ELSEWHERE, "--keep-secrets")
    guarded("import", folder / "hooks.yaml", "--keep-secrets")
    assert guarded("hooks", "show", "s", "--json").json["url"] == HOME


def test_a_result_that_repeats_a_secret_is_printed_without_it(
    hookrow: Hookrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fire` prints what the hooks gave; the caller of the library gets it as it came."""
    monkeypatch.setenv("PW", SECRET)
    hookrow("init")
    basic = base64.b64encode(f"admin:{SECRET}".encode()).decode()
    said = json.dumps({"result": {"got": SECRET}, "message": basic}).encode()
    with Receiver(reply(200, said, [("content-type", "application/json")])) as receiver:
        flags = ("--event", "before_order_add", "--wait-for-response", "--response-has-data")
        secret = ("--auth-login", "admin", "--auth-password-env", "PW")
        hookrow("hooks", "add", "--name", "h", "--url", receiver.url, *flags, *secret)
        for how in ((), ("--json",), ("--no-wait",), ("--no-wait", "--json")):
            ran = hookrow("fire", "before_order_add", *how)
            assert SECRET not in ran.out + ran.err
            assert "••••••••" in ran.out
