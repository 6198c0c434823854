"""Page readers scored and compared on the pages of a dataset's split.

    compare_pages(candidate, champion, dataset, split) -> (Scores, Scores, Difference)

Texts are compared by page, in reading order, line breaks as spaces (models/scores.py says what else is made
alike). Only pages of generation 0 count: their text comes from text layers and people, never from a reader.
"""

from __future__ import annotations

from pathlib import Path

from flywheel.figures import Difference, Scores
from models.page_training.dataset import PageDataset, PageSamples
from models.readers.protocol import PageReader
from models.scores import compare, score
from models.training.manifest import Split

PAGES_AT_ONCE = 64  # pages whose images are in memory together


def compare_pages(
    candidate: PageReader, champion: PageReader, dataset: Path, split: Split
) -> tuple[Scores, Scores, Difference]:
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
    """A reader's texts of pages and its confidences (0 where it gives none)."""
    texts: list[str] = []
    confidences: list[float] = []
    for start in range(0, len(pages), PAGES_AT_ONCE):
        inputs = [pages.input(i) for i in range(start, min(len(pages), start + PAGES_AT_ONCE))]
        for reading in reader.read_many(inputs):
            texts.append(reading.label.text)
            confidences.append(reading.label.confidence or 0.0)
    return texts, confidences
