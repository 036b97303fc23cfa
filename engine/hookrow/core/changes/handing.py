"""A hook as it is handed out to people and programs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from hookrow.clock import from_ms
from hookrow.delivery import plan
from hookrow.hook import fields
from hookrow.hook.fields import SECRETS
from hookrow.hook.modes import pause_reason
from hookrow.hook.stored import StoredHook
from hookrow.secrets.secret import Secret

if TYPE_CHECKING:
    from hookrow.hook.model import Hook

__all__ = ["COLUMNS", "hook_of", "is_kept"]

COLUMNS = tuple(code for code in fields.FIELD if code not in SECRETS)


def hook_of(stored: StoredHook, now_ms: int) -> Hook:
    """A hook as it is handed out: secrets only as «set»."""
    values: dict[str, Any] = {
        code: getattr(stored, code) for code in COLUMNS if code not in ("valid_from", "valid_until")
    }
    values |= {name: None if getattr(stored, name) is None else Secret.kept() for name in SECRETS}
    values |= {
        "valid_from": moment(stored.valid_from_ms),
        "valid_until": moment(stored.valid_until_ms),
        "id": stored.id,
        "revision": stored.revision,
        "state": plan.state(stored, now_ms),
        "paused_by": stored.paused_by,
        "paused_reason": None
        if stored.paused_reason is None
        else str(pause_reason(stored.paused_by, stored.paused_reason)),
        "paused_at": moment(stored.paused_ms),
        "deleted": stored.deleted,
        "candidate": None if stored.tried is None else stored.tried.hidden,
    }
    from hookrow.hook.model import Hook  # with SQLModel and pydantic: who only fires needs none of it

    return Hook.model_construct(**values)


def moment(ms: int | None) -> datetime | None:
    return None if ms is None else from_ms(ms)


def is_kept(value: object) -> bool:
    """A secret that was read back: set, but without its value."""
    return isinstance(value, Secret) and value.is_kept
