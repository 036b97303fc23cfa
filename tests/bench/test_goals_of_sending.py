"""The benchmarks run: each goal once, tiny, so that none rots."""

from __future__ import annotations

import pytest

from tiny_bench import rows_of, tiny_bench


def test_the_benchmarks_of_sending_run() -> None:
    """Each goal has its heading and its rows."""
    assert len(rows_of("abcde")) >= 16


@pytest.mark.torture
def test_growth_and_soak_run() -> None:
    """The dimensions of growth, the soak, and TLS."""
    said = tiny_bench("growth", "soak", "tls")
    for word in (
        "hooks on one event",
        "payload bytes",
        "receivers",
        "worker processes",
        "firings in the log",
        "memory",
        "a handshake each",
    ):
        assert word in said
