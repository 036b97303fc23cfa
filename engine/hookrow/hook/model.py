"""What is kept: the hook as people write it (`Hook`), and the tables.

Moments of the log and the outbox are integers, milliseconds since 1970 UTC (`*_ms`): they are compared in every claim.
Moments that people typed (a hook's period) are aware datetimes in UTC. JSON is kept as text, so that numbers and the
order of keys come back exactly as they came in, on SQLite and on PostgreSQL alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from pydantic import ConfigDict, PrivateAttr, field_serializer, model_validator
from sqlalchemy import BigInteger, CheckConstraint, Float, ForeignKey, Index, Integer, LargeBinary, Text, text
from sqlmodel import Column, Field, SQLModel

from hookrow.errors import InvalidHook
from hookrow.hook import fields
from hookrow.lang import Text as Message
from hookrow.secrets.vault import Secret

__all__ = [
    "SEALED",
    "AttemptRow",
    "BreakerRow",
    "ConfigVersion",
    "DeliveryRow",
    "EventRow",
    "FiringRow",
    "Hook",
    "HookFields",
    "HookRevision",
    "HookRow",
    "Setting",
]

Big = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit integer that SQLite takes as its rowid."""

DELIVERY_STATES = (
    *("blocked", "queued", "leased", "retrying", "parked"),
    *("ok", "sent", "dead", "cancelled", "dropped"),
    *("changed", "vetoed", "refused", "failed", "skipped"),
)


class HookFields(SQLModel):
    """The fields that the form, the input model and the table share (DESIGN 2). Secrets are apart."""

    key: str = Field(default="", max_length=64)
    name: str = Field(max_length=120)
    url: str = Field(sa_type=Text)
    event: str = Field(max_length=64, index=True)
    position: int = 10
    timeout: float = Field(default=5.0, sa_type=Float)
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    active: bool = True
    fire_and_forget: bool = True
    wait_for_response: bool = False
    response_has_data: bool = False
    body: str = Field(default="", sa_type=Text)
    auth_login: str = Field(default="", sa_type=Text)
    condition: str = Field(default="", sa_type=Text)
    on_failure: str = Field(default="continue", max_length=8)
    fallback_message: str = Field(default="", max_length=300)
    order_key: str = Field(default="", sa_type=Text)

    @property
    def mode(self) -> str:
        """What the three flags mean together (DESIGN 4)."""
        return fields.mode(self.fire_and_forget, self.wait_for_response, self.response_has_data)


class Hook(HookFields):
    """One configured receiver, as a person or a program writes it and reads it back.

    `Hook(...)` checks every field and raises `InvalidHook` with one sentence for each that is at fault. A secret that
    was read back is `Secret.kept()`: set, but not readable; writing it again leaves it as it is.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)  # type: ignore[assignment]

    id: int | None = None
    position: int | None = None  # type: ignore[assignment]  # left out: after the event's last (DESIGN 2)
    auth_password: Secret | None = None
    custom_header: str = ""
    custom_header_value: Secret | None = None
    signing_secret: Secret | None = None
    revision: int = 0
    state: str = "on"
    paused_reason: str | None = None
    paused_by: str | None = None
    paused_at: datetime | None = None
    deleted: bool = False

    _notes: list[Message] = PrivateAttr(default_factory=list)

    if not TYPE_CHECKING:  # the types of the fields are those of the constructor

        def __init__(self, **given: Any) -> None:
            fields.hide_given(given)
            super().__init__(**given)

    @model_validator(mode="wrap")
    @classmethod
    def checked(cls, values: Any, handler: Any) -> Self:
        """Check and complete what was given, all fields at once."""
        if isinstance(values, cls):
            return values
        given = dict(values)
        stored = bool(given.pop("stored", False))
        codes = {code: given.pop(code) for code in list(given) if code in fields.FIELD}
        if "custom_header_value" in given:
            codes["custom_header_value"] = given.pop("custom_header_value")
        cleaned = fields.clean(codes, new=True, stored=stored)
        if cleaned.problems:
            raise InvalidHook(cleaned.problems)
        hook: Self = handler({**given, **cleaned.values})
        hook._notes = list(cleaned.notes)
        return hook

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> Self:
        """A hook whose flags may contradict each other, as a form, a file or a row may hold them (DESIGN 4).

        Raises:
            InvalidHook: any other fault.
        """
        return cls.model_validate({**values, "stored": True})

    @property
    def notes(self) -> list[Message]:
        """What was changed on the way in, in words: credentials moved out of the URL, a flag turned off."""
        return self._notes

    @field_serializer("auth_password", "custom_header_value", "signing_secret")
    def hide(self, secret: Secret | None) -> dict[str, bool]:
        """A secret leaves only as whether it is set."""
        return {"set": secret is not None and secret.is_set}


class HookRow(HookFields, table=True):
    """A hook as it is kept. Deleted hooks stay, marked, as long as the log speaks of them."""

    __tablename__ = "hook"
    __table_args__ = (
        CheckConstraint("length(name) BETWEEN 1 AND 120", name="hook_name"),
        CheckConstraint("position BETWEEN 0 AND 9999", name="hook_position"),
        CheckConstraint("timeout BETWEEN 0.1 AND 30", name="hook_timeout"),
        CheckConstraint("valid_from IS NULL OR valid_until IS NULL OR valid_from < valid_until", name="hook_period"),
        CheckConstraint("url LIKE 'http://%' OR url LIKE 'https://%'", name="hook_url"),
        CheckConstraint("auth_login NOT LIKE '%:%'", name="hook_auth_login"),
        CheckConstraint("length(condition) <= 1000", name="hook_condition"),
        CheckConstraint("length(fallback_message) <= 300", name="hook_fallback_message"),
        Index(
            "hook_key",
            "key",
            unique=True,
            sqlite_where=text("deleted_ms IS NULL"),
            postgresql_where=text("deleted_ms IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    uid: str = Field(max_length=32)
    """Random and unchanging: the row that sealed values are bound to."""
    auth_password: str | None = Field(default=None, sa_type=Text)
    custom_header: str = Field(default="", max_length=200)
    custom_header_value: str | None = Field(default=None, sa_type=Text)
    signing_secret: str | None = Field(default=None, sa_type=Text)
    signing_secret_old: str | None = Field(default=None, sa_type=Text)
    signing_old_until_ms: int | None = Field(default=None, sa_type=BigInteger)
    revision: int = 1
    paused_by: str | None = Field(default=None, max_length=8)
    paused_reason: str | None = Field(default=None, sa_type=Text)
    paused_ms: int | None = Field(default=None, sa_type=BigInteger)
    created_ms: int = Field(sa_type=BigInteger)
    deleted_ms: int | None = Field(default=None, sa_type=BigInteger)


SEALED = ("auth_password", "custom_header_value", "signing_secret", "signing_secret_old")
"""The columns of a hook that hold sealed values: opened for a request, never shown, sealed anew with another key."""


class HookRevision(SQLModel, table=True):
    """One change of a hook: who, when, and the fields before and after; a secret only as «set»."""

    __tablename__ = "hook_revision"
    __table_args__ = (
        Index("hook_revision_number", "hook_id", "revision", unique=True),
        Index("hook_revision_event", "event", "hook_id"),
        Index(
            "hook_revision_engine",
            "at_ms",
            sqlite_where=text("who = 'hookrow'"),
            postgresql_where=text("who = 'hookrow'"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    hook_id: int = Field(sa_column=Column(Integer, ForeignKey("hook.id", ondelete="CASCADE"), nullable=False))
    revision: int
    at_ms: int = Field(sa_type=BigInteger)
    who: str = Field(sa_type=Text)
    action: str = Field(max_length=16)
    event: str = Field(max_length=64)
    """The hook's event from here on: which hooks an event ever had, and which events a hook."""
    before: str | None = Field(default=None, sa_type=Text)
    after: str | None = Field(default=None, sa_type=Text)


class EventRow(SQLModel, table=True):
    """An event of the catalogue, stored so that another process's form offers it too."""

    __tablename__ = "event"
    __table_args__ = (CheckConstraint("moment IN ('before', 'after', 'on')", name="event_moment"),)

    code: str = Field(primary_key=True, max_length=64)
    title_en: str = Field(sa_type=Text)
    title_ru: str = Field(sa_type=Text)
    moment: str = Field(max_length=6)
    methods: str = Field(default="[]", sa_type=Text)
    sample: str = Field(default="{}", sa_type=Text)
    private: str = Field(default="[]", sa_type=Text)
    origin: str = Field(default="service", max_length=8)
    place: int = 0


class Setting(SQLModel, table=True):
    """A setting that every process on this database obeys (DESIGN 8). Also the vault's check value and the like."""

    __tablename__ = "setting"

    name: str = Field(primary_key=True, max_length=64)
    value: str = Field(sa_type=Text)


class ConfigVersion(SQLModel, table=True):
    """One row, raised by triggers whenever a hook, an event or a setting changes: the hook cache's question."""

    __tablename__ = "config_version"
    __table_args__ = (CheckConstraint("id = 1", name="config_version_single"),)

    id: int = Field(default=1, primary_key=True)
    n: int = Field(default=1, sa_type=BigInteger)


class FiringRow(SQLModel, table=True):
    """One `fire()`."""

    __tablename__ = "firing"
    __table_args__ = (
        Index("firing_uid", "uid", unique=True),
        Index("firing_event", "event", "outcome", "id"),
        Index(
            "firing_refused",
            "outcome",
            "id",
            sqlite_where=text("outcome <> 'allowed'"),
            postgresql_where=text("outcome <> 'allowed'"),
        ),
        Index(
            "firing_late",
            "at_ms",
            sqlite_where=text("id / 1048576 - at_ms > 60000"),
            postgresql_where=text("id / 1048576 - at_ms > 60000"),
        ),
        Index(
            "firing_idempotency",
            "event",
            "idempotency_key",
            "id",
            sqlite_where=text("idempotency_key IS NOT NULL"),
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
    )

    id: int = Field(sa_column=Column(Big, primary_key=True, autoincrement=False))
    """64-bit, time-ordered, taken inside the write transaction: the log's order."""
    uid: str = Field(max_length=20)
    """What receivers and people see (`evt_…`); known before the first request leaves."""
    event: str = Field(max_length=64)
    moment: str = Field(max_length=6)
    at_ms: int = Field(sa_type=BigInteger)
    deadline_ms: int = Field(sa_type=BigInteger)
    payload: str = Field(sa_type=Text)
    hidden: str | None = Field(default=None, sa_type=Text)
    data: str | None = Field(default=None, sa_type=Text)
    result: str | None = Field(default=None, sa_type=Text)
    outcome: str | None = Field(default=None, max_length=9)
    """None while waiting hooks run, or for ever if the process died then."""
    veto: str | None = Field(default=None, sa_type=Text)
    warnings: str | None = Field(default=None, sa_type=Text)
    ms: int | None = None
    idempotency_key: str | None = Field(default=None, sa_type=Text)
    payload_hash: str | None = Field(default=None, max_length=64)
    replay_of: str | None = Field(default=None, max_length=20)
    asked_by: str | None = Field(default=None, sa_type=Text)
    deferred: bool = False
    """Fired with defer=True and not enqueued yet: its background deliveries are not written."""


class DeliveryRow(SQLModel, table=True):
    """One hook's share of a firing. Its states and their changes: docs/contributing/state_machine.md."""

    __tablename__ = "delivery"
    __table_args__ = (
        Index("delivery_row", "firing_id", "seq", unique=True),
        Index("delivery_hook", "hook_id", "firing_id"),
        # Each kind of delivery by itself, so that conditions that never met are not looked for among the rows of one.
        Index("delivery_kind", "hook_id", "state", text("coalesce(status, 0)"), "firing_id"),
        Index(
            "delivery_due",
            "hook_id",
            "due_ms",
            sqlite_where=text("state IN ('blocked', 'queued', 'retrying')"),
            postgresql_where=text("state IN ('blocked', 'queued', 'retrying')"),
        ),
        Index(
            "delivery_leased",
            "lease_ms",
            sqlite_where=text("state = 'leased'"),
            postgresql_where=text("state = 'leased'"),
        ),
        Index(
            "delivery_notable",
            "state",
            "firing_id",
            sqlite_where=text("state NOT IN ('ok', 'sent', 'skipped')"),
            postgresql_where=text("state NOT IN ('ok', 'sent', 'skipped')"),
        ),
        Index(
            "delivery_usual",
            "state",
            "firing_id",
            sqlite_where=text("state IN ('ok', 'sent', 'skipped')"),
            postgresql_where=text("state IN ('ok', 'sent', 'skipped')"),
        ),
        Index(
            "delivery_status",
            "status",
            "firing_id",
            sqlite_where=text("status IS NOT NULL"),
            postgresql_where=text("status IS NOT NULL"),
        ),
        Index(
            "delivery_order",
            "hook_id",
            "order_key",
            "id",
            sqlite_where=text(
                "order_key IS NOT NULL AND state IN ('blocked', 'queued', 'leased', 'retrying', 'parked')"
            ),
            postgresql_where=text(
                "order_key IS NOT NULL AND state IN ('blocked', 'queued', 'leased', 'retrying', 'parked')"
            ),
        ),
    )

    id: int = Field(sa_column=Column(Big, primary_key=True, autoincrement=False))
    firing_id: int = Field(sa_column=Column(Big, ForeignKey("firing.id", ondelete="CASCADE"), nullable=False))
    seq: int
    """Place in the row, from 1. The receiver's `webhook-id` is made of the firing's uid and this number."""
    hook_id: int = Field(sa_column=Column(Integer, ForeignKey("hook.id"), nullable=False))
    hook_revision: int
    position: int
    mode: str = Field(max_length=9)
    state: str = Field(max_length=9)
    error: str | None = Field(default=None, max_length=20)
    detail: str | None = Field(default=None, sa_type=Text)
    skipped: str | None = Field(default=None, max_length=20)
    status: int | None = None
    ms: int | None = None
    attempts: int = 0
    body: str | None = Field(default=None, sa_type=Text)
    """The request's body as it is sent again; private values are null in it."""
    changes: str | None = Field(default=None, sa_type=Text)
    """What a transform changed: [[pointer, before, after], …]."""
    order_key: str | None = Field(default=None, sa_type=Text)
    due_ms: int | None = Field(default=None, sa_type=BigInteger)
    released_ms: int | None = Field(default=None, sa_type=BigInteger)
    lease_ms: int | None = Field(default=None, sa_type=BigInteger)
    owner: str | None = Field(default=None, max_length=32)
    fence: int = 0
    """Raised by every claim: a worker that lost its lease can't record a result."""
    first_ms: int | None = Field(default=None, sa_type=BigInteger)
    done_ms: int | None = Field(default=None, sa_type=BigInteger)


class AttemptRow(SQLModel, table=True):
    """One HTTP request."""

    __tablename__ = "attempt"
    __table_args__ = (
        Index("attempt_delivery", "delivery_id", "number"),
        Index(
            "attempt_failed",
            "at_ms",
            sqlite_where=text("error IS NOT NULL"),
            postgresql_where=text("error IS NOT NULL"),
        ),
    )

    id: int = Field(sa_column=Column(Big, primary_key=True, autoincrement=False))
    delivery_id: int = Field(sa_column=Column(Big, ForeignKey("delivery.id", ondelete="CASCADE"), nullable=False))
    number: int
    origin: str = Field(default="fire", max_length=9)
    at_ms: int = Field(sa_type=BigInteger)
    url: str = Field(sa_type=Text)
    """Without credentials; the values of a query are masked."""
    elsewhere: bool = False
    """Sent to another URL than the hook's (`--to`): it changes nothing else (DESIGN 13)."""
    address: str | None = Field(default=None, max_length=64)
    status: int | None = None
    error: str | None = Field(default=None, max_length=20)
    detail: str | None = Field(default=None, sa_type=Text)
    ms: int = 0
    times: str | None = Field(default=None, sa_type=Text)
    request_headers: str | None = Field(default=None, sa_type=Text)
    response_headers: str | None = Field(default=None, sa_type=Text)
    response_body: bytes | None = Field(default=None, sa_type=LargeBinary)
    response_length: int | None = Field(default=None, sa_type=BigInteger)
    asked_by: str | None = Field(default=None, sa_type=Text)


class BreakerRow(SQLModel, table=True):
    """How a hook's receiver has been lately; apart from `hook`, so that results don't empty the hook cache."""

    __tablename__ = "breaker"

    hook_id: int = Field(
        sa_column=Column(Integer, ForeignKey("hook.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    )
    failures: int = 0
    since_ms: int | None = Field(default=None, sa_type=BigInteger)
    wait_ms: int = 0
    probe_ms: int | None = Field(default=None, sa_type=BigInteger)
    """When open: the next probe may go at this moment; taking it moves it on, so one process probes."""
