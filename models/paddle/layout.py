"""Regions of pages by PaddleOCR's layout models, behind the protocol of models/layout.

    PaddleLayout(engine, model="PP-DocLayoutV3").find(images, dpis) -> regions of each page

PP-DocLayout V2 and V3 tell the reading order themselves; the versions before them (PP-DocLayout_plus-L, -L,
-M, -S) tell boxes alone. No layout model lies in a package: they come from the hub, or from a folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flywheel.document import Box
from models.layout.categories import category_of, check_labels
from models.layout.cleaning import cleaned
from models.layout.protocol import LayoutRegion
from models.paddle.engine import bgr, load

MODEL = "PP-DocLayoutV3"


class PaddleLayout:
    """A warm layout model by its published name; `directory` names its folder where the hub is not to be asked."""

    def __init__(
        self,
        engine: str = "onnxruntime",
        *,
        model: str = MODEL,
        directory: Path | None = None,
        threads: int = 1,
    ) -> None:
        self._predictor = load("LayoutDetection", model, engine, directory=directory, threads=threads)

    def find(self, images: Sequence[NDArray[np.uint8]], dpis: Sequence[float]) -> list[list[LayoutRegion]]:
        """Regions of each page (uint8, gray H x W or RGB H x W x 3), in reading order; the resolution does not
        matter to the model. Raises SetupError for a model with labels of another kind."""
        return [self._find(image) for image, _ in zip(images, dpis, strict=True)]

    def _find(self, image: NDArray[np.uint8]) -> list[LayoutRegion]:
        height, width = image.shape[:2]
        [result] = self._predictor.predict(bgr(image))
        return cleaned(_regions(result["boxes"], height), width, height)


def _regions(found: Sequence[dict[str, Any]], height: float) -> list[LayoutRegion]:
    """Models that know the reading order list their boxes by it, though some kinds get no number of their own."""
    check_labels(box["label"] for box in found)
    regions = []
    for place, box in enumerate(found):
        where = Box(*(float(value) for value in box["coordinate"]))
        category = category_of(box["label"], where, height)
        regions.append(LayoutRegion(category, where, float(box["score"]), place if "order" in box else None))
    return regions
