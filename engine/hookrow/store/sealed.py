"""Every sealed value of the database, whatever its table: what `keys check` opens and `keys rotate` seals anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, select

from hookrow.hook.model import SEALED
from hookrow.hook.modes import key_pause
from hookrow.reasons.reason import keep
from hookrow.secrets.vault import Place, Vault
from hookrow.store.configuration.revisions import Author, revise
from hookrow.store.database.tables import HOOKS
from hookrow.store.hooks import follow

__all__ = ["abandon", "abandoned_by", "reseal_all", "sealed_values"]


def sealed_values(connection: Connection) -> Iterator[tuple[int, Place, str]]:
    """The row, the place and the sealed value of each secret, deleted hooks' included."""
    columns = [HOOKS.c[name] for name in SEALED]
    for row in connection.execute(select(HOOKS.c.id, HOOKS.c.uid, *columns).order_by(HOOKS.c.id)).all():
        for name in SEALED:
            token = getattr(row, name)
            if token is not None:
                yield row.id, Place("hook", row.uid, name), token


def reseal_all(connection: Connection, vault: Vault, author: Author) -> int:
    """Seal every secret with the active key, in the caller's transaction; gives how many there are.

    Each hook that has one gets a revision of the action `keys`: its fields are as they were.

    Raises:
        KeyMissing, KeyWrong: one can't be opened; nothing is changed then.
    """
    fresh: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for number, place, token in sealed_values(connection):
        fresh[number][place.field] = vault.reseal(token, place)
    for number, values in fresh.items():
        row = connection.execute(select(HOOKS).where(HOOKS.c.id == number).with_for_update()).one()
        revise(connection, dict(row._mapping), values, author, "keys")
    return sum(map(len, fresh.values()))


def abandoned_by(connection: Connection, key: str) -> dict[int, tuple[str, ...]]:
    """The secrets that only this key opens: the fields of each hook, deleted ones too."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for number, place, token in sealed_values(connection):
        if token.split(".")[1:2] == [key]:
            found[number].append(place.field)
    return {number: tuple(fields) for number, fields in found.items()}


def abandon(connection: Connection, key: str, author: Author) -> int:
    """Remove every secret that only this key opens, in the caller's transaction; gives how many hooks had one.

    A custom header goes with its name, an old signing secret with the one that took its place. A hook that was paused
    for this key alone goes on, without them.
    """
    lost = abandoned_by(connection, key)
    for number, fields in lost.items():
        before = dict(connection.execute(select(HOOKS).where(HOOKS.c.id == number).with_for_update()).one()._mapping)
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
