"""One clock a database: leases by time that nobody sets (SQLite), everything by the server's clock (PostgreSQL)."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select, text

from crash_children import Machine
from hookrow.clock import SystemClock
from hookrow.store.database.database import Database
from hookrow.store.database.moments import KEPT_AS, StorageClock
from hookrow.store.database.opening import open_database
from hookrow.store.database.tables import SETTINGS
from outbox_rows import T0, add_hook, claim, fire, ids, rows
from scripted import HandClock

YEAR = 365 * 86_400_000


def test_the_servers_clock_moves_what_is_known_no_more_than_it_must() -> None:
    """A slow answer that may be right changes nothing; one that can't be right, as far as it says."""
    hand = HandClock(T0)
    clock = StorageClock(hand)
    clock.heard(5_000_000.0, hand.monotonic())
    assert clock.now_ms() == 5_000_000
    asked = hand.monotonic()
    hand.forward(2)
    clock.heard(5_000_500.0, asked)  # asked at 5,000,000, heard at 5,002,000: it said this some time in between
    assert clock.now_ms() == 5_002_000
    clock.heard(5_102_000.0, hand.monotonic())
    assert clock.now_ms() == 5_102_000, "it was set forward"
    asked = hand.monotonic()
    hand.forward(1)
    clock.heard(5_002_000.0, asked)
    assert clock.now_ms() == 5_003_000, "it was set back: as far as the answer proves"


@pytest.mark.parametrize("set_by", [-YEAR, -3_600_000, 3_600_000, YEAR])
def test_all_processes_of_a_machine_count_leases_alike(tmp_path: Path, set_by: int) -> None:
    """A command that starts after the clock was set reckons leases as the worker does that started before."""
    url = f"sqlite:///{tmp_path}/hooks.db"
    with closing(open_database(url)) as before, closing(open_database(url, clock=Machine(set_by))) as after:
        assert abs(after.clock.now_ms() - before.clock.now_ms() - set_by) < 60_000
        assert abs(after.clock.lease_ms() - before.clock.lease_ms()) < 60_000


def test_the_name_of_a_start_may_hold_a_space(tmp_path: Path) -> None:
    """A process that took its own machine's start for another one would take living leases for lapsed ones."""

    class Named(SystemClock):
        boot = "at 8.0"

    url = f"sqlite:///{tmp_path}/hooks.db"
    with closing(open_database(url, clock=Named())) as before:
        first = before.clock.began
    with closing(open_database(url, clock=Named())) as after:
        assert after.clock.began == first


def test_leases_of_before_the_machine_started_have_lapsed(tmp_path: Path) -> None:
    """Whoever held them is gone, whatever the wall's clock says; a row that nobody said this of keeps its lease."""
    url = f"sqlite:///{tmp_path}/hooks.db"
    old, new = HandClock(T0), HandClock(T0 - YEAR)
    with closing(open_database(url, clock=old)) as database:
        hook = add_hook(database, "a")
        _, (row,) = fire(database, [hook], T0, owner="gone")
    with closing(open_database(url, clock=HandClock(T0))) as database:  # which was started anew
        assert rows(database)[row].lease_ms == 0
    with closing(open_database(url, clock=new)) as database:
        clock = database.clock
        taken = claim(database, T0, lease_now=clock.lease_ms())
        assert (ids(taken), taken.recovered) == ([row], 1)


def test_an_older_hookrow_at_work_keeps_its_leases(tmp_path: Path) -> None:
    """The first newer process finds no word of this clock: what is leased there is held by somebody who lives."""
    url = f"sqlite:///{tmp_path}/hooks.db"
    clock = HandClock(T0)
    with closing(open_database(url, clock=clock)) as database:
        hook = add_hook(database, "a")
        _, (row,) = fire(database, [hook], T0, owner="older")
        database.writer.write(lambda c: c.execute(SETTINGS.delete().where(SETTINGS.c.name == KEPT_AS)))
    with closing(open_database(url, clock=clock)) as database:
        assert rows(database)[row].lease_ms > database.clock.lease_ms()
        with database.read() as connection:
            assert connection.execute(select(SETTINGS.c.value).where(SETTINGS.c.name == KEPT_AS)).scalar()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("wrong_ms", [-120_000, 120_000])
def test_a_machine_whose_clock_is_wrong_goes_by_the_servers(database: Database, wrong_ms: int) -> None:
    """Heard with a BEGIN, without a statement of its own."""
    url = database.address.render_as_string(hide_password=False)
    with closing(open_database(url, clock=Machine(wrong_ms))) as wrong:
        with wrong.read() as connection:
            said = connection.execute(text("SELECT extract(epoch FROM clock_timestamp()) * 1000")).scalar_one()
            assert abs(wrong.clock.now_ms() - float(said)) < 30_000
        assert wrong.clock.lease_ms() - wrong.clock.now_ms() < 1000
