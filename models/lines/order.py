"""Reading order of lines, and the repair of what a detector split or ran together.

    reading_order(boxes, base) -> indices  columns, headings across them, pecha leaves
    join_fragments(found)                  pieces of one line, unless a gutter runs between them
    split_double_lines(found)              a box as tall as two of its neighbours

For horizontal scripts read top to bottom, and left to right (Tibetan, Latin, Chinese) or, with `base` "R", right
to left (Arabic, Hebrew), which is the same with the page mirrored. The order is a
topological sort of two rules (Breuel 2003, "High performance document layout analysis", section 4):
a line comes before another that it overlaps in x and stands above; and before one entirely to its
right, unless a third line lies between the two in y and overlaps both in x (a heading over both
columns). A line below or above all others with lines beside it on both hands before one it meets in x
(a page number under the gutter, whatever heading stands over both columns) is read last or first.
Boxes are upright in a levelled frame, any unit.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flywheel.document import Box
from flywheel.text.bidi import Base

Found = tuple[Box, float]  # a line's box and its confidence

SAME_ROW = 0.55  # shared height, of the lower of the two
WORD_GAP = 0.15  # of the height, between boxes already grown: joined whatever stands above and below
LONG_GAP = 4.0  # of the height: joined when more of the lines around run across the gap than break there
NEAR = 2.5  # heights within which a line is a neighbour
DOUBLE = 1.75  # times the page's median height: two lines in one box
SHARED_X = 0.15  # of the narrower width: less is a touch, not an overlap
MOST = 800  # lines; beyond, the cubic sort gives way to rows


def reading_order(boxes: Sequence[Box], base: Base = "L") -> list[int]:
    """Indices of `boxes` in the order they are read; every index once. `base` is the direction of the text."""
    if base == "R":
        boxes = [Box(-box.x1, box.y0, -box.x0, box.y1) for box in boxes]
    if len(boxes) > MOST:
        height = float(np.median([b.height for b in boxes])) or 1.0
        return sorted(range(len(boxes)), key=lambda i: (round(_middle(boxes[i]) / height), boxes[i].x0))
    return _sorted_by(_precedence(boxes), boxes)


def join_fragments(found: Sequence[Found]) -> list[Found]:
    """Lines with the pieces of one row joined; confidence weighted by width.

    Pieces a word's gap apart are one line. Pieces further apart are one line when the line above or
    below runs across the gap, for then it is no gutter between columns.
    """
    rows = sorted(found, key=lambda f: f[0].x0)
    joined: list[Found] = []
    for piece in rows:
        before = [i for i, other in enumerate(joined) if _one_line(other[0], piece[0], rows)]
        if before:
            nearest = max(before, key=lambda i: joined[i][0].x1)
            joined[nearest] = _together(joined[nearest], piece)
        else:
            joined.append(piece)
    return joined


def split_double_lines(found: Sequence[Found]) -> list[Found]:
    """Boxes near twice (three times, ...) the median height cut into that many lines.

    Only wide boxes on pages with enough lines to know the height by; a tall title is one line.
    """
    wide = [box for box, _ in found if box.width > 4 * box.height]
    if len(wide) < 4:
        return list(found)
    usual = float(np.median([box.height for box in wide]))
    out: list[Found] = []
    for box, confidence in found:
        parts = round(box.height / usual) if box.height > DOUBLE * usual and box.width > 6 * usual else 1
        step = box.height / parts
        out += [
            (Box(box.x0, box.y0 + k * step, box.x1, box.y0 + (k + 1) * step), confidence) for k in range(parts)
        ]
    return out


def _one_line(left: Box, right: Box, rows: Sequence[Found]) -> bool:
    lower = min(left.height, right.height)
    shared = min(left.y1, right.y1) - max(left.y0, right.y0)
    if shared < SAME_ROW * lower or max(left.height, right.height) > 1.8 * lower:
        return False
    gap = right.x0 - left.x1
    if gap <= WORD_GAP * lower:
        return gap > -0.5 * min(left.width, right.width)
    return gap <= LONG_GAP * lower and _bridged(left, right, lower, rows)


def _bridged(left: Box, right: Box, height: float, rows: Sequence[Found]) -> bool:
    """True when, of the lines just above and below, more run across the gap between two pieces than end at it.

    Where lines end, the gap is a gutter. (Measured: joining at half a height without asking ran 5 of
    36 rows of a two-column page together, which the detector had kept apart.)
    """
    middle = (_middle(left) + _middle(right)) / 2
    near = [box for box, _ in rows if 0.5 * height < abs(_middle(box) - middle) < NEAR * height]
    across = sum(box.x0 < left.x1 - height and box.x1 > right.x0 + height for box in near)
    ending = sum(left.x1 - height < box.x1 < right.x0 + height / 2 for box in near)
    starting = sum(left.x1 - height / 2 < box.x0 < right.x0 + height for box in near)
    return across > max(ending, starting)


def _together(one: Found, other: Found) -> Found:
    weights = one[0].width, other[0].width
    confidence = (one[1] * weights[0] + other[1] * weights[1]) / max(1e-6, sum(weights))
    return Box.around((one[0], other[0])), confidence


def _precedence(boxes: Sequence[Box]) -> NDArray[np.bool_]:
    """before[a, b]: line a is read before line b."""
    x0, y0, x1, y1 = np.array([(b.x0, b.y0, b.x1, b.y1) for b in boxes], float).reshape(-1, 4).T
    middle = (y0 + y1) / 2
    shared_x = np.minimum(x1[:, None], x1) - np.maximum(x0[:, None], x0)
    over = shared_x > SHARED_X * np.minimum((x1 - x0)[:, None], x1 - x0)
    same_row = _same_row(y0, y1)
    above = (middle[:, None] < middle) & ~same_row
    left = ~over & (((x0 + x1) / 2)[:, None] < (x0 + x1) / 2)
    stopped = np.zeros_like(left)
    for c in range(len(boxes)):  # c lies between a and b in y and overlaps both in x
        upper = over[c] & above[:, c]
        lower = over[c] & above[c]
        stopped |= np.outer(upper, lower) | np.outer(lower, upper)
    np.fill_diagonal(over, False)
    before = np.asarray((over & above) | (left & ~stopped), dtype=bool)
    for i, other in enumerate(~same_row):
        mine, beside = over[i] & other, other & ~over[i]
        if (y0[i] >= y1[other]).all():
            beside &= middle > np.max(y1[mine], initial=-np.inf)
            first, last = other, i
        elif (y1[i] <= y0[other]).all():
            beside &= middle < np.min(y0[mine], initial=np.inf)
            first, last = i, other
        else:
            continue
        if (beside & (x1 <= x0[i])).any() and (beside & (x0 >= x1[i])).any():
            before[first, last], before[last, first] = True, False
    return before


def _same_row(y0: NDArray[np.float64], y1: NDArray[np.float64]) -> NDArray[np.bool_]:
    shared = np.minimum(y1[:, None], y1) - np.maximum(y0[:, None], y0)
    return np.asarray(shared > 0.8 * np.minimum((y1 - y0)[:, None], y1 - y0), dtype=bool)


def _sorted_by(before: NDArray[np.bool_], boxes: Sequence[Box]) -> list[int]:
    """A topological sort that takes the topmost line that is free, or the topmost of a knot."""
    waits = before.sum(axis=0)
    place = {i: (_middle(boxes[i]), boxes[i].x0, i) for i in range(len(boxes))}
    free = [place[i] for i in place if waits[i] == 0]
    heapq.heapify(free)
    order: list[int] = []
    left = set(place)
    while left:
        chosen = heapq.heappop(free)[2] if free else min(left, key=lambda i: place[i])
        if chosen not in left:
            continue
        left.discard(chosen)
        order.append(chosen)
        for after in np.flatnonzero(before[chosen]):
            waits[after] -= 1
            if waits[after] == 0 and int(after) in left:
                heapq.heappush(free, place[int(after)])
    return order


def _middle(box: Box) -> float:
    return (box.y0 + box.y1) / 2
