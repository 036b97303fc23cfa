"""Every sealed value of the database, whatever its table: what `keys check` opens and `keys rotate` seals anew."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select, update

from hookrow.models import HookRow
from hookrow.store.hooks import SEALED
from hookrow.vault import Place, Vault

__all__ = ["reseal_all", "sealed_values"]

HOOKS = HookRow.__table__  # type: ignore[attr-defined]


def sealed_values(connection: Connection) -> Iterator[tuple[int, Place, str]]:
    """The row, the place and the sealed value of each secret, deleted hooks' included."""
    columns = [HOOKS.c[name] for name in SEALED]
    for row in connection.execute(select(HOOKS.c.id, HOOKS.c.uid, *columns).order_by(HOOKS.c.id)).all():
        for name in SEALED:
            token = getattr(row, name)
            if token is not None:
                yield row.id, Place("hook", row.uid, name), token


def reseal_all(connection: Connection, vault: Vault) -> int:
    """Seal every secret with the active key, in the caller's transaction; gives how many there are.

    Raises:
        KeyMissing, KeyWrong: one can't be opened; nothing is changed then.
    """
    count = 0
    for number, place, token in sealed_values(connection):
        fresh = vault.reseal(token, place)
        connection.execute(update(HOOKS).where(HOOKS.c.id == number).values({place.field: fresh}))
        count += 1
    return count
