"""Appearance of a page in 1,024 bits, by which a scan, a crop or another rendering of it is known again.

The ink inside its frame is laid on a grid of 32 x 32 cells, and a cell's bit tells whether it holds more ink than
its neighbours in the row. Rows of text and margins are alike on most pages, and drop out; the gaps between words
stay. Ordinary 64-bit hashes of pictures take all full pages for one another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

GRID = 32
LONGER_SIDE = 640  # pixels that a page is looked at in: lines of text are still apart
FRAME = 0.01  # of the ink may lie outside the frame on each side: specks, and what a crop took
EDGE, RULE = 0.08, 0.4  # a row or column this near the edge and this full of ink is the scanner's, not the page's
FAINT = 0.12  # of the page's darkest ink: less is the paper's
NEIGHBOURS = 9  # cells of a row that a cell is held against
FLAT = 0.02  # of the mean ink: a smaller difference to the neighbours says nothing
LEAST_INK = 0.005  # share of a page's pixels: with less ink it looks like any other


@dataclass(frozen=True, slots=True)
class Appearance:
    """Bits of a page's cells, row by row, packed: in `bits` more ink than beside it, in `known` any difference."""

    bits: bytes
    known: bytes


def appearance(image: NDArray[np.uint8]) -> Appearance:
    """Appearance of a page (gray H x W, uint8); of one that is nearly blank nothing is known."""
    ink = _ink(image)
    if (ink > 0).mean() < LEAST_INK:
        return Appearance(bytes(GRID * GRID // 8), bytes(GRID * GRID // 8))
    cells = _cells(ink)
    padded = np.pad(cells, ((0, 0), (NEIGHBOURS // 2, NEIGHBOURS // 2)), "edge")
    beside = np.lib.stride_tricks.sliding_window_view(padded, NEIGHBOURS, axis=1).mean(axis=2)
    more = cells - beside
    known = np.abs(more) > FLAT * cells.mean()
    return Appearance(np.packbits((more > 0) & known).tobytes(), np.packbits(known).tobytes())


def _ink(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Darkness of each pixel against the paper around it (H x W), the edges of a scan left out."""
    picture = Image.fromarray(image)
    scale = LONGER_SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    small = picture.resize(size, Image.Resampling.BOX)
    paper = small.filter(ImageFilter.MaxFilter(9)).filter(ImageFilter.GaussianBlur(12))
    ink = np.clip(np.asarray(paper, np.float32) - np.asarray(small, np.float32), 0, None)
    ink[ink < FAINT * max(1.0, float(np.percentile(ink, 99.5)))] = 0
    for lines in (ink, ink.T):
        full = (lines > 0).mean(axis=1) > RULE
        edge = round(EDGE * len(lines))
        full[edge : len(lines) - edge] = False
        lines[full] = 0
    return ink


def _cells(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """Ink of the frame in GRID x GRID cells."""
    (top, bottom), (left, right) = (_span(ink.sum(axis=axis)) for axis in (1, 0))
    box = (left, top, right, bottom)
    return np.asarray(Image.fromarray(ink).resize((GRID, GRID), Image.Resampling.BILINEAR, box=box))


def _span(profile: NDArray[np.float32]) -> tuple[float, float]:
    """Start and end of the ink but for FRAME of it at each end, between pixels, at least one apart."""
    reached = np.concatenate([[0.0], np.cumsum(profile, dtype=np.float64)]) / profile.sum(dtype=np.float64)
    start, end = np.interp([FRAME, 1 - FRAME], reached, np.arange(len(reached))).tolist()
    start = min(start, len(profile) - 1.0)
    return start, min(max(end, start + 1), float(len(profile)))
