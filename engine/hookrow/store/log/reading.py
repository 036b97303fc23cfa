"""Reading the log: pages, single firings, attempts, as records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, literal_column, select

from hookrow.hook.stored import HookRef
from hookrow.ids import delivery_id, firing_id
from hookrow.payload import JsonObject
from hookrow.reasons.reason import Reason, from_kept, read
from hookrow.records import Attempt, Delivery, Firing, LogFilter, Veto, loads
from hookrow.store.configuration.cache import Config
from hookrow.store.database.plain import reading, sound
from hookrow.store.database.prepared import PreparedIn
from hookrow.store.database.rows import kinds_of
from hookrow.store.database.tables import ATTEMPTS, DELIVERIES, FIRINGS
from hookrow.store.log.finding import ids
from hookrow.store.log.thawed import QuickDelivery, QuickFiring

__all__ = ["attempt_from", "attempts", "by_ids", "deep_hooks", "firing_by_uid", "page", "payloads"]

INTERRUPTED = "firing_interrupted"
DEEP = FIRINGS.c.depth >= literal_column("3")
"""The term of the index `firing_deep`."""


def hook_ref(config: Config, number: int) -> HookRef:
    hook = config.hooks.get(number)
    return hook.ref if hook is not None else HookRef(number, f"hook-{number}", f"#{number}")


def page(
    connection: Connection,
    config: Config,
    wanted: LogFilter,
    *,
    before: int | None = None,
    after: int | None = None,
    limit: int = 50,
) -> list[Firing]:
    """A page of firings with their deliveries, newest first."""
    return by_ids(connection, config, ids(connection, wanted, before=before, after=after, limit=limit))


FIRING_COLUMNS = (
    *("id", "uid", "event", "moment", "at_ms", "outcome", "payload", "data", "result", "veto", "warnings", "ms"),
    *("hidden", "replay_of", "asked_by", "depth", "traceparent", "deferred"),
)
DELIVERY_COLUMNS = (
    *("id", "firing_id", "seq", "hook_id", "position", "mode", "state", "error", "detail", "skipped", "status"),
    *("ms", "attempts", "due_ms", "done_ms", "changes", "body", "order_key", "takeovers", "shadow", "would"),
    *("against", "compared"),
)
FIRING_HOLDS, DELIVERY_HOLDS = kinds_of(FIRINGS, FIRING_COLUMNS), kinds_of(DELIVERIES, DELIVERY_COLUMNS)
ATTEMPT_HOLDS = kinds_of(ATTEMPTS)
FIRINGS_OF = PreparedIn(
    lambda found: select(*(FIRINGS.c[name] for name in FIRING_COLUMNS)).where(FIRINGS.c.id.in_(found))
)
REPLAYED_OF = PreparedIn(lambda found: select(FIRINGS.c.replay_of).distinct().where(FIRINGS.c.replay_of.in_(found)))
DELIVERIES_OF = PreparedIn(
    lambda found: (
        select(*(DELIVERIES.c[name] for name in DELIVERY_COLUMNS))
        .where(DELIVERIES.c.firing_id.in_(found))
        .order_by(DELIVERIES.c.firing_id, DELIVERIES.c.seq)
    )
)


def by_ids(connection: Connection, config: Config, wanted: Iterable[int]) -> list[Firing]:
    """The firings of these row ids, in that order; those that were purged are left out."""
    order = list(wanted)
    firings, deliveries = FIRINGS_OF.all(connection, order), DELIVERIES_OF.all(connection, order)
    with reading("firing"):
        sound(FIRING_HOLDS, firings)
    with reading("delivery"):
        sound(DELIVERY_HOLDS, deliveries)
    rows = {row.id: row for row in firings}
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for row in deliveries:
        found[row.firing_id].append(row)
    refs = {number: hook_ref(config, number) for number in {row.hook_id for row in deliveries}}
    replayed = {row.replay_of for row in REPLAYED_OF.all(connection, [row.uid for row in rows.values()])}
    with reading("firing"):
        return [firing_from(rows[number], found[number], refs, replayed) for number in order if number in rows]


def firing_by_uid(connection: Connection, config: Config, uid: str) -> Firing | None:
    """The firing of a public id, None if the log does not hold it."""
    number = connection.execute(select(FIRINGS.c.id).where(FIRINGS.c.uid == uid)).scalar()
    return None if number is None else by_ids(connection, config, [number])[0]


def deep_hooks(connection: Connection, since_ms: int) -> set[int]:
    """The hooks whose firings since that moment came through three hooks or more."""
    found = select(DELIVERIES.c.hook_id).join(FIRINGS, FIRINGS.c.id == DELIVERIES.c.firing_id)
    return set(connection.execute(found.where(DEEP, FIRINGS.c.at_ms >= since_ms).distinct()).scalars())


def payloads(connection: Connection, event: str, last: int) -> Iterator[tuple[int, JsonObject]]:
    """When (ms) and with what payload the event was fired, newest first, one at a time: each may be a megabyte."""
    for number in ids(connection, LogFilter(event=event), limit=last):
        row = connection.execute(select(FIRINGS.c.at_ms, FIRINGS.c.payload).where(FIRINGS.c.id == number)).first()
        if row is not None:  # None: purged meanwhile
            yield row.at_ms, loads(row.payload)


def firing_from(row: Any, deliveries: Sequence[Any], refs: Mapping[int, HookRef], replayed: Collection[str]) -> Firing:
    """The record of a firing's row and its deliveries' rows; `replayed` are the uids of those that were fired anew."""
    payload = loads(row.payload)
    warned = [from_kept(each) or each for each in loads(row.warnings) or ()]
    return QuickFiring(
        id=firing_id(row.uid),
        event=row.event,
        moment=row.moment,
        at_ms=row.at_ms,
        outcome=row.outcome,
        payload=payload,
        data=payload if row.data is None else loads(row.data),
        result=loads(row.result),
        has_result=row.result is not None,
        veto=veto_from(loads(row.veto)),
        warnings=tuple(map(str, warned)),
        reason=next((each for each in warned if isinstance(each, Reason) and each.code == INTERRUPTED), None),
        deliveries=tuple(delivery_from(each, row, refs[each.hook_id]) for each in deliveries),
        ms=row.ms,
        hidden=loads(row.hidden) or (),
        replay_of=None if row.replay_of is None else firing_id(row.replay_of),
        replayed=row.uid in replayed,
        asked_by=row.asked_by,
        depth=row.depth,
        traceparent=row.traceparent,
        deferred=row.deferred,
        row_id=row.id,
    )


def veto_from(kept: Any) -> Veto | None:
    """A refusal as it is kept: the message of a failure is a reason, or the hook's own words."""
    if kept is None:
        return None
    reason = from_kept(kept["message"])
    message = kept["message"] if reason is None else str(reason)
    return Veto(**{**kept, "hook": HookRef(**kept["hook"]), "message": message, "reason": reason})


def as_detail(column: str | None) -> JsonObject:
    """What the column `detail` holds, as the records have it: in words, and by code where it is a reason."""
    detail = read(column)
    return {
        "detail": None if detail is None else str(detail),
        "reason": detail if isinstance(detail, Reason) else None,
    }


def delivery_from(row: Any, firing: Any, hook: HookRef) -> Delivery:
    return QuickDelivery(
        id=delivery_id(firing.uid, row.seq),
        firing_id=firing_id(firing.uid),
        hook=hook,
        seq=row.seq,
        position=row.position,
        mode=row.mode,
        state=row.state,
        at_ms=firing.at_ms,
        error=row.error,
        **as_detail(row.detail),
        skipped=row.skipped,
        status=row.status,
        ms=row.ms,
        attempts=row.attempts,
        due_ms=row.due_ms,
        done_ms=row.done_ms,
        changes=tuple(tuple(change) for change in loads(row.changes) or ()),
        body=row.body,
        order_key=row.order_key,
        takeovers=row.takeovers,
        shadow=row.shadow is not None,
        would=row.would,
        candidate=row.against is not None,
        compared=row.compared,
        row_id=row.id,
    )


def attempts(connection: Connection, delivery: int) -> list[Attempt]:
    """Every attempt of a delivery, the first one first."""
    body = connection.execute(select(DELIVERIES.c.body).where(DELIVERIES.c.id == delivery)).scalar()
    answer = connection.execute(
        select(ATTEMPTS).where(ATTEMPTS.c.delivery_id == delivery).order_by(ATTEMPTS.c.number, ATTEMPTS.c.id)
    )
    with reading("attempt"):
        rows = answer.all()
        sound(ATTEMPT_HOLDS, rows)
        return [attempt_from(row._asdict(), body) for row in rows]


def attempt_from(values: Mapping[str, Any], body: str | None) -> Attempt:
    """The record of an attempt from its columns; `body` is its delivery's."""
    return Attempt(
        number=values["number"],
        at_ms=values["at_ms"],
        url=values["url"],
        origin=values["origin"],
        elsewhere=values["elsewhere"],
        address=values.get("address"),
        status=values.get("status"),
        error=values.get("error"),
        **as_detail(values.get("detail")),
        ms=values["ms"],
        times=loads(values.get("times")) or {},
        request_headers=tuple((name, value) for name, value in loads(values.get("request_headers")) or ()),
        request_body=body,
        response_headers=tuple((name, value) for name, value in loads(values.get("response_headers")) or ()),
        response_body=values.get("response_body"),
        response_length=values.get("response_length"),
        asked_by=values.get("asked_by"),
    )
