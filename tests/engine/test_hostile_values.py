"""Values that a database, JSON or a terminal may choke on, through the front door, on both databases."""

from __future__ import annotations

import contextlib
import inspect
import random
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from engine_bench import Bench
from hookrow import AsyncHookEngine, Event, Hook, HookEngine
from hookrow.errors import (
    HookNotFound,
    HookrowError,
    InvalidHook,
    InvalidInput,
    InvalidPayload,
    InvalidSetting,
    NoDatabase,
)
from hookrow.hook.fields import FIELD
from hookrow.lang import Both
from hookrow.records import LogFilter
from scripted import HandClock, Network, answer

pytestmark = pytest.mark.anyio

LONG = random.Random(1).randbytes(4000).hex()
"""What no index of PostgreSQL takes, and no compression makes small enough."""
HALVES = ("\ud800", "\udcff")
"""Halves of characters: JSON that we take holds none, and UTF-8 has no form for them."""
ODD = (
    *("\0", "a\0b", "\x1b]52;c;\x07", "\u202e", "'; DROP TABLE hook; --", "%", "9" * 400, "é" * 5000, "", LONG),
    *HALVES,
)
ESCAPES = {"\0": "\\u0000", "\x1b": "\\u001b", "\x07": "\\u0007"}


@pytest.fixture
async def odd(either_url: str, anyio_backend: str) -> AsyncIterator[Bench]:
    """A bench on each database."""
    network, clock = Network(), HandClock()
    async with AsyncHookEngine(either_url, worker=False, transport=network, clock=clock) as engine:
        yield Bench(engine, network, clock)


async def test_what_a_receiver_says_can_be_recorded(odd: Bench) -> None:
    """Every text of a reply: keys, messages, warnings, results, as a change, a veto, a fault."""
    await odd.transform("t")
    await odd.hook("r", fire_and_forget=False, response_has_data=True)
    for value in [each for each in ODD if each not in HALVES]:
        name = "".join(ESCAPES.get(letter, letter) for letter in value)
        for said in (
            {
                "allow": False,
                "message": value,
                "code": value,
                "errors": [{"path": value, "code": value, "message": value}],
            },
            {"warnings": [value], "result": {value: value}},
            {"data": {"order": {"id": 7, "note": value, value: 1}}},
            {"data": {value: 1}},
            f'{{"{name}x": 1, "{name}x": 2}}'.encode(),
        ):
            odd.network.on("t", answer(200, said))
            odd.network.on("r", answer(500, said))
            firing = await odd.fire()
            kept = await odd.engine.send_own(firing)
            assert [each.outcome for each in kept.deliveries][-1] in ("retrying", "skipped")
            told, recorded = firing.deliveries[0], kept.deliveries[0]
            assert (told.as_json(), told.detail) == (recorded.as_json(), recorded.detail)
            assert kept.as_json()["veto"] == firing.as_json()["veto"]
            assert list(kept.warnings) == list(firing.warnings)


async def test_what_a_caller_gives_is_kept_or_refused(odd: Bench) -> None:
    """Payloads, their keys, values that order deliveries, idempotency keys."""
    await odd.gate("g")
    await odd.hook("o", fire_and_forget=False, order_key="/order/id")
    for value in ODD:
        for payload in ({"order": {"id": value}}, {value: {"order": value}}, {"order": {value: [value]}}):
            if value in HALVES:
                with pytest.raises(InvalidPayload):
                    await odd.fire(payload)
                continue
            firing = await odd.engine.send_own(await odd.fire(payload))
            assert (await odd.engine.log.get(firing.id)).payload == payload
            assert {each.outcome for each in firing.deliveries} <= {"ok", "queued", "retrying"}
        if len(value) > 300 or "\0" in value or value in HALVES:
            with pytest.raises(InvalidInput, match="idempotency_key"):
                await odd.fire(idempotency_key=value)
        else:
            first, again = [await odd.fire(idempotency_key=value) for _ in range(2)]
            assert (again.reused, again.id) == (True, first.id)


async def test_what_a_person_types_finds_or_is_refused(odd: Bench) -> None:
    """References, reasons, names: found, kept, or refused with a sentence."""
    hook = await odd.gate("g")
    firing = await odd.fire()
    engine = odd.engine
    for value in ODD:
        for ask in (
            lambda text: engine.hooks.get(text),
            lambda text: engine.hooks.history(text),
            lambda text: engine.hooks.list(event=text),
            lambda text: engine.hooks.pause(hook.id, text),
            lambda text: engine.hooks.resume(hook.id),
            lambda text: engine.hooks.update(hook.id, name=text),
            lambda text: engine.hooks.update(hook.id, fallback_message=text),
            lambda text: engine.hooks.update(hook.id, custom_header=f"X-A: {text}"),
            lambda text: engine.hooks.update(hook.id, auth_password=text),
            lambda text: engine.hooks.update(hook.id, body=f'{{"a": "{text}"}}'),
            lambda text: engine.hooks.update(hook.id, condition=f'order.id == "{text}"'),
            lambda text: engine.hooks.preview("before_order_add", text),
            lambda text: engine.log.get(text),
            lambda text: engine.log.get(f"evt_{text}"),
            lambda text: engine.log.attempts(text),
            lambda text: engine.log.attempts(f"msg_{text}"),
            lambda text: engine.redeliver(text),
            lambda text: engine.redeliver(firing.id, to=text),
            lambda text: engine.replay(text),
            lambda text: engine.replay(firing.id, hook=text),
            lambda text: engine.explain(text, {}),
            lambda text: engine.fire(text, {}),
            lambda text: engine.settings.set("egress_allow", text),
            lambda text: engine.settings.set(text, "1"),
        ):
            with contextlib.suppress(HookrowError):
                await ask(value)
    assert (await engine.hooks.get(hook.id or 0)).id == hook.id


@pytest.mark.parametrize("text", [*HALVES, "a\ud800b", "a\0b"])
async def test_every_text_is_taken_or_refused_by_name(odd: Bench, text: str) -> None:
    """Whatever takes a text at the front door raises only what the tree of errors declares."""
    engine, kind, here = odd.engine, "after_registration", "http://a.test/"
    hook = await odd.hook("h", event=kind)
    fired = (await odd.fire({"user": {"id": 1}}, event=kind)).id
    calls: list[Callable[[], Any]] = [
        *(
            partial(asked, engine.log.page, LogFilter, **{name: text})
            for name in ("event", "outcome", "search", "code")
        ),
        *(partial(asked, engine.log.ids, LogFilter, hook=1, **{name: text}) for name in ("event", "outcome", "code")),
        *(partial(engine.hooks.update, hook.id, **{name: text}) for name in FIELD),
        *(partial(each, text) for each in (engine.hooks.get, engine.hooks.list, engine.hooks.history, engine.test)),
        *(partial(each, text) for each in (engine.log.get, engine.log.delivery, engine.log.attempts)),
        *(partial(each, text) for each in (engine.replay, engine.redeliver, engine.last_payload, engine.settings.get)),
        *(partial(engine.settings.set, each.name, text) for each in await engine.settings.list()),
        partial(engine.fire, text, {}),
        partial(engine.fire, kind, {"user": {"id": 1}}, idempotency_key=text),
        partial(engine.hooks.pause, hook.id, text),
        partial(engine.condition_matches, kind, text),
        partial(engine.condition_matches, text, "true"),
        partial(engine.explain, text, {}),
        partial(engine.replay, fired, to=here + text),
        partial(engine.replay, fired, hook=text),
        partial(engine.events.match, "GET", f"/{text}"),
        partial(engine.events.match, text, "/"),
    ]
    for call in calls:
        with contextlib.suppress(HookrowError):
            answered = call()
            if inspect.isawaitable(answered):
                await answered


async def asked(call: Callable[[LogFilter], Any], made: Callable[..., LogFilter], **given: Any) -> Any:
    """The answer to a filter; making it may be refused as well."""
    return await call(made(**given))


@pytest.mark.parametrize("text", [*HALVES, "a\ud800b", "a\0b"])
def test_an_event_of_no_writable_text_is_refused(text: str) -> None:
    """In its title, in either language, and in all else that it is made of."""
    for given in (
        {"title": text},
        {"title": Both("Kept", text)},
        {"title": Both(text, "Хранится")},
        {"code": text},
        {"moment": text},
        {"origin": text},
        {"methods": (text,)},
        *([{"sample": {"a": text}}, {"sample": {text: 1}}, {"private": (f"/{text}",)}] if "\0" not in text else []),
    ):
        with pytest.raises(InvalidInput):
            Event(**{"code": "stock.moved", "title": "Stock moved", "moment": "after", **given})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["\ud800", "a\0b"])
def test_a_database_of_no_writable_name_is_refused(text: str) -> None:
    """As any other that can't be opened."""
    with pytest.raises(NoDatabase):
        HookEngine(f"sqlite:///{text}.db", worker=False)


async def test_numbers_beyond_all_bounds_are_refused_in_words(odd: Bench) -> None:
    """More digits than Python reads, more bits than a database keeps, moments beyond the calendar in UTC."""
    digits = "9" * 5000
    await odd.gate("h")
    with pytest.raises(HookNotFound):
        await odd.engine.hooks.get(digits)
    with pytest.raises(HookNotFound):
        await odd.engine.hooks.change_several({2**70: 1}, "pause")
    for name, value in (("retention_days", digits), ("retention_bytes", digits + "G"), ("egress_allow", f"a:{digits}")):
        with pytest.raises(InvalidSetting):
            await odd.engine.settings.set(name, value)
    for timeout in (10**400, float("nan"), float("inf"), -(10**400)):
        with pytest.raises(InvalidHook, match=r"from 0\.1 to 30"):
            Hook(name="h", event="before_order_add", url="http://h/", timeout=timeout)
    east, west = (timezone(timedelta(hours=hours)) for hours in (3, -3))
    for moment in (datetime(1, 1, 1, tzinfo=east), datetime(9999, 12, 31, 23, tzinfo=west)):
        with pytest.raises(InvalidPayload) as caught:
            await odd.fire({"at": moment})
        assert caught.value.pointer == "/at"
