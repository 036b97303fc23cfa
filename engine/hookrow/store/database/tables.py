"""The tables: as models, from which the schema is made, and as the tables of SQLAlchemy Core, for statements."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    TextClause,
    text,
)
from sqlmodel import Column, Field, SQLModel

from hookrow.hook.model import HookFields

__all__ = [
    "ATTEMPTS",
    "BREAKERS",
    "DELIVERIES",
    "EVENTS",
    "FIRINGS",
    "HOOKS",
    "REVISIONS",
    "SETTINGS",
    "TABLES",
    "VERSION_NUMBER",
    "AttemptRow",
    "BreakerRow",
    "ConfigVersion",
    "DeliveryRow",
    "EventRow",
    "FiringRow",
    "HookRevision",
    "HookRow",
    "Setting",
]


Big: Final = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit integer that SQLite takes as its rowid."""


def partial_index(name: str, *columns: str | TextClause, where: str, unique: bool = False) -> Index:
    """A partial index: used only by a query that repeats its term letter for letter."""
    term = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=term, postgresql_where=term)


class HookRow(HookFields, table=True):
    """A hook as it is kept. Deleted hooks stay, marked, as long as the log speaks of them."""

    __tablename__: ClassVar[str] = "hook"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        CheckConstraint("length(name) BETWEEN 1 AND 120", name="hook_name"),
        CheckConstraint("position BETWEEN 0 AND 9999", name="hook_position"),
        CheckConstraint("timeout BETWEEN 0.1 AND 30", name="hook_timeout"),
        CheckConstraint("valid_from IS NULL OR valid_until IS NULL OR valid_from < valid_until", name="hook_period"),
        CheckConstraint("url LIKE 'http://%' OR url LIKE 'https://%'", name="hook_url"),
        CheckConstraint("auth_login NOT LIKE '%:%'", name="hook_auth_login"),
        CheckConstraint("length(condition) <= 1000", name="hook_condition"),
        CheckConstraint("length(fallback_message) <= 300", name="hook_fallback_message"),
        partial_index("hook_key", "key", where="deleted_ms IS NULL", unique=True),
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
    candidate: str | None = Field(default=None, sa_type=Text)
    """Changed fields that are tried in shadow beside these, as JSON; their secrets sealed."""


class HookRevision(SQLModel, table=True):
    """One change of a hook: who, when, and the fields before and after; a secret only as «set»."""

    __tablename__: ClassVar[str] = "hook_revision"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("hook_revision_number", "hook_id", "revision", unique=True),
        Index("hook_revision_event", "event", "hook_id"),
        partial_index("hook_revision_engine", "at_ms", where="who = 'hookrow'"),
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

    __tablename__: ClassVar[str] = "event"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        CheckConstraint("moment IN ('before', 'after', 'on')", name="event_moment"),
    )

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
    """A setting that every process on this database obeys. Also the vault's check value and the like."""

    __tablename__: ClassVar[str] = "setting"

    name: str = Field(primary_key=True, max_length=64)
    value: str = Field(sa_type=Text)


class ConfigVersion(SQLModel, table=True):
    """One row, raised by triggers whenever a hook, an event or a setting changes: the hook cache's question."""

    __tablename__: ClassVar[str] = "config_version"
    __table_args__: ClassVar[tuple[Any, ...]] = (CheckConstraint("id = 1", name="config_version_single"),)

    id: int = Field(default=1, primary_key=True)
    n: int = Field(default=1, sa_type=BigInteger)


class FiringRow(SQLModel, table=True):
    """One `fire()`."""

    __tablename__: ClassVar[str] = "firing"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("firing_uid", "uid", unique=True),
        Index("firing_event", "event", "outcome", "id"),
        partial_index("firing_refused", "outcome", "id", where="outcome <> 'allowed'"),
        partial_index("firing_late", "at_ms", where="id / 1048576 - at_ms > 60000"),
        partial_index("firing_deep", "at_ms", where="depth >= 3"),
        partial_index("firing_replays", "replay_of", where="replay_of IS NOT NULL"),
        partial_index("firing_idempotency", "event", "idempotency_key", "id", where="idempotency_key IS NOT NULL"),
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
    """None while blocking hooks run, or where the process died then, until that is found (`end_interrupted`)."""
    veto: str | None = Field(default=None, sa_type=Text)
    warnings: str | None = Field(default=None, sa_type=Text)
    ms: int | None = None
    idempotency_key: str | None = Field(default=None, sa_type=Text)
    payload_hash: str | None = Field(default=None, max_length=64)
    replay_of: str | None = Field(default=None, max_length=20)
    asked_by: str | None = Field(default=None, sa_type=Text)
    depth: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    """How many hooks its call came through, by the header `hook-depth`."""
    deferred: bool = False
    """Fired with defer=True and not enqueued yet: its background deliveries are not written."""


class DeliveryRow(SQLModel, table=True):
    """One hook's share of a firing. Its states and their changes: docs/contributing/state_machine.md."""

    __tablename__: ClassVar[str] = "delivery"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("delivery_row", "firing_id", "seq", unique=True),
        Index("delivery_hook", "hook_id", "firing_id"),
        # Each kind of delivery by itself, so that conditions that never met are not looked for among the rows of one.
        Index("delivery_kind", "hook_id", "state", text("coalesce(status, 0)"), "firing_id"),
        partial_index("delivery_due", "hook_id", "due_ms", where="state IN ('blocked', 'queued', 'retrying')"),
        partial_index("delivery_leased", "lease_ms", where="state = 'leased'"),
        partial_index("delivery_notable", "state", "firing_id", where="state NOT IN ('ok', 'sent', 'skipped')"),
        partial_index("delivery_usual", "state", "firing_id", where="state IN ('ok', 'sent', 'skipped')"),
        partial_index("delivery_status", "status", "firing_id", where="status IS NOT NULL"),
        partial_index("delivery_differs", "firing_id", where="compared <> 'same'"),
        partial_index(
            "delivery_reason",
            text("coalesce(skipped, error)"),
            "hook_id",
            "firing_id",
            where="coalesce(skipped, error) IS NOT NULL",
        ),
        partial_index(
            "delivery_order",
            "hook_id",
            "order_key",
            "id",
            where="order_key IS NOT NULL AND state IN ('blocked', 'queued', 'leased', 'retrying', 'parked')",
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
    takeovers: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    """How often it was taken from a process that died, without anybody knowing whether a request had left."""
    begun_ms: int | None = Field(default=None, sa_type=BigInteger)
    """Set by the claim of a row that was taken over once: its request begins at once."""
    shadow: int | None = None
    """Asked in shadow, in so many milliseconds at most; None: for real."""
    would: str | None = Field(default=None, max_length=6)
    """What the answer to a shadow's request would have done: allow, veto, change, fail."""
    against: str | None = Field(default=None, sa_type=Text)
    """Asked as the hook's candidate: what the hook itself did there, as JSON (`hookrow.delivery.comparing`)."""
    compared: str | None = Field(default=None, max_length=8)
    """Whether the candidate would have decided the same, once that is known: same, verdict, refusal, data."""


class AttemptRow(SQLModel, table=True):
    """One HTTP request."""

    __tablename__: ClassVar[str] = "attempt"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("attempt_delivery", "delivery_id", "number"),
        partial_index("attempt_failed", "at_ms", where="error IS NOT NULL"),
    )

    id: int = Field(sa_column=Column(Big, primary_key=True, autoincrement=False))
    delivery_id: int = Field(sa_column=Column(Big, ForeignKey("delivery.id", ondelete="CASCADE"), nullable=False))
    number: int
    origin: str = Field(default="fire", max_length=9)
    at_ms: int = Field(sa_type=BigInteger)
    url: str = Field(sa_type=Text)
    """Without credentials; the values of a query are masked."""
    elsewhere: bool = False
    """Sent to another URL than the hook's (`--to`): it changes nothing else (docs/replay.md)."""
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

    __tablename__: ClassVar[str] = "breaker"

    hook_id: int = Field(
        sa_column=Column(Integer, ForeignKey("hook.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    )
    failures: int = 0
    since_ms: int | None = Field(default=None, sa_type=BigInteger)
    wait_ms: int = 0
    probe_ms: int | None = Field(default=None, sa_type=BigInteger)
    """When open: the next probe may go at this moment; taking it moves it on, so one process probes."""


class DeedRow(SQLModel, table=True):
    """Something that somebody did by hand: a drop, a redelivery, a replay, a setting, keys."""

    __tablename__: ClassVar[str] = "deed"

    id: int | None = Field(default=None, primary_key=True)
    at_ms: int = Field(sa_type=BigInteger)
    who: str = Field(sa_type=Text)
    action: str = Field(max_length=16)
    subject: str = Field(sa_type=Text)


HOOKS: Table = HookRow.__table__  # type: ignore[attr-defined]
REVISIONS: Table = HookRevision.__table__  # type: ignore[attr-defined]
EVENTS: Table = EventRow.__table__  # type: ignore[attr-defined]
SETTINGS: Table = Setting.__table__  # type: ignore[attr-defined]
FIRINGS: Table = FiringRow.__table__  # type: ignore[attr-defined]
DELIVERIES: Table = DeliveryRow.__table__  # type: ignore[attr-defined]
ATTEMPTS: Table = AttemptRow.__table__  # type: ignore[attr-defined]
BREAKERS: Table = BreakerRow.__table__  # type: ignore[attr-defined]
DEEDS: Table = DeedRow.__table__  # type: ignore[attr-defined]
VERSION_NUMBER: Table = ConfigVersion.__table__  # type: ignore[attr-defined]
OURS: set[Table] = {HOOKS, REVISIONS, EVENTS, SETTINGS, FIRINGS, DELIVERIES, ATTEMPTS, BREAKERS, DEEDS, VERSION_NUMBER}
TABLES = tuple(table for table in SQLModel.metadata.sorted_tables if table in OURS)
"""All of ours, in the order in which they can be made; a host's own models may share the metadata."""
