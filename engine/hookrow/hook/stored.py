"""A hook as it is kept, and how it is named."""

from __future__ import annotations

from dataclasses import dataclass

from hookrow.hook.candidate import HookCandidate
from hookrow.hook.modes import Mode
from hookrow.payload import JsonObject

__all__ = ["SEALED", "HookRef", "ListedHook", "StoredHook"]

SEALED = ("auth_password", "custom_header_value", "signing_secret", "signing_secret_old")
"""The columns of a hook that hold sealed values: opened for a request, never shown, sealed anew with another key."""


@dataclass(frozen=True, slots=True)
class HookRef:
    """Which hook a delivery belongs to."""

    id: int
    key: str
    name: str

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {"id": self.id, "key": self.key, "name": self.name}


@dataclass(frozen=True, slots=True)
class ListedHook:
    """What a list shows of a hook, and what decides whether it runs."""

    id: int
    key: str
    name: str
    url: str
    event: str
    position: int
    timeout: float
    valid_from_ms: int | None
    valid_until_ms: int | None
    active: bool
    fire_and_forget: bool
    wait_for_response: bool
    response_has_data: bool
    shadow: bool
    condition: str
    on_failure: str
    paused_by: str | None
    paused_ms: int | None

    @property
    def paused(self) -> bool:
        return self.paused_by is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHook(ListedHook):
    """A hook as firing and sending need it. Secrets are as they are kept: sealed."""

    uid: str
    body: str
    auth_login: str
    auth_password: str | None
    custom_header: str
    custom_header_value: str | None
    fallback_message: str
    order_key: str
    signing_secret: str | None
    signing_secret_old: str | None
    signing_old_until_ms: int | None
    revision: int
    paused_reason: str | None
    deleted_ms: int | None
    mode: Mode
    tried: HookCandidate | None = None
    """Changed fields that are tried beside the hook's own; their secrets sealed."""
    candidate: StoredHook | None = None
    """The hook with these fields, as it is asked in shadow."""

    @property
    def deleted(self) -> bool:
        return self.deleted_ms is not None

    @property
    def ref(self) -> HookRef:
        return HookRef(self.id, self.key, self.name)
