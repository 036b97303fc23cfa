"""A person's last change of hooks, found in the revisions and taken back in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, select

from hookrow.errors import ChangedMeanwhile, HookNotFound, InvalidHook, Problem, Refused
from hookrow.hook.fields import HEADER_VALUE, SECRETS, carried, not_carried
from hookrow.hook.stored import SEALED
from hookrow.lang import Text, quoted
from hookrow.records import OwnChange, UndonePart
from hookrow.store.configuration.revisions import Author
from hookrow.store.database.tables import HOOKS, REVISIONS
from hookrow.store.hooks import change, hold

__all__ = ["last_change", "take_back"]

UNDO = "undo"
RESEALED = "keys"
"""The action of revisions that leave every field as it was: they are no edit, and in the way of no undo."""
MOMENTS = {"valid_from", "valid_until"}
TIMES = {"paused_at": "paused_ms", "deleted_at": "deleted_ms"}


def last_change(connection: Connection, who: str) -> OwnChange | None:
    """What this person did last, to one hook or to several in one transaction; None where nothing is recorded."""
    own = and_(REVISIONS.c.who == who, REVISIONS.c.action != RESEALED)
    newest = connection.execute(select(REVISIONS.c.at_ms).where(own).order_by(REVISIONS.c.id.desc()).limit(1)).scalar()
    if newest is None:
        return None
    rows = connection.execute(
        select(REVISIONS).where(own, REVISIONS.c.at_ms == newest).order_by(REVISIONS.c.hook_id, REVISIONS.c.revision)
    ).all()
    by_hook: dict[int, list[Row[Any]]] = {}
    for row in rows:
        by_hook.setdefault(row.hook_id, []).append(row)
    parts = [part(connection, number, rows) for number, rows in by_hook.items()]
    return OwnChange(rows[-1].action, newest, tuple(parts))


def part(connection: Connection, number: int, rows: Sequence[Row[Any]]) -> UndonePart:
    """One hook's share of a change."""
    before, after = side(rows[0].before), side(rows[-1].after) or {}
    later = connection.execute(
        select(REVISIONS.c.revision, REVISIONS.c.who, REVISIONS.c.action)
        .where(REVISIONS.c.hook_id == number, REVISIONS.c.revision > rows[-1].revision)
        .order_by(REVISIONS.c.revision.desc())
    ).all()
    since = next((each.who for each in later if each.action != RESEALED), None)
    return UndonePart(
        hook_id=number,
        name=str(after.get("name", "")),
        revision=rows[-1].revision if since is not None or not later else later[0].revision,
        before=before,
        after=after,
        lost=lost(before, after),
        since=since,
    )


def lost(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> tuple[str, ...]:
    """The secrets that a change replaced or removed."""
    if before is None:
        return ()
    held = [name for name in SEALED if holds(before, name)]
    return tuple(name for name in held if after[name].get("changed") or not after[name]["set"])


def holds(side: Mapping[str, Any], secret: str) -> bool:
    return bool(side.get(secret, {}).get("set"))


def side(kept: str | None) -> dict[str, Any] | None:
    return None if kept is None else json.loads(kept)


def take_back(
    connection: Connection, undone: OwnChange, author: Author, *, keep_secrets: bool
) -> list[tuple[int, str]]:
    """Give every hook of a change the fields that it had before; gives those whose pause that began or ended, with the
    engine's own event for it.

    Raises:
        ChangedMeanwhile: a hook of it was changed since; nothing is taken back then.
        InvalidHook: secrets would go along to another origin.
        CandidateInTheWay: a candidate that was tried since does not go with it.
        Refused: all that was done was to drop a candidate, or to replace or remove secrets.
        HookNotFound, KeyTaken
    """
    told, written = [], False
    moved = {
        each.before["event"] for each in undone.parts if each.before and each.before["event"] != each.after["event"]
    }
    hold(connection, [each.hook_id for each in undone.parts], moved)
    for each in sorted(undone.parts, key=lambda part: part.hook_id):
        current = connection.execute(
            select(HOOKS).where(HOOKS.c.id == each.hook_id).with_for_update(key_share=True)
        ).first()
        if current is None:
            raise HookNotFound(Text("there is no hook {ref}", ref=each.hook_id))
        if current.revision != each.revision:
            who = each.since or "?"
            raise ChangedMeanwhile(
                Text("{hook} was changed since, by {who}: nothing was undone", hook=quoted(each.name), who=who)
            )
        values = columns(each, author.at_ms)
        if values == {"candidate": None} and current.candidate is None:
            raise Refused(Text("the candidate of {hook} does not come back: try it anew", hook=quoted(each.name)))
        if not keep_secrets and (taken := carried(dict(current._mapping), values)):
            raise InvalidHook([Problem("keep_secrets", not_carried(taken))])
        written |= change(connection, each.hook_id, values, author, action=UNDO)
        if "paused_by" in values and (values["paused_by"] is None) != (current.paused_by is None):
            told.append((each.hook_id, "hook.resumed" if values["paused_by"] is None else "hook.paused"))
    if not written:
        raise Refused(Text("there is nothing to undo: secrets that were replaced or removed do not come back"))
    return told


def columns(each: UndonePart, now_ms: int) -> dict[str, Any]:
    """The columns to write so that a hook is again what it was before; a new one is deleted.

    A secret that it did not have before is removed; one that was replaced stays, one that was removed is no more.
    """
    if each.before is None:
        return {"deleted_ms": now_ms}
    values: dict[str, Any] = {}
    for name, old in each.before.items():
        if name in SEALED or (name == "custom_header" and HEADER_VALUE in each.lost):
            continue
        if old == each.after.get(name):
            continue
        if name == "candidate":  # its secrets are nowhere else: it is dropped, or stays dropped
            values[name] = None
        elif name in TIMES:
            values[TIMES[name]] = None if old is None else round(datetime.fromisoformat(old).timestamp() * 1000)
        else:
            values[name] = datetime.fromisoformat(old) if name in MOMENTS and old is not None else old
    if "event" in values:  # a number that both events had is one that is given, too
        values["position"] = each.before["position"]
    added = [name for name in SECRETS if holds(each.after, name) and not holds(each.before, name)]
    values |= dict.fromkeys(added)
    if "signing_secret" in added:
        values |= {"signing_secret_old": None, "signing_old_until_ms": None}
    return values
