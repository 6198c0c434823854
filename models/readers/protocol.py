"""Protocol of page readers: images of pages in, one reading each out.

The contract that all implementations pass (tests/models/readers/test_readers.py): as many readings as pages and
in their order; boxes on the page, in points; confidences in 0..1 or None; NFC text; every label says who
read it; and a page's label does not depend on the pages that were read with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flywheel.document import PageReading


@dataclass(frozen=True, slots=True)
class PageInput:
    """A page to read: uint8 rendered at `dpi`, gray H x W or RGB H x W x 3; `width`, `height` in points."""

    image: NDArray[np.uint8]
    dpi: float
    width: float
    height: float
    language: str | None = None

    @property
    def gray(self) -> NDArray[np.uint8]:
        """The image without its colours, H x W, as the eye weighs them (ITU-R 601)."""
        if self.image.ndim == 2:
            return self.image
        return np.asarray(Image.fromarray(self.image).convert("L"))


@runtime_checkable
class PageReader(Protocol):
    """Reads whole pages. Its labels name `producer`, the kind of reader, and `checkpoint`, its weights."""

    @property
    def checkpoint(self) -> str: ...

    @property
    def producer(self) -> str: ...

    def read_many(self, pages: Sequence[PageInput]) -> list[PageReading]:
        """Readings of pages, in their order. Raises Transient when the reader is out of reach for now."""
        ...
