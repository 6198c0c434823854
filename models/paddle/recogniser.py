"""Text of lines by PaddleOCR's recogniser, behind the protocol of models/recognition.

The library pads the lines of a batch to the widest, and its network cannot tell padding from paper: a line's
text would depend on its neighbours. So lines go through one by one, which is also faster on a CPU (38
drawn lines, onnxruntime: 2.7 seconds of one core; in sixes 4.1).
It tells one confidence a line, the mean of its characters'; each character is given that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.paddle.engine import bgr, load
from models.paddle.published import RECOGNISER
from models.recognition.ppocr import SCRIPTS
from models.recognition.protocol import Transcription, transcription_of

PRODUCER = CHECKPOINT = "paddleocr"


class PaddleRecogniser:
    """A warm recogniser. `directory` names the model's folder where it is not to be the default's."""

    def __init__(
        self,
        engine: str = "onnxruntime",
        *,
        checkpoint: str = CHECKPOINT,
        directory: Path | None = None,
        threads: int = 1,
    ) -> None:
        self._predictor = load("TextRecognition", RECOGNISER, engine, directory=directory, threads=threads)
        self._checkpoint = checkpoint

    @property
    def producer(self) -> str:
        return PRODUCER

    @property
    def checkpoint(self) -> str:
        return self._checkpoint

    @property
    def scripts(self) -> frozenset[str]:
        return SCRIPTS

    def read(self, images: Sequence[NDArray[np.uint8]]) -> list[Transcription]:
        """Readings of lines (uint8, gray H x W or RGB H x W x 3), in their order; an empty image reads as ""."""
        places = [place for place, image in enumerate(images) if image.size]
        readings = [Transcription("", 0.0)] * len(images)
        results = self._predictor.predict([bgr(images[place]) for place in places], batch_size=1)
        for place, result in zip(places, results, strict=True):
            text = result["rec_text"]
            readings[place] = transcription_of(text, [result["rec_score"]] * len(text))
        return readings
