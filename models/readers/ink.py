"""Ink of a page's image held against what a reader read there.

    with_ink(page, reading) -> the reading with `ink` measured

Ink inside the boxes of the text that was read is the text's, as much as so many letters of that size can have. Of
the rest, what hangs together over more than a letter's size is drawn, figures and photographs; what does not may
be text that was not read. A reader without boxes has one region over the page: its letters count for all of it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from flywheel.document import Box, Label, PageReading, ReadInk
from flywheel.markup import own_boxes
from models.readers.protocol import PageInput

POINTS = 72.0
DPI = 75.0  # of the ink map
TILES = 8  # along each side: in each the paper's level is told by itself, for light falls unevenly
SHADE = 60  # gray levels that the paper of a tile may differ from the page's; further off it is ink
CONTRAST = 28.0  # gray levels between paper and ink at least, of 255
FAINT = 0.4  # of the page's own contrast
DUST = 3  # points: smaller things are dirt, or the screen of a picture
TALL, WIDE = 40.0, 150.0  # points: what hangs together over more is no letter, nor a word under one head line
LONG = 24.0  # points: from here on rules, frames and curves are told by their shape
THIN = 3.0  # points: a rule, or the sides of a frame
FRAMED, HOLLOW = 0.7, 0.15  # of its ink at the edges of its box: a frame; of its box that is ink: a curve
LETTER_INK = 0.35  # of the square of a line's height: a letter has no more
TALLEST = 100.0  # points of a line; more is no print to be read by lines
MARGIN, BAND = 0.02, 0.06  # of the page's side: how near its edge and how narrow a scanner's shadow is
BLOCK = 12  # points: areas are counted in such squares
NOTATION = re.compile(r"</?[A-Za-z][^<>]*>|\\[A-Za-z]+")  # letters of HTML and TeX, which the page does not show


def with_ink(page: PageInput, reading: PageReading) -> PageReading:
    """The reading with its evidence of ink; a page without size or pixels is left as it is."""
    if min(page.width, page.height) <= 0 or min(page.gray.shape) < 2:
        return reading
    return dataclasses.replace(reading, ink=_measured(page, reading.label))


def ink_map(gray: NDArray[np.uint8], dpi: float) -> NDArray[np.bool_]:
    """H x W at up to 75 dpi; True where there is ink, dark on light or light on dark."""
    scale = min(1.0, DPI / dpi)
    size = max(1, round(gray.shape[1] * scale)), max(1, round(gray.shape[0] * scale))
    small = np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)
    if np.median(small) < 128:  # light on dark
        small = 255 - small
    level = float(np.percentile(small, 90))
    paper = np.clip(_paper(small), level - SHADE, 255.0)
    depth = paper - small.astype(np.float32)
    limit = max(CONTRAST, FAINT * float(np.percentile(depth, 99.5)))
    return np.asarray(depth > limit)


def _paper(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Level of the paper at each pixel: that of the lightest tenth of its tile, evenly from tile to tile."""
    height, width = small.shape
    rows, columns = min(TILES, height), min(TILES, width)
    levels = np.array(
        [
            [np.percentile(tile, 90) for tile in np.array_split(band, columns, 1)]
            for band in np.array_split(small, rows)
        ]
    )
    return np.asarray(cv2.resize(levels.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR))


@dataclasses.dataclass(frozen=True, slots=True)
class _Text:
    """A text in its box (points): a line, with its height, or a region, whose letters' height the ink tells."""

    box: Box
    letters: int
    height: float | None


def _measured(page: PageInput, label: Label) -> ReadInk:
    whole = ink_map(page.gray, page.dpi)
    across, down = whole.shape[1] / page.width, whole.shape[0] / page.height
    found = _components(whole, down)
    shapes = found.drawn[found.owner]
    for region in label.regions:
        if region.category == "picture" and not region.lines:
            shapes[_window(region.box, across, down, whole.shape)] = True
    ink = whole & ~found.dust[found.owner] & ~_rules(whole, down)
    free = ink.copy()  # ink that no text has claimed
    read = read_area = unread = 0.0
    for text in _texts(label):
        window = _window(text.box, across, down, ink.shape)
        height = down * text.height if text.height else _letter_height(found, window)
        size = text.letters * min(height, TALLEST * down) ** 2  # pixels that so many letters stand on
        letters = float(np.count_nonzero(free[window] & ~shapes[window]))
        large = float(np.count_nonzero(free[window] & shapes[window]))
        taken = min(letters, LETTER_INK * size)
        read += taken + min(large, LETTER_INK * size - taken)
        unread += letters - taken
        read_area += min(float(free[window].size), size)
        free[window] = False
    unread += float(np.count_nonzero(free & ~shapes))
    total = float(np.count_nonzero(ink))
    return ReadInk(
        area=total / (across * down),
        text=read / max(1.0, total),
        unread=unread / max(1.0, total),
        drawn=max(0.0, total - read - unread) / max(1.0, total),
        text_area=read_area / ink.size,
        drawn_area=max(_area(free & shapes, down), (total - read - unread) / ink.size),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Components:
    """Connected ink: the number of each pixel's (H x W; 0 is paper), and of each its height in pixels and
    whether it is drawn, or dust."""

    owner: NDArray[np.int32]
    heights: NDArray[np.int32]
    drawn: NDArray[np.bool_]
    dust: NDArray[np.bool_]


def _components(ink: NDArray[np.bool_], scale: float) -> _Components:
    _, labels, table, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    owner, stats = np.asarray(labels, np.int32), np.asarray(table, np.int32)
    width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    area = np.maximum(stats[:, cv2.CC_STAT_AREA], 1)
    large = (height > TALL * scale) | (width > WIDE * scale)
    shaped = (area < HOLLOW * width * height) | (_edge_ink(owner, stats, THIN * scale) > FRAMED * area)
    drawn = large | ((np.maximum(width, height) > LONG * scale) & shaped)
    dust = (np.maximum(width, height) < DUST * scale) | (large & _at_edge(stats, ink.shape))
    drawn[0] = dust[0] = False
    return _Components(owner, height, drawn, dust)


def _at_edge(stats: NDArray[np.int32], shape: Sequence[int]) -> NDArray[np.bool_]:
    """Components that are a narrow band along a side of the page: what a scanner saw beside the paper."""
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    upright, level = BAND * shape[1], BAND * shape[0]
    beside = ((left < MARGIN * shape[1]) | (left + width > (1 - MARGIN) * shape[1])) & (width < upright)
    above = ((top < MARGIN * shape[0]) | (top + height > (1 - MARGIN) * shape[0])) & (height < level)
    return np.asarray(beside | above)


def _rules(ink: NDArray[np.bool_], scale: float) -> NDArray[np.bool_]:
    """Thin straight lines along the page's sides: of tables, forms, frames, under words. They are no picture."""
    image, long, thick = ink.astype(np.uint8), max(2, round(LONG * scale)), max(2, round(THIN * scale) + 1)
    across, down, solid = (
        np.asarray(cv2.morphologyEx(image, cv2.MORPH_OPEN, np.ones(size, np.uint8)), np.uint8)
        for size in ((1, long), (long, 1), (thick, thick))
    )
    return np.asarray(((across | down) > 0) & (solid == 0))


def _edge_ink(owner: NDArray[np.int32], stats: NDArray[np.int32], reach: float) -> NDArray[np.int64]:
    """Pixels of each component that lie within `reach` of its box's edges."""
    y, x = np.nonzero(owner)
    mine = owner[y, x]
    left, top = stats[mine, cv2.CC_STAT_LEFT], stats[mine, cv2.CC_STAT_TOP]
    right, bottom = left + stats[mine, cv2.CC_STAT_WIDTH] - 1, top + stats[mine, cv2.CC_STAT_HEIGHT] - 1
    inset = np.minimum(np.minimum(x - left, right - x), np.minimum(y - top, bottom - y))
    return np.bincount(mine[inset < reach], minlength=len(stats))


def _letter_height(found: _Components, window: tuple[slice, slice]) -> float:
    """Height of a region's lines in pixels, by its letters: lines stand taller than most of these. Each pixel of
    ink counts, so that a row of dots does not stand for the letters beside it."""
    owner = found.owner[window].ravel()
    here = owner[~(found.drawn | found.dust)[owner] & (owner > 0)]
    return 1.5 * float(np.percentile(found.heights[here], 75)) if here.size else 0.0


def _texts(label: Label) -> Iterator[_Text]:
    own = own_boxes(label)
    for region in label.regions:
        if all(line.box in own for line in region.lines):
            yield from (_Text(x.box, _letters(x.text), min(x.box.height, x.box.width)) for x in region.lines)
        elif region.lines:
            yield _Text(region.box, _letters(region.text), None)


def _letters(text: str) -> int:
    return len("".join(NOTATION.sub("", text).split()))


def _window(box: Box, across: float, down: float, shape: Sequence[int]) -> tuple[slice, slice]:
    """Pixels of a box and one around it."""
    y0, y1 = int(box.y0 * down) - 1, int(np.ceil(box.y1 * down)) + 1
    x0, x1 = int(box.x0 * across) - 1, int(np.ceil(box.x1 * across)) + 1
    return slice(max(0, y0), max(0, min(shape[0], y1))), slice(max(0, x0), max(0, min(shape[1], x1)))


def _area(mask: NDArray[np.bool_], scale: float) -> float:
    """Share of the page's squares that hold some of it."""
    step = max(1, round(BLOCK * scale))
    rows, columns = -(-mask.shape[0] // step), -(-mask.shape[1] // step)
    padded = np.zeros((rows * step, columns * step), bool)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return float(padded.reshape(rows, step, columns, step).any(axis=(1, 3)).mean())
