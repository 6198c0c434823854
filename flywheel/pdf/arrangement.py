"""Arrangement of lines into regions in reading order: by the file's own blocks, or by the layout model's boxes.

Either way every line is kept. `flywheel.pdf.plain` knows the pages that need no model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from flywheel.document import Box, Line, Region
from flywheel.pdf.reading_order import columns, in_reading_order
from flywheel.pdf.results import PageLayout, PageText
from flywheel.text.bidi import Base

FULL_PAGE = 0.7  # images cover the page from this share of its area on
PICTURE_SHARE = 0.01  # smaller images are ornaments, not regions


def arranged(page: PageText, found: PageLayout) -> PageText:
    """The same page with its lines in the regions the model found; a plain page, or one without any, as it is."""
    if page.plain or not found.regions:
        return page
    return dataclasses.replace(page, regions=_by_layout(found, page), layout=True)


def by_blocks(
    blocks: Sequence[Sequence[Line]], images: Sequence[Box], page_area: float, base: Base = "L"
) -> tuple[Region, ...]:
    """Without a layout: the file's text blocks and its larger images, ordered by where they lie."""
    regions = [Region("text", Box.around(line.box for line in block), tuple(block)) for block in blocks]
    for image in images:
        if PICTURE_SHARE * page_area <= image.area < FULL_PAGE * page_area:
            regions.append(Region("picture", image))
    return tuple(in_reading_order(regions, base))


def _by_layout(found: PageLayout, page: PageText) -> tuple[Region, ...]:
    """Give each line to the region that holds most of it; what no region holds stays by block.

    The model's own order across columns is not relied on (it mixed two columns of a page
    that a cut between them reads right).
    """
    held: list[list[Line]] = [[] for _ in found.regions]
    regions: list[Region] = []
    for block in page.blocks:
        left = []
        for line in block:
            shares = [box.intersection(line.box) for box, _ in found.regions]
            best = max(range(len(shares)), key=shares.__getitem__)
            if shares[best] >= 0.5 * max(line.box.area, 1e-6):
                held[best].append(line)
            else:
                left.append(line)
        if left:
            regions.append(Region("text", Box.around(line.box for line in left), tuple(left)))
    for (box, category), lines in zip(found.regions, held, strict=True):
        if lines or category == "picture":
            regions.append(_region(box, category, lines, page))
    heads = [region for region in regions if region.category == "header"]
    feet = [region for region in regions if region.category == "footer"]
    body = [region for region in regions if region.category not in ("header", "footer")]
    return (*heads, *in_reading_order(body, page.base), *feet)


def _region(box: Box, category: str, lines: list[Line], page: PageText) -> Region:
    if category == "picture" and lines and not _pictured(box, page.images):
        category = "text"  # the model takes dense text for a picture at times
    if category != "table":
        lines = [line for column in columns(lines, page.base) for line in column]
    return Region(category, box, tuple(lines))


def _pictured(box: Box, images: Sequence[Box]) -> bool:
    return sum(box.intersection(image) for image in images) >= 0.3 * box.area
