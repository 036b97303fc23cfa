"""The template language: what the worst payload can make each of its parts cost, and what a usual body takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

from bench.measure import Bench, Row, limit
from hookrow.errors import InvalidTemplate
from hookrow.template.compiled import Body, prepare
from template_worst import LOOP, PARTS, WRITTEN, payload

__all__ = ["TITLE", "measure"]

TITLE = "Language: the worst that a payload of 1 MiB can do to each part"
MOST = 50


def measure(bench: Bench) -> Iterator[Row]:
    """Each part's dearest case, processor time."""
    cases = {part: [LOOP % each for each in found] for part, found in PARTS.items()} | WRITTEN
    for part, bodies in cases.items():
        took = {body: min(spent(body) for _ in range(min(bench.rounds, 3))) for body in bodies}
        worst = max(took, key=took.__getitem__)
        yield limit(f"{part}: {worst}", took[worst] * 1e3, MOST, "ms")


def spent(source: str) -> float:
    """Seconds of processor time until the body is rendered or refused."""
    body, view = Body.compile(source), prepare(payload(source))
    began = time.thread_time()
    with suppress(InvalidTemplate):
        body.render(view, {"id": "evt_0"})
    return time.thread_time() - began
