"""Text lines of a page by PaddleOCR's detector, behind the interface of models/lines/detector.py.

    PaddleLineDetector(engine).find(image, dpi=150) -> list[DetectedLine]      in reading order
    lines_of(quads, confidences, width, height) -> list[DetectedLine]          what is done with what it finds

The library finds the quadrangles; the page's slant, joined fragments and the reading order are found as for
our own detector, so that lines of both are cut and sorted alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.lines.detector import SIDE_LIMIT, WORKING_DPI, DetectedLine, LevelledFrame, LineCore, page_slant
from models.lines.order import join_fragments, reading_order, split_double_lines
from models.paddle.engine import bgr, load
from models.paddle.published import DETECTOR

LONG = 6.0  # times its height: a quadrangle that tells the page's slant


class PaddleLineDetector:
    """A warm detector. `directory` names the model's folder where it is not to be the default's."""

    def __init__(self, engine: str = "onnxruntime", *, directory: Path | None = None, threads: int = 1) -> None:
        self._predictor = load("TextDetection", DETECTOR, engine, directory=directory, threads=threads)

    def find(self, image: NDArray[np.uint8], dpi: float = 150.0) -> list[DetectedLine]:
        """Lines of a page (uint8, gray H x W or RGB H x W x 3, rendered at `dpi`); [] when there is none."""
        height, width = image.shape[:2]
        if min(height, width) < 8:
            return []
        side = min(SIDE_LIMIT, math.ceil(max(height, width) * min(1.0, WORKING_DPI / dpi)))
        [found] = self._predictor.predict(bgr(image), limit_side_len=side, limit_type="max")
        return lines_of(found["dt_polys"], found["dt_scores"], width, height)


def lines_of(
    quads: Sequence[NDArray[np.integer]], confidences: Sequence[float], width: int, height: int
) -> list[DetectedLine]:
    """Quadrangles (4 x 2, x and y in pixels, clockwise from the top left) as lines in reading order."""
    cores = [_core(quad, score) for quad, score in zip(quads, confidences, strict=True)]
    frame = LevelledFrame(page_slant(cores), width, height)
    boxes = [(frame.level_box(core.points), core.confidence) for core in cores]
    joined = join_fragments(split_double_lines(boxes))
    ordered = [joined[i] for i in reading_order([box for box, _ in joined])]
    return [frame.line(box, confidence) for box, confidence in ordered]


def _core(quad: NDArray[np.integer], confidence: float) -> LineCore:
    points = np.asarray(quad, np.float32)
    along, across = points[1] - points[0], points[3] - points[0]
    length, thickness = float(np.hypot(*along)), float(np.hypot(*across))
    angle = math.degrees(math.atan2(float(along[1]), float(along[0])))
    weight = length if length > LONG * thickness else 0.0
    return LineCore(points, min(1.0, max(0.0, float(confidence))), angle, weight)
