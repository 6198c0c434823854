"""Lines drawn on the spot: a true text in another face, so a model does not learn one font alone.

    DrawnLines().draw(text, generator) -> gray line image, or None when the face lacks a character

The face is Noto Serif Tibetan, which lies inside the PyMuPDF wheel; its variants are geometric:
condensed or wide, slanted, emboldened, in several sizes. Texts of other scripts are not drawn, so
for them a recipe's drawn_share changes nothing. Pillow shapes through raqm (`can_draw`).
"""

from __future__ import annotations

import io
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

TIBETAN = 21  # MuPDF's script number
SIZES = (26, 32, 38, 46)  # pixels to the em
MARGIN = 12


def can_draw() -> bool:
    """True when this Pillow shapes complex scripts."""
    return bool(features.check("raqm"))


class DrawnLines:
    """Draws in one face with random variants. Cheap to make: the font is loaded on first use."""

    def draw(self, text: str, generator: np.random.Generator) -> NDArray[np.uint8] | None:
        """A line (H x W, uint8, black on white, tightly cut) or None when the face lacks a character."""
        if not text or not _covers(text):
            return None
        size = int(generator.choice(SIZES))
        image = _ink(text, size, bold=int(generator.random() < 0.2))
        stretch = generator.uniform(0.8, 1.2)
        slant = generator.uniform(-0.1, 0.25) if generator.random() < 0.35 else 0.0
        return _cut(_shaped(image, stretch, slant), size, generator)


def _ink(text: str, size: int, bold: int) -> NDArray[np.uint8]:
    face = _face(size)
    width = int(face.getlength(text)) + 4 * MARGIN
    canvas = Image.new("L", (width, size * 3), 255)
    ImageDraw.Draw(canvas).text(
        (2 * MARGIN, round(size * 1.6)), text, fill=0, font=face, anchor="ls", stroke_width=bold, stroke_fill=0
    )
    return np.asarray(canvas)


def _shaped(image: NDArray[np.uint8], stretch: float, slant: float) -> NDArray[np.uint8]:
    height, width = image.shape
    reach = abs(slant) * height
    matrix = np.array([[stretch, -slant, slant * height if slant > 0 else 0.0], [0.0, 1.0, 0.0]])
    size = int(width * stretch + reach) + 1, height
    out = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_AREA, borderValue=(255.0,))
    return np.asarray(out, dtype=np.uint8)


def _cut(image: NDArray[np.uint8], size: int, generator: np.random.Generator) -> NDArray[np.uint8] | None:
    rows, columns = np.flatnonzero(image.min(axis=1) < 160), np.flatnonzero(image.min(axis=0) < 160)
    if not len(rows):
        return None
    above, below, left, right = (generator.uniform(0.05, 0.3, 4) * size).astype(int)
    return np.ascontiguousarray(
        image[max(0, rows[0] - above) : rows[-1] + 1 + below, max(0, columns[0] - left) : columns[-1] + 1 + right]
    )


@lru_cache(maxsize=8)
def _face(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(io.BytesIO(_font()[0]), size, layout_engine=ImageFont.Layout.RAQM)


def _covers(text: str) -> bool:
    return set(text) <= _font()[1]


@lru_cache(maxsize=1)
def _font() -> tuple[bytes, frozenset[str]]:
    """The face's bytes and the characters it has."""
    import pymupdf  # heavy, and only training needs it

    font = pymupdf.Font(script=TIBETAN)
    return bytes(font.buffer), frozenset(chr(code) for code in font.valid_codepoints())
