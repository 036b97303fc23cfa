"""Export and import: no secret in the file, all or nothing, twice is no change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hookrow import Hook, HookEngine
from hookrow.errors import InvalidHook, InvalidImport
from hookrow.hook.fields import FIELDS
from hookrow.hookfile import LIMIT, export_hooks, import_hooks, schema
from scripted import HandClock, Network

EVENT = "before_order_add"
NEW = {"name": "New", "event": EVENT, "url": "https://receiver.test/new"}
SECRETS = {"auth_login": "bob", "auth_password": "pw-canary", "custom_header": "X-Key: header-canary"}
PROPERTY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def opened(path: Path) -> HookEngine:
    """An engine on a scripted network and clock."""
    return HookEngine(f"sqlite:///{path}", worker=False, transport=Network(), clock=HandClock())


@pytest.fixture
def engine(tmp_path: Path, engine_template: Path) -> Iterator[HookEngine]:
    """An engine on a database of its own."""
    shutil.copyfile(engine_template, tmp_path / "a.db")
    with opened(tmp_path / "a.db") as made:
        yield made


@pytest.fixture
def other(tmp_path: Path, engine_template: Path) -> Iterator[HookEngine]:
    """Another, empty database, with keys of its own."""
    (tmp_path / "other").mkdir()
    shutil.copyfile(engine_template, tmp_path / "other" / "b.db")
    with opened(tmp_path / "other" / "b.db") as made:
        yield made


@pytest.fixture(scope="module")
def kept_engine(engine_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HookEngine]:
    """One for tests that do no more than write the body of its one hook."""
    folder = tmp_path_factory.mktemp("kept")
    shutil.copyfile(engine_template, folder / "a.db")
    with opened(folder / "a.db") as made:
        made.hooks.add(hook(key="a"))
        yield made


def hook(name: str = "Stock", **fields: Any) -> Hook:
    """A hook as a form may hold it."""
    return Hook.stored({"name": name, "event": EVENT, "url": "http://receiver.test/h", **fields})


def sheet(**hooks: Any) -> str:
    """A file with these hooks."""
    return json.dumps({"hookrow": 1, "hooks": hooks})


def faults(engine: HookEngine, source: str | bytes, **how: Any) -> list[str]:
    """The sentences with which a file is refused; nothing may have changed."""
    before = export_hooks(engine, revisions=True)
    with pytest.raises(InvalidImport) as caught:
        import_hooks(engine, source, **how)
    assert export_hooks(engine, revisions=True) == before
    return [str(each) for each in caught.value.problems]


def actions(done: Any) -> dict[str, str]:
    """What was done to each hook."""
    return {each.key: each.action for each in done.changes}


def test_a_round_trip_into_an_empty_database(engine: HookEngine, other: HookEngine) -> None:
    """All fields, contradictory flags too; the shipped schema accepts what export writes; twice is no change."""
    engine.hooks.add(hook("on", key="stock", body='{"a": {{ order.number }},\n  "b": 1}\n', condition="order.sum > 10"))
    engine.hooks.add(hook("Склад: «№ 1»", fire_and_forget=True, wait_for_response=True, timeout=0.1 + 0.2))
    engine.hooks.add(hook("012", valid_from="2026-11-01T00:00:00+03:00", order_key="/order/id", on_failure="stop"))
    written = export_hooks(engine)
    jsonschema.validate(yaml.safe_load(written), schema())
    assert set(actions(import_hooks(other, written)).values()) == {"add"}
    assert export_hooks(other) == written
    assert not import_hooks(other, written).changed
    assert [each.revision for each in other.hooks.list()] == [1, 1, 1]


LINE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), min_size=1, max_size=30)
TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from(" \n\t:#'\"|>-{}[]&*!%@`"), max_size=30)
MOMENT = st.none() | st.datetimes(datetime(1971, 1, 1), datetime(8000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(
    texts=st.fixed_dictionaries({"name": LINE, "fallback_message": LINE, "auth_login": LINE}),
    comment=TEXT,
    plain=st.fixed_dictionaries({"timeout": st.floats(0.1, 30), "position": st.integers(0, 9999)}),
    flags=st.lists(st.booleans(), min_size=4, max_size=4),
    start=MOMENT,
    end=MOMENT,
)
@PROPERTY
def test_whatever_a_hook_holds_comes_back(
    engine: HookEngine, other: HookEngine, texts: Any, comment: str, plain: Any, flags: Any, start: Any, end: Any
) -> None:
    """Export, import elsewhere, export: the same text."""
    named = ("active", "fire_and_forget", "wait_for_response", "response_has_data")
    body = "{# " + comment.replace("#}", "") + " #}1\n"
    values = {**texts, **plain, **dict(zip(named, flags, strict=True)), "valid_from": start, "valid_until": end}
    try:
        kept = hook(**{**values, "key": "one", "body": body})
    except InvalidHook:
        assume(False)
    if engine.hooks.list():
        engine.hooks.update("one", {code: getattr(kept, code) for code in (*values, "body")}, stored=True)
    else:
        engine.hooks.add(kept)
    written = export_hooks(engine)
    import_hooks(other, written)
    assert export_hooks(other) == written
    assert not import_hooks(other, written).changed


def test_secrets_are_never_in_the_file(engine: HookEngine) -> None:
    """They are kept by an import that says so or says nothing of them."""
    engine.hooks.add(hook(key="stock", fire_and_forget=False, wait_for_response=True, **SECRETS))
    written = export_hooks(engine)
    assert "canary" not in written
    import_hooks(engine, written.replace("timeout: 5", "timeout: 7"))
    import_hooks(engine, sheet(stock={"name": "Renamed"}))
    engine.fire(EVENT, {"order": {}})
    [request] = engine.runtime.given_transport.requests  # type: ignore[union-attr]
    assert request.headers["authorization"] == httpx.BasicAuth("bob", "pw-canary")._auth_header
    assert request.headers["x-key"] == "header-canary"
    assert (engine.hooks.get("stock").name, engine.hooks.get("stock").timeout) == ("Renamed", 7)


def test_secrets_are_read_from_where_the_file_says(engine: HookEngine, tmp_path: Path) -> None:
    """A variable and a file, read at once and sealed; the same ones again are no change; «none» takes them away."""
    (tmp_path / "header").write_text("from-file\n")
    fields = {"auth_password": "env:PW", "custom_header": "X-Key", "custom_header_value": "file:header"}
    source = sheet(stock={**NEW, "auth_login": "bob", "wait_for_response": "да", "fire_and_forget": "no", **fields})
    import_hooks(engine, source, folder=tmp_path, environ={"PW": "from-env"})
    assert not import_hooks(engine, source, folder=tmp_path, environ={"PW": "from-env"}).changed
    engine.fire(EVENT, {"order": {}})
    [request] = engine.runtime.given_transport.requests  # type: ignore[union-attr]
    assert request.headers["authorization"] == httpx.BasicAuth("bob", "from-env")._auth_header
    assert request.headers["x-key"] == "from-file"
    again = import_hooks(engine, source, folder=tmp_path, environ={"PW": "another"})
    assert again.changes[0].fields == (("auth_password", "set", "replaced"),)
    after = engine.hooks.history("stock")[0].after
    assert (after["auth_password"], after["custom_header_value"]) == ({"set": True, "changed": True}, {"set": True})
    import_hooks(engine, sheet(stock={"auth_password": "none"}))
    kept = engine.hooks.get("stock")
    assert (kept.auth_password, kept.custom_header_value is not None) == (None, True)
    assert "from-" not in repr(engine.hooks.history("stock"))


def test_a_secret_that_is_not_there_is_said(engine: HookEngine, other: HookEngine) -> None:
    """«kept» in a database without it: the hook comes, and the import warns."""
    engine.hooks.add(hook(key="stock", **SECRETS))
    done = import_hooks(other, export_hooks(engine))
    assert [each for each in done.warnings if "stock.auth_password" in each]
    assert [each for each in done.warnings if "stock.custom_header_value" in each]
    assert (other.hooks.get("stock").auth_login, other.hooks.get("stock").custom_header) == ("bob", "")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"auth_password": "pw-canary"}, "stock.auth_password"),
        ({"auth_password": None}, "stock.auth_password"),
        ({"auth_password": "env:NOT_SET"}, "NOT_SET"),
        ({"auth_password": "file:not-there"}, "not-there"),
        ({"auth_password": "file:many"}, "many"),
        ({"custom_header": "X-Key: pw-canary"}, "custom_header_value"),
        ({"signing_secret": "env:PW"}, "stock.signing_secret"),
        ({"url": "https://bob:pw-canary@receiver.test/"}, "stock.url"),
    ],
)
def test_a_secret_itself_is_refused_and_not_repeated(
    engine: HookEngine, tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    """Whatever stands in its place, the message has its place and not its text."""
    (tmp_path / "many").write_text("pw-canary\npw-canary\n")
    [found] = faults(engine, sheet(stock={**NEW, **fields}), folder=tmp_path, environ={"PW": "pw-canary"})
    assert said in found
    assert "canary" not in found


def test_what_the_file_does_not_hold_stays(engine: HookEngine) -> None:
    """Hooks and fields alike; `prune` removes the hooks."""
    engine.hooks.add(hook("Old", key="old"))
    engine.hooks.add(hook("Stock", key="stock", position=77, active=False))
    source = sheet(stock={"timeout": 3}, new=NEW)
    assert actions(import_hooks(engine, source)) == {"stock": "change", "new": "add"}
    assert (engine.hooks.get("stock").position, engine.hooks.get("stock").active) == (77, False)
    assert actions(import_hooks(engine, source, prune=True)) == {"stock": "same", "new": "same", "old": "remove"}
    assert {each.key for each in engine.hooks.list()} == {"stock", "new"}
    assert engine.hooks.history("old")[0].action == "remove"


def test_a_dry_run_shows_fields_and_the_rows_new_time(engine: HookEngine) -> None:
    """And writes nothing."""
    engine.hooks.add(hook("a", key="a", fire_and_forget=False, wait_for_response=True, timeout=2))
    before = export_hooks(engine, revisions=True)
    source = sheet(a={"timeout": 4}, b={**NEW, "wait_for_response": True, "fire_and_forget": False, "timeout": 10})
    done = import_hooks(engine, source, dry_run=True)
    assert done.changes[0].fields == (("timeout", 2.0, 4.0),)
    assert [(each.event, each.before, each.after) for each in done.rows] == [(EVENT, 2.0, 14.0)]
    assert (done.applied, export_hooks(engine, revisions=True)) == (False, before)
    import_hooks(engine, source)
    moved = import_hooks(engine, sheet(a={"event": "on_subscription"}, b={"active": False}))
    assert {each.event: (each.before, each.after) for each in moved.rows} == {EVENT: (14, 0), "on_subscription": (0, 4)}
    assert not import_hooks(engine, sheet(a={"event": "on_subscription"}, b={"active": False})).changed


def test_every_fault_is_told_at_once_with_its_line(engine: HookEngine) -> None:
    """Unknown fields and events by name; nothing of the file is taken."""
    source = """hookrow: 1
hooks:
  fine:
    name: Fine
    event: before_order_add
    url: https://receiver.test/
  stock:
    naem: Stock
    event: before_dinner
    name: Stock
    url: https://receiver.test/
  old:
    timeout: 99
    name: Old
    event: before_order_add
    url: ftp://receiver.test/
    condition: order.sum >
  Bad key: {}
extra: 1
"""
    told = faults(engine, source)
    assert [line for line in told if line.startswith("line 8, stock.naem: ")]
    assert [line for line in told if line.startswith("line 9, stock.event: ") and "before_dinner" in line]
    assert [line for line in told if line.startswith("line 13, old.timeout: ")]
    assert [line for line in told if line.startswith("line 16, old.url: ")]
    assert [line for line in told if line.startswith("line 18, Bad key: ")]
    assert [line for line in told if line.startswith("line 19, extra: ")]
    assert engine.hooks.list() == []


@pytest.mark.parametrize("text", ["on", "yes", "да", "true", "True", "1"])
def test_flags_in_words_and_names_that_look_like_them(engine: HookEngine, text: str) -> None:
    """YAML guesses no type: a flag reads the word, a name stays a name."""
    fields = f"name: {text}\n    event: {EVENT}\n    url: http://r.test/\n    active: {text}\n"
    import_hooks(engine, f"hookrow: 1\nhooks:\n  a:\n    {fields}")
    assert (engine.hooks.get("a").name, engine.hooks.get("a").active) == (text, True)


@pytest.mark.parametrize("text", ["+7d", "today", "завтра", "end of month", "01.11", "2026-11-01T00:00:00"])
def test_a_moment_must_mean_the_same_every_day(engine: HookEngine, text: str) -> None:
    """What depends on the day of the import, or lacks its offset, is refused."""
    [found] = faults(engine, sheet(a={**NEW, "valid_until": text}))
    assert "a.valid_until" in found


def test_moments_in_the_settings_zone_or_with_an_offset(engine: HookEngine) -> None:
    """As in the form: a date alone as the end is to the end of that day."""
    engine.settings.set("timezone", "Europe/Moscow")
    import_hooks(engine, sheet(a={**NEW, "valid_from": "01.11.2026 00:00", "valid_until": "01.11.2026"}))
    kept = engine.hooks.get("a")
    assert kept.valid_from == datetime(2026, 10, 31, 21, tzinfo=UTC)
    assert kept.valid_until == datetime(2026, 11, 1, 21, tzinfo=UTC)


BOMB = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n"


@pytest.mark.parametrize(
    "source",
    [
        "",
        "# nothing\n",
        "[]",
        "hooks: {}",
        "hookrow: 2\nhooks: {}",
        "hookrow: 1",
        "hookrow: 1\nhooks: []",
        "hookrow: 1\nhooks: {a: 1}",
        "hookrow: 1\nhooks: {a: {name: [1]}}",
        "hookrow: 1\nhooks: {a: {}}\n---\nhookrow: 1\n",
        "hookrow: 1\nhooks: {a: {}, a: {}}",
        "hookrow: 1\nhookrow: 1\nhooks: {}",
        "hookrow: 1\nhooks: {a: {name: x, name: y}}",
        BOMB,
        "hookrow: 1\nhooks: &x {a: *x}",
        "hookrow: 1\nhooks: !!python/object/apply:os.system [ls]",
        "hookrow: 1\nhooks: {a: {<<: {name: x}}}",
        "hookrow: 1\nhooks: {a: {name: \t- x",
        'hookrow: 1\nhooks: {a: {name: "\\UFFFFFFFF"}}',
        'hookrow: 1\nhooks: {a: {name: "\\ud800", event: before_order_add, url: "http://a.b/"}}',
        "hookrow: 1\nhooks: " + "[" * 20_000,
        "hookrow: 1\nhooks: {? [a] : {}}",
        "hookrow: 1\nhooks: {a: {name: x\x00}}",
        "x" * (LIMIT + 1),
        b"hookrow: 1\nhooks: {a: {name: \xff}}",
        "hookrow: 1\nhooks: {a: {revision: x}}",
        "hookrow: 1\nhooks: {a: {revision: -1}}",
    ],
)
def test_what_is_no_file_of_hooks_is_refused(kept_engine: HookEngine, source: str | bytes) -> None:
    """In words with a line, quickly, and without a change."""
    assert all(each.startswith("line ") for each in faults(kept_engine, source))


def test_an_empty_list_is_no_fault(engine: HookEngine) -> None:
    """It changes nothing unless it prunes."""
    engine.hooks.add(hook(key="a"))
    for source in ("hookrow: 1\nhooks:\n", "hookrow: 1\nhooks: {}\n"):
        assert not import_hooks(engine, source).changed
    assert actions(import_hooks(engine, source, prune=True)) == {"a": "remove"}


SCALAR = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from([EVENT, "kept"])
)
FIELD_NAME = st.sampled_from([*(each.code for each in FIELDS), "custom_header_value", "revision", "x"])
HOOK = st.dictionaries(FIELD_NAME, SCALAR, max_size=6)
TREES = st.dictionaries(st.sampled_from(["a", "b-1", "A", ""]), HOOK | SCALAR, max_size=3)


@given(TREES | SCALAR, st.sampled_from(["yaml", "flow"]))
@PROPERTY
def test_any_tree_is_taken_or_refused_in_words(engine: HookEngine, tree: Any, style: str) -> None:
    """Nothing but the declared refusal; what was taken is no change the second time."""
    source = yaml.safe_dump({"hookrow": 1, "hooks": tree}, default_flow_style=style == "flow", allow_unicode=True)
    taken_or_refused(engine, source)


@given(st.text(max_size=200) | st.text("hookrow: 1\ns{}[]&*!|>-?#'\"\\x0u,", max_size=200))
@PROPERTY
def test_any_text_is_taken_or_refused_in_words(engine: HookEngine, text: str) -> None:
    """Also as the end of a file that begins well."""
    taken_or_refused(engine, text)
    taken_or_refused(engine, f"hookrow: 1\nhooks:\n  a:\n    name: {text}")


@pytest.mark.torture
@given(TREES | SCALAR, st.text(max_size=400))
@settings(PROPERTY, max_examples=3000)
def test_any_tree_and_any_text_for_long(engine: HookEngine, tree: Any, text: str) -> None:
    """As above, many times over."""
    taken_or_refused(engine, yaml.safe_dump({"hookrow": 1, "hooks": tree}, allow_unicode=True))
    taken_or_refused(engine, f"hookrow: 1\nhooks:\n  a:\n    name: {text}")


def taken_or_refused(engine: HookEngine, source: str) -> None:
    """An import that ends in one of the two ways there are."""
    try:
        import_hooks(engine, source, environ={})
    except InvalidImport:
        return
    assert not import_hooks(engine, source, environ={}).changed


def test_only_those_are_removed_that_somebody_agreed_to(engine: HookEngine) -> None:
    """`prune` with keys: what a colleague added since the question stays."""
    for key in ("old", "colleagues"):
        engine.hooks.add(Hook(key=key, name=key, event="before_order_add", url="http://x.test/"))
    done = import_hooks(engine, "hookrow: 1\nhooks: {}\n", prune=["old"])
    assert [(each.key, each.action) for each in done.changes] == [("old", "remove")]
    assert [each.key for each in engine.hooks.list()] == ["colleagues"]


@pytest.mark.parametrize("place", ["a{}b", "{}\n", "a{}b\nc\n", "x\n{}", " {} x\ny"])
@pytest.mark.parametrize("sign", ["\x85", "\u2028", "\u2029", "\ufeff", "\xa0", "\r", "\t"])
def test_line_ends_that_only_some_know_come_back(kept_engine: HookEngine, place: str, sign: str) -> None:
    """In a body of one line or of many, wherever they stand: the second export is the first."""
    engine = kept_engine
    engine.hooks.update("a", body="{# " + place.format(sign) + " #}1")
    kept = engine.hooks.get("a").body
    source = export_hooks(engine)
    engine.hooks.update("a", body="")
    import_hooks(engine, source)
    assert (engine.hooks.get("a").body, export_hooks(engine)) == (kept, source)


SWITCH = f"together:{EVENT}"


def test_a_file_says_which_events_ask_gates_together(engine: HookEngine, other: HookEngine) -> None:
    """Written where it was ever set, read in the same transaction; what is not named stays, and twice is no change."""
    for n in range(3):
        engine.hooks.add(hook(f"g{n}", wait_for_response=True, fire_and_forget=False, position=10, timeout=4))
    assert "events" not in yaml.safe_load(export_hooks(engine))
    engine.settings.set(SWITCH, "on")
    text = export_hooks(engine)
    assert yaml.safe_load(text)["events"] == {EVENT: {"together": True}}
    assert "events" not in yaml.safe_load(export_hooks(engine, event="before_user_new"))
    assert "events" not in yaml.safe_load(export_hooks(engine, keys=["g0"]))
    jsonschema.validate(yaml.safe_load(text), schema())
    dry = import_hooks(other, text, dry_run=True)
    assert [each.as_json() for each in dry.events] == [{"event": EVENT, "together": [False, True]}]
    assert [each.as_json() for each in dry.rows] == [{"event": EVENT, "before": 0.0, "after": 4.0}]
    assert other.settings.together() == frozenset()
    import_hooks(other, text)
    assert other.settings.together() == {EVENT}
    assert not import_hooks(other, text).changed
    assert import_hooks(other, sheet()).events == ()
    turned = text.replace("together: true", "together: no")
    assert [each.after for each in import_hooks(other, turned).rows] == [12.0]
    assert other.settings.get(SWITCH) == "off"
    assert [each.subject for each in other.log.deeds() if each.action == "setting"] == [
        f"{SWITCH} = off",
        f"{SWITCH} = on",
    ]


def test_a_position_that_changes_who_is_asked_together_changes_the_time(engine: HookEngine) -> None:
    """The dry run says how long an operation may wait then."""
    for n in range(2):
        engine.hooks.add(hook(f"g{n}", wait_for_response=True, fire_and_forget=False, position=10, timeout=4))
    engine.settings.set(SWITCH, "on")
    moved = import_hooks(engine, sheet(**{"hook-2": {"position": 20}}), dry_run=True)
    assert [each.as_json() for each in moved.rows] == [{"event": EVENT, "before": 4.0, "after": 8.0}]
    beside = sheet(new={**NEW, "wait_for_response": True, "fire_and_forget": False, "position": 10, "timeout": 5})
    assert [each.after for each in import_hooks(engine, beside, dry_run=True).rows] == [5.0]


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ({"after_registration": {"together": True}}, "line 1, events.after_registration.together"),
        ({"before_order_ad": {"together": True}}, "events.before_order_ad.together"),
        ({EVENT: {"together": "perhaps"}}, f"events.{EVENT}.together"),
        ({EVENT: {"alone": True}}, f"events.{EVENT}.alone"),
        ({EVENT: {"together": [1]}}, f"events.{EVENT}.together"),
        ({EVENT: {}}, f"events.{EVENT}:"),
        ({EVENT: None}, f"events.{EVENT}:"),
        ([EVENT], "events:"),
        ("on", "events:"),
    ],
)
def test_what_a_file_may_not_say_of_events(kept_engine: HookEngine, events: Any, said: str) -> None:
    """Nothing is written then, with the line and the place."""
    source = json.dumps({"hookrow": 1, "events": events, "hooks": {"new": NEW}})
    [fault] = faults(kept_engine, source)
    assert said in fault
    assert [each.key for each in kept_engine.hooks.list()] == ["a"]


@pytest.mark.parametrize("empty", [None, "", " "])
def test_an_empty_flag_is_refused(engine: HookEngine, empty: str | None) -> None:
    """The flags' defaults are no answer: gates would be asked together, a hook that is off would go on."""
    engine.hooks.add(hook(key="stock", active=False))
    source = json.dumps({"hookrow": 1, "events": {EVENT: {"together": empty}}, "hooks": {"stock": {"active": empty}}})
    told = faults(engine, source)
    assert sorted(each.split(",")[1] for each in told) == [
        f" events.{EVENT}.together: Yes or no.",
        " stock.active: Yes or no.",
    ]


@pytest.mark.parametrize("empty", [None, "", " "])
def test_an_empty_position_is_none(engine: HookEngine, empty: str | None) -> None:
    """A hook that is there stays where it stands, a new one comes last; with others at the event, too."""
    engine.hooks.add(hook("A", key="a", position=10))
    engine.hooks.add(hook("B", key="b", position=20))
    done = import_hooks(engine, sheet(a={"position": empty}, c={**NEW, "position": empty}))
    assert actions(done) == {"a": "same", "c": "add"}
    assert [(each.key, each.position) for each in engine.hooks.list()] == [("a", 10), ("b", 20), ("c", 30)]


def test_a_moment_finer_than_is_kept_is_no_difference(engine: HookEngine) -> None:
    """Twice is no change; the last microsecond of a day is still of that day."""
    source = sheet(stock={**NEW, "valid_until": "2026-11-01T23:59:59.999999Z"})
    assert import_hooks(engine, source).changed
    assert engine.hooks.get("stock").valid_until == datetime(2026, 11, 1, 23, 59, 59, 999_000, UTC)
    assert not import_hooks(engine, source).changed
