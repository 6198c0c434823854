"""Cutting a line out of a page: level, in gray, with a little air.

Tibetan hangs from a head line: vowel signs stand above it, stacks and vowels go far below it. A crop
that is too tight loses vowels, one that is too generous shows the neighbours'. The same cut serves
patches for training and lines to read, so what a model learns from is what it later sees.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from models.lines.detector import DetectedLine

PAD = 0.06  # of the line's height, above and below; the detector's own growth holds the rest
PAD_ENDS = 0.12  # of the line's height, left and right


def crop(image: NDArray[np.uint8], line: DetectedLine) -> NDArray[np.uint8]:
    """A line of a gray page (H x W, uint8) as a new array, turned level when it slants.

    Raises ValueError when the line lies outside the page.
    """
    height, width = line.height * (1 + 2 * PAD), line.width + 2 * PAD_ENDS * line.height
    x, y = (line.box.x0 + line.box.x1) / 2, (line.box.y0 + line.box.y1) / 2
    if not (0 <= x < image.shape[1] and 0 <= y < image.shape[0]) or min(height, width) < 1:
        raise ValueError(f"{line.box} lies outside a page of {image.shape[1]} x {image.shape[0]} pixels")
    if line.slant:
        return _levelled(image, x, y, math.ceil(width), math.ceil(height), line.slant)
    x0, x1 = max(0, math.floor(x - width / 2)), min(image.shape[1], math.ceil(x + width / 2))
    y0, y1 = max(0, math.floor(y - height / 2)), min(image.shape[0], math.ceil(y + height / 2))
    return np.ascontiguousarray(image[y0:y1, x0:x1])


def _levelled(
    image: NDArray[np.uint8], x: float, y: float, width: int, height: int, slant: float
) -> NDArray[np.uint8]:
    cos, sin = math.cos(math.radians(slant)), math.sin(math.radians(slant))
    to_page = np.array(
        [
            [cos, -sin, x - cos * width / 2 + sin * height / 2],
            [sin, cos, y - sin * width / 2 - cos * height / 2],
        ]
    )
    cut = cv2.warpAffine(
        image,
        to_page,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(cut, dtype=np.uint8)
