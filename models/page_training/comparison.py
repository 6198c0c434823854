"""Page readers held against each other, and against recognisers of lines.

    compare_pages(candidate, champion, dataset, split) -> (Scores, Scores, Comparison)
    recogniser_of(reader) -> Recogniser          a page reader that is given lines

Texts are compared by page, in reading order, line breaks as spaces (models/scores.py says what else is made
alike). Truth is of generation 0 alone: from text layers and people, never from a reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.line_training.dataset import Split
from models.page_training.dataset import PageDataset, PageSamples
from models.readers.protocol import PageInput, PageReader
from models.recognition.protocol import Recogniser, Transcription
from models.scores import Comparison, Scores, compare, score

AT_ONCE = 64  # pages whose images are in memory together
LINE_DPI = 150.0  # what a line's image is taken to be rendered at
MARGIN = 0.5  # of white around a line, in its heights: readers of pages expect paper


def compare_pages(
    candidate: PageReader, champion: PageReader, dataset: Path, split: Split
) -> tuple[Scores, Scores, Comparison]:
    """Scores of two readers on the same true pages, and their difference under a paired bootstrap."""
    pages = PageDataset.open(dataset).pages(split, most_generation=0)
    ours, our_confidences = texts_of(candidate, pages)
    theirs, their_confidences = texts_of(champion, pages)
    return (
        score(pages.texts, ours, pages.documents, our_confidences),
        score(pages.texts, theirs, pages.documents, their_confidences),
        compare(ours, theirs, pages.texts, pages.documents),
    )


def texts_of(reader: PageReader, pages: PageSamples) -> tuple[list[str], list[float]]:
    """What a reader says of each page, and how sure it is (0 where it does not say)."""
    texts: list[str] = []
    confidences: list[float] = []
    for start in range(0, len(pages), AT_ONCE):
        inputs = [pages.input(i) for i in range(start, min(len(pages), start + AT_ONCE))]
        for reading in reader.read_many(inputs):
            texts.append(reading.label.text)
            confidences.append(reading.label.confidence or 0.0)
    return texts, confidences


class LinesAsPages:
    """A page reader in a recogniser's place: every line is a small page."""

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
        """None that it promises."""
        return frozenset()

    def read(self, images: Sequence[NDArray[np.uint8]]) -> list[Transcription]:
        """Readings of gray images of lines, in their order; what is read as several lines is joined."""
        readings = []
        for read in self._reader.read_many([_page_of(image) for image in images]):
            lines = [line for line in read.label.lines if line.text]
            marks: list[float] = []
            for line in lines:
                known = line.character_confidences or (line.confidence or 0.0,) * len(line.text)
                marks += [*known, known[-1]]
            text = " ".join(line.text for line in lines)
            readings.append(Transcription(text, read.label.confidence or 0.0, tuple(marks[:-1])))
        return readings


def recogniser_of(reader: PageReader) -> Recogniser:
    """A page reader that reads lines."""
    return LinesAsPages(reader)


def _page_of(line: NDArray[np.uint8]) -> PageInput:
    margin = round(MARGIN * line.shape[0])
    image = np.pad(line, margin, constant_values=255)
    points = 72 / LINE_DPI
    return PageInput(image, LINE_DPI, image.shape[1] * points, image.shape[0] * points)
