"""Words as a typeface draws them, and where in the drawing each letter group stands.

    Typeface(file).draw(text) -> DrawnWord

HarfBuzz shapes the word and tells the letter groups (its clusters: a base with its marks, a stack, a ligature)
apart; Pillow draws the same word with the same shaper. A group's `key` is what was drawn for it, glyph by glyph:
one letter in four shapes has four keys.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import uharfbuzz as hb
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

EM = 64  # pixels
ABOVE, BELOW = 1.8, 1.2  # em of the drawing above and below the baseline
LONGEST = 30  # code points of a word
MISSING = 0  # the glyph of what a typeface does not have
CACHED = 1024  # words, of some 50 kB each


@dataclass(frozen=True, slots=True)
class DrawnGroup:
    """A letter group of a drawn word: its place in the text, its span in pixels and what was drawn."""

    start: int
    end: int
    x0: float
    x1: float
    key: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DrawnWord:
    """A word's image (H x W, 0 paper to 255 ink) on a baseline, and its letter groups in the text's order."""

    text: str
    image: NDArray[np.uint8]
    baseline: float
    groups: tuple[DrawnGroup, ...]

    @property
    def ink(self) -> NDArray[np.float32]:
        """The image from 0, paper, to 1, ink."""
        return self.image.astype(np.float32) / np.float32(255)


class Typeface:
    """A typeface from the bytes of its file. Raises OSError for what is none."""

    def __init__(self, file: bytes) -> None:
        self._face = hb.Face(file)
        self._shaper = hb.Font(self._face)
        self._pixels = EM / self._face.upem
        self._pen = ImageFont.truetype(io.BytesIO(file), EM, layout_engine=ImageFont.Layout.RAQM)
        self.draw = lru_cache(maxsize=CACHED)(self._draw)

    def _draw(self, text: str) -> DrawnWord | None:
        """The word as drawn; None for one that is empty, too long, or not all in the typeface."""
        if not text or len(text) > LONGEST:
            return None
        buffer = hb.Buffer()
        buffer.add_str(text)
        buffer.guess_segment_properties()
        hb.shape(self._shaper, buffer)
        infos, places = buffer.glyph_infos, buffer.glyph_positions
        if not infos or any(info.codepoint == MISSING for info in infos):
            return None
        groups, width = self._groups(text, infos, places)
        image = Image.new("L", (math.ceil(width) + 2 * EM, round((ABOVE + BELOW) * EM)), 0)
        ImageDraw.Draw(image).text((EM, ABOVE * EM), text, font=self._pen, fill=255, anchor="ls")
        return DrawnWord(text, np.asarray(image, dtype=np.uint8), ABOVE * EM, groups)

    def _groups(
        self, text: str, infos: Sequence[hb.GlyphInfo], places: Sequence[hb.GlyphPosition]
    ) -> tuple[tuple[DrawnGroup, ...], float]:
        """The groups in the text's order, and the word's width in pixels."""
        spans: dict[int, tuple[float, float, tuple[int, ...]]] = {}
        pen = 0.0
        for info, place in zip(infos, places, strict=True):
            left, right = pen, pen + place.x_advance * self._pixels
            x0, x1, key = spans.get(info.cluster, (left, right, ()))
            spans[info.cluster] = min(x0, left), max(x1, right), (*key, info.codepoint)
            pen = right
        starts = [*sorted(spans), len(text)]
        groups = [
            DrawnGroup(start, end, EM + spans[start][0], EM + spans[start][1], spans[start][2])
            for start, end in pairwise(starts)
        ]
        return tuple(groups), pen
