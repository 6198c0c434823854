"""Page readers compared on the pages of a dataset's split.

    compare_pages(candidate, baseline, dataset, split, ...) -> Comparison

Texts are compared by page, in reading order, line breaks as spaces (models/scores.py says what else is made
alike). Only pages of generation 0 count: their text comes from text layers and people, never from a reader.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flywheel.figures import Comparison, Unit
from models.page_training.dataset import PageDataset, PageSamples
from models.readers.protocol import PageInput, PageReader
from models.training.exam import ExamReadings, ExamTexts, ReadTexts, compare, degraded_page
from models.training.manifest import Split

PAGES_AT_ONCE = 64  # pages whose images are in memory together


def compare_pages(
    candidate: PageReader,
    baseline: PageReader,
    dataset: Path,
    split: Split,
    *,
    reader: str,
    reads_now: str | None = None,
) -> Comparison:
    """Two readers on the same true pages, as they are and degraded. The baseline is `reader`'s; `reads_now` is the
    same where it reads the language. Each reads all pages before the other begins: one may unload the other."""
    opened = PageDataset.open(dataset)
    pages = opened.pages(split, exam=True)
    return compare(
        ExamTexts(Unit.PAGE, pages.texts, pages.documents, opened.groups),
        _both_copies(candidate, pages),
        _both_copies(baseline, pages),
        reader=reader,
        reads_now=reads_now,
    )


def _both_copies(reader: PageReader, pages: PageSamples) -> ExamReadings:
    return ExamReadings(ReadTexts(*texts_of(reader, pages)), ReadTexts(*texts_of(reader, pages, degraded=True)))


def texts_of(reader: PageReader, pages: PageSamples, *, degraded: bool = False) -> tuple[list[str], list[float]]:
    """A reader's texts of pages, or of their degraded copies, and its confidences (0 where it gives none)."""
    texts: list[str] = []
    confidences: list[float] = []
    for start in range(0, len(pages), PAGES_AT_ONCE):
        inputs = [pages.input(i) for i in range(start, min(len(pages), start + PAGES_AT_ONCE))]
        for reading in reader.read_many([_degraded(one) for one in inputs] if degraded else inputs):
            texts.append(reading.label.text)
            confidences.append(reading.label.confidence or 0.0)
    return texts, confidences


def _degraded(page: PageInput) -> PageInput:
    return replace(page, image=degraded_page(page.gray))
