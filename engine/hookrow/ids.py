"""Public ids: what receivers and people call a firing and a delivery (docs/decisions/0001-public-ids.md); row ids."""

from __future__ import annotations

import os
import struct

__all__ = ["delivery_id", "delivery_place", "firing_id", "firing_uid", "id_at", "ms_of", "new_uid"]

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter that is taken for a digit."""
LETTERS = frozenset(ALPHABET)
FIRING = "evt_"
DELIVERY = "msg_"
UID = 20
HALF = 2**50 - 1
DRAWN = 256
POOL: list[int] = []
os.register_at_fork(after_in_child=POOL.clear)  # two processes must not draw the same
PAIRS = [one + other for one in ALPHABET for other in ALPHABET]


def id_at(ms: int) -> int:
    """The smallest row id of a moment: its milliseconds stand in the upper bits."""
    return ms << 20


def ms_of(row_id: int) -> int:
    """When a row got its id."""
    return row_id >> 20


def spell(number: int, width: int) -> str:
    """A number in base 32, an even number of letters."""
    return "".join([PAIRS[(number >> shift) & 1023] for shift in range(5 * width - 10, -1, -10)])


def new_uid(now_ms: int, randomness: int | None = None) -> str:
    """A firing's uid: 44 bits of time, 56 of randomness, so that it sorts by time and never collides."""
    number = (now_ms << 56) | (random_bits() if randomness is None else randomness)
    high, low = number >> 50, number & HALF
    return (
        f"{PAIRS[high >> 40 & 1023]}{PAIRS[high >> 30 & 1023]}{PAIRS[high >> 20 & 1023]}{PAIRS[high >> 10 & 1023]}"
        f"{PAIRS[high & 1023]}{PAIRS[low >> 40]}{PAIRS[low >> 30 & 1023]}{PAIRS[low >> 20 & 1023]}"
        f"{PAIRS[low >> 10 & 1023]}{PAIRS[low & 1023]}"
    )


def random_bits() -> int:
    """56 bits from the system, which is asked for many at a time: each call lets the interpreter's lock go."""
    try:
        return POOL.pop()
    except IndexError:
        drawn: tuple[int, ...] = struct.unpack(f"{DRAWN}Q", os.urandom(8 * DRAWN))
        first, *more = (each >> 8 for each in drawn)
        POOL.extend(more)
        return first


def firing_id(uid: str) -> str:
    """`evt_…`, as receivers and people see it."""
    return FIRING + uid


def delivery_id(uid: str, seq: int) -> str:
    """`msg_…`, the `webhook-id`: the firing's uid and the place in the row (two letters, four past 1,023)."""
    return f"{DELIVERY}{uid}{PAIRS[seq] if seq < 1024 else spell(seq, 4)}"


def firing_uid(ref: str) -> str | None:
    """The uid in an `evt_…` or `msg_…`, None if it is neither."""
    uid = ""
    if ref.startswith(FIRING) and len(ref) == len(FIRING) + UID:
        uid = ref[len(FIRING) :]
    elif ref.startswith(DELIVERY) and len(ref) in (len(DELIVERY) + UID + 2, len(DELIVERY) + UID + 4):
        uid = ref[len(DELIVERY) : len(DELIVERY) + UID]
    return uid if uid and LETTERS.issuperset(uid) else None


def delivery_place(ref: str) -> tuple[str, int] | None:
    """The firing's uid and the place in the row of a `msg_…`."""
    uid = firing_uid(ref)
    if uid is None or not ref.startswith(DELIVERY):
        return None
    seq = 0
    for letter in ref[len(DELIVERY) + UID :]:
        if letter not in ALPHABET:
            return None
        seq = seq * 32 + ALPHABET.index(letter)
    return uid, seq
