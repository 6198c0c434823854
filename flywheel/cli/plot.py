"""Curves in text, each character four dots high and two wide (Unicode braille)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # [row][column] of one character
BLANK = 0x2800
LOGARITHMIC_FROM = 8.0  # largest over smallest value beyond which a linear axis hides the end


def curve(
    points: Sequence[tuple[float, float]], *, width: int = 56, height: int = 8, left: str, right: str
) -> list[str]:
    """Draw y (shares of 1, labelled in percent) over x, joined from point to point.

    `left` and `right` label the ends of the x axis. Empty below two points.
    """
    points = sorted(points)
    if len(points) < 2 or points[0][0] == points[-1][0]:
        return []
    floor = max(1e-4, min(y for _, y in points))
    top = max(floor * 1.001, *(y for _, y in points))
    scale = math.log if top / floor > LOGARITHMIC_FROM else float
    low, high = scale(floor), scale(top)
    rows, columns = height * 4, width * 2

    def dot(point: tuple[float, float]) -> tuple[int, int]:
        x = (point[0] - points[0][0]) / (points[-1][0] - points[0][0])
        y = (scale(max(floor, point[1])) - low) / (high - low)
        return round(x * (columns - 1)), round((1 - y) * (rows - 1))

    canvas = [[BLANK] * width for _ in range(height)]
    for start, end in pairwise(points):
        for x, y in _line(dot(start), dot(end)):
            canvas[y // 4][x // 2] |= DOTS[y % 4][x % 2]
    labels = {0: top, height // 2: _middle(low, high, scale is math.log), height - 1: floor}
    lines = [f"{_percent(labels.get(row)):>8} ┤{''.join(map(chr, cells))}" for row, cells in enumerate(canvas)]
    axis = " " * 9 + "└" + "─" * width
    return [*lines, axis, f"{'':10}{left}{right:>{width - len(left)}}"]


def _middle(low: float, high: float, logarithmic: bool) -> float:
    middle = (low + high) / 2
    return math.exp(middle) if logarithmic else middle


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}".replace("%", " %")


def _line(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """Every dot between two dots, both included."""
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    return [
        (
            round(start[0] + (end[0] - start[0]) * step / steps),
            round(start[1] + (end[1] - start[1]) * step / steps),
        )
        for step in range(steps + 1)
    ]
