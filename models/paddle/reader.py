"""A page reader of PaddleOCR's parts: its detector finds the lines, its recogniser reads them.

    page_reader(engine, checkpoint="paddleocr") -> a PageReader

Labels have a box and a confidence a line, so a text made of them can be asked for with or without boxes.
"""

from __future__ import annotations

from typing import cast

from models.lines.detector import LineDetector
from models.paddle.detector import PaddleLineDetector
from models.paddle.recogniser import CHECKPOINT, PRODUCER, PaddleRecogniser
from models.readers.lines import LinePageReader
from models.readers.protocol import PageReader


def page_reader(engine: str, *, checkpoint: str = CHECKPOINT) -> PageReader:
    """A warm reader with the library's models on an engine: onnxruntime, paddle or transformers.

    Raises SetupError where paddleocr, what the engine needs or the weights are missing.
    """
    detector = cast(LineDetector, PaddleLineDetector(engine))  # all that is asked of it is to find lines
    recogniser = PaddleRecogniser(engine, checkpoint=checkpoint)
    return LinePageReader(detector, recogniser, checkpoint=checkpoint, producer=PRODUCER)
