"""The boxes of a block: what stands between <|det|> and <|/det|>, in 0-999 bins, as boxes on the page."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from flywheel.document import BINS, Box
from flywheel.markup.form import Fault

EDGE = 10  # bins beyond the page that a box may reach and is merely cut; further out it was made up
LENGTH = 20_000  # characters, about 800 boxes; more are noise


def boxes_of(text: str, width: float, height: float) -> tuple[list[Box], list[Fault]]:
    """[[x1, y1, x2, y2], ...] in bins -> boxes in points, cut at the page's edges; none when any is unsound."""
    quads = _quads(text)
    if not quads or not all(_is_sound(quad) for quad in quads):
        return [], [Fault.BAD_BOX]
    faults = []
    reach = max(max(-min(quad), max(quad) - (BINS - 1)) for quad in quads)
    if reach > 0:
        faults.append(Fault.OUT_OF_PAGE if reach > EDGE else Fault.OVER_EDGE)
    on_page = [[int(min(max(value, 0), BINS - 1)) for value in quad] for quad in quads]
    if any(x0 == x1 or y0 == y1 for x0, y0, x1, y1 in on_page):
        faults.append(Fault.EMPTY_BOX)
    return [_box(quad, width, height) for quad in on_page], faults


def _quads(text: str) -> list[list[float]]:
    """One box or a list of them; empty when the text is neither."""
    try:
        quads = json.loads(text) if len(text) <= LENGTH else []
    except (ValueError, RecursionError):
        return []
    if not isinstance(quads, list):
        return []
    return [quads] if quads and not isinstance(quads[0], list) else quads


def _is_sound(quad: object) -> bool:
    if not isinstance(quad, list) or len(quad) != 4:
        return False
    # An int may be too large for a float, and is finite.
    if not all(type(v) is int or (type(v) is float and math.isfinite(v)) for v in quad):
        return False
    return bool(quad[0] <= quad[2] and quad[1] <= quad[3])


def _box(quad: Sequence[int], width: float, height: float) -> Box:
    """The middles of bins, so that the box falls into the same bins again; two sides in one bin stay apart."""
    x0, y0, x1, y1 = quad
    dx, dy = 0.25 * (x0 == x1), 0.25 * (y0 == y1)
    left, right = (x0 + 0.5 - dx) / BINS * width, (x1 + 0.5 + dx) / BINS * width
    return Box(left, (y0 + 0.5 - dy) / BINS * height, right, (y1 + 0.5 + dy) / BINS * height)
