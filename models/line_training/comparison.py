"""Recognisers scored and compared on the lines of a dataset's split.

    evaluate(recogniser, dataset, split) -> Scores
    compare_lines(candidate, champion, dataset, split) -> (Scores, Scores, Difference)

Only lines of generation 0 count, whose text comes from text layers and people: on a champion's own
readings, that champion would be without fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flywheel.figures import Difference, Scores
from models.line_training.dataset import LineDataset, LineSamples
from models.recognition.line import LineRecogniser
from models.recognition.protocol import Recogniser
from models.scores import compare, score
from models.training.manifest import Split

LINES_AT_ONCE = 64  # images decoded together


@dataclass(frozen=True, slots=True)
class SplitTranscriptions:
    """A recogniser's texts and confidences of the true lines of a split, in the lines' order."""

    lines: LineSamples
    texts: list[str]
    confidences: list[float]

    def scores(self) -> Scores:
        return score(self.lines.texts, self.texts, self.lines.documents, self.confidences)


def evaluate(recogniser: Recogniser | Path, dataset: Path, split: Split, *, device: str = "cpu") -> Scores:
    """Scores of a recogniser, or of a checkpoint directory, on the true lines of a split as they are.

    `device` is where a directory is loaded to.
    """
    return transcribe_split(recogniser, dataset, split, device).scores()


def compare_lines(
    candidate: Recogniser | Path,
    champion: Recogniser | Path,
    dataset: Path,
    split: Split,
    *,
    device: str = "cpu",
) -> tuple[Scores, Scores, Difference]:
    """Scores of two recognisers on the same true lines, and their difference under a paired bootstrap."""
    ours = transcribe_split(candidate, dataset, split, device)
    theirs = transcribe_split(champion, dataset, split, device)
    lines = ours.lines
    return ours.scores(), theirs.scores(), compare(ours.texts, theirs.texts, lines.texts, lines.documents)


def transcribe_split(
    recogniser: Recogniser | Path, dataset: Path, split: Split, device: str
) -> SplitTranscriptions:
    """Read the true lines of a split, a few images at a time."""
    loaded = LineRecogniser.load(recogniser, device) if isinstance(recogniser, Path) else recogniser
    lines = LineDataset.open(dataset).lines(split, most_generation=0)
    read = []
    for start in range(0, len(lines), LINES_AT_ONCE):
        read += loaded.read([lines.image(i) for i in range(start, min(len(lines), start + LINES_AT_ONCE))])
    return SplitTranscriptions(lines, [one.text for one in read], [one.confidence for one in read])
