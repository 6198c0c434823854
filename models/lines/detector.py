"""Text lines of a page, by the PP-OCRv6 small detector that the rapidocr wheel carries.

    LineDetector(threads=1).find(image, dpi=150) -> list[DetectedLine]      in reading order

The network (differentiable binarisation, Liao et al. 2020) gives a map of line cores. From it: the
page's slant by the moments of its long cores, one rectangle a core in the levelled frame, grown by
the network's own unclip rule; fragments of one line joined, double lines split, and the whole put
in reading order (models/lines/order.py). Boxes are pixels of the page as given, never of the
levelled one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flywheel.document import Box
from models.lines.order import join_fragments, reading_order, split_double_lines
from models.packaged import open_packaged

MODEL = "PP-OCRv6_det_small.onnx"
# Measured on 12 drawn scans (326 lines): 105 and 150 dpi both find every line of text; 105 misses
# two lone page digits, 150 one at twice the cost.
WORKING_DPI = 105.0
STRIDE = 32  # the network's: both sides must be multiples
SIDE_LIMIT = 2240  # pixels of the longer side that the network sees
SHORT_SIDE = 64
THRESHOLD = 0.3  # of a pixel's probability
CONFIDENCE = 0.5  # of a core's mean probability
UNCLIP = 1.6  # Liao et al., section 3.4: offset = area * ratio / perimeter
SMALLEST = 3  # pixels of a core's thinner side
STEEPEST = 8.0  # degrees; a page slanted more is turned, not skewed


@dataclass(frozen=True, slots=True)
class DetectedLine:
    """One line of text. `box` is upright, in pixels of the page, and holds the whole line.

    `slant` in degrees, positive when the line falls to the right; `width` and `height` are the
    line's own, along and across it, in pixels (equal to the box's when slant is 0).
    """

    box: Box
    confidence: float
    slant: float
    width: float
    height: float


class LineDetector:
    """A warm detector. `threads` is what one call may use; the object is safe to share by threads."""

    def __init__(self, threads: int = 1) -> None:
        self._session = open_packaged(MODEL, threads)

    def find(self, image: NDArray[np.uint8], dpi: float = 150.0) -> list[DetectedLine]:
        """Lines of a gray page (H x W, uint8) rendered at `dpi`, in reading order; [] when there is none."""
        if min(image.shape[:2]) < 8:
            return []
        probability, scale_x, scale_y = self._probability(image, dpi)
        cores = _cores(probability)
        if not cores:
            return []
        slant = page_slant(cores)
        frame = LevelledFrame(slant, image.shape[1], image.shape[0])
        boxes = [frame.level_box(core.points * (scale_x, scale_y)) for core in cores]
        grown = [(unclip(box), core.confidence) for box, core in zip(boxes, cores, strict=True)]
        joined = join_fragments(split_double_lines(grown))
        ordered = [joined[i] for i in reading_order([box for box, _ in joined])]
        return [frame.line(box, confidence) for box, confidence in ordered]

    def _probability(self, image: NDArray[np.uint8], dpi: float) -> tuple[NDArray[np.float32], float, float]:
        """The map (h x w, 0..1) and the pixels of the page that one of its pixels covers, x and y."""
        height, width = image.shape
        scale = min(1.0, WORKING_DPI / dpi, SIDE_LIMIT / max(height, width))
        scale = max(scale, SHORT_SIDE / min(height, width))
        rows = max(STRIDE, round(height * scale / STRIDE) * STRIDE)
        columns = max(STRIDE, round(width * scale / STRIDE) * STRIDE)
        small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
        gray = small.astype(np.float32) / 127.5 - 1.0
        batch = np.ascontiguousarray(np.broadcast_to(gray, (1, 3, rows, columns)))
        (output,) = self._session.run(None, {"x": batch})
        return output[0, 0], width / columns, height / rows


@dataclass(frozen=True, slots=True)
class LineCore:
    """A connected piece of the thresholded map: its contour (N x 2, x and y) and mean probability."""

    points: NDArray[np.float32]
    confidence: float
    angle: float  # degrees, of its principal axis
    weight: float  # how much its angle is worth: length where it is long and thin, else 0


@dataclass(frozen=True, slots=True)
class LevelledFrame:
    """The levelled frame: the page turned about its centre by -slant."""

    slant: float
    page_width: int
    page_height: int

    def level_box(self, points: NDArray[np.float32]) -> Box:
        """The upright box, in this frame, around points of the page."""
        turned = self._turn(points, -self.slant)
        x0, y0 = turned.min(axis=0)
        x1, y1 = turned.max(axis=0)
        return Box(float(x0), float(y0), float(x1), float(y1))

    def line(self, box: Box, confidence: float) -> DetectedLine:
        """A box of this frame as a line of the page, clipped to it."""
        corners = np.array([(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)], np.float32)
        shown = self._turn(corners, self.slant)
        x0, y0 = np.maximum(shown.min(axis=0), 0)
        x1, y1 = np.minimum(shown.max(axis=0), (self.page_width, self.page_height))
        upright = Box(float(x0), float(y0), float(x1), float(y1))
        return DetectedLine(upright, confidence, self.slant, box.width, box.height)

    def _turn(self, points: NDArray[np.float32], degrees: float) -> NDArray[np.float32]:
        if degrees == 0:
            return points
        centre = np.array((self.page_width / 2, self.page_height / 2), np.float32)
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        x, y = (points - centre).T
        return np.stack((x * cos - y * sin, x * sin + y * cos), axis=1) + centre


def page_slant(cores: list[LineCore]) -> float:
    """Degrees by which the page's lines fall to the right: the median of its long cores, by length.

    0 when no core is long enough to tell, or when it is less than a tenth of a degree.
    """
    weighed = sorted((c.angle, c.weight) for c in cores if c.weight > 0 and abs(c.angle) <= STEEPEST)
    if not weighed:
        return 0.0
    reach = np.cumsum([weight for _, weight in weighed])
    middle = int(np.searchsorted(reach, reach[-1] / 2))
    angle = weighed[middle][0]
    return angle if abs(angle) >= 0.1 else 0.0


def unclip(box: Box) -> Box:
    """A core's box grown to the text around it, by the offset that the network was trained to shrink."""
    offset = box.area * UNCLIP / (2 * max(1e-6, box.width + box.height))
    return Box(box.x0 - offset, box.y0 - offset, box.x1 + offset, box.y1 + offset)


def _cores(probability: NDArray[np.float32]) -> list[LineCore]:
    mask = (probability > THRESHOLD).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    found = (_core(np.asarray(contour), probability) for contour in contours)
    return [core for core in found if core is not None]


def _core(contour: NDArray[np.int32], probability: NDArray[np.float32]) -> LineCore | None:
    x, y, width, height = cv2.boundingRect(contour)
    if min(width, height) < SMALLEST:
        return None
    inside = np.zeros((height, width), np.uint8)
    cv2.drawContours(inside, [contour], -1, 1, cv2.FILLED, offset=(-x, -y))
    confidence = float(cv2.mean(probability[y : y + height, x : x + width], inside)[0])
    if confidence < CONFIDENCE:
        return None
    moments = cv2.moments(inside, binaryImage=True)
    angle = 0.5 * math.degrees(math.atan2(2 * moments["mu11"], moments["mu20"] - moments["mu02"]))
    thickness = moments["m00"] / max(1, width)
    weight = float(width) if width > 6 * thickness else 0.0
    return LineCore(contour.reshape(-1, 2).astype(np.float32) + 0.5, min(1.0, confidence), angle, weight)
