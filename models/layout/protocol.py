"""Protocol of layout detectors: images of pages in, their regions out.

The contract that all implementations pass (tests/models/layout/test_layout.py): as many lists as images and in
their order; boxes in pixels, inside their image; categories of `flywheel.markup.CATEGORIES`; confidences in
0..1; regions in reading order; and what is found on a page does not depend on the pages beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from flywheel.document import Box


@dataclass(frozen=True, slots=True)
class LayoutRegion:
    """One region. `box` in pixels of the image; `confidence` in 0..1; `order` is its place in the reading
    order (0-based) where the detector itself knows one, else None."""

    category: str
    box: Box
    confidence: float
    order: int | None = None


@runtime_checkable
class LayoutDetector(Protocol):
    """Finds the regions of pages."""

    def find(self, images: Sequence[NDArray[np.uint8]], dpis: Sequence[float]) -> list[list[LayoutRegion]]:
        """Regions of each page (uint8, gray H x W or RGB H x W x 3, rendered at its dpi), in reading order."""
        ...
