"""Cutting a line out of a page: level, in gray, with a little air.

Tibetan hangs from a head line: vowel signs stand above it, stacks and vowels go far below it. A crop
that is too tight loses vowels, one that is too generous shows the neighbours'. The same cut serves
patches for training and lines to read, so what a model learns from is what it later sees: it follows
the detector alone and is not grown to the characters of a text layer, which no scan has.
`LevelPage` says which part of the page a crop shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flywheel.document import Box
from models.lines.detector import DetectedLine

PAD = 0.06  # of the line's height, above and below; the detector's own growth holds the rest
PAD_ENDS = 0.12  # of the line's height, left and right


def crop(image: NDArray[np.uint8], line: DetectedLine) -> NDArray[np.uint8]:
    """A line of a gray page (H x W, uint8) as a new array, turned level when it slants.

    Raises ValueError when the line lies outside the page.
    """
    width, height = _padded(line)
    x, y = _middle(line, image.shape[1], image.shape[0])
    if not (0 <= x < image.shape[1] and 0 <= y < image.shape[0]) or min(height, width) < 1:
        raise ValueError(f"{line.box} lies outside a page of {image.shape[1]} x {image.shape[0]} pixels")
    if line.slant:
        return _levelled(image, x, y, math.ceil(width), math.ceil(height), line.slant)
    x0, y0, x1, y1 = _bounds(line, image.shape[1], image.shape[0])
    return np.ascontiguousarray(image[y0:y1, x0:x1])


@dataclass(frozen=True, slots=True)
class LevelPage:
    """A page turned about its middle by -`slant` degrees, in which lines of that slant are level.

    `image` is gray H x W, uint8, of the page's own size.
    """

    image: NDArray[np.uint8]
    slant: float

    @classmethod
    def of(cls, image: NDArray[np.uint8], slant: float) -> LevelPage:
        """Turn a page of this slant; a level one stays as it is."""
        if not slant:
            return cls(image, 0.0)
        height, width = image.shape
        level = _levelled(image, width / 2, height / 2, width, height, slant)
        return cls(level, slant)

    def places(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points of the page (N x 2, pixels) in this frame."""
        if not self.slant:
            return points
        cos, sin = math.cos(math.radians(self.slant)), math.sin(math.radians(self.slant))
        middle = np.array((self.image.shape[1] / 2, self.image.shape[0] / 2))
        x, y = (points - middle).T
        return np.asarray(np.stack((x * cos + y * sin, y * cos - x * sin), axis=1) + middle, dtype=np.float64)

    def window(self, line: DetectedLine) -> Box:
        """The part of the page that the line's crop shows, in pixels of this frame."""
        if not self.slant:
            x0, y0, x1, y1 = _bounds(line, self.image.shape[1], self.image.shape[0])
            return Box(x0, y0, x1, y1)
        width, height = (math.ceil(size) for size in _padded(line))
        middle = _middle(line, self.image.shape[1], self.image.shape[0])
        ((x, y),) = self.places(np.array([middle])).tolist()
        return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _padded(line: DetectedLine) -> tuple[float, float]:
    return line.width + 2 * PAD_ENDS * line.height, line.height * (1 + 2 * PAD)


def _middle(line: DetectedLine, page_width: int, page_height: int) -> tuple[float, float]:
    """Middle of the line, also of one whose box is cut off by an edge of the page."""
    cos, sin = abs(math.cos(math.radians(line.slant))), abs(math.sin(math.radians(line.slant)))
    width, height = line.width * cos + line.height * sin, line.width * sin + line.height * cos
    box = line.box
    return _centre(box.x0, box.x1, width, page_width), _centre(box.y0, box.y1, height, page_height)


def _centre(low: float, high: float, length: float, end: int) -> float:
    """Middle of a span of this length, of which the page shows low..high."""
    if low > 0 and high >= end:
        return low + length / 2
    if low <= 0 and high < end:
        return high - length / 2
    return (low + high) / 2


def _bounds(line: DetectedLine, page_width: int, page_height: int) -> tuple[int, int, int, int]:
    """Whole pixels x0, y0, x1, y1 of a level line's crop, inside the page."""
    width, height = _padded(line)
    x, y = _middle(line, page_width, page_height)
    x0, x1 = max(0, math.floor(x - width / 2)), min(page_width, math.ceil(x + width / 2))
    y0, y1 = max(0, math.floor(y - height / 2)), min(page_height, math.ceil(y + height / 2))
    return x0, y0, x1, y1


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
    return np.asarray(cut, dtype=image.dtype)
