"""A page reader from parts: the line detector finds, a recogniser reads, lines become a label.

    LinePageReader(detector, recogniser, checkpoint=..., producer=...)
    .read(image, dpi, width, height, language) -> Label
    .read_many(pages) -> readings          lines batched across pages, the same labels as one by one

Lines are grouped into regions, and the regions told apart, by models/layout/lines.py; with a layout
model at hand, models/readers/fine_labels.py gives the lines to its regions instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from flywheel.document import Box, Kind, Label, Line, PageReading
from flywheel.text.bidi import base_direction
from flywheel.text.scripts import script_of_text
from models.layout.lines import categorised, regions_of
from models.lines.crop import crop
from models.lines.detector import DetectedLine, LineDetector
from models.lines.order import reading_order
from models.readers.protocol import PageInput
from models.recognition.protocol import Recogniser, Transcription

POINTS = 72.0


class LinePageReader:
    """Reads whole pages. Its labels name `checkpoint`, the service's name of the weights, and `producer`, the kind
    of reader ("line", "ppocr")."""

    def __init__(self, detector: LineDetector, recogniser: Recogniser, *, checkpoint: str, producer: str) -> None:
        self._detector = detector
        self._recogniser = recogniser
        self._checkpoint = checkpoint
        self._producer = producer

    @property
    def checkpoint(self) -> str:
        return self._checkpoint

    @property
    def producer(self) -> str:
        return self._producer

    def read(
        self,
        image: NDArray[np.uint8],
        dpi: float,
        width: float,
        height: float,
        language: str | None = None,
    ) -> Label:
        """A fine label of one page (gray H x W, uint8, at `dpi`; sizes in points)."""
        return self.read_many([PageInput(image, dpi, width, height, language)])[0].label

    def read_many(self, pages: Sequence[PageInput]) -> list[PageReading]:
        """Readings of pages, in their order. A page without lines has a label without regions."""
        images = [page.gray for page in pages]
        found = [self._detector.find(image, page.dpi) for image, page in zip(images, pages, strict=True)]
        crops = [crop(image, line) for image, lines in zip(images, found, strict=True) for line in lines]
        readings = iter(self._recogniser.read(crops))
        return [PageReading(self._label(page, lines, readings)) for page, lines in zip(pages, found, strict=True)]

    def _label(self, page: PageInput, lines: Sequence[DetectedLine], readings: Iterator[Transcription]) -> Label:
        read = [_line(line, next(readings), page) for line in lines]
        written = _in_reading_order([line for line in read if line.text])
        return Label(
            kind=Kind.FINE,
            producer=self._producer,
            width=page.width,
            height=page.height,
            regions=tuple(categorised(regions_of(written), page.width, page.height)),
            script=script_of_text("".join(line.text for line in written), page.language),
            language=page.language,
            checkpoint=self._checkpoint,
        )


def _in_reading_order(lines: Sequence[Line]) -> list[Line]:
    """The lines as the detector orders them; where their text runs from right to left, which it cannot know, with
    columns from the right."""
    if base_direction("".join(line.text for line in lines)) == "L":
        return list(lines)
    return [lines[i] for i in reading_order([line.box for line in lines], "R")]


def _line(found: DetectedLine, reading: Transcription, page: PageInput) -> Line:
    box = found.box.scaled(POINTS / page.dpi)
    shown = Box(max(0.0, box.x0), max(0.0, box.y0), min(page.width, box.x1), min(page.height, box.y1))
    return Line(reading.text, shown, reading.confidence, reading.character_confidences)
