"""A page reader in a recogniser's place: every line image is padded to a small page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flywheel.document import Label
from models.readers.protocol import PageInput, PageReader
from models.recognition.protocol import Transcription

LINE_DPI = 150.0  # what a line's image is taken to be rendered at
MARGIN = 0.5  # of white around a line, in its heights: page readers expect paper
POINTS = 72.0


class PageReaderAsRecogniser:
    """Recogniser (models/recognition/protocol.py) that asks a page reader. It promises no script."""

    def __init__(self, reader: PageReader) -> None:
        self._reader = reader

    @property
    def producer(self) -> str:
        return self._reader.producer

    @property
    def checkpoint(self) -> str:
        return self._reader.checkpoint

    @property
    def scripts(self) -> frozenset[str]:
        return frozenset()

    def read(self, images: Sequence[NDArray[np.uint8]]) -> list[Transcription]:
        """Transcriptions of gray images of lines, in their order; what is read as several lines is joined."""
        return [_joined(read.label) for read in self._reader.read_many([_page_of(image) for image in images])]


def _page_of(line: NDArray[np.uint8]) -> PageInput:
    margin = round(MARGIN * line.shape[0])
    image = np.pad(line, margin, constant_values=255)
    points = POINTS / LINE_DPI
    return PageInput(image, LINE_DPI, image.shape[1] * points, image.shape[0] * points)


def _joined(label: Label) -> Transcription:
    """The label's lines as one, with spaces between; a space is as sure as the character before it."""
    lines = [line for line in label.lines if line.text]
    confidences: list[float] = []
    for line in lines:
        known = line.character_confidences or (line.confidence or 0.0,) * len(line.text)
        confidences += [*known, known[-1]]
    text = " ".join(line.text for line in lines)
    return Transcription(text, label.confidence or 0.0, tuple(confidences[:-1]))
