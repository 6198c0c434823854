"""Ink on a page whose coloured boxes, bars and backgrounds are taken for paper.

    strokes(gray) -> mask

A fill is what most of the pixels around have; ink on it is what differs from them, as letters and lines do, be
they characters or curves. Print of a size that fills the window itself is lost with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

WINDOW = 9  # pixels, of 3 points: the strokes of a letter fill less than half of it up to about 80 points


def strokes(gray: NDArray[np.uint8], contrast: int) -> NDArray[np.bool_]:
    """H x W; True where a pixel differs by more than `contrast` levels from the median of those around it."""
    around = np.asarray(Image.fromarray(gray).filter(ImageFilter.MedianFilter(WINDOW)))
    return np.asarray(np.maximum(gray, around) - np.minimum(gray, around) > contrast)
