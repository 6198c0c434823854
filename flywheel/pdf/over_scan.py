"""Characters that are drawn over a picture of themselves: visible text that some program read off a scan.

Most programs lay what they read under the image, or draw nothing. Some draw it over the scan, nearly where the
scan shows it. Its words are then a reader's and not the page's. The page without its text tells: it has ink where
the characters stand, from top to bottom, and little between the lines. Paper with a texture, ruled paper,
photographs and dark panels do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]

INK = 64  # gray levels between the paper, which is most of the page, and ink
BANDS = 4  # parts of a character's height,
INKED_BANDS = 3  # and of these, as many as a letter has ink in
FULL = 0.8  # of a box: more is a panel or a photograph, no letter
OFF = (0.0, -0.15, 0.15, -0.3, 0.3)  # of a line's height, by which it may stand above or below what the scan shows
SHARE = 0.6  # of the characters over ink: the page is a scan
BETWEEN = 0.35  # ink for each pixel between the lines, as a share of that in characters' boxes


def over_scan(bare: NDArray[np.uint8], boxes: Floats, lines: Indices, seen: Mask) -> Mask:
    """The seen characters that a scan under them shows already; none on a page that is no scan.

    `bare` is the page without its text (gray H x W), `boxes` (N x 4) are the characters' in its pixels, `lines`
    their lines.
    """
    none = np.zeros_like(seen)
    paper = int(np.median(bare[::5, ::5]))
    ink = np.abs(bare.astype(np.int16) - paper) >= INK
    if not seen.any() or not ink.any():
        return none
    whole = _integral(ink)
    reach = max(OFF) * (boxes[:, 3] - boxes[:, 1])
    around = _bounds(boxes + np.outer(reach, (0, -1, 0, 1)), whole)[seen]
    if (_count(whole, *around.T) > 0).mean() < SHARE:
        return none
    over, bounds = _best_placed(whole, boxes, lines, seen)
    if over.sum() < SHARE * seen.sum() or not _lies_in_lines(whole, bounds[seen]):
        return none
    members, inked = (np.bincount(lines[which], minlength=int(lines.max()) + 1) for which in (seen, over))
    return np.asarray(seen & (2 * inked >= members)[lines])


def _best_placed(whole: NDArray[np.int32], boxes: Floats, lines: Indices, seen: Mask) -> tuple[Mask, Indices]:
    """The characters over letters of a scan, and all bounds, each line moved to where it lies over the most."""
    number = int(lines.max()) + 1
    heights = np.zeros(number)
    np.maximum.at(heights, lines[seen], (boxes[:, 3] - boxes[:, 1])[seen])
    best = np.full(number, -1)
    over, bounds = np.zeros_like(seen), np.zeros((len(seen), 4), dtype=np.int64)
    for off in OFF:
        moved = boxes + np.outer((off * heights)[lines], (0, 1, 0, 1))
        there = _bounds(moved, whole)
        shown = seen & _shows_letters(whole, there)
        counts = np.bincount(lines[shown], minlength=number)
        better = (counts > best)[lines]
        over, bounds = np.where(better, shown, over), np.where(better[:, None], there, bounds)
        best = np.maximum(best, counts)
    return over, bounds


def _bounds(boxes: Floats, whole: NDArray[np.int32]) -> Indices:
    """Boxes as rows and columns of the page: x0, y0, x1, y1."""
    bounds = np.column_stack((np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:]))).astype(np.int64)
    return np.asarray(bounds.clip(0, [whole.shape[1] - 1, whole.shape[0] - 1] * 2))


def _integral(ink: Mask) -> NDArray[np.int32]:
    counts = np.zeros((ink.shape[0] + 1, ink.shape[1] + 1), dtype=np.int32)
    counts[1:, 1:] = ink.cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32)
    return counts


def _count(whole: NDArray[np.int32], x0: Indices, y0: Indices, x1: Indices, y1: Indices) -> NDArray[np.int32]:
    return np.asarray(whole[y1, x1] - whole[y0, x1] - whole[y1, x0] + whole[y0, x0])


def _shows_letters(whole: NDArray[np.int32], bounds: Indices) -> Mask:
    """True for each box that has ink over most of its height and is not full of it."""
    x0, y0, x1, y1 = bounds.T
    inked = np.zeros(len(bounds), dtype=np.int64)
    for band in range(BANDS):
        top, bottom = (y0 + (y1 - y0) * part // BANDS for part in (band, band + 1))
        inked += _count(whole, x0, top, x1, bottom) > 0
    full = _count(whole, x0, y0, x1, y1) > FULL * (x1 - x0) * (y1 - y0)
    return np.asarray((inked >= INKED_BANDS) & ~full)


def _lies_in_lines(whole: NDArray[np.int32], bounds: Indices) -> bool:
    """True when there is little ink around the boxes, half their height above and below, for that in them."""
    x0, y0, x1, y1 = bounds.T
    height, width = whole.shape[0] - 1, whole.shape[1] - 1
    boxes, around = (np.zeros((height + 1, width + 1), dtype=np.int32) for _ in range(2))
    reach = (y1 - y0) // 2 + 1
    for area, top, bottom in (
        (boxes, y0, y1),
        (around, np.maximum(y0 - reach, 0), np.minimum(y1 + reach, height)),
    ):
        for rows, columns, step in ((top, x0, 1), (bottom, x1, 1), (top, x1, -1), (bottom, x0, -1)):
            np.add.at(area, (rows, columns), step)
    inside, near = (area[:-1, :-1].cumsum(0).cumsum(1) > 0 for area in (boxes, around))
    ink = np.diff(np.diff(whole, axis=0), axis=1) > 0
    between = near & ~inside
    return bool(ink[between].mean() <= BETWEEN * ink[inside].mean()) if between.any() else False
