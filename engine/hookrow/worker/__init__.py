"""The worker: drains the outbox, inside an engine or as a process of its own."""

from __future__ import annotations

from hookrow.worker.loop import Worker, new_owner
from hookrow.worker.notices import SYSTEM_EVENTS

__all__ = ["SYSTEM_EVENTS", "Worker", "new_owner"]
