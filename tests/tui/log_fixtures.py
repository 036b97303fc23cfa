"""What the tests of the log and of replay share: the fake engine with attempts, and the log open on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from apps import Shown, shown, until
from fake_engine import NOON_MS, URL, FakeEngine
from screen_data import told

from hookrow.records import Attempt
from hookrow_tui.log.screen import LogScreen

__all__ = ["log_of", "open_log", "with_attempts"]

BODY = '{"order":"A-10492","sum":12850,"items":[{"sku":"%s","count":4}]}'


def with_attempts(engine: FakeEngine) -> FakeEngine:
    """The drawn firings with the requests and responses of their deliveries."""
    sent = BODY % told("ЧАЙ-1", engine.lang)
    for place, firing in enumerate(engine.log.rows):
        shares = []
        for share in firing.deliveries:
            body = None if share.state == "queued" else sent
            shares.append(replace(share, body=body))
            if share.state == "queued":
                continue
            tries = range(1, max(1, share.attempts) + 1)
            engine.log.tries[share.id] = [
                Attempt(
                    number=number,
                    at_ms=share.at_ms,
                    url=told(URL, engine.lang),
                    status=share.status,
                    error=share.error,
                    ms=share.ms or 0,
                    times={"connect": 4.0, "tls": 31.0, "wait": 270.0, "read": 7.0, "total": 312.0},
                    request_headers=(
                        ("authorization", "Basic ••••••••"),
                        ("webhook-id", share.id),
                        ("content-type", "application/json"),
                    ),
                    request_body=body,
                    response_headers=(("content-type", "application/json"),) if share.status else (),
                    response_body=b'{"data":{"order":{"sum":11950}}}' if share.mode == "transform" else None,
                    response_length=32,
                )
                for number in tries
            ]
        engine.log.rows[place] = replace(firing, deliveries=shares)
    return engine


def log_of(at: Shown) -> LogScreen:
    """The log on the screen."""
    assert isinstance(at.app.screen, LogScreen)
    return at.app.screen


@asynccontextmanager
async def open_log(
    size: tuple[int, int] = (80, 24), *, lang: Any = "ru", engine: FakeEngine | None = None, **made: Any
) -> AsyncIterator[Shown]:
    """The log, read and with the first detail on the screen, on the day of the drawn firings."""
    engine = with_attempts(FakeEngine(lang=lang)) if engine is None else engine
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hookrow_tui.log.reader.now_ms", lambda: NOON_MS)
        async with opened(size, lang=lang, engine=engine, **made) as at:
            yield at


@asynccontextmanager
async def opened(size: tuple[int, int], *, lang: Any, engine: FakeEngine, **made: Any) -> AsyncIterator[Shown]:
    """As `open_log`, today."""
    async with shown(size, lang=lang, engine=engine) as at:
        at.app.push_screen(LogScreen(**made))
        await at.pilot.pause()
        await until(
            at.pilot, lambda: isinstance(at.app.screen, LogScreen) and log_of(at).laid is not None, "the detail"
        )
        await at.pilot.pause()
        yield at
