"""Curves as inline SVG: they need no library, no network, and follow the page's light or dark colours."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, BOTTOM = 340, 190, 62, 22  # pixels; the latter two hold the numbers of the axes
MOST = 300  # points of a curve

Point = tuple[float, float]


def curve(title: str, points: Sequence[Point]) -> str:
    """Draw a scalar over steps; points that are not finite are left out."""
    finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if not finite:
        return ""
    chosen = finite[:: max(1, len(finite) // MOST)]
    chosen = chosen if chosen[-1] == finite[-1] else [*chosen, finite[-1]]
    area = _Area.around(chosen)
    line = " ".join(f"{area.x(x):.1f},{area.y(y):.1f}" for x, y in chosen)
    body = f'<polyline class="curve" points="{line}"/>'
    if len(chosen) == 1:
        body = f'<circle class="dot" cx="{area.x(chosen[0][0]):.1f}" cy="{area.y(chosen[0][1]):.1f}" r="3"/>'
    return _figure(title, area, body)


def intervals(title: str, rows: Mapping[str, tuple[float, float | None, float | None]]) -> str:
    """Draw means and their intervals as rows, with a line at 0.

    Args:
        title: of the figure.
        rows: mean, low and high by name; bounds are None where there are too few runs.
    """
    values = [v for row in rows.values() for v in row if v is not None] + [0.0]
    low, high = min(values), max(values)
    pad = (high - low or 1.0) * 0.1
    low, high = low - pad, high + pad
    height, left = 26 * len(rows) + 30, 120

    def place(value: float) -> float:
        return left + (value - low) / (high - low) * (WIDTH + 80 - left)

    parts = [f'<line class="axis" x1="{place(0):.1f}" y1="6" x2="{place(0):.1f}" y2="{height - 22}"/>']
    for number, (name, (mean, least, most)) in enumerate(rows.items()):
        y = 20 + 26 * number
        parts.append(f'<text x="0" y="{y + 4}">{html.escape(name)}</text>')
        if least is not None and most is not None:
            parts.append(
                f'<line class="curve" x1="{place(least):.1f}" y1="{y}" x2="{place(most):.1f}" y2="{y}"/>'
            )
        parts.append(f'<circle class="dot" cx="{place(mean):.1f}" cy="{y}" r="4"/>')
    parts.append(f'<text class="middle" x="{place(0):.1f}" y="{height - 6}">0</text>')
    return _svg(title, WIDTH + 90, height, "".join(parts))


class _Area:
    """Where values lie in a figure."""

    def __init__(self, xs: tuple[float, float], ys: tuple[float, float]) -> None:
        self.xs, self.ys = xs, ys

    @classmethod
    def around(cls, points: Sequence[Point]) -> _Area:
        xs, ys = [x for x, _ in points], [y for _, y in points]
        low, high = min(ys), max(ys)
        if low > 0 and low < 0.7 * high:
            low = 0.0
        return cls((min(xs), max(xs)), (low, high if high > low else low + 1))

    def x(self, value: float) -> float:
        width = self.xs[1] - self.xs[0] or 1
        return LEFT + (value - self.xs[0]) / width * (WIDTH - LEFT - 8)

    def y(self, value: float) -> float:
        return 24 + (self.ys[1] - value) / (self.ys[1] - self.ys[0]) * (HEIGHT - BOTTOM - 24)


def _figure(title: str, area: _Area, body: str) -> str:
    floor, right = HEIGHT - BOTTOM, WIDTH - 8
    axes = f'<path class="axis" d="M{LEFT} 24V{floor}H{right}"/>'
    texts = [
        f'<text x="{LEFT}" y="14">{html.escape(title)}</text>',
        f'<text class="end" x="{LEFT - 4}" y="30">{_number(area.ys[1])}</text>',
        f'<text class="end" x="{LEFT - 4}" y="{floor}">{_number(area.ys[0])}</text>',
        f'<text x="{LEFT}" y="{HEIGHT - 6}">{area.xs[0]:g}</text>',
        f'<text class="end" x="{right}" y="{HEIGHT - 6}">step {area.xs[1]:g}</text>',
    ]
    return _svg(title, WIDTH, HEIGHT, axes + body + "".join(texts))


def _number(value: float) -> str:
    """Write three figures, or all that stand before the point."""
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"


def _svg(title: str, width: float, height: float, body: str) -> str:
    label = html.escape(title, quote=True)
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{label}">{body}</svg>'
