"""Copies of recorded requests for a developer's machine: what they hold, where they may go; nothing is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from hookrow import AsyncHookEngine, AttemptSeen, Hook, HookEngine, KeyRing, LogFilter, Tapped
from hookrow.delivery.message import sign
from hookrow.errors import InvalidInput
from hookrow.store.database import readonly
from hookrow.store.database.tables import FIRINGS, HOOKS
from receivers import Receiver, reply

EVENT = "before_registration"
PAYLOAD = {"user": {"id": 7, "name": "Irina", "password": "canary-private"}}
SECRETS: dict[str, Any] = {
    "auth_login": "admin",
    "auth_password": "canary-password",
    "custom_header": "X-Key: canary-header",
}


@pytest.fixture
def shop() -> Iterator[Receiver]:
    """The hooks' own receiver."""
    with Receiver(reply(200, b"{}")) as made:
        yield made


@pytest.fixture
def laptop() -> Iterator[Receiver]:
    """A developer's."""
    with Receiver(reply(200, b'{"allow": false, "message": "no\\u001b[2J"}')) as made:
        yield made


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[HookEngine]:
    """An engine that sends only what it is told to."""
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as made:
        yield made


@pytest.fixture
def either(either_url: str) -> Iterator[HookEngine]:
    """The same on each kind of database."""
    with HookEngine(either_url, worker=False, keys=KeyRing.new()) as made:
        yield made


def tables(engine: HookEngine) -> dict[str, list[Any]]:
    """Every row of every table."""
    with engine.runtime.database.read() as connection:
        return {
            table.name: [*connection.execute(select(table).order_by(*table.primary_key.columns))]
            for table in HOOKS.metadata.sorted_tables
        }


def hooks(engine: HookEngine, url: str, **fields: Any) -> None:
    """A hook of each kind, with all that is secret, and one that is never called."""
    for name, flags in {
        "gate": {"wait_for_response": True},
        "record": {"fire_and_forget": False, "response_has_data": True},
        "forget": {},
        "never": {"condition": "user.name == 'Boris'"},
    }.items():
        hook = engine.hooks.add(Hook(key=name, name=name, event=EVENT, url=url, **SECRETS, **flags, **fields))
        assert hook.id is not None
        engine.hooks.new_secret(hook.id)


def since(engine: HookEngine, after: int = 0, **wanted: Any) -> list[int]:
    """The attempts that a filter means."""
    return [each.row_id for each in engine.log.attempts_since(LogFilter(**wanted), after=after) if each.meant]


def copies(engine: HookEngine, to: str | None, *, with_auth: bool = False, **wanted: Any) -> list[Tapped]:
    """A copy of each."""
    found = [engine.tap(number, to=to, with_auth=with_auth) for number in since(engine, **wanted)]
    return [each for each in found if each is not None]


def test_a_copy_is_the_request_without_its_secrets(either: HookEngine, shop: Receiver, laptop: Receiver) -> None:
    """Same body and headers, marked, under an id of its own; skipped hooks are not copied; no row is changed."""
    engine = either
    hooks(engine, f"{shop.url}?token=canary-token")
    engine.send_own(engine.fire(EVENT, PAYLOAD))
    before = tables(engine)
    made = copies(engine, laptop.url)
    assert tables(engine) == before
    assert [each.delivery.hook.key for each in made] == ["gate", "record", "forget"]
    assert len(laptop.wait(3)) == 3
    for original, copy, tapped in zip(shop.requests, laptop.requests, made, strict=True):
        expected = {name: value for name, value in original.headers if name.lower() not in ("authorization", "x-key")}
        del expected["webhook-signature"], expected["Host" if "Host" in expected else "host"]
        got = dict(copy.headers)
        assert (got.pop("hook-tap"), got.pop("webhook-id")) == ("1", f"{expected.pop('webhook-id')}.tap")
        for name in ("webhook-timestamp", "Content-Length", "content-length"):
            expected.pop(name, None)
        assert expected.items() <= got.items()
        assert "webhook-signature" not in got
        assert "canary" not in repr(copy)
        assert copy.body.decode() == tapped.request.body
    assert list(made[0].firing.hidden) == ["/user/password"]
    assert laptop.requests[0].json()["data"]["user"] == {"id": 7, "name": "Irina", "password": None}
    assert [each.answered.outcome for each in made if each.answered] == ["vetoed", "ok", "sent"]
    assert [each.delivery.outcome for each in made] == ["ok", "ok", "sent"]
    assert [each.same for each in made] == [False, True, True]
    assert "canary" not in repr([each.as_json() for each in made])
    copies(engine, shop.url, hook=made[0].delivery.hook.id)  # the hook's own origin is no reason either
    assert "canary" not in repr(shop.requests[-1])


def test_with_auth_a_copy_is_signed(engine: HookEngine, shop: Receiver, laptop: Receiver) -> None:
    """The login, the hook's own header, and a signature under the copy's own id; shown, they are masked."""
    hooks(engine, shop.url)
    secret = engine.hooks.new_secret("gate", rotate=False)
    engine.fire(EVENT, PAYLOAD)
    [tapped] = copies(engine, laptop.url, with_auth=True)
    [request] = laptop.wait(1)
    assert request.header("authorization")
    assert request.header("x-key") == "canary-header"
    signed = sign(
        [secret], str(request.header("webhook-id")), int(str(request.header("webhook-timestamp"))), request.body
    )
    assert request.header("webhook-signature") == signed
    assert "canary" not in repr(tapped.as_json())


def test_a_copy_without_a_target_is_only_shown(engine: HookEngine, shop: Receiver) -> None:
    """The request as it would leave, and nothing leaves."""
    hooks(engine, shop.url)
    engine.fire(EVENT, PAYLOAD)
    [tapped] = copies(engine, None)
    assert (tapped.copy, tapped.answered, tapped.same) == (None, None, True)
    assert ("hook-tap", "1") in tapped.request.headers
    assert len(shop.requests) == 1


def test_the_machine_itself_may_be_reached_and_metadata_never(
    engine: HookEngine, shop: Receiver, laptop: Receiver
) -> None:
    """Under `egress=public` too, by name and by number; no other address becomes reachable by it."""
    hooks(engine, shop.url)
    engine.fire(EVENT, PAYLOAD)
    engine.settings.set("egress", "public")
    for to in (laptop.url, f"http://localhost:{laptop.port}/"):
        assert [each.copy.status for each in copies(engine, to) if each.copy] == [200]
    for to in ("http://169.254.169.254/", "http://[fd00:ec2::254]/", "http://10.255.255.1/"):
        assert [each.copy.error for each in copies(engine, to) if each.copy] == ["blocked_address"]
    assert len(laptop.requests) == 2


def test_a_target_is_a_url_that_a_hook_could_have(engine: HookEngine) -> None:
    """Said before anything is looked up."""
    for to in ("ftp://h/", "http://u:S3cret@h/", ""):
        with pytest.raises(InvalidInput) as refused:
            engine.tap(1, to=to)
        assert "S3cret" not in str(refused.value)


def test_each_attempt_is_copied_but_those_of_others(engine: HookEngine, shop: Receiver, laptop: Receiver) -> None:
    """A second attempt is another copy with its number; one elsewhere, and one that made no request, is none."""
    shop.play(reply(500), reply(200))
    hook = engine.hooks.add(Hook(name="late", event=EVENT, url=shop.url, fire_and_forget=False))
    firing = engine.send_own(engine.fire(EVENT, PAYLOAD))
    engine.redeliver(firing.id)
    engine.redeliver(firing.deliveries[0].id, to=laptop.url)
    assert hook.id is not None
    engine.hooks.update(hook.id, body="{{ user.name }}")
    engine.send_own(engine.fire(EVENT, {"user": {}}))  # its body can't be made: no request
    made = copies(engine, laptop.url)
    assert [each.attempt.number for each in made] == [1, 2]
    assert [request.header("hook-attempt") for request in laptop.requests[1:]] == ["1", "2"]
    assert [(each.delivery.outcome, each.delivery.status) for each in made] == [("failed", 500), ("ok", 200)]


def test_filters_mean_the_attempts_own_delivery(either: HookEngine, shop: Receiver) -> None:
    """The words of `hookrow log`; hook, status and outcome are those of the delivery that is copied."""
    engine = either
    shop.play(reply(200, b'{"allow": false}'), reply(500), reply(200))
    hooks(engine, shop.url)
    engine.send_own(engine.fire(EVENT, PAYLOAD))
    engine.hooks.update("gate", active=False)
    engine.send_own(engine.fire(EVENT, PAYLOAD))
    keys = {number: engine.tap(number) for number in since(engine)}

    def found(**wanted: Any) -> list[str]:
        return [keys[number].delivery.hook.key for number in since(engine, **wanted)]  # type: ignore[union-attr]

    assert found() == ["gate", "record", "forget"]
    assert found(outcome="vetoed") == ["gate"]
    assert found(outcome="allowed") == ["record", "forget"]
    assert found(outcome="retrying") == found(outcome="bad_status") == found(code="5xx") == ["record"]
    assert found(outcome="problem", hook=engine.hooks.get("forget").id) == []
    assert found(search="irina") == found()
    assert found(search="nobody") == []
    assert found(event="on_subscription") == found(until_ms=1) == []
    assert found(outcome="running") == []


def test_an_outcome_that_may_yet_come_is_waited_for(either: HookEngine, shop: Receiver) -> None:
    """Of a firing that still runs it is not known whether it is meant; its deliveries' own outcomes are known."""
    engine = either
    hooks(engine, shop.url)
    engine.fire(EVENT, PAYLOAD)
    engine.runtime.database.writer.write(lambda connection: connection.execute(update(FIRINGS).values(outcome=None)))
    [each] = engine.log.attempts_since(LogFilter(outcome="allowed"), after=0)
    assert (each, each.meant) == (AttemptSeen(engine.log.newest_attempt(), None), None)
    assert len(since(engine, outcome="running")) == len(since(engine, outcome="ok")) == 1
    assert since(engine, outcome="dead") == []


def test_what_the_log_no_longer_holds_is_not_copied(engine: HookEngine, shop: Receiver, laptop: Receiver) -> None:
    """A purged attempt; nor one whose hook was deleted, where only its own address could be shown."""
    hooks(engine, shop.url)
    engine.fire(EVENT, PAYLOAD)
    [number] = since(engine)
    assert engine.tap(number + 1, to=laptop.url) is None
    engine.hooks.remove("gate")
    assert engine.tap(number) is None
    assert engine.tap(number, to=laptop.url) is not None


def test_a_hostile_target_is_bounded(engine: HookEngine, shop: Receiver, laptop: Receiver) -> None:
    """Of a background hook's endless reply the beginning is kept; a blocking one's is a failure, as in a real one."""
    hooks(engine, shop.url)
    engine.send_own(engine.fire(EVENT, PAYLOAD))
    laptop.play(reply(200, b"x" * 5_000_000))
    gate, record, _ = copies(engine, laptop.url)
    assert gate.copy is not None
    assert gate.copy.error == "reply_too_large"
    assert record.copy is not None
    assert len(record.copy.response_body or b"") == 65_536


def test_a_shadow_is_compared_with_what_it_would_have_done(
    engine: HookEngine, shop: Receiver, laptop: Receiver
) -> None:
    """The copy says that it is one of a shadow's request."""
    shop.play(reply(200, b'{"allow": false, "message": "no"}'))
    laptop.play(reply(200, b'{"allow": false, "message": "no"}'))
    engine.hooks.add(Hook(name="new", event=EVENT, url=shop.url, wait_for_response=True, shadow=True))
    engine.send_own(engine.fire(EVENT, PAYLOAD))
    [tapped] = copies(engine, laptop.url)
    assert laptop.requests[0].header("hook-shadow") == "1"
    assert tapped.delivery.outcome == "vetoed"
    assert tapped.answered is not None
    assert tapped.answered.outcome == "vetoed"
    assert tapped.same


def test_a_user_who_may_only_read_can_tap(
    engine: HookEngine, shop: Receiver, laptop: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the key, and without a write (PostgreSQL: tests/cli/test_read_only.py)."""
    hooks(engine, shop.url)
    engine.fire(EVENT, PAYLOAD)
    before = tables(engine)
    monkeypatch.setattr(readonly, "is_read_only", lambda path: True)
    with HookEngine(engine.url, worker=False, keys=KeyRing({})) as reader:
        assert reader.read_only
        [tapped] = copies(reader, laptop.url)
        assert tapped.copy is not None
        assert tapped.copy.status == 200
    assert tables(engine) == before


@pytest.mark.anyio
async def test_on_an_event_loop(either_url: str) -> None:
    """The same doors, awaited; while this engine's own worker delivers."""
    with Receiver(reply(200, b"{}")) as shop, Receiver(reply(200, b"{}")) as laptop:
        async with AsyncHookEngine(either_url) as engine:
            await engine.hooks.add(Hook(name="a", event=EVENT, url=shop.url, fire_and_forget=False))
            assert await engine.log.newest_attempt() == 0
            await engine.fire(EVENT, PAYLOAD)
            assert await engine.drain(30)
            [seen] = await engine.log.attempts_since(after=0)
            tapped = await engine.tap(seen.row_id, to=laptop.url)
        assert tapped is not None
        assert tapped.same
        assert laptop.requests[0].body == shop.requests[0].body
