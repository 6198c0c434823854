"""Recognisers scored and compared on the lines of a dataset's split.

    evaluate(recogniser, dataset, split) -> Scores
    compare_lines(candidate, baseline, dataset, split, ...) -> Comparison

Only lines of generation 0 count, whose text comes from text layers and people: on a champion's own
readings, that champion would be without fault.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flywheel.figures import Comparison, Scores, Unit
from models.line_training.dataset import LineDataset, LineSamples
from models.recognition.line import LineRecogniser
from models.recognition.protocol import Recogniser
from models.scores import score
from models.training.exam import ExamReadings, ExamTexts, ReadTexts, compare, degraded_line
from models.training.manifest import Split

LINES_AT_ONCE = 64  # images decoded together


def evaluate(recogniser: Recogniser | Path, dataset: Path, split: Split, *, device: str = "cpu") -> Scores:
    """Scores of a recogniser, or of a checkpoint directory, on the true lines of a split as they are.

    `device` is where a directory is loaded to.
    """
    lines = _true_lines(LineDataset.open(dataset), split)
    read = transcribe(_loaded(recogniser, device), lines)
    return score(lines.texts, read.texts, lines.documents, read.confidences, notation=False)


def compare_lines(
    candidate: Recogniser | Path,
    baseline: Recogniser | Path,
    dataset: Path,
    split: Split,
    *,
    reader: str,
    reads_now: str | None = None,
    device: str = "cpu",
) -> Comparison:
    """Two recognisers on the same true lines, as they are and degraded. The baseline is `reader`'s; `reads_now` is
    the same where it reads the language."""
    opened = LineDataset.open(dataset)
    lines = _true_lines(opened, split)
    return compare(
        ExamTexts(Unit.LINE, lines.texts, lines.documents, opened.groups),
        _both_copies(_loaded(candidate, device), lines),
        _both_copies(_loaded(baseline, device), lines),
        reader=reader,
        reads_now=reads_now,
    )


def _true_lines(dataset: LineDataset, split: Split) -> LineSamples:
    return dataset.lines(split, exam=True)


def _loaded(recogniser: Recogniser | Path, device: str) -> Recogniser:
    return LineRecogniser.load(recogniser, device) if isinstance(recogniser, Path) else recogniser


def _both_copies(recogniser: Recogniser, lines: LineSamples) -> ExamReadings:
    return ExamReadings(transcribe(recogniser, lines), transcribe(recogniser, lines, degraded_line))


def transcribe(
    recogniser: Recogniser,
    lines: LineSamples,
    copy: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
) -> ReadTexts:
    """Read lines, or a copy of each, a few images at a time."""
    read = []
    for start in range(0, len(lines), LINES_AT_ONCE):
        images = [lines.image(i) for i in range(start, min(len(lines), start + LINES_AT_ONCE))]
        read += recogniser.read([copy(image) for image in images] if copy else images)
    return ReadTexts([one.text for one in read], [one.confidence for one in read])
