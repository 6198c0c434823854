"""A page reader from parts: the line detector finds, a recogniser reads, lines become a label.

    LinePageReader(detector, recogniser, checkpoint=..., producer=...)
    .read(image, dpi, width, height, language) -> Label
    .read_many(pages) -> readings          lines batched across pages, the same labels as one by one

Lines are grouped into regions where the reading order makes a step: to another column, over a gap,
or to another left edge with another size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from flywheel.document import Box, Kind, Label, Line, PageReading, Region
from models.lines.crop import crop
from models.lines.detector import DetectedLine, LineDetector
from models.reader import PageInput
from models.recognition.protocol import Reading, Recogniser
from models.scripts import script_of_text

POINTS = 72.0
GAP = 0.9  # of the line pitch beyond the usual: white space that parts paragraphs
SIZE_STEP = 1.5  # a line this much taller or lower is of another region


class LinePageReader:
    """Reads whole pages. `checkpoint` and `producer` are what its labels say of themselves: the name under
    which the service knows the weights, and the kind of reader ("line", "ppocr")."""

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
        """What pages say, in their order. A page without lines has a label without regions."""
        found = [self._detector.find(page.image, page.dpi) for page in pages]
        crops = [crop(page.image, line) for page, lines in zip(pages, found, strict=True) for line in lines]
        readings = iter(self._recogniser.read(crops))
        return [PageReading(self._label(page, lines, readings)) for page, lines in zip(pages, found, strict=True)]

    def _label(self, page: PageInput, lines: Sequence[DetectedLine], readings: Iterator[Reading]) -> Label:
        read = [_line(line, next(readings), page) for line in lines]
        written = [line for line in read if line.text]
        return Label(
            kind=Kind.FINE,
            producer=self._producer,
            width=page.width,
            height=page.height,
            regions=tuple(regions_of(written)),
            script=script_of_text("".join(line.text for line in written)),
            language=page.language,
            checkpoint=self._checkpoint,
        )


def regions_of(lines: Sequence[Line]) -> list[Region]:
    """Lines in reading order grouped into text regions."""
    if not lines:
        return []
    pitch = _pitch(lines)
    groups = [[lines[0]]]
    for before, line in pairwise(lines):
        if _parts(before.box, line.box, pitch):
            groups.append([])
        groups[-1].append(line)
    return [Region("text", Box.around(x.box for x in group), tuple(group)) for group in groups]


def _line(found: DetectedLine, reading: Reading, page: PageInput) -> Line:
    box = found.box.scaled(POINTS / page.dpi)
    shown = Box(max(0.0, box.x0), max(0.0, box.y0), min(page.width, box.x1), min(page.height, box.y1))
    return Line(reading.text, shown, reading.confidence, reading.character_confidences)


def _pitch(lines: Sequence[Line]) -> float:
    """The usual distance of two lines that follow each other downwards, in points."""
    steps = [_middle(b.box) - _middle(a.box) for a, b in pairwise(lines)]
    down = [step for step in steps if step > 0]
    return float(np.median(down)) if down else lines[0].box.height


def _parts(before: Box, box: Box, pitch: float) -> bool:
    """Whether a new region begins between two lines that follow each other."""
    step = _middle(box) - _middle(before)
    beside = min(before.x1, box.x1) - max(before.x0, box.x0) < 0.1 * min(before.width, box.width)
    resized = max(before.height, box.height) > SIZE_STEP * min(before.height, box.height)
    return step <= 0 or beside or step > (1 + GAP) * pitch or resized


def _middle(box: Box) -> float:
    return (box.y0 + box.y1) / 2
