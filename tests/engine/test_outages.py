"""Trouble in the log: a line when it begins, one each minute with the count, one when it ends; each kind by itself."""

from __future__ import annotations

import logging

import pytest

from hookrow.store.database.outages import Outage
from hookrow.testing import ManualClock


def test_one_line_a_minute_with_the_count(caplog: pytest.LogCaptureFixture) -> None:
    """However often it fails; and a second outage within that minute is said, too."""
    clock = ManualClock()
    outage = Outage(clock, "it fails", "it works")
    outage.worked()
    for _ in range(130):
        outage.failed("full")
        clock.forward(1)
    outage.worked()
    outage.worked()
    clock.forward(1)
    outage.failed("gone")
    outage.worked()
    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [
        (logging.ERROR, "it fails: full"),
        (logging.ERROR, "it fails, 61 times so far: full"),
        (logging.ERROR, "it fails, 121 times so far: full"),
        (logging.WARNING, "it works (failures: 130)"),
        (logging.ERROR, "it fails: gone"),
        (logging.WARNING, "it works (failures: 1)"),
    ]
