"""`engine.hooks`: adding, finding, changing, secrets kept, two people, revisions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from engine_bench import Bench
from hookrow import Hook
from hookrow.errors import Ambiguous, ChangedMeanwhile, HookNotFound, InvalidHook, InvalidTemplate, KeyTaken
from hookrow.secrets.secret import Secret
from scripted import answer

pytestmark = pytest.mark.anyio
EVENT = "before_order_add"


def kept(bench: Bench) -> bytes:
    """Every byte of the database and its WAL."""
    assert bench.engine.path is not None
    return b"".join(each.read_bytes() for each in bench.engine.path.parent.glob("hooks.db*"))


async def test_a_hook_is_found_by_id_key_and_name(bench: Bench) -> None:
    """An unknown one is named in the error; a name that two have is ambiguous, and both are listed."""
    hook = await bench.hook("Stock", key="stock")
    for ref in (hook.id, str(hook.id), "stock", "Stock"):
        assert (await bench.engine.hooks.get(ref or 0)).id == hook.id
    with pytest.raises(HookNotFound, match="nobody"):
        await bench.engine.hooks.get("nobody")
    other = await bench.hook("Stock")
    with pytest.raises(Ambiguous) as caught:
        await bench.engine.hooks.get("Stock")
    assert [each.split()[0] for each in caught.value.candidates] == [str(hook.id), str(other.id)]


async def test_digits_that_are_an_id_and_another_hooks_key(bench: Bench) -> None:
    """Neither is guessed, so that no change hits the other one; each is found in its own way, and a number is an id."""
    first = await bench.hook("First", key="first")
    digits = str(first.id)
    second = await bench.hook("Second", key=digits)
    with pytest.raises(Ambiguous) as caught:
        await bench.engine.hooks.update(digits, name="new")
    assert {each.split()[0] for each in caught.value.candidates} == {digits, str(second.id)}
    for ref, hook in ((first.id, first), ("first", first), (second.id, second), (str(second.id), second)):
        assert (await bench.engine.hooks.get(ref or 0)).id == hook.id
    await bench.engine.hooks.remove("first")
    assert (await bench.engine.hooks.get(digits)).id == second.id


async def test_ensure_leaves_what_the_admins_made(bench: Bench) -> None:
    """Added where its key is new; else the stored one stays. `add` refuses the key."""
    wanted = Hook(key="k", name="by code", event=EVENT, url="http://receiver.test/")
    first = await bench.engine.hooks.ensure(wanted)
    await bench.engine.hooks.update("k", name="by admin")
    again = await bench.engine.hooks.ensure(wanted)
    assert (again.id, again.name) == (first.id, "by admin")
    with pytest.raises(KeyTaken):
        await bench.engine.hooks.add(wanted)
    with pytest.raises(InvalidHook):
        await bench.engine.hooks.ensure(Hook(name="x", event=EVENT, url="http://receiver.test/"))


async def test_ensure_gives_what_another_process_made_at_the_same_moment(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several processes of a service start together: one adds the hook, the others get it."""
    wanted = Hook(key="k", name="k", event=EVENT, url="http://receiver.test/")
    theirs = await bench.engine.hooks.add(wanted)
    door = bench.engine.hook_door
    looks = iter([lambda key: None, door.of_key])  # not there yet when it looks first
    monkeypatch.setattr(door, "of_key", lambda key: next(looks)(key))
    assert (await bench.engine.hooks.ensure(wanted)).id == theirs.id


SECRET = {"auth_login": "bob", "auth_password": "pw-canary", "custom_header": "X-Key: header-canary"}


async def test_secrets_live_through_an_edit_of_something_else(bench: Bench) -> None:
    """Also where the whole hook that was read is written back, its secrets as «set»."""
    await bench.gate("h", **SECRET)
    read = await bench.engine.hooks.get("h")
    changes = {name: getattr(read, name) for name in (*SECRET, "custom_header_value")}
    await bench.engine.hooks.update("h", {**changes, "name": "renamed"})
    await bench.fire()
    headers = bench.network.requests[0].headers
    assert httpx.BasicAuth("bob", "pw-canary")._auth_header == headers["authorization"]
    assert headers["x-key"] == "header-canary"


async def test_secrets_can_be_replaced_and_removed(bench: Bench) -> None:
    """Only what is named changes."""
    await bench.gate("h", **SECRET)
    await bench.engine.hooks.update("h", auth_password="new-canary", custom_header="")
    await bench.fire()
    headers = bench.network.requests[0].headers
    assert httpx.BasicAuth("bob", "new-canary")._auth_header == headers["authorization"]
    assert "x-key" not in headers


async def test_credentials_in_a_url_are_nowhere_in_the_database(bench: Bench) -> None:
    """They move to login and password, sealed, and the hook says so."""
    hook = await bench.engine.hooks.add(Hook(name="h", event=EVENT, url="http://bob:pw-canary@receiver.test/h"))
    assert (hook.url, hook.auth_login, len(hook.notes)) == ("http://receiver.test/h", "bob", 1)
    assert b"canary" not in kept(bench)
    assert "canary" not in repr(hook)


async def test_a_draft_that_is_tested_keeps_the_saved_secrets(bench: Bench) -> None:
    """What the form holds is sent with the secrets that were not typed again; the hook is not saved."""
    await bench.gate("h", **SECRET)
    draft = (await bench.engine.hooks.get("h")).model_copy(update={"url": "http://receiver.test/draft"})
    tested = await bench.engine.test(draft)
    [request] = bench.network.requests
    assert (request.url.path, request.headers["x-key"]) == ("/draft", "header-canary")
    assert request.headers["hook-test"] == "1"
    assert "canary" not in repr(tested)
    assert (await bench.engine.hooks.get("h")).url.endswith("/h")
    assert await bench.engine.log.page() == []


async def test_a_colleagues_change_is_never_overwritten(bench: Bench) -> None:
    """The error carries the hook as it stands."""
    hook = await bench.hook("h")
    await bench.engine.hooks.update("h", position=77)
    with pytest.raises(ChangedMeanwhile) as caught:
        await bench.engine.hooks.update("h", name="mine", revision=hook.revision)
    assert caught.value.current.position == 77
    with pytest.raises(ChangedMeanwhile):
        await bench.engine.hooks.remove("h", revision=hook.revision)


async def test_removed_and_restored(bench: Bench) -> None:
    """Its waiting deliveries are cancelled with it and come back with it; its key is free meanwhile."""
    hook = await bench.hook("h", key="k")
    firing = await bench.fire()
    removed = await bench.engine.hooks.remove("k")
    assert removed.deleted
    assert (await bench.engine.log.get(firing.id)).deliveries[0].outcome == "cancelled"
    with pytest.raises(HookNotFound):
        await bench.engine.hooks.get("k")
    assert await bench.engine.hooks.list(EVENT) == []
    await bench.engine.hooks.restore(hook.id or 0)
    assert (await bench.engine.log.get(firing.id)).deliveries[0].outcome == "queued"


async def test_a_key_taken_meanwhile_stops_the_restoring(bench: Bench) -> None:
    """Two hooks never share a key."""
    hook = await bench.hook("h", key="k")
    await bench.engine.hooks.remove("k")
    await bench.hook("other", key="k")
    with pytest.raises(KeyTaken):
        await bench.engine.hooks.restore(hook.id or 0)


async def test_contradictory_flags_are_kept_where_a_form_holds_them(bench: Bench) -> None:
    """`stored=True` keeps them; otherwise turning on an answer turns fire and forget off, and says so."""
    await bench.hook("h")
    form = await bench.engine.hooks.update("h", wait_for_response=True, fire_and_forget=True, stored=True)
    assert (form.fire_and_forget, form.wait_for_response, form.mode) == (True, True, "forget")
    with pytest.raises(InvalidHook):
        await bench.engine.hooks.update("h", response_has_data=True, fire_and_forget=True)
    said = await bench.engine.hooks.update("h", response_has_data=True)
    assert (said.fire_and_forget, len(said.notes)) == (False, 1)


async def test_a_body_is_tried_on_the_last_recorded_payload(bench: Bench) -> None:
    """What the sample has and the service's own payload lacks is refused when it is saved."""
    await bench.hook("h")
    await bench.engine.hooks.update("h", body='{"n": {{ order.number }}}')
    await bench.engine.hooks.update("h", body="")
    await bench.fire()
    with pytest.raises(InvalidTemplate):
        await bench.engine.hooks.update("h", body='{"n": {{ order.number }}}')
    assert await bench.engine.hooks.preview(EVENT, '{"n": {{ order.sum }}}') == '{"n": 100}'


async def test_history_and_rollback(bench: Bench) -> None:
    """Every change with its values and without secrets; going back keeps the present secrets."""
    first = await bench.gate("h", **SECRET)
    await bench.engine.hooks.update("h", name="second", auth_password="later-canary")
    history = await bench.engine.hooks.history(first.id or 0)
    assert [each.revision for each in history] == [first.revision + 1, first.revision]
    assert "canary" not in repr(history)
    back = await bench.engine.hooks.rollback(first.id or 0, first.revision)
    assert back.name == "h"
    await bench.fire()
    headers = bench.network.requests[0].headers
    assert httpx.BasicAuth("bob", "later-canary")._auth_header == headers["authorization"]
    assert (await bench.engine.hooks.history("h"))[0].action == "rollback"
    with pytest.raises(HookNotFound):
        await bench.engine.hooks.rollback("h", 99)


async def test_a_rollback_of_what_was_changed_meanwhile_is_refused(bench: Bench) -> None:
    """With the revision that was looked at; the error carries the hook as it stands."""
    first = await bench.hook("h")
    seen = await bench.engine.hooks.update("h", name="second")
    await bench.engine.hooks.update("second", position=77)
    with pytest.raises(ChangedMeanwhile) as caught:
        await bench.engine.hooks.rollback(first.id or 0, first.revision, current=seen.revision)
    assert caught.value.current.position == 77
    back = await bench.engine.hooks.rollback(first.id or 0, first.revision, current=seen.revision + 1)
    assert (back.name, back.position) == ("h", first.position)


async def test_a_rotated_secret_signs_beside_the_old_one_for_a_day(bench: Bench) -> None:
    """Both signatures verify; after 24 hours only the new one does."""
    await bench.gate("h")
    old = await bench.engine.hooks.new_secret("h")
    new = await bench.engine.hooks.new_secret("h", rotate=True)
    await bench.fire()
    bench.clock.forward(24 * 3600)
    await bench.fire()
    counts = [len(each.headers["webhook-signature"].split()) for each in bench.network.requests]
    assert (counts, old != new) == ([2, 1], True)
    assert old.encode() not in kept(bench)
    assert (await bench.engine.hooks.get("h")).signing_secret == Secret.kept()


async def test_a_signature_is_that_of_the_standards_own_library(bench: Bench) -> None:
    """Byte for byte, with the secret that was shown."""
    await bench.gate("h")
    secret = await bench.engine.hooks.new_secret("h")
    await bench.fire()
    [request] = bench.network.requests
    moment = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)
    expected = Webhook(secret).sign(request.headers["webhook-id"], moment, request.content.decode())
    assert request.headers["webhook-signature"] == expected


async def test_paused_and_resumed(bench: Bench) -> None:
    """Background deliveries are parked and come back; the reason is shown."""
    bench.network.on("h", answer())
    await bench.hook("h")
    paused = await bench.engine.hooks.pause("h", "ремонт")
    assert (paused.state, paused.paused_by, paused.paused_reason) == ("paused", "person", "ремонт")
    firing = await bench.fire()
    assert firing.deliveries[0].outcome == "parked"
    assert (await bench.engine.hooks.resume("h")).state == "on"
    assert (await bench.engine.log.get(firing.id)).deliveries[0].outcome == "queued"


async def test_a_persons_pause_outlives_the_breakers(bench: Bench) -> None:
    """A hook that the breaker holds back can be paused by hand: then no success resumes it."""
    bench.network.on("h", answer(503))
    await bench.gate("h")
    for _ in range(10):
        await bench.fire()
        bench.clock.forward(7)
    assert (await bench.engine.hooks.get("h")).paused_by == "breaker"
    assert (await bench.engine.hooks.pause("h", "ремонт")).paused_by == "person"


async def test_a_rule_over_two_fields_holds_against_two_editors(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each end of a period is right by itself; the second editor's is judged on what the first one made of the hook."""
    hook = await bench.hook("h")
    door = bench.engine.hook_door
    look = door.checked

    def overtaken(*args: Any, **how: Any) -> Any:
        monkeypatch.setattr(door, "checked", look)
        judged = look(*args, **how)
        door.update(hook.id or 0, valid_from=datetime(2027, 2, 1, tzinfo=UTC))
        return judged

    monkeypatch.setattr(door, "checked", overtaken)
    with pytest.raises(InvalidHook):
        await bench.engine.hooks.update("h", valid_until=datetime(2027, 1, 1, tzinfo=UTC))
    monkeypatch.setattr(door, "checked", overtaken)
    both = await bench.engine.hooks.update("h", valid_until=datetime(2027, 3, 1, tzinfo=UTC))
    assert both.valid_from == datetime(2027, 2, 1, tzinfo=UTC)


async def test_a_body_given_at_creation_is_used_and_saving_again_doubles_nothing(bench: Bench) -> None:
    """One save is enough for a template; three more saves, with a new URL in the last one, leave one request each."""
    await bench.gate("h", body='{"number": "{{ order.number }}"}')
    await bench.fire({"order": {"number": "7"}})
    for url in ("http://receiver.test/h", "http://receiver.test/h", "http://receiver.test/elsewhere"):
        await bench.engine.hooks.update("h", url=url)
    await bench.fire({"order": {"number": "8"}})
    assert [(str(each.url), each.content) for each in bench.network.requests] == [
        ("http://receiver.test/h", b'{"number": "7"}'),
        ("http://receiver.test/elsewhere", b'{"number": "8"}'),
    ]


async def test_of_two_who_rotate_at_once_both_secrets_verify(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each was shown their own, for the only time: the later one's is the secret, the earlier one's the old."""
    hook = await bench.hook("h")
    await bench.engine.hooks.new_secret("h")
    door = bench.engine.hook_door
    write, shown = door.write, []

    def late(number: int, values: Any, **how: Any) -> bool:
        if not shown:  # a colleague's rotation ends first
            shown.append("theirs, not known yet")
            shown[0] = door.new_secret(hook.id, rotate=True)
        return write(number, values, **how)

    monkeypatch.setattr(door, "write", late)
    ours = await bench.engine.hooks.new_secret("h", rotate=True)
    await bench.engine.send_own(await bench.fire())
    [request] = bench.network.requests
    at = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)
    signed = [
        Webhook(each).sign(request.headers["webhook-id"], at, request.content.decode()) for each in (ours, *shown)
    ]
    assert request.headers["webhook-signature"].split() == signed
