"""`HookEngine` and `AsyncHookEngine`: fire, explain, replay, redeliver, hooks, log."""

from __future__ import annotations

from hookrow.core.blocking import HookEngine
from hookrow.core.engine import AsyncHookEngine

__all__ = ["AsyncHookEngine", "HookEngine"]
