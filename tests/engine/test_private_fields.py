"""Private fields: waiting hooks receive them from memory; nothing that is kept, queued, shown or logged holds them."""

from __future__ import annotations

import json
import logging
import shutil
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine_bench import Bench
from hookrow import AsyncHookEngine, Event, Vetoed
from hookrow.delivery.concealing import Concealer, is_name, public_changes
from scripted import HandClock, Network, answer

pytestmark = pytest.mark.anyio
CANARY = "s3cr3t-Канарейка\"'\\"
EVENT = "before_registration"
PAYLOAD = {"user": {"id": 7, "name": "Anna", "password": CANARY}}
DEEP = json.dumps(CANARY).strip('"'), json.dumps(CANARY, ensure_ascii=False).strip('"'), CANARY, "s3cr3t"


def kept_bytes(bench: Bench) -> bytes:
    """Every byte of the database, its WAL included."""
    path = bench.engine.path
    assert path is not None
    return b"".join(each.read_bytes() for each in path.parent.iterdir() if each.is_file())


def holds_canary(data: bytes) -> bool:
    """In any spelling."""
    return any(form.encode() in data for form in DEEP)


async def test_a_waiting_hook_receives_the_value_and_a_background_one_null(bench: Bench) -> None:
    """The log names the pointer."""
    await bench.gate("w", event=EVENT)
    await bench.hook("bg", event=EVENT)
    firing = await bench.engine.send_own(await bench.fire(PAYLOAD, event=EVENT))
    assert bench.network.bodies("w")[0]["data"]["user"]["password"] == CANARY
    assert bench.network.bodies("bg")[0]["data"]["user"]["password"] is None
    assert tuple((await bench.engine.log.get(firing.id)).hidden) == ("/user/password",)


async def test_the_caller_keeps_its_value(bench: Bench) -> None:
    """`firing.data` is what the host goes on with; the exported form shows null."""
    await bench.transform("w", event=EVENT)
    firing = await bench.fire(PAYLOAD, event=EVENT)
    assert firing.data == PAYLOAD
    assert firing.as_json()["data"]["user"]["password"] is None


ECHOES: dict[str, Any] = {
    "data": {"data": {"user": {"password": CANARY, "name": "Eva"}}},
    "elsewhere": {"data": {"user": {"comment": f"is {CANARY}!"}}},
    "result": {"result": {"seen": [CANARY, 1]}},
    "veto": {"allow": False, "message": f"{CANARY} is weak", "code": CANARY, "errors": [{"message": CANARY}]},
    "warning": {"warnings": [f"weak: {CANARY}"]},
    "unknown": {"x": {CANARY: CANARY}},
    "envelope": {"id": "evt", "data": PAYLOAD},
}


@pytest.mark.parametrize("kind", ["gate", "transform"])
@pytest.mark.parametrize("echo", ECHOES)
async def test_no_byte_that_is_kept_holds_an_echo(
    bench: Bench, echo: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Database, WAL, logs at DEBUG, reprs, tracebacks and the log's view, whatever the receiver sends back."""
    caplog.set_level(logging.DEBUG)
    bench.network.on("w", answer(body=ECHOES[echo]))
    await getattr(bench, kind)("w", event=EVENT)
    await bench.hook("bg", event=EVENT)
    firing = await bench.engine.send_own(await bench.fire(PAYLOAD, event=EVENT))
    said = [caplog.text, repr(firing), json.dumps(firing.as_json()["veto"], ensure_ascii=False)]
    try:
        firing.raise_for_veto()
    except Vetoed as error:
        said += traceback.format_exception(error)
    logged = await bench.engine.log.get(firing.id)
    attempts = [each for delivery in logged.deliveries for each in await bench.engine.log.attempts(delivery.id)]
    said += [repr(logged), json.dumps(logged.as_json(), ensure_ascii=False), repr(logged.payload), repr(attempts)]
    assert not holds_canary("\n".join(said).encode())
    assert not holds_canary(kept_bytes(bench))
    assert not any(CANARY in json.dumps(body, ensure_ascii=False) for body in bench.network.bodies("bg"))


@pytest.mark.parametrize(
    "body", [b"no json: " + CANARY.encode(), json.dumps([CANARY]).encode(), b"\xff" + CANARY.encode()]
)
async def test_a_failed_answer_that_echoes_is_not_kept(bench: Bench, body: bytes) -> None:
    """A debug page that prints the request is no reason to keep it."""
    bench.network.on("w", answer(500, body))
    await bench.gate("w", event=EVENT)
    await bench.fire(PAYLOAD, event=EVENT)
    assert not holds_canary(kept_bytes(bench))


async def test_a_value_that_a_hook_changed_is_private_too(bench: Bench) -> None:
    """The change is recorded, its values are not; the next waiting hook receives the new one."""
    bench.network.on("w", answer(body={"data": {"user": {"password": "s3cr3t-new"}}}))
    await bench.transform("w", event=EVENT)
    await bench.gate("next", event=EVENT)
    firing = await bench.fire(PAYLOAD, event=EVENT)
    assert firing.data["user"]["password"] == "s3cr3t-new"
    assert bench.network.bodies("next")[0]["data"]["user"]["password"] == "s3cr3t-new"
    assert [list(each.changes) for each in (await bench.logged()).deliveries] == [[("/user/password", None, None)], []]
    assert b"s3cr3t" not in kept_bytes(bench)


async def test_a_value_that_a_hook_brought_in_is_private_too(bench: Bench) -> None:
    """The payload had none; the receiver's own choice is not kept either."""
    bench.network.on("w", answer(body={"data": {"user": {"password": "s3cr3t-new"}}}))
    await bench.transform("w", event=EVENT)
    firing = await bench.fire({"user": {"id": 7}}, event=EVENT)
    assert firing.data["user"]["password"] == "s3cr3t-new"
    assert b"s3cr3t" not in kept_bytes(bench)
    assert tuple((await bench.logged()).hidden) == ("/user/password",)


async def test_a_copy_of_the_value_is_hidden_and_named(bench: Bench) -> None:
    """A hook that copies it to another field makes that field private."""
    bench.network.on("w", answer(body={"data": {"user": {"comment": CANARY}}}))
    await bench.transform("w", event=EVENT)
    await bench.hook("bg", event=EVENT)
    firing = await bench.engine.send_own(await bench.fire(PAYLOAD, event=EVENT))
    assert bench.network.bodies("bg")[0]["data"]["user"]["comment"] is None
    assert set((await bench.engine.log.get(firing.id)).hidden) == {"/user/password", "/user/comment"}


async def test_a_body_that_needs_the_value_is_not_kept(bench: Bench) -> None:
    """A waiting hook's template may use it; what is kept is rendered without it."""
    await bench.gate("w", event=EVENT, body='{"p": {{ user.password }}, "n": {{ user.name }}}')
    firing = await bench.fire(PAYLOAD, event=EVENT)
    assert bench.network.bodies("w") == [{"p": CANARY, "n": "Anna"}]
    assert not holds_canary(kept_bytes(bench))
    assert json.loads((await bench.engine.log.get(firing.id)).deliveries[0].body or "") == {"p": None, "n": "Anna"}


async def test_a_test_request_shows_no_private_value(bench: Bench) -> None:
    """`hooks test` sends it, as the hook would; what it shows is without it, and nothing is kept."""
    hook = await bench.gate("w", event=EVENT)
    tested = await bench.engine.test(hook.id or 0, PAYLOAD)
    assert bench.network.bodies("w")[0]["data"]["user"]["password"] == CANARY
    assert not holds_canary(repr(tested).encode())
    assert not holds_canary(kept_bytes(bench))


async def test_no_order_key_is_made_of_a_private_value(bench: Bench) -> None:
    """The key is kept beside the delivery: of what the log may not hold there is none."""
    await bench.hook("bg", event=EVENT, order_key="/user/password")
    firing = await bench.fire(PAYLOAD, event=EVENT)
    assert [each.order_key for each in firing.deliveries] == [None]
    assert not holds_canary(kept_bytes(bench))


def test_a_change_of_what_holds_a_private_value_is_named_alone() -> None:
    """Above or at a private field, and below it the field itself, once; not beside it."""
    private = ["/user/card/number"]
    for pointer in ("/user", "/user/card", "/user/card/number"):
        assert public_changes([(pointer, "old", "new")], private) == ((pointer, None, None),)
    below = [(f"/user/card/number/{key}", "old", "new") for key in ("a", "b")]
    assert public_changes(below, private) == (("/user/card/number", None, None),)
    assert public_changes([("/user/name", "old", "new")], private) == (("/user/name", "old", "new"),)


CARD = "4111222233334444"
CARDS = Event("before_cards", "Cards", "before", (), {"user": {"name": "n", "cards": {"iso3166": 1}}}, ("/user/cards",))
HOLDER = {"user": {"name": "Anna", "seen": {}, "cards": {CARD: {"number": 1, "holder": "A. Petrova"}}}}
MOVED = {"op": "move", "from": f"/user/cards/{CARD}", "path": f"/user/seen/{CARD}"}
KEYS: dict[str, Any] = {
    "below": {"data": {"user": {"cards": {CARD: {"number": 2}}}}},
    "another": {"data": {"user": {"cards": {f"{CARD}5": CARD}}}},
    "echo": {"result": HOLDER},
    "copied": {"data": {"user": {"seen": {CARD: True}}}},
    "in a key": {"data": {"user": {"seen": {f"card-{CARD}": True}}}},
    "a value": {"data": {"user": {"seen": {"A. Petrova": True}}}},
    "moved": {"patch": [MOVED]},
    "moved and removed": {"patch": [MOVED, {"op": "remove", "path": f"/user/seen/{CARD}"}]},
    "veto": {"allow": False, "message": f"{CARD} is blocked"},
    "no JSON": [CARD],
    "added above": {"data": {CARD: 1}},
}


@pytest.fixture
async def cards(
    tmp_path: Path, engine_template: Path, network: Network, clock: HandClock, anyio_backend: str
) -> AsyncIterator[Bench]:
    """An engine with this event."""
    shutil.copyfile(engine_template, tmp_path / "hooks.db")
    url = f"sqlite:///{tmp_path}/hooks.db"
    async with AsyncHookEngine(url, worker=False, events=[CARDS], transport=network, clock=clock) as engine:
        yield Bench(engine, network, clock)


@pytest.mark.parametrize("kind", KEYS)
async def test_a_key_in_a_private_object_is_kept_nowhere(cards: Bench, kind: str) -> None:
    """Whatever a transform hook does with it, and after it a second one with a candidate; nor do hooks in background
    see it."""
    bench = cards
    await bench.transform("w", event="before_cards")
    await bench.transform("x", event="before_cards")
    await bench.engine.hooks.try_candidate("x", {"url": "http://receiver.test/candidate"})
    await bench.hook("bg", event="before_cards", fire_and_forget=False)
    for hook in ("w", "x"):
        bench.network.on(hook, answer(body=KEYS[kind]))
    firing = await bench.engine.send_own(await bench.fire(HOLDER, event="before_cards"))
    sent = bench.network.bodies("bg")
    changes = [change for each in firing.deliveries for change in each.changes]
    for value in (CARD, "Petrova"):
        assert value.encode() not in kept_bytes(bench)
        assert value not in json.dumps([sent, changes]), changes


async def test_names_in_the_sample_are_no_values(cards: Bench) -> None:
    """A message for people says "iso3166" although a private object has such a member."""
    await cards.gate("w", event="before_cards")
    cards.network.on("w", answer(body={"allow": False, "message": "a wrong iso3166"}))
    firing = await cards.fire({"user": {"cards": {"iso3166": "RU-MOW"}}}, event="before_cards")
    assert firing.veto.message == "a wrong iso3166"


async def test_a_key_of_the_callers_own_hides_nothing(cards: Bench) -> None:
    """A private object has a key that stands elsewhere in the payload, too: that place is as public as it was."""
    await cards.transform("w", event="before_cards")
    cards.network.on("w", answer(body={"data": {"user": {"y2026": {"a": 2}}}}))
    firing = await cards.fire({"user": {"y2026": {"a": 1}, "cards": {"y2026": 1}}}, event="before_cards")
    assert list(firing.deliveries[0].changes) == [("/user/y2026/a", 1, 2)]


FIELDS = {"email": "ann@a.example", "user": "Eva", "address2": "", "id": 1}


async def test_a_fields_name_hides_no_words(cards: Bench) -> None:
    """A private object's fields stand in no sample: the host's veto code, messages and other keys stay as they are."""
    body = {
        "allow": False,
        "code": "bad_email",
        "message": "The email of this user is not valid",
        "errors": [{"path": "/customer/email", "code": "address2", "message": "no such email"}],
        "lines": [{"username": 21, "email": False, "kind": "user"}],
    }
    await cards.gate("w", event="before_cards")
    cards.network.on("w", answer(body=body))
    firing = await cards.fire({"user": {"cards": FIELDS}}, event="before_cards")
    assert (firing.veto.code, firing.veto.message) == (body["code"], body["message"])
    assert list(firing.veto.errors) == body["errors"]
    [attempt] = await cards.engine.log.attempts((await cards.logged()).deliveries[0].id)
    assert json.loads(attempt.response_body or b"") == body


@pytest.mark.parametrize("added", ["email", "email_sent", "delivery", "delivery_date", "partner", "y20261201", "1"])
@pytest.mark.parametrize("login", [{}, {"auth_login": "partner", "auth_password": "delivery"}])
async def test_a_fields_name_hides_no_object(cards: Bench, added: str, login: dict[str, str]) -> None:
    """A hook adds a member that is called as a private one is, or as a word of its own URL or password is: the object
    around it stays whole, for hooks in background and in the log."""
    order = {"number": "A-1", "lines": [{"n": 21}]}
    patch = [
        {"op": "add", "path": f"/order/{added}", "value": True},
        {"op": "add", "path": "/order/lines/-", "value": {"n": 22}},
    ]
    hook = await cards.transform("w", event="before_cards", **login)
    await cards.engine.hooks.update(hook.id or 0, url=f"{hook.url}?source=delivery&y=20261201")
    await cards.hook("bg", event="before_cards", fire_and_forget=False)
    cards.network.on("w", answer(body={"patch": patch}))
    await cards.engine.send_own(await cards.fire({"user": {"cards": FIELDS}, "order": order}, event="before_cards"))
    [sent] = cards.network.bodies("bg")
    assert sent["data"]["order"] == {"number": "A-1", "lines": [{"n": 21}, {"n": 22}], added: True}
    changes = (await cards.logged()).deliveries[0].changes
    assert (f"/order/{added}", None, True) in list(changes)


@pytest.mark.parametrize("key", ["email", "Электронная почта", "first-name", "address2", "sha256", "@id", "$ref", "1"])
def test_what_names_a_field(key: str) -> None:
    """Words, with a number of up to three digits; and what JSON-LD and others begin with a sign."""
    assert is_name(key)


@pytest.mark.parametrize("key", [CARD, "4111 2222 3333 4444", "+7 (912) 34-56", "ann@a.example", "f3a0-4b77-9c1e"])
def test_what_names_no_field(key: str) -> None:
    """Four digits, together or apart, or an e-mail address."""
    assert not is_name(key)


def test_many_private_values_are_put_in_order_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop stands still meanwhile. Of a payload that brings nothing new, not at all."""
    calls: list[int] = []
    arrange = Concealer.arrange
    monkeypatch.setattr(Concealer, "arrange", lambda self: (calls.append(len(self.values)), arrange(self)))
    conceal = Concealer(["/answers", "/more"])
    payload = {"answers": {f"question-{n:05d}": f"reply {n}" for n in range(4000)}, "more": ["last"]}
    conceal.learn(payload)
    conceal.learn(payload)
    assert calls == [8001]
    assert conceal.text("last, question-00017, reply 3999") == "***, ***, ***"
