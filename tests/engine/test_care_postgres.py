"""Revisions, figures, conditions and hooks as code on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from hookrow import Hook, HookEngine
from hookrow.hookfile import export_hooks, import_hooks
from scripted import HandClock, Network, answer

EVENT = "before_order_add"


def test_the_same_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    """As on SQLite; what one of them exports the other takes."""
    url = postgres_url.replace("postgresql://", "postgresql+psycopg://")
    network = Network(h=[answer(), answer(503)])
    with HookEngine(url, worker=False, transport=network, clock=HandClock()) as engine:
        hook = engine.hooks.add(
            Hook(key="h", name="h", event=EVENT, url="http://receiver.test/h", wait_for_response=True)
        )
        for total in (10, 5000):
            engine.fire(EVENT, {"order": {"sum": total}})
        day = engine.log.statistics()[hook.id or 0].day
        assert (day.calls, day.errors, day.capped) == (2, 1, False)
        found = engine.condition_matches(EVENT, "order.sum < 1000")
        assert (found.matched, found.total, found.unmet) == (1, 2, ("order.sum < 1000",))
        assert engine.last_payload(EVENT) == {"order": {"sum": 5000}}
        written = export_hooks(engine, revisions=True)
        engine.hooks.update("h", position=77)
        assert import_hooks(engine, written.replace("timeout: 5", "timeout: 7")).changed
        assert not import_hooks(engine, written.replace("timeout: 5", "timeout: 7")).changed
        assert (engine.hooks.get("h").position, engine.hooks.get("h").timeout) == (77, 7)
        engine.hooks.rollback("h", 1, current=3)
        assert [each.action for each in engine.hooks.history("h")] == ["rollback", "import", "edit", "add"]
        written = export_hooks(engine)
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as other:
        import_hooks(other, written)
        assert export_hooks(other) == written
