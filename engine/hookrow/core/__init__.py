"""The engines, and what they are made of: fire, explain, replay, redeliver, hooks, log."""

from __future__ import annotations

__all__: list[str] = []
