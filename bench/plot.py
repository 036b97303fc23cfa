"""A line chart as SVG: points, axes, labels, no more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Plot"]

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 560, 260, 80, 48, 34
INK, LINE = "#57606a", "#0969da"


@dataclass(frozen=True, slots=True)
class Plot:
    """What to draw: `y` over `x`. `steps` puts the values of x at equal distances, whatever they are."""

    name: str
    title: str
    x: str
    y: str
    points: Sequence[tuple[float, float]]
    steps: bool = True

    def svg(self) -> str:
        """The chart."""
        high = nice(max(value for _, value in self.points))
        first, last = self.points[0][0], self.points[-1][0]

        def across(index: int, value: float) -> float:
            span = WIDTH - LEFT - 24
            part = index / max(1, len(self.points) - 1) if self.steps else (value - first) / ((last - first) or 1)
            return LEFT + span * part

        def down(value: float) -> float:
            return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / high

        spots = [(across(n, x), down(y)) for n, (x, y) in enumerate(self.points)]
        drawn = [text(WIDTH / 2, 18, self.title, "middle", "600 14px"), text(LEFT, HEIGHT - 8, self.x, "start")]
        drawn.append(text(8, TOP - 8, self.y, "start"))
        for part in range(5):
            value = high * part / 4
            y = down(value)
            drawn.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - 24}" stroke="#d0d7de"/>')
            drawn.append(text(LEFT - 6, y + 4, spoken(value), "end"))
        drawn += [
            text(spots[n][0], HEIGHT - BOTTOM + 16, spoken(self.points[n][0]), "middle")
            for n in range(0, len(spots), max(1, len(spots) // 8))
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="2"/>')
        if self.steps:
            drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{LINE}"/>' for x, y in spots]
        body = "\n".join(drawn)
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        )
        return f'{head}\n<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n{body}\n</svg>\n'


def text(x: float, y: float, words: str, anchor: str, font: str = "12px") -> str:
    style = f'style="font:{font} sans-serif" fill="{INK}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'


def nice(value: float) -> float:
    """The next number above that reads well as the top of an axis."""
    if value <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(value))
    return next(step * size for step in (1, 2, 4, 5, 8, 10) if step * size >= value)


def spoken(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
