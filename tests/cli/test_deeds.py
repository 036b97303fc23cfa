"""Who did what: by hand and from where, newest first, in the log's command and by the front door."""

from __future__ import annotations

import json

import pytest

from cli_runs import Hookrow
from hookrow import Hook, HookEngine
from hookrow.store.database.database import Database
from hookrow.testing import HookReceiver, allows

ORDER = {"order": {"id": 7}}


@pytest.fixture
def url(database: Database) -> str:
    """A database on which somebody has done one of everything."""
    database.disconnect()
    url = database.address.render_as_string(hide_password=False)
    with HookReceiver(allows()) as receiver, HookEngine(url, worker=False) as engine:
        engine.hooks.add(Hook(key="a", name="A", event="before_order_add", url=receiver.url, wait_for_response=True))
        firing = engine.fire("before_order_add", ORDER)
        engine.redeliver(firing.deliveries[0].id)
        engine.replay(firing.id)
        engine.hooks.add(
            Hook(key="b", name="B", event="before_order_update", url=receiver.url, body="{{ order.status }}")
        )
        dead = engine.fire("before_order_update", {"order": {}})  # its template fails on this payload
        engine.log.drop([dead.deliveries[0].id])
        engine.settings.set("retention_days", "31")
        engine.hooks.pause("a", "moving")
        engine.hooks.resume("a")
        engine.hooks.remove("a")
    return url


DONE = [
    *("hook remove", "hook resume", "hook pause", "setting", "drop", "replay", "redeliver", "hook add", "hook add"),
]


def test_each_deed_names_who_and_of_what(url: str) -> None:
    """Drops, redeliveries, replays, settings, and changes of hooks with their revisions."""
    with HookEngine(url, worker=False) as engine:
        done = engine.log.deeds()
        assert sorted(each.action for each in done) == sorted(DONE)
        assert [each.at_ms for each in done] == sorted((each.at_ms for each in done), reverse=True)
        [me] = {each.who for each in done}
        by = {each.action: each for each in done}
        assert by["setting"].subject == "retention_days = 31"
        assert by["drop"].subject != by["redeliver"].subject == f"{by['replay'].subject.replace('evt_', 'msg_')}01"
        assert (by["hook pause"].subject, by["hook pause"].revision) == ("a", 2)
        assert engine.log.deeds(me, limit=2) == done[:2]
        assert engine.log.deeds("nobody") == []


def test_the_log_tells_who(url: str, hookrow: Hookrow) -> None:
    """`--who` all of it, `--who NAME` one person's; a line each, or JSON."""

    def ran(*more: str) -> list[str]:
        return hookrow("--db", url, "log", *more).out.splitlines()

    told = [json.loads(line) for line in ran("--json", "--who")]
    assert sorted(each["action"] for each in told) == sorted(DONE)
    assert set(told[0]) == {"at", "who", "action", "subject", "revision"}
    assert len(ran("--who", told[0]["who"], "--limit", "3")) == 3
    assert ran("--who", "nobody") == []
    assert "retention_days = 31" in "\n".join(ran("--who"))
