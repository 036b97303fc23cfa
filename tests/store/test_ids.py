"""Public ids: found again in what people paste, in the order of time, never twice."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from hookrow.ids import delivery_id, delivery_place, firing_id, firing_uid, new_uid

MOMENTS = st.integers(0, 2**44 - 1)
"""What a uid has room for: until the year 2527."""


@given(MOMENTS, st.integers(1, 32**4 - 1))
def test_an_id_is_found_again(now_ms: int, seq: int) -> None:
    """A firing's and a delivery's, whatever the place in the row."""
    uid = new_uid(now_ms)
    assert firing_uid(firing_id(uid)) == firing_uid(delivery_id(uid, seq)) == uid
    assert delivery_place(delivery_id(uid, seq)) == (uid, seq)
    assert delivery_place(firing_id(uid)) is None


@given(MOMENTS, MOMENTS)
def test_uids_sort_by_time(one: int, other: int) -> None:
    """As text; within a millisecond by chance."""
    if one != other:
        assert (new_uid(one) < new_uid(other)) == (one < other)


def test_uids_of_one_moment_differ() -> None:
    """56 bits of chance."""
    assert len({new_uid(0) for _ in range(10_000)}) == 10_000


def test_a_fork_draws_others() -> None:
    """What was drawn ahead belongs to one process."""
    new_uid(0)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, "".join(new_uid(0) for _ in range(50)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    with os.fdopen(writing, "wb"), os.fdopen(reading, "rb") as found:
        theirs = found.read(1000).decode()
    assert not {theirs[at : at + 20] for at in range(0, 1000, 20)} & {new_uid(0) for _ in range(50)}


@given(st.text(max_size=40))
def test_other_texts_are_no_ids(pasted: str) -> None:
    """They name nothing, and raise nothing."""
    for ref in (pasted, f"msg_{pasted}", f"evt_{pasted}"):
        place = delivery_place(ref)
        assert place is None or firing_uid(ref) == place[0]
