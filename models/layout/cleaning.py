"""Clean a layout network's regions: each stands for something else.

    cleaned(regions, width, height) -> regions       clipped, without duplicates and nested boxes, in order
    in_reading_order(regions) -> regions             the detector's own order, else by where they lie

Networks with set prediction need no suppression in theory; in practice the same box comes out under two
labels, a paragraph comes out whole and in parts, a formula comes out of the middle of a sentence, and a
scanned page comes out as one large picture.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from flywheel.document import Box
from models.layout.protocol import LayoutRegion
from models.lines.order import reading_order

# What is part of a region of another category when it lies inside one.
PARTS = {
    "table": frozenset({"text", "title", "list", "formula", "footnote"}),
    "text": frozenset({"formula"}),
    "title": frozenset({"text", "formula"}),
    "list": frozenset({"text", "formula"}),
    "caption": frozenset({"text", "formula"}),
    "footnote": frozenset({"text", "formula"}),
    "header": frozenset({"text", "formula"}),
    "footer": frozenset({"text", "formula"}),
    "formula": frozenset({"text"}),
    "picture": frozenset[str](),
}


@dataclass(frozen=True, slots=True)
class CleaningRules:
    """Shares in 0..1. `same`, `other`: of intersection over union, from which two boxes are one region, of one
    category or of two. `inside`: of a box that lies in a larger one. `whole`: of the page, from which a picture
    with other regions on it is the page."""

    same: float = 0.6
    other: float = 0.85
    inside: float = 0.85
    whole: float = 0.8


def cleaned(
    regions: Sequence[LayoutRegion], width: float, height: float, rules: CleaningRules | None = None
) -> list[LayoutRegion]:
    """The regions of one page of `width` x `height` pixels that are left, in reading order."""
    rules = rules or CleaningRules()
    shown = [dataclasses.replace(r, box=clipped(r.box, width, height)) for r in regions]
    single = _without_duplicates([r for r in shown if min(r.box.width, r.box.height) >= 1], rules)
    page = width * height
    pictures = [r for r in single if r.category == "picture" and r.box.area >= rules.whole * page]
    if len(pictures) < len(single):
        single = [r for r in single if r not in pictures]
    return in_reading_order(_without_nested(single, rules))


def in_reading_order(regions: Sequence[LayoutRegion]) -> list[LayoutRegion]:
    """By the order the detector gave, when it gave each one; else headers, body by columns, footers."""
    if all(region.order is not None for region in regions):
        ordered = sorted(regions, key=lambda region: region.order or 0)
        return [dataclasses.replace(region, order=place) for place, region in enumerate(ordered)]
    parts: list[list[LayoutRegion]] = [[], [], []]
    for region in regions:
        parts[{"header": 0, "footer": 2}.get(region.category, 1)].append(region)
    return [part[i] for part in parts for i in reading_order([region.box for region in part])]


def overlap(one: Box, other: Box) -> float:
    """Intersection over union, 0..1."""
    shared = one.intersection(other)
    return shared / (one.area + other.area - shared) if shared else 0.0


def clipped(box: Box, width: float, height: float) -> Box:
    """The part of a box on a page of this size, in the box's unit; without area when there is none."""
    x0, x1 = (min(max(0.0, x), width) for x in (box.x0, box.x1))
    y0, y1 = (min(max(0.0, y), height) for y in (box.y0, box.y1))
    return Box(x0, y0, x1, y1)


def _without_duplicates(regions: Sequence[LayoutRegion], rules: CleaningRules) -> list[LayoutRegion]:
    """Greedy non-maximum suppression: the surest box of each place."""
    kept: list[LayoutRegion] = []
    for region in sorted(regions, key=lambda r: (-r.confidence, r.box.y0, r.box.x0, r.category)):
        limits = (rules.same if other.category == region.category else rules.other for other in kept)
        if not any(overlap(region.box, k.box) >= limit for k, limit in zip(kept, limits, strict=True)):
            kept.append(region)
    return kept


def _without_nested(regions: Sequence[LayoutRegion], rules: CleaningRules) -> list[LayoutRegion]:
    """Without those inside a larger one of their kind, or of a kind that they are part of."""
    kept: list[LayoutRegion] = []
    for region in sorted(regions, key=lambda r: -r.box.area):
        holders = [k for k in kept if k.category == region.category or region.category in PARTS[k.category]]
        if not any(region.box.intersection(k.box) >= rules.inside * region.box.area for k in holders):
            kept.append(region)
    return kept
