"""From cron: ends subscriptions, each with its event, in one transaction; then sends what it has queued."""

from __future__ import annotations

import os
import sys

from sqlalchemy import create_engine, text

from hookrow import HookEngine

database = create_engine(os.environ["SHOP_DB"], connect_args={"prepare_threshold": None})
with HookEngine(os.environ["HOOKROW_DB"], worker=False) as engine:
    with database.begin() as connection:
        connection.execute(text("INSERT INTO subscriptions DEFAULT VALUES"))
        ended = connection.execute(text("UPDATE subscriptions SET ended = true WHERE NOT ended RETURNING id"))
        for (number,) in ended.all():
            engine.fire("on_subscription", {"subscription": {"id": number}}, connection=connection)
    done = engine.drain(timeout=30)
sys.exit(0 if done else 1)
