"""Secrets are never empty, gone only by removal, and don't follow a hook to another origin unasked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine_bench import Bench
from hookrow import Hook, HookEngine
from hookrow.errors import HookrowError, InvalidHook, InvalidImport
from hookrow.hook.checks import is_other_origin
from hookrow.hookfile import export_hooks, import_hooks
from hookrow.secrets.secret import Secret
from hookrow.secrets.vault import Place

HOME = "https://erp.example/hook"
ELSEWHERE = "https://evil.example/hook"
SIGNING = "whsec_" + "A" * 32
GUARDED: dict[str, Any] = {
    "auth_login": "bob",
    "auth_password": "canary-pw",
    "custom_header": "X-Key: canary-header",
    "signing_secret": SIGNING,
}


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    """An engine with one hook that has every secret."""
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as made:
        made.hooks.add(Hook(key="s", name="S", event="before_order_add", url=HOME, **GUARDED))
        yield made


def opened(engine: HookEngine) -> dict[str, str | None]:
    """The stored hook's secrets in clear."""
    stored = engine.runtime.config_now().hooks[1]
    found = {}
    for name in ("auth_password", "custom_header_value", "signing_secret", "signing_secret_old"):
        token = getattr(stored, name)
        found[name] = None if token is None else engine.runtime.vault.open(token, Place("hook", stored.uid, name))
    return found


# -- never empty ------------------------------------------------------------------------------------------------------

EMPTY = ["", " ", "\t\n", "\u200b", Secret(""), Secret(" ")]


@pytest.mark.parametrize("value", EMPTY, ids=repr)
@pytest.mark.parametrize("field", ["auth_password", "signing_secret", "custom_header_value"])
def test_an_empty_secret_is_refused_on_every_path(engine: HookEngine, field: str, value: Any) -> None:
    """Add, ensure, update, the file's import: nothing is stored, what was there stays."""
    before = opened(engine)
    new = {"name": "N", "event": "before_order_add", "url": HOME, "custom_header": "X-Key"}
    with pytest.raises(InvalidHook):
        engine.hooks.add(Hook(**new, **{field: value}))
    with pytest.raises(InvalidHook):
        engine.hooks.ensure(Hook(key="n", **new, **{field: value}))
    for how in ({}, {"stored": True}):
        with pytest.raises(InvalidHook) as caught:
            engine.hooks.update("s", {field: value}, **how)
        assert caught.value.problems[0].field == field.removesuffix("_value")
    with pytest.raises(InvalidImport):
        import_hooks(
            engine,
            f"version: 1\nhooks:\n  s:\n    {field}: env:X\n",
            environ={"X": value if isinstance(value, str) else ""},
        )
    assert opened(engine) == before
    assert len(engine.hooks.list()) == 1


def test_only_removal_removes(engine: HookEngine) -> None:
    """None, for each by itself; the header goes with its name."""
    engine.hooks.update("s", auth_password=None)
    assert opened(engine)["auth_password"] is None
    engine.hooks.update("s", signing_secret=None)
    assert opened(engine)["signing_secret"] is None
    engine.hooks.update("s", custom_header="", custom_header_value=None)
    assert opened(engine)["custom_header_value"] is None


def test_an_empty_password_in_a_url_is_none(engine: HookEngine) -> None:
    """`https://bob:@host` names no password."""
    hook = engine.hooks.add(Hook(name="N", event="before_order_add", url="https://bob:@erp.example/"))
    assert (hook.auth_login, hook.auth_password) == ("bob", None)


def test_a_removed_signing_secret_signs_no_more(engine: HookEngine) -> None:
    """Nor does the one before it, which a rotation had kept for a day."""
    engine.hooks.new_secret("s", rotate=True)
    assert opened(engine)["signing_secret_old"] == SIGNING
    engine.hooks.update("s", signing_secret=None)
    assert opened(engine)["signing_secret_old"] is None


@pytest.mark.anyio
async def test_an_empty_signing_secret_of_an_older_version_signs_nothing(bench: Bench) -> None:
    """Anybody could sign with it: the hook fails and says what to do."""
    hook = await bench.gate("w", on_failure="stop")
    stored = bench.engine.runtime.config_now().hooks[hook.id or 0]
    token = bench.engine.runtime.vault.seal(Secret(""), Place("hook", stored.uid, "signing_secret"))
    bench.engine.hook_door.write(stored.id, {"signing_secret": token})
    bench.engine.runtime.cache.forget()
    firing = await bench.fire()
    assert (firing.outcome, firing.deliveries[0].error, bench.network.requests) == ("failed", "key_error", [])
    assert "empty" in str(firing.deliveries[0].detail)
    await bench.engine.hooks.new_secret("w", rotate=True)
    await bench.fire()
    assert len(bench.network.requests[0].headers["webhook-signature"].split()) == 1


# -- not to another origin --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "other"),
    [
        (HOME, "https://erp.example/other?x=1", False),
        (HOME, "https://ERP.example:443/", False),
        ("http://erp.example/", "https://erp.example/", False),
        ("http://erp.example:80/", "https://erp.example:443/", False),
        ("https://erp.example/", "http://erp.example/", True),
        ("http://erp.example:8080/", "https://erp.example/", True),
        ("http://erp.example/", "https://erp.example:8443/", True),
        (HOME, "https://erp.example:8443/hook", True),
        (HOME, "https://www.erp.example/hook", True),
        (HOME, "https://erp.example.evil.example/hook", True),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8001/", True),
        ("http://[::1]/", "http://[0:0:0:0:0:0:0:1]/", True),
    ],
)
def test_what_is_another_origin(before: str, after: str, other: bool) -> None:
    """Scheme, host or port; http → https of one host with default ports is none."""
    assert is_other_origin(before, after) is other


WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "as a form": {"stored": True},
    "with another field": {"name": "T"},
    "with one of them": {"auth_password": "new"},
    "with two of them": {"auth_password": None, "signing_secret": "whsec_" + "B" * 32},
    "the header's name alone": {"auth_password": None, "signing_secret": None, "custom_header": "X-Other"},
}


@pytest.mark.parametrize("way", WAYS)
def test_secrets_follow_to_another_origin_only_when_asked(engine: HookEngine, way: str) -> None:
    """Refused whole: neither the URL nor anything else is changed; the refusal names what would go along."""
    before = engine.hooks.get("s"), opened(engine)
    with pytest.raises(InvalidHook) as caught:
        engine.hooks.update("s", url=ELSEWHERE, **WAYS[way])
    assert [problem.field for problem in caught.value.problems] == ["keep_secrets"]
    assert "custom header" in str(caught.value).lower()
    assert (engine.hooks.get("s"), opened(engine)) == before
    engine.hooks.update("s", url=ELSEWHERE, keep_secrets=True, **WAYS[way])
    assert engine.hooks.get("s").url == ELSEWHERE


def test_each_secret_entered_anew_or_removed_needs_no_word(engine: HookEngine) -> None:
    """Whoever gives them knows them; and whoever removes them sends none."""
    engine.hooks.update("s", url=ELSEWHERE, auth_password="n", custom_header="X-Key: n", signing_secret=None)
    assert opened(engine) == {
        "auth_password": "n",
        "custom_header_value": "n",
        "signing_secret": None,
        "signing_secret_old": None,
    }


def test_without_secrets_or_within_the_origin_nothing_is_asked(engine: HookEngine) -> None:
    """Nothing goes anywhere."""
    engine.hooks.add(Hook(key="plain", name="P", event="before_order_add", url=HOME, auth_login="bob"))
    engine.hooks.update("plain", url=ELSEWHERE)
    engine.hooks.update("s", url="https://erp.example/v2")
    assert opened(engine)["auth_password"] == "canary-pw"


def test_a_rollback_is_held_to_it(engine: HookEngine) -> None:
    """The URL of an earlier revision may be somebody else's, too."""
    none = {"auth_password": None, "custom_header": "", "custom_header_value": None, "signing_secret": None}
    engine.hooks.update("s", url="https://new.example/", **none)
    engine.hooks.update("s", auth_password="for the new one")
    with pytest.raises(InvalidHook):
        engine.hooks.rollback("s", 1)
    assert engine.hooks.get("s").url == "https://new.example/"
    assert engine.hooks.rollback("s", 1, keep_secrets=True).url == HOME


def test_undo_of_a_removal_keeps_url_and_secrets_together(engine: HookEngine) -> None:
    """It changes neither."""
    engine.hooks.remove("s")
    assert engine.hooks.restore(1).url == HOME


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_import_is_held_to_it(engine: HookEngine, dry_run: bool) -> None:
    """`kept` in the file is not enough; a source, `none` or `keep_secrets` is. Nothing of the file is written."""
    text = export_hooks(engine).replace(HOME, ELSEWHERE) + ""
    before = engine.hooks.get("s"), opened(engine)
    with pytest.raises(InvalidImport) as caught:
        import_hooks(engine, text, dry_run=dry_run)
    assert "s.url" in str(caught.value)
    assert (engine.hooks.get("s"), opened(engine)) == before
    named = text.replace("auth_password: kept", "auth_password: env:PW")
    named = named.replace("custom_header_value: kept", "custom_header_value: env:PW")
    named = named.replace("signing_secret: kept", "signing_secret: none")
    done = import_hooks(engine, named, dry_run=True, environ={"PW": "canary-pw"})
    assert done.changed
    assert import_hooks(engine, text, dry_run=dry_run, keep_secrets=True).changed


def test_an_import_that_leaves_a_colleagues_url_alone_asks_nothing(engine: HookEngine) -> None:
    """With a revision only what the file changed counts: its old URL is no change."""
    text = export_hooks(engine, revisions=True)
    engine.hooks.update("s", url=ELSEWHERE, keep_secrets=True)
    done = import_hooks(engine, text.replace("name: S", "name: T"))
    assert done.changed
    assert (engine.hooks.get("s").url, engine.hooks.get("s").name) == (ELSEWHERE, "T")


@pytest.mark.anyio
async def test_a_test_of_an_unsaved_hook_is_held_to_it(bench: Bench) -> None:
    """The kept secrets of the saved one would reach whoever stands in the unsaved URL."""
    hook = await bench.gate("w", auth_login="bob", auth_password="canary-pw")
    draft = hook.model_copy(update={"url": "http://evil.test/w"})
    with pytest.raises(InvalidHook):
        await bench.engine.test(draft)
    assert bench.network.requests == []
    assert (await bench.engine.test(draft, keep_secrets=True)).ok
    assert (await bench.engine.test(draft.model_copy(update={"auth_password": None}))).ok
    assert "authorization" in bench.network.requests[0].headers
    assert bench.network.requests[1].headers.get("authorization") == "Basic Ym9iOg=="


def test_every_refusal_is_declared_and_shows_no_secret(engine: HookEngine) -> None:
    """What it says names fields, never values."""
    for change in ({"url": ELSEWHERE}, {"auth_password": ""}, {"custom_header_value": ""}):
        with pytest.raises(HookrowError) as caught:
            engine.hooks.update("s", change)
        assert "canary" not in str(caught.value)
