"""Regions in reading order by recursive cuts: across the page first, then between columns.

The classic X-Y cut: where a blank band runs across all regions, what is above is read
before what is below; else where a blank band runs down, left before right. Regions
that overlap both ways keep the order of the file, which is the author's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flywheel.document import Region

TOLERANCE = 1.0  # points two regions may overlap and still be apart
DEPTH = 40


def in_reading_order(regions: Sequence[Region], depth: int = DEPTH) -> list[Region]:
    """The same regions, reordered. A column is only cut where it holds more than one row of text."""
    if len(regions) < 2 or depth == 0:
        return list(regions)
    columns = _cut(regions, lambda r: (r.box.x0, r.box.x1))
    rows = _cut(regions, lambda r: (r.box.y0, r.box.y1))
    parts = _merged_columns(rows)
    if len(parts) == 1 or _are_columns(columns):
        parts = columns if len(columns) > 1 else rows
    if len(parts) == 1:
        return list(regions)
    return [region for part in parts for region in in_reading_order(part, depth - 1)]


def _cut(regions: Sequence[Region], span: Callable[[Region], tuple[float, float]]) -> list[list[Region]]:
    """Groups separated by blank bands along one axis, each in the order of the file."""
    by_start = sorted(range(len(regions)), key=lambda k: span(regions[k])[0])
    groups: list[list[int]] = []
    end = float("-inf")
    for k in by_start:
        low, high = span(regions[k])
        if not groups or low >= end - TOLERANCE:
            groups.append([])
        groups[-1].append(k)
        end = max(end, high)
    return [[regions[k] for k in sorted(group)] for group in groups]


def _are_columns(columns: list[list[Region]]) -> bool:
    """Whether a cut down the page is the better one: every column goes on over several regions."""
    return len(columns) > 1 and all(len(column) > 1 for column in columns)


def _merged_columns(rows: list[list[Region]]) -> list[list[Region]]:
    """Neighbouring rows that share the same columns are one part, so that columns are read down."""
    parts: list[list[Region]] = [rows[0]]
    for row in rows[1:]:
        together = parts[-1] + row
        columns = _cut(together, lambda r: (r.box.x0, r.box.x1))
        if len(row) > 1 and len(parts[-1]) > 1 and len(columns) > 1:
            parts[-1] = together
        else:
            parts.append(row)
    return parts
