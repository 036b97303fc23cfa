"""A reply's body within bounds: inflating, keeping, counting, giving up."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookrow.transport.reading import SLICE, Reading, Unreadable, encoding_of

ENOUGH = 1_048_576


def read(encoding: str | None, pieces: Iterable[bytes], *, keep: int = ENOUGH, bound: int = ENOUGH) -> Reading:
    """A body read from these pieces."""

    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    reading = Reading(encoding, keep=keep, bound=bound)
    asyncio.run(reading.read(stream()))
    return reading


def bare(data: bytes) -> bytes:
    """Deflate without zlib's wrapping, as some servers send it."""
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return machine.compress(data) + machine.flush()


PACKED = {
    None: bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": bytes,  # not ours to undo: left as it is
}


@given(st.binary(max_size=2000), st.sampled_from(list(PACKED)), st.integers(1, 40), st.integers(0, 2000))
def test_a_body_is_read_whole_however_it_is_cut(data: bytes, encoding: str | None, cut: int, keep: int) -> None:
    """Pieces of any size give the same bytes; only the first `keep` stay, the length is the true one."""
    packed = PACKED[encoding](data)
    reading = read(encoding, [packed[i : i + cut] for i in range(0, len(packed), cut)], keep=keep)
    assert (bytes(reading.kept), reading.length, reading.complete) == (data[:keep], len(data), True)
    assert reading.encoding == ("br" if encoding == "br" else None)


@pytest.mark.parametrize("slices", [1, 2])
def test_bare_deflate_ends_anywhere_in_a_slice(slices: int) -> None:
    """The machine may hold plain bytes back when all compressed ones are in: none is lost, none called missing."""
    for length in range(slices * SLICE - 300, slices * SLICE + 300):
        assert read("deflate", [bare(b"a" * length)]).length == length


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_does_not_inflate_is_said(encoding: str) -> None:
    """Cut short, followed by other bytes, or never compressed."""
    packed = PACKED[encoding](b"x" * 100)
    for pieces in ([packed[:-1]], [packed[:1]], [packed, b"more"], [packed + b"more"], [b"\xff" * 40]):
        with pytest.raises(Unreadable):
            read(encoding, pieces)
    assert read(encoding, []).complete


def test_a_bomb_stops_at_the_bound() -> None:
    """100 MB in 100 KB: less than 2 MB are ever held."""
    bomb = gzip.compress(bytes(100_000_000))
    tracemalloc.start()
    reading = read("gzip", [bomb])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (reading.over, reading.complete, len(reading.kept)) == (True, False, ENOUGH)
    assert peak < 2 * ENOUGH


def test_compressed_bytes_that_come_to_nothing_are_bounded() -> None:
    """Empty blocks for ever: given up after about as many bytes as a plain body may have."""
    machine = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = machine.compress(b"")
    taken = 0

    def endless() -> Iterable[bytes]:
        nonlocal taken
        yield start
        while True:
            block = machine.flush(zlib.Z_FULL_FLUSH) * 1000
            taken += len(block)
            yield block or b"\x00\x00\x00\xff\xff" * 1000

    assert read("gzip", endless(), bound=100_000).over
    assert taken <= 200_000


def test_a_million_tiny_pieces_are_given_up() -> None:
    """Each piece costs time whatever its size."""
    with pytest.raises(Unreadable):
        read(None, (b"a" for _ in range(1_000_000)))


@pytest.mark.parametrize(
    ("header", "encoding"),
    [("", None), ("identity", None), (" GZIP ", "gzip"), ("gzip, identity", "gzip"), ("gzip, gzip", "gzip, gzip")],
)
def test_the_encoding_of_a_header(header: str, encoding: str | None) -> None:
    """RFC 9110 8.4: case and identity don't matter."""
    assert encoding_of(header) == encoding
