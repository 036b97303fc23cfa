"""The outbox under whatever may happen in whatever order: nothing is lost, nothing goes twice, nothing gets stuck."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection

from hookrow.errors import NotRedeliverable
from hookrow.store import outbox
from hookrow.store.database.opening import open_database
from hookrow.store.outbox import Claimed, Settle
from outbox_rows import T0, Result, add_hook, failed, fire, hook_row, result, rows, set_hook

HOOKS = 2
results = st.sampled_from(
    [
        result("ok"),
        failed(500),
        failed(404),
        failed(410, gone=True),
        result("failed", error="template_error", status=None, values={}),
    ]
)
hooks = st.integers(0, HOOKS - 1)
keys = st.sampled_from([None, "7", "7", "8"])


class Outbox(RuleBasedStateMachine):
    """Firings, workers that live, die and sleep, people who pause, delete and redeliver, and the clock."""

    template: Path
    """A database in which nothing has happened."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "hooks.db"
        shutil.copyfile(self.template, path)
        self.database = open_database(f"sqlite:///{path}")
        self.now = T0
        self.held: list[Claimed] = []
        """Held by workers that live; a row whose lease lapsed belongs to a zombie."""
        self.succeeded: Counter[int] = Counter()

    @initialize()
    def make_hooks(self) -> None:
        self.hooks = [add_hook(self.database, key) for key in "ab"]

    def write(self, job: Any) -> Any:
        return self.database.writer.write(job)

    @rule(row=st.lists(st.tuples(hooks, keys), min_size=1, max_size=2, unique_by=lambda pair: pair[0]))
    def fires(self, row: list[tuple[int, str | None]]) -> None:
        fire(self.database, [self.hooks[n] for n, _ in row], self.now, keys=[key for _, key in row])

    @rule(limit=st.integers(1, 5), owner=st.sampled_from(["w1", "w2"]))
    def claims(self, limit: int, owner: str) -> None:
        before = rows(self.database)
        taken = self.write(
            lambda c: outbox.claim(c, owner=owner, now_ms=self.now, limit=limit, per_hook={}, otherwise=3)
        )
        for claimed in taken.rows:
            hook = hook_row(self.database, claimed.hook_id)
            assert hook.active
            assert hook.deleted_ms is None
            assert hook.paused_by is None or (hook.paused_by == "breaker" and claimed.probe)
            assert claimed.row_id in before
            assert claimed.row_id not in self.succeeded
        self.held += taken.rows

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 20), made=results)
    def answers(self, which: int, made: Result) -> None:
        claimed = self.held.pop(which % len(self.held))
        settled = self.write(Settle(claimed, made, self.now))
        if settled.accepted and settled.state == "ok":
            self.succeeded[claimed.row_id] += 1
        again = self.write(Settle(claimed, result(), self.now))
        assert not again.accepted, "two results under one lease"

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 20))
    def gives_back(self, which: int) -> None:
        claimed = self.held.pop(which % len(self.held))
        self.write(lambda c: outbox.give_back(c, [claimed], self.now))

    @rule(seconds=st.sampled_from([0.3, 1.0, 5.0, 11.0, 60.0, 4000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += round(seconds * 1000)

    @rule()
    def a_process_dies(self) -> None:
        self.held.clear()

    def change(self, which: int, then: Any, **given: Any) -> None:
        def job(connection: Connection) -> None:
            set_hook(connection, self.hooks[which], **given)
            then(connection, self.hooks[which], self.now)

        self.write(job)

    @rule(which=hooks)
    def pauses(self, which: int) -> None:
        if hook_row(self.database, self.hooks[which]).deleted_ms is None:
            self.change(which, outbox.park, paused_by="person")

    @rule(which=hooks)
    def resumes(self, which: int) -> None:
        if hook_row(self.database, self.hooks[which]).deleted_ms is None:
            self.change(which, outbox.unpark, paused_by=None)

    @rule(which=hooks)
    def deletes(self, which: int) -> None:
        if hook_row(self.database, self.hooks[which]).deleted_ms is None:
            self.change(which, outbox.cancel, deleted_ms=self.now)

    @rule(which=hooks)
    def restores(self, which: int) -> None:
        if hook_row(self.database, self.hooks[which]).deleted_ms is not None:
            self.change(which, outbox.uncancel, deleted_ms=None)

    @rule(which=st.integers(0, 50), made=results)
    def redelivers(self, which: int, made: Result) -> None:
        found = [row for row in rows(self.database).values() if row.state not in ("cancelled", "ok")]
        if not found:
            return
        row = found[which % len(found)]
        try:
            lease = self.write(lambda c: outbox.lease_for_redelivery(c, row.id, owner="cli", now_ms=self.now))
        except NotRedeliverable:
            return
        settled = self.write(Settle(lease, made, self.now, by_hand=True))
        assert settled.accepted
        if settled.state == "ok":
            self.succeeded[row.id] += 1

    @rule()
    def drops_the_dead(self) -> None:
        dead = [row.id for row in rows(self.database).values() if row.state == "dead"]
        self.write(lambda c: outbox.drop(c, dead[::2], self.now))

    @invariant()
    def one_of_a_key_at_a_time(self) -> None:
        if not hasattr(self, "hooks"):
            return
        found = rows(self.database).values()
        active = Counter((row.hook_id, row.order_key) for row in found if row.order_key and row.state == "leased")
        assert not active or max(active.values()) == 1

    @invariant()
    def nothing_succeeds_twice(self) -> None:
        assert not self.succeeded or max(self.succeeded.values()) == 1

    def teardown(self) -> None:
        """In the end every hook is on and every receiver well: all that was fired is finished, nothing is stuck."""
        try:
            if hasattr(self, "hooks"):
                self.settle_down()
        finally:
            self.database.close()
            self.folder.cleanup()

    def settle_down(self) -> None:
        for which in range(HOOKS):
            self.restores(which)
            self.resumes(which)
        for _ in range(400):
            self.now += 86_400_000
            taken = self.write(
                lambda c: outbox.claim(c, owner="w", now_ms=self.now, limit=50, per_hook={}, otherwise=50)
            )
            for claimed in taken.rows:
                self.write(Settle(claimed, result(), self.now))
            if not taken.rows and taken.next_ms is None:
                break
        left = {row.state for row in rows(self.database).values()} - {"ok", "dead", "dropped"}
        assert not left, left


@pytest.mark.parametrize("sequences", [25, pytest.param(50, marks=pytest.mark.torture)])
def test_any_sequence_keeps_the_outbox_sound(sequences: int, sqlite_template: Path) -> None:
    """Whatever is written, claimed, settled and parked in whatever order: what each step checks holds."""
    Outbox.template = sqlite_template
    run_state_machine_as_test(
        Outbox,
        settings=settings(
            max_examples=sequences, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
