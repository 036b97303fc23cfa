"""Hooks in the database: every change makes a revision, and takes the hook's waiting deliveries along."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from hookrow.errors import CandidateInTheWay, ChangedMeanwhile, HookNotFound, KeyTaken
from hookrow.hook.candidate import HookCandidate, in_the_way
from hookrow.hook.modes import key_pause
from hookrow.hook.stored import SEALED
from hookrow.lang import Text, quoted
from hookrow.reasons.reason import keep
from hookrow.secrets.vault import Place, Vault
from hookrow.store import outbox
from hookrow.store.configuration.revisions import Author, history, record, revise
from hookrow.store.database.locks import after_a_lock, all_locked
from hookrow.store.database.plain import reading
from hookrow.store.database.tables import HOOKS

__all__ = [
    "Author",
    "abandon",
    "change",
    "create",
    "history",
    "hold",
    "hold_order",
    "looked_at",
    "new_uid",
    "next_position",
    "places",
    "reseal_all",
    "sealed_by",
    "sealed_values",
]

LAST_POSITION = 9999


def new_uid() -> str:
    """A hook's unchanging random name, which its sealed values are bound to."""
    return secrets.token_hex(16)


def hold_order(connection: Connection, event: str) -> None:
    """One transaction at a time gives the hooks of an event their places; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"order {event}", 0))))


def hold(connection: Connection, hooks: Collection[int] | Select[Any], events: Collection[str] = ()) -> None:
    """Lock what a transaction is to change of several hooks, before anything else of theirs (docs/decisions/0022).

    Args:
        events: of which hooks get places, by whatever way.
    """
    for event in sorted(events):
        hold_order(connection, event)
    full = select(HOOKS.c.event).where(
        HOOKS.c.event.in_(events), HOOKS.c.position == LAST_POSITION, HOOKS.c.deleted_ms.is_(None)
    )
    wanted = or_(HOOKS.c.id.in_(hooks), HOOKS.c.event.in_(full))  # whose hooks may be numbered anew
    all_locked(connection, select(HOOKS.c.id).where(wanted).order_by(HOOKS.c.id))


def hold_place(connection: Connection, number: int, changes: Mapping[str, Any]) -> None:
    """As `hold_order`, where a change gives the hook a place after all others: before its row is locked, as `move`."""
    if "event" in changes or changes.get("position", 0) is None:
        now = connection.execute(select(HOOKS.c.event).where(HOOKS.c.id == number)).scalar()
        event = put_last(now, changes)
        if event is not None:
            hold(connection, [number], [event])


def put_last(now: str | None, changes: Mapping[str, Any]) -> str | None:
    """The event after all of whose hooks these changes put one that hangs at `now`; None: it is not put there."""
    event: str | None = changes.get("event", now)
    return event if changes.get("position", 0) is None or (event != now and "position" not in changes) else None


def next_position(connection: Connection, event: str, author: Author, number: int | None = None) -> int:
    """Where a hook (`number`: one that exists) goes whose order was left out: the event's largest rounded down to a
    ten, + 10. Where that is the last there is, the others are numbered anew."""
    hold_order(connection, event)
    last = connection.execute(
        select(func.max(HOOKS.c.position)).where(HOOKS.c.event == event, HOOKS.c.deleted_ms.is_(None))
    ).scalar()
    if last == LAST_POSITION:
        return make_room(connection, event, author, number)
    return 10 if last is None else min(last // 10 * 10 + 10, LAST_POSITION)


def places(connection: Connection, event: str | None) -> list[tuple[int, int]]:
    """Position and id of an event's hooks, in the order in which they run; locked."""
    rows = connection.execute(
        select(HOOKS.c.position, HOOKS.c.id)
        .where(HOOKS.c.event == event, HOOKS.c.deleted_ms.is_(None))
        .order_by(HOOKS.c.id)  # whoever locks several locks them in this order
        .with_for_update(key_share=True)
    ).all()
    return sorted((each.position, each.id) for each in rows)


def make_room(connection: Connection, event: str, author: Author, number: int | None) -> int:
    """Number an event's hooks anew, but for this one; gives the place after them. Equal numbers stay equal."""
    others = [each for each in places(connection, event) if each[1] != number]
    taken = sorted({position for position, _ in others})
    step = min(10, LAST_POSITION // (len(taken) + 1))
    if not step:  # each number there is has its hook
        return LAST_POSITION
    for position, each in others:
        change(connection, each, {"position": step * (taken.index(position) + 1)}, author, action="move")
    return step * (len(taken) + 1)


def key_owner(connection: Connection, key: str) -> int | None:
    return connection.execute(select(HOOKS.c.id).where(HOOKS.c.key == key, HOOKS.c.deleted_ms.is_(None))).scalar()


@contextmanager
def keys_guarded(key: str) -> Iterator[None]:
    """On PostgreSQL two transactions may take one key at once: the index lets one through, and the other is told."""
    try:
        yield
    except IntegrityError as error:
        if "hook_key" not in str(error.orig):
            raise
        raise taken(key) from None


def taken(key: str) -> KeyTaken:
    return KeyTaken(Text('another hook has the key "{key}"', key=key))


def create(connection: Connection, values: Mapping[str, Any], author: Author, *, action: str = "add") -> int:
    """Insert a hook whose values are checked and sealed; gives its id.

    Raises:
        KeyTaken: another hook has this key.
    """
    row = dict(values)
    if row.get("position") is None:
        row["position"] = next_position(connection, row["event"], author)
    key = row.get("key") or ""
    if key and key_owner(connection, key) is not None:
        raise taken(key)
    # A key made from the id can only be given once the id is known.
    row |= {"key": key or row["uid"], "revision": 1, "created_ms": author.at_ms}
    with keys_guarded(key):
        number = connection.execute(insert(HOOKS).values(**row)).inserted_primary_key[0]  # type: ignore[index]
    if not key:
        connection.execute(update(HOOKS).where(HOOKS.c.id == number).values(key=made_key(connection, number)))
    record(connection, author, action, None, dict(load(connection, number)._mapping))
    return int(number)


def made_key(connection: Connection, number: int) -> str:
    """`hook-7`, or the next free spelling where a person took that."""
    key, extra = f"hook-{number}", 1
    while key_owner(connection, key) is not None:
        extra += 1
        key = f"hook-{number}-{extra}"
    return key


def load(connection: Connection, number: int) -> Row[Any]:
    """A hook's row, locked for this transaction where the database can.

    Raises:
        HookNotFound
    """
    row = connection.execute(select(HOOKS).where(HOOKS.c.id == number).with_for_update(key_share=True)).first()
    after_a_lock(connection)
    if row is None:
        raise HookNotFound(Text("there is no hook {ref}", ref=number))
    return row


def looked_at(connection: Connection, revisions: Mapping[int, int]) -> None:
    """See that these hooks are of these revisions, before a transaction changes several: one may give another a place.

    Raises:
        HookNotFound, ChangedMeanwhile
    """
    for number, revision in revisions.items():
        same(load(connection, number)._mapping, revision)


def same(row: Mapping[Any, Any], revision: int | None) -> None:
    """See that a hook's row is of this revision. Raises ChangedMeanwhile."""
    if revision is not None and revision != row["revision"]:
        raise ChangedMeanwhile(Text('the hook "{name}" was changed while you were editing', name=row["name"]))


def change(
    connection: Connection,
    number: int,
    changes: Mapping[str, Any],
    author: Author,
    *,
    action: str = "edit",
    revision: int | None = None,
    resealed: tuple[str, ...] = (),
) -> bool:
    """Change a hook's columns and let its waiting deliveries follow; False if nothing differs.

    Raises:
        HookNotFound: it never existed, or is deleted and this is no restoring.
        ChangedMeanwhile: its revision is another than the one that was edited.
        CandidateInTheWay: its candidate does not go with it, and stays.
        KeyTaken: another hook has the new key.
    """
    hold_place(connection, number, changes)
    before = dict(load(connection, number)._mapping)
    if before["deleted_ms"] is not None and action not in ("restore", "undo"):
        raise HookNotFound(Text("the hook {ref} was deleted", ref=number))
    same(before, revision)
    values = {name: value for name, value in changes.items() if before[name] != value}
    if not values:
        return False
    keep_candidate(before, values)
    event = put_last(before["event"], changes)
    if event is not None:
        values["position"] = next_position(connection, event, author, number)
    key = values.get("key", before["key"]) or made_key(connection, number)
    if key_owner(connection, key) not in (None, number):
        raise taken(key)
    with keys_guarded(key):
        after = revise(connection, before, {**values, "key": key}, author, action, resealed)
    follow(connection, before, after, author.at_ms)
    return True


def keep_candidate(before: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """See that a hook's candidate may stay beside these changed columns. Raises CandidateInTheWay."""
    candidate = None if "candidate" in values else HookCandidate.read(before["candidate"])
    reason = None if candidate is None else in_the_way(candidate, before, {**before, **values})
    if reason is not None:
        text = Text(
            "{hook} stays as it is: {reason}. Promote the candidate or drop it first, or drop it with this change "
            "(--drop-candidate, drop_candidate=True)",
            hook=quoted(before["name"]),
            reason=reason,
        )
        raise CandidateInTheWay(text)


def follow(connection: Connection, before: Mapping[str, Any], after: Mapping[str, Any], now_ms: int) -> None:
    """What a change of the hook means for its deliveries that wait."""

    def held(row: Mapping[str, Any]) -> bool:
        return not row["active"] or row["paused_by"] is not None

    number = after["id"]
    if after["deleted_ms"] is not None and before["deleted_ms"] is None:
        outbox.cancel(connection, number, now_ms)
        return
    if before["deleted_ms"] is not None and after["deleted_ms"] is None:
        outbox.uncancel(connection, number, now_ms)
    if held(after) and not held(before):
        outbox.park(connection, number, now_ms)
    elif held(before) and not held(after):
        outbox.unpark(connection, number, now_ms)
    if after["paused_by"] == "breaker" != before["paused_by"]:
        outbox.reopen(connection, [number])


class Sealed(NamedTuple):
    """A sealed value: its hook's id, what it is bound to, and whether it is the hook's own or its candidate's."""

    hook: int
    place: Place
    token: str
    tried: bool = False


def sealed_values(connection: Connection) -> Iterator[Sealed]:
    """Each secret that is stored, candidates' and deleted hooks' included."""
    columns = [HOOKS.c[name] for name in (*SEALED, "candidate")]
    for row in connection.execute(select(HOOKS.c.id, HOOKS.c.uid, *columns).order_by(HOOKS.c.id)).all():
        for name in SEALED:
            token = getattr(row, name)
            if token is not None:
                yield Sealed(row.id, Place("hook", row.uid, name), token)
        with reading("hook"):
            tried = HookCandidate.read(row.candidate)
        for name, token in ({} if tried is None else tried.encrypted).items():
            yield Sealed(row.id, Place("hook", row.uid, name), token, tried=True)


def reseal_all(connection: Connection, vault: Vault, author: Author) -> int:
    """Seal every secret with the active key, in the caller's transaction; gives how many there are.

    Each hook that has one gets a revision of the action `keys`: its fields are as they were.

    Raises:
        KeyMissing, KeyWrong: one can't be opened; nothing is changed then.
    """
    count = 0
    hooks = sorted({each.hook for each in sealed_values(connection)})
    hold(connection, hooks)
    for number in hooks:
        row = dict(
            connection.execute(select(HOOKS).where(HOOKS.c.id == number).with_for_update(key_share=True)).one()._mapping
        )
        candidate = HookCandidate.read(row["candidate"])
        own = resealed(vault, row["uid"], {name: row[name] for name in SEALED if row[name] is not None})
        tried = {} if candidate is None else resealed(vault, row["uid"], candidate.encrypted)
        kept = None if candidate is None else replace(candidate, fields={**candidate.fields, **tried}).kept
        revise(connection, row, {**own, "candidate": kept}, author, "keys")
        count += len(own) + len(tried)
    return count


def resealed(vault: Vault, uid: str, sealed: Mapping[str, str]) -> dict[str, str]:
    """A hook's sealed values, sealed with the active key. Raises KeyMissing, KeyWrong."""
    return {name: vault.reseal(token, Place("hook", uid, name)) for name, token in sealed.items()}


def sealed_by(connection: Connection, key: str) -> dict[int, tuple[str, ...]]:
    """The secrets that this key opens: the fields of each hook, deleted ones too; `candidate`: one of its candidate."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for each in sealed_values(connection):
        if each.token.split(".")[1:2] == [key]:
            found[each.hook].append("candidate" if each.tried else each.place.field)
    return {number: tuple(dict.fromkeys(fields)) for number, fields in found.items()}


def abandon(connection: Connection, key: str, author: Author) -> int:
    """Remove every secret that only this key opens, in the caller's transaction; gives how many hooks had one.

    A custom header goes with its name, an old signing secret with the one that took its place. A hook that was paused
    for this key alone goes on, without them. A candidate goes as a whole.
    """
    hold(connection, list(sealed_by(connection, key)))
    lost = sealed_by(connection, key)  # who held one may have given it another secret
    for number, fields in lost.items():
        before = dict(
            connection.execute(select(HOOKS).where(HOOKS.c.id == number).with_for_update(key_share=True)).one()._mapping
        )
        values: dict[str, Any] = dict.fromkeys(fields)
        if "custom_header_value" in fields:
            values["custom_header"] = ""
        if not {"signing_secret", "signing_secret_old"}.isdisjoint(fields):
            values |= {"signing_secret_old": None, "signing_old_until_ms": None}
        if before["paused_by"] == "key" and before["paused_reason"] == keep(key_pause([key])):
            values |= {"paused_by": None, "paused_reason": None, "paused_ms": None}
        after = revise(connection, before, values, author, "abandon")
        if before["deleted_ms"] is None:
            follow(connection, before, after, author.at_ms)
    return len(lost)
