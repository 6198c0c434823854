"""Exam of two readers on the same held-out lines or pages, as they are and degraded.

    degraded_line(image), degraded_page(image) -> image        always the same copy of an image
    compare(exam, candidate, baseline, ...) -> Comparison

Scans are what recognisers are made for and text layers hold none, so each sample is read twice: as it was
rendered, and as a scanner would show it. Both count in the difference that decides, and each is told by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from flywheel.figures import Comparison, Difference, DocumentEdits, Scores, Unit
from models.resampling import Totals, interval, sign_flip, totals
from models.scores import line_edits, score
from models.training.augment import degrade, degrade_page

SEED = 2026  # of all exams: one sample is degraded alike in each, whatever else is in it


@dataclass(frozen=True, slots=True)
class ExamTexts:
    """True texts of an exam's lines or pages, each with its document. `groups` names the clusters of near-equal
    documents; one that it does not name stands alone."""

    unit: Unit
    truths: Sequence[str]
    documents: Sequence[str]
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def clusters(self) -> list[str]:
        """The cluster of each line or page."""
        return [self.groups.get(document, document) for document in self.documents]


@dataclass(frozen=True, slots=True)
class ReadTexts:
    """Texts of one copy of the exam by a reader, with its confidences."""

    texts: list[str]
    confidences: list[float]


@dataclass(frozen=True, slots=True)
class ExamReadings:
    """An exam as one reader read it."""

    clean: ReadTexts
    degraded: ReadTexts


def degraded_line(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The degraded copy of a line (gray H x W) that stands in every exam."""
    return degrade(image, _generator(image))


def degraded_page(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The degraded copy of a page (gray H x W) that stands in every exam; text stays on the page."""
    return degrade_page(image, _generator(image))


def _generator(image: NDArray[np.uint8]) -> np.random.Generator:
    return np.random.default_rng((SEED, crc32(np.ascontiguousarray(image).tobytes())))


def compare(
    exam: ExamTexts, candidate: ExamReadings, baseline: ExamReadings, *, reader: str, reads_now: str | None
) -> Comparison:
    """A candidate held against `reader`, which is who `reads_now` the language if somebody does."""
    clean = _edits(exam, candidate.clean, baseline.clean)
    degraded = _edits(exam, candidate.degraded, baseline.degraded)
    both = tuple(one + other for one, other in zip(clean, degraded, strict=True))
    return Comparison(
        exam.unit,
        _scores(exam, candidate.clean),
        _scores(exam, baseline.clean),
        difference(*(totals(values, exam.clusters) for values in both)),
        reader,
        reads_now,
        candidate_degraded=_scores(exam, candidate.degraded),
        baseline_degraded=_scores(exam, baseline.degraded),
        clean=difference(*(totals(values, exam.clusters) for values in clean)),
        degraded=difference(*(totals(values, exam.clusters) for values in degraded)),
        by_document=_by_document(exam, clean, degraded),
    )


def difference(candidate: Totals, baseline: Totals, sizes: Totals) -> Difference:
    """Difference of two readers by their edits in each document and its characters."""
    size = max(1.0, float(sizes.sum()))
    low, high = interval(candidate - baseline, sizes) or (None, None)
    return Difference(float((candidate - baseline).sum()) / size, low, high, sign_flip(candidate, baseline))


Edits = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]  # candidate's, baseline's, characters


def _edits(exam: ExamTexts, candidate: ReadTexts, baseline: ReadTexts) -> Edits:
    notation = exam.unit is Unit.PAGE
    ours, sizes = line_edits(exam.truths, candidate.texts, notation=notation)
    theirs, _ = line_edits(exam.truths, baseline.texts, notation=notation)
    return ours, theirs, sizes


def _scores(exam: ExamTexts, read: ReadTexts) -> Scores:
    return score(exam.truths, read.texts, exam.clusters, read.confidences, notation=exam.unit is Unit.PAGE)


def _by_document(exam: ExamTexts, clean: Edits, degraded: Edits) -> tuple[DocumentEdits, ...]:
    ours, theirs, sizes = (totals(values, exam.documents) for values in clean)
    degraded_ours, degraded_theirs = (totals(values, exam.documents) for values in degraded[:2])
    return tuple(
        DocumentEdits(
            document,
            characters=int(sizes[place]),
            candidate=int(ours[place]),
            baseline=int(theirs[place]),
            candidate_degraded=int(degraded_ours[place]),
            baseline_degraded=int(degraded_theirs[place]),
            group=exam.groups.get(document, ""),
        )
        for place, document in enumerate(dict.fromkeys(exam.documents))
    )
