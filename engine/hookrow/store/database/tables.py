"""The tables, as SQLAlchemy Core has them: for statements, and for a new database (its indexes: `schema.py`).

Not as models: who only fires and sends needs neither the ORM nor pydantic (docs/decisions/0003). A column's default is
what a new row gets that does not name it.

Moments of the log and the outbox are integers, milliseconds since 1970 UTC (`*_ms`): they are compared in every claim.
Moments that people typed (a hook's period) are aware datetimes in UTC. JSON is kept as text, so that numbers and the
order of keys come back exactly as they came in, on SQLite and on PostgreSQL alike.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    text,
)
from sqlalchemy.types import TypeEngine

__all__ = [
    "ATTEMPTS",
    "BREAKERS",
    "DEEDS",
    "DELIVERIES",
    "EVENTS",
    "FIRINGS",
    "HOOKS",
    "METADATA",
    "REVISIONS",
    "SETTINGS",
    "TABLES",
    "VERSION_NUMBER",
]


class AwareTime(TypeDecorator[datetime]):
    """A moment that a person typed: aware, in UTC, on a database without time zones too."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = DateTime(timezone=True)
    cache_ok: bool | None = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


METADATA: Final = MetaData()
Big: Final = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit integer that SQLite takes as its rowid."""


def column(name: str, kind: Any, *more: Any, default: Any = None, optional: bool = False, **how: Any) -> Column[Any]:
    """A column that is never NULL, unless it is optional."""
    if default is not None:
        how["default"] = default
    return Column(name, kind, *more, nullable=optional, **how)


def optional(name: str, kind: Any) -> Column[Any]:
    return column(name, kind, optional=True)


# A hook as it is kept. Deleted hooks stay, marked, as long as the log speaks of them.
HOOKS: Final = Table(
    "hook",
    METADATA,
    column("key", String(64), default=""),
    column("name", String(120)),
    column("url", Text),
    column("event", String(64)),
    column("position", Integer, default=10),
    column("timeout", Float, default=5.0),
    optional("valid_from", AwareTime),
    optional("valid_until", AwareTime),
    column("active", Boolean, default=True),
    column("fire_and_forget", Boolean, default=True),
    column("wait_for_response", Boolean, default=False),
    column("response_has_data", Boolean, default=False),
    column("body", Text, default=""),
    column("auth_login", Text, default=""),
    column("condition", Text, default=""),
    column("on_failure", String(8), default="continue"),
    column("fallback_message", String(300), default=""),
    column("order_key", Text, default=""),
    column("shadow", Boolean, default=False, server_default=false()),
    column("id", Integer, primary_key=True),
    column("uid", String(32)),  # random and unchanging: the row that sealed values are bound to
    optional("auth_password", Text),
    column("custom_header", String(200), default=""),
    optional("custom_header_value", Text),
    optional("signing_secret", Text),
    optional("signing_secret_old", Text),
    optional("signing_old_until_ms", BigInteger),
    column("revision", Integer, default=1),
    optional("paused_by", String(8)),
    optional("paused_reason", Text),
    optional("paused_ms", BigInteger),
    column("created_ms", BigInteger),
    optional("deleted_ms", BigInteger),
    optional("candidate", Text),  # changed fields that are tried in shadow beside these, as JSON; their secrets sealed
    CheckConstraint("length(name) BETWEEN 1 AND 120", name="hook_name"),
    CheckConstraint("position BETWEEN 0 AND 9999", name="hook_position"),
    CheckConstraint("timeout BETWEEN 0.1 AND 30", name="hook_timeout"),
    CheckConstraint("valid_from IS NULL OR valid_until IS NULL OR valid_from < valid_until", name="hook_period"),
    CheckConstraint("url LIKE 'http://%' OR url LIKE 'https://%'", name="hook_url"),
    CheckConstraint("auth_login NOT LIKE '%:%'", name="hook_auth_login"),
    CheckConstraint("length(condition) <= 1000", name="hook_condition"),
    CheckConstraint("length(fallback_message) <= 300", name="hook_fallback_message"),
    sqlite_autoincrement=True,
)

# One change of a hook: who, when, and the fields before and after; a secret only as «set».
REVISIONS: Final = Table(
    "hook_revision",
    METADATA,
    column("id", Integer, primary_key=True),
    column("hook_id", Integer, ForeignKey("hook.id", ondelete="CASCADE")),
    column("revision", Integer),
    column("at_ms", BigInteger),
    column("who", Text),
    column("action", String(16)),
    column("event", String(64)),  # the hook's from here on: which hooks an event ever had, and which events a hook
    optional("before", Text),
    optional("after", Text),
)

# An event of the catalogue, stored so that another process's form offers it too.
EVENTS: Final = Table(
    "event",
    METADATA,
    column("code", String(64), primary_key=True),
    column("title_en", Text),
    column("title_ru", Text),
    column("moment", String(6)),
    column("methods", Text, default="[]"),
    column("sample", Text, default="{}"),
    column("private", Text, default="[]"),
    column("origin", String(8), default="service"),
    column("place", Integer, default=0),
    CheckConstraint("moment IN ('before', 'after', 'on')", name="event_moment"),
)

# Settings that every process on this database obeys. Also the vault's check value and the like.
SETTINGS: Final = Table("setting", METADATA, column("name", String(64), primary_key=True), column("value", Text))

# One row, raised by triggers whenever a hook, an event or a setting changes: the hook cache's question.
VERSION_NUMBER: Final = Table(
    "config_version",
    METADATA,
    column("id", Integer, primary_key=True, default=1),
    column("n", BigInteger, default=1),
    CheckConstraint("id = 1", name="config_version_single"),
)

# One `fire()`. Its id is time-ordered and taken inside the write transaction: the log's order.
FIRINGS: Final = Table(
    "firing",
    METADATA,
    column("id", Big, primary_key=True, autoincrement=False),
    column("uid", String(20)),  # what receivers and people see (`evt_…`); known before the first request leaves
    column("event", String(64)),
    column("moment", String(6)),
    column("at_ms", BigInteger),
    column("deadline_ms", BigInteger),
    column("payload", Text),
    optional("hidden", Text),
    optional("data", Text),
    optional("result", Text),
    # None while blocking hooks run, or where the process died then, until that is found (`end_interrupted`).
    optional("outcome", String(9)),
    optional("veto", Text),
    optional("warnings", Text),
    optional("ms", Integer),
    optional("idempotency_key", Text),
    optional("payload_hash", String(64)),
    optional("replay_of", String(20)),
    optional("asked_by", Text),
    column("depth", Integer, default=0, server_default=text("0")),  # of calls in calls, by the header `hook-depth`
    # The span to which its requests belong, those of an hour later too (W3C Trace Context).
    optional("traceparent", String(55)),
    column("deferred", Boolean, default=False),  # fired with defer=True and not enqueued yet
)

# One hook's share of a firing. Its states and their changes: docs/contributing/state_machine.md.
DELIVERIES: Final = Table(
    "delivery",
    METADATA,
    column("id", Big, primary_key=True, autoincrement=False),
    column("firing_id", Big, ForeignKey("firing.id", ondelete="CASCADE")),
    # Place in the row, from 1. The receiver's `webhook-id` is made of the firing's uid and this number.
    column("seq", Integer),
    column("hook_id", Integer, ForeignKey("hook.id")),
    column("hook_revision", Integer),
    column("position", Integer),
    column("mode", String(9)),
    column("state", String(9)),
    optional("error", String(20)),
    optional("detail", Text),
    optional("skipped", String(20)),
    optional("status", Integer),
    optional("ms", Integer),
    column("attempts", Integer, default=0),
    optional("body", Text),  # the request's, as it is sent again; private values are null in it
    optional("changes", Text),  # what a transform changed: [[pointer, before, after], …]
    optional("order_key", Text),
    optional("due_ms", BigInteger),
    optional("released_ms", BigInteger),
    optional("lease_ms", BigInteger),
    optional("owner", String(32)),
    column("fence", Integer, default=0),  # raised by every claim: a worker that lost its lease can't record a result
    optional("first_ms", BigInteger),
    optional("done_ms", BigInteger),
    # How often it was taken from a process that died, without anybody knowing whether a request had left.
    column("takeovers", Integer, default=0, server_default=text("0")),
    optional("begun_ms", BigInteger),  # set by the claim of a row that was taken over once: its request begins at once
    optional("shadow", Integer),  # asked in shadow, in so many milliseconds at most; None: for real
    optional("would", String(6)),  # what the answer to a shadow's request would have done: allow, veto, change, fail
    optional("against", Text),  # asked as the hook's candidate: what the hook itself did (`delivery.comparing`)
    optional("compared", String(8)),  # whether the candidate would have decided the same: same, decision, refusal, data
)

# One HTTP request.
ATTEMPTS: Final = Table(
    "attempt",
    METADATA,
    column("id", Big, primary_key=True, autoincrement=False),
    column("delivery_id", Big, ForeignKey("delivery.id", ondelete="CASCADE")),
    column("number", Integer),
    column("origin", String(9), default="fire"),
    column("at_ms", BigInteger),
    column("url", Text),  # without credentials; the values of a query are masked
    column("elsewhere", Boolean, default=False),  # to another URL than the hook's (`--to`): it changes nothing else
    optional("address", String(64)),
    optional("status", Integer),
    optional("error", String(20)),
    optional("detail", Text),
    column("ms", Integer, default=0),
    optional("times", Text),
    optional("request_headers", Text),
    optional("response_headers", Text),
    optional("response_body", LargeBinary),
    optional("response_length", BigInteger),
    optional("asked_by", Text),
)

# How a hook's receiver has been lately; apart from `hook`, so that results don't empty the hook cache.
BREAKERS: Final = Table(
    "breaker",
    METADATA,
    column("hook_id", Integer, ForeignKey("hook.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    column("failures", Integer, default=0),
    optional("since_ms", BigInteger),
    column("wait_ms", Integer, default=0),
    # When open: the next probe may go at this moment; taking it moves it on, so one process probes.
    optional("probe_ms", BigInteger),
)

# Something that somebody did by hand: a drop, a redelivery, a replay, a setting, keys.
DEEDS: Final = Table(
    "deed",
    METADATA,
    column("id", Integer, primary_key=True),
    column("at_ms", BigInteger),
    column("who", Text),
    column("action", String(16)),
    column("subject", Text),
)

TABLES: Final = tuple(METADATA.sorted_tables)
"""All of them, in the order in which they can be made."""
