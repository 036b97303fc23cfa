"""Reasons: kept as code and values, said in the language of whoever reads them; other texts are shown as they are."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hookrow
from hookrow import Hook, HookEngine, lang
from hookrow.reasons.catalogue import REASONS
from hookrow.reasons.reason import Reason, fields, from_kept, keep, read
from hookrow.records import LogFilter
from hookrow.store.database.database import Database
from hookrow.testing import HookReceiver, allows, fails, vetoes
from schemas import make_oldest, ours

ROOMS = ("template/*.py", "transport/*.py", "delivery/*.py", "middleware/views.py")
"""Where nothing is said that is not recorded."""
ENGINE = Path(hookrow.__file__).parent


@pytest.fixture(autouse=True)
def language() -> Iterator[None]:
    """Whatever a test speaks, the next one begins in English."""
    yield
    lang.use("en")


def filled(code: str) -> Reason:
    """The reason with a value for each of its fields."""
    return Reason(code, **{name: f"<{name}>" for name in fields(code)})


@pytest.mark.parametrize("code", REASONS)
def test_each_reason_is_kept_and_said_in_both_languages(code: str) -> None:
    """With all of its values, whichever language wrote it; nothing of the pattern is left over."""
    found = read(keep(filled(code)))
    assert isinstance(found, Reason)
    assert found.as_json() == filled(code).as_json()
    for language in ("en", "ru"):
        said = found.said(language)
        assert all(f"<{name}>" in said for name in fields(code))
        assert not re.search(r"\{\w+\}", said)


def test_no_code_is_ever_renamed() -> None:
    """Rows of the log hold them; a reason that is given no more stays readable."""
    kept = (Path(__file__).parent / "reason_codes.txt").read_text().split()
    assert set(kept) <= set(REASONS)


def test_whatever_is_recorded_has_a_code() -> None:
    """The rooms that make reasons speak by code alone."""
    paths = [path for pattern in ROOMS for path in sorted(ENGINE.glob(pattern))]
    nodes = ((path, node) for path in paths for node in ast.walk(ast.parse(path.read_text())))
    calls = ((path, node) for path, node in nodes if isinstance(node, ast.Call))
    spoken = [
        (str(path.relative_to(ENGINE)), node.lineno)
        for path, node in calls
        if isinstance(node.func, ast.Name) and node.func.id in ("Text", "Plural")
    ]
    # A refusal of the caller, by either transport; a text masked as it came.
    misuse = ("transport/wire.py", "transport/line.py", "delivery/concealing.py")
    assert [each for each in spoken if each[0] not in misuse] == [], (
        "a Text here is recorded: give it a code in reasons/catalogue.py"
    )


def test_values_may_be_reasons() -> None:
    """The inner ones are said in the reader's language as well."""
    outer = Reason("condition_gives", kind=Reason("kind_list"))
    assert keep(outer) == '{"t":"condition_gives","v":{"kind":{"t":"kind_list","v":{}}}}'
    found = read(keep(outer))
    assert isinstance(found, Reason)
    assert found.said("en") == "the condition gives a list, not true or false"
    assert "список" in found.said("ru")
    assert found.as_json() == {"code": "condition_gives", "values": {"kind": {"code": "kind_list", "values": {}}}}


LOOKALIKES = [
    '{"t":"kind_list","v":{}}',
    '{"t":"nothing_of_ours","v":{}}',
    '{"t":"receiver_answered","v":{}}',
    '{"t":"receiver_answered","v":{"status":[]}}',
    '{"t":"receiver_answered","v":{"status":{"t":"x","v":{}}}}',
    '{"t":"kind_list","v":{},"x":1}',
    '{"t":[],"v":{}}',
    '{"t":',
    '{"t":' + "[" * 100_000,
    '{"t":"as_said","v":{"text":"{0}{__class__}"}}',
    "\0 \ud800",
    "",
]


@pytest.mark.parametrize("foreign", LOOKALIKES)
def test_a_foreign_text_is_never_taken_for_a_reason(foreign: str) -> None:
    """A receiver's message, a person's word: what comes back is the text as it came in."""
    column = keep(foreign)
    assert column is not None
    assert str(read(column)) == foreign.replace("\0", "\ufffd").replace("\ud800", "\ufffd")


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_column_written_by_anybody_can_be_shown(value: Any) -> None:
    """Whatever JSON stands there: a reason, or the text itself."""
    for column in (json.dumps(value), json.dumps({"t": "receiver_answered", "v": value}, separators=(",", ":"))):
        assert isinstance(str(read(column)), str)
    assert from_kept({"t": "receiver_answered", "v": value}) is None or "status" in value


def url_of(database: Database) -> str:
    """Its URL for an engine; this process's own connections are closed."""
    database.disconnect()
    return database.address.render_as_string(hide_password=False)


def gate(key: str, event: str, receiver: HookReceiver, **more: Any) -> Hook:
    """A hook that is waited for."""
    return Hook(key=key, name=key.upper(), event=event, url=receiver.url, wait_for_response=True, **more)


def test_each_reader_of_one_database_reads_their_own_language(database: Database) -> None:
    """Written by an English service, read by a Russian administrator: details, warnings, refusals and pauses."""
    url = url_of(database)
    with (
        HookReceiver(fails(410)) as gone,
        HookReceiver(vetoes("sold out")) as no,
        HookEngine(url, worker=False) as engine,
    ):
        engine.hooks.add(
            Hook(
                key="gone",
                name="Gone",
                event="before_order_add",
                url=gone.url,
                wait_for_response=True,
                on_failure="stop",
            )
        )
        engine.hooks.add(Hook(key="no", name="No", event="before_order_update", url=no.url, wait_for_response=True))
        stopped = engine.fire("before_order_add", {"order": {"id": 7}})
        refused = engine.fire("before_order_update", {"order": {"id": 7}})
        assert stopped.deliveries[0].detail == Reason("receiver_gone").said("en")
    lang.use("ru")
    with HookEngine(url, worker=False) as engine:
        firing = engine.log.get(stopped.id)
        [delivery] = firing.deliveries
        [attempt] = engine.log.attempts(delivery.id)
        for told in (delivery.detail, attempt.detail):
            assert told == Reason("receiver_gone").said("ru")
        assert firing.veto is not None
        assert firing.veto.message == Reason("unavailable").said("ru")
        assert engine.hooks.get("gone").paused_reason == Reason("paused_gone").said("ru")
        assert engine.hooks.history("gone")[0].after["paused_reason"] == Reason("paused_gone").said("ru")
        assert delivery.as_json()["reason"] == {"code": "receiver_gone", "values": {}}
        assert attempt.as_json()["reason"] == {"code": "receiver_gone", "values": {}}
        assert firing.veto.as_json()["reason"] == {"code": "unavailable", "values": {}}
        foreign = engine.log.get(refused.id)
        assert foreign.deliveries[0].detail == "sold out"
        assert foreign.deliveries[0].as_json()["reason"] is None
    with database.read() as connection:
        assert ours(connection, "SELECT detail FROM main.attempt WHERE error IS NOT NULL").scalars().all() == [
            '{"t":"receiver_gone","v":{}}'
        ]


def test_warnings_are_kept_by_code(database: Database) -> None:
    """Ours beside the receiver's own words, which stay as they were said."""
    url = url_of(database)
    with HookReceiver(allows(warnings=["3 left", 5])) as receiver, HookEngine(url, worker=False) as engine:
        engine.hooks.add(gate("a", "before_order_add", receiver))
        fired = engine.fire("before_order_add", {"order": {"id": 7}})
        assert fired.warnings == ("A: 3 left", f"A: {Reason('warning_no_text')}")
    lang.use("ru")
    with HookEngine(url, worker=False) as engine:
        firing = engine.log.get(fired.id)
        assert firing.warnings[0] == "A: 3 left"
        assert firing.warnings[1] == Reason("warned", hook="A", warning=Reason("warning_no_text")).said("ru")


def test_what_was_recorded_before_is_shown_as_it_is(tmp_path: Path) -> None:
    """Texts of schema 0001, in whatever language they were written."""
    lang.use("ru")
    with HookEngine(make_oldest(tmp_path / "oldest.db"), worker=False) as engine:
        details = {each.detail for firing in engine.log.page(LogFilter()) for each in firing.deliveries}
        assert {"The receiver answered 503.", "Нет на складе", "order.sum > 1000"} <= details
        assert "bad_status 503" in str(engine.hooks.get("guard").paused_reason)
        assert "подряд" in str(engine.hooks.get("guard").paused_reason)
        assert engine.hooks.get("crm").paused_reason == "учёт переезжает"


def test_the_callers_client_is_told_in_the_settings_language(tmp_path: Path) -> None:
    """Not in that of the process; and the same again where the outcome of an earlier firing is given."""
    with HookReceiver(fails(500)) as receiver, HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
        engine.hooks.add(gate("a", "before_order_add", receiver, on_failure="stop"))
        assert engine.settings.get("language") == "en"
        engine.settings.set("language", "ru")
        firing = engine.fire("before_order_add", {"order": {"id": 7}})
        assert firing.veto is not None
        assert firing.veto.message == "Сервис временно недоступен"
        assert firing.veto.hook.key == "a"
        recorded = engine.log.get(firing.id)
        assert recorded.veto is not None
        assert recorded.veto.message == "The service is temporarily unavailable"
        engine.hooks.update("a", {"fallback_message": "Сервис временно недоступен"})  # as forms once filled it in
        engine.settings.set("language", "en")
        told = engine.fire("before_order_add", {"order": {"id": 7}}).veto
        assert told is not None
        assert told.message == "The service is temporarily unavailable"
        engine.hooks.update("a", {"fallback_message": '{"t":"kind_list","v":{}}'})
        firing = engine.fire("before_order_add", {"order": {"id": 7}})
        recorded = engine.log.get(firing.id)
        assert firing.veto is not None
        assert recorded.veto is not None
        assert firing.veto.message == recorded.veto.message == '{"t":"kind_list","v":{}}'
        assert recorded.veto.reason is None, "a hook's own message is nobody's reason"


@pytest.mark.parametrize(("locale", "language"), [("ru_RU.UTF-8", "ru"), ("C", "en"), ("de_DE.UTF-8", "en")])
def test_a_new_database_takes_its_language_from_the_locale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locale: str, language: str
) -> None:
    """Once, when it is made; an upgraded one when it is upgraded."""
    for name in ("HOOKROW_LANG", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", locale)
    urls = [f"sqlite:///{tmp_path}/new.db", make_oldest(tmp_path / "oldest.db")]
    for url in urls:
        HookEngine(url, worker=False).close()
    monkeypatch.setenv("LANG", "fr_FR.UTF-8")
    for url in urls:
        with HookEngine(url, worker=False) as engine:
            assert engine.settings.get("language") == language
