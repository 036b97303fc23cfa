"""A PostgreSQL that restarts under callers: no error for any of them, each firing recorded once."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest

from crash_sizes import until
from hookrow import Hook, HookEngine
from hookrow.records import LogFilter
from hookrow.store.database import server, writer
from hookrow.store.database.locks import RESTART
from scripted import Network

BEFORE, AFTER = "before_order_add", "after_registration"
CALLERS = 3


@pytest.mark.parametrize(
    "times", [pytest.param(3, id="check"), pytest.param(20, id="torture", marks=pytest.mark.torture)]
)
def test_a_restart_costs_no_caller_an_error(own_postgres: Any, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers of both kinds in threads; each restart ends their connections in the middle of whatever they do.

    A restart takes 1.5 to 2.2 s on a machine for tests: it is waited for twice as long as in service.
    """
    for module in (server, writer):
        monkeypatch.setattr(module, "RESTART", 2 * RESTART)
    fired: list[tuple[str, int]] = []
    errors: list[object] = []
    ended = threading.Event()
    url = own_postgres.url.replace("postgresql://", "postgresql+psycopg://")
    with HookEngine(url, worker=False, transport=Network()) as engine:
        engine.hooks.add(Hook(key="g", name="g", event=BEFORE, url="http://receiver.test/g", wait_for_response=True))
        engine.hooks.add(Hook(key="a", name="a", event=AFTER, url="http://receiver.test/a"))

        def calling(first: int) -> None:
            number = first
            while not ended.wait(0.01):
                for event in (BEFORE, AFTER):
                    try:
                        firing = engine.fire(event, {"n": number})
                    except Exception as error:  # noqa: BLE001 - whatever it is
                        errors.append(error)
                    else:
                        errors.extend([firing.error] if firing.error else [])
                        fired.append((event, number))
                number += CALLERS

        threads = [threading.Thread(target=calling, args=(first,)) for first in range(CALLERS)]
        for thread in threads:
            thread.start()
        for _ in range(times):
            seen = len(fired)
            until(lambda seen=seen: len(fired) > seen + 20 or errors)  # type: ignore[misc]
            own_postgres.restart()
        seen = len(fired)
        until(lambda: len(fired) > seen + 20 or bool(errors))
        ended.set()
        for thread in threads:
            thread.join(30)
        assert [str(error) for error in errors] == []
        kept: list[tuple[str, int]] = []
        before: int | None = None
        while page := engine.log.page(LogFilter(), before=before, limit=200):
            kept += [(each.event, each.payload["n"]) for each in page]
            before = page[-1].row_id
    print(f"restarts {times}, firings {len(fired)}, errors 0")
    assert Counter(kept) == Counter(fired)
