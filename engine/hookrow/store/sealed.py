"""Every sealed value of the database, whatever its table: what `keys check` opens and `keys rotate` seals anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy import Connection, select

from hookrow.hook.model import SEALED
from hookrow.secrets.vault import Place, Vault
from hookrow.store.configuration.revisions import Author, revise
from hookrow.store.database.tables import HOOKS

__all__ = ["reseal_all", "sealed_values"]


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
