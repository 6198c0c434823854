"""Regions in reading order by recursive cuts: across the page first, then between columns.

The classic X-Y cut, for lines as for regions: where a blank band runs across all of them, what is above is read
before what is below; where one runs down between columns, left before right, or right before left on pages that
run so. Parts that overlap both ways keep the order of the file, which is the author's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from flywheel.document import Box
from flywheel.text.bidi import Base

TOLERANCE = 1.0  # points two parts may overlap and still be apart
DEPTH = 40


class Placed(Protocol):
    """A region or a line."""

    @property
    def box(self) -> Box: ...


Part = TypeVar("Part", bound=Placed)


def in_reading_order(parts: Sequence[Part], base: Base = "L", depth: int = DEPTH) -> list[Part]:
    """The same parts, reordered. `base` is the direction that the page's text runs in."""
    if len(parts) < 2 or depth == 0:
        return list(parts)
    down, across = _columns(parts, base), _cut(parts, _y)
    groups = _merged_columns(across)
    if len(groups) == 1 or _are_columns(down):
        groups = down if len(down) > 1 else across
    if len(groups) == 1:
        return list(parts)
    return [part for group in groups for part in in_reading_order(group, base, depth - 1)]


def columns(parts: Sequence[Part], base: Base = "L", *, any_length: bool = False) -> list[list[Part]]:
    """The parts by column, in reading order, when every column has several or may have `any_length`; else all as
    one."""
    if max(part.box.x0 for part in parts) < min(part.box.x1 for part in parts) - TOLERANCE:
        return [list(parts)]  # one upright line crosses all of them, so no cut is possible
    found = _columns(parts, base)
    return found if any_length or _are_columns(found) else [list(parts)]


def _x(part: Placed) -> tuple[float, float]:
    return part.box.x0, part.box.x1


def _y(part: Placed) -> tuple[float, float]:
    return part.box.y0, part.box.y1


def _cut(parts: Sequence[Part], span: Callable[[Placed], tuple[float, float]]) -> list[list[Part]]:
    """Groups separated by blank bands along one axis, each in the order of the file."""
    by_start = sorted(range(len(parts)), key=lambda k: span(parts[k])[0])
    groups: list[list[int]] = []
    end = float("-inf")
    for k in by_start:
        low, high = span(parts[k])
        if not groups or low >= end - TOLERANCE:
            groups.append([])
        groups[-1].append(k)
        end = max(end, high)
    return [[parts[k] for k in sorted(group)] for group in groups]


def _columns(parts: Sequence[Part], base: Base) -> list[list[Part]]:
    """Groups that a cut down the page parts, in the order they are read."""
    found = _cut(parts, _x)
    return found[::-1] if base == "R" else found


def _are_columns(groups: list[list[Part]]) -> bool:
    """True when a cut down the page is the better one: every column goes on over several parts."""
    return len(groups) > 1 and all(len(group) > 1 for group in groups)


def _merged_columns(rows: list[list[Part]]) -> list[list[Part]]:
    """Neighbouring rows that share the same columns become one, so that columns are read down."""
    merged: list[list[Part]] = [rows[0]]
    for row in rows[1:]:
        together = merged[-1] + row
        if len(row) > 1 and len(merged[-1]) > 1 and len(_cut(together, _x)) > 1:
            merged[-1] = together
        else:
            merged.append(row)
    return merged
