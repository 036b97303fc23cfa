"""`HookEngine` and `AsyncHookEngine`: fire, explain, replay, redeliver, hooks, log."""

from __future__ import annotations

from hookrow.core.engine import AsyncHookEngine, HookEngine

__all__ = ["AsyncHookEngine", "HookEngine"]
