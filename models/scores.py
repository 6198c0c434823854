"""Scores of transcriptions: CER, WER, their intervals, calibration.

    score(truths, readings, documents) -> Scores
    line_edits(truths, readings) -> edits, sizes

Notation is no text: tables, formulas and marks of headings, lists and emphasis are brought to the same plain
words on both sides first (flywheel/markup/reduction.py). Where the truth has tables or formulas, these are scored
beside (models/structure.py).

Normalisation, documented because it changes the numbers: both texts are NFC, every run of white
space becomes one space, the ends are stripped, and the non-breaking tsheg (U+0F0C) is a tsheg
(U+0F0B), for both are drawn alike. Nothing else: a missing tsheg is an error.
Words are what white space separates, and in Tibetan the syllables that tsheg, shad and their kin
separate. An edit is one insertion, deletion or substitution of a code point (CER) or word (WER).
Intervals are over documents (models/resampling.py); fewer than six have none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from flywheel.figures import Scores
from flywheel.markup import comparable
from models.resampling import interval, totals
from models.structure import structure_of

WORD_BREAK = re.compile(r"[\s\u0F0B-\u0F14]+")
SPACE = re.compile(r"\s+")


def score(
    truths: Sequence[str],
    readings: Sequence[str],
    documents: Sequence[str] | None = None,
    confidences: Sequence[float] | None = None,
    *,
    notation: bool = True,
) -> Scores:
    """Scores of `readings` against `truths`, line by line; raises ValueError when lengths differ.

    `documents` names each line's document, or the cluster of documents like it, for the interval: without them
    there is none. `confidences` are the readings' own. Lines have no `notation`: their dashes are text.
    An empty set of lines scores 0 with no characters.
    """
    pairs = _pairs(truths, readings, notation=notation)
    edits, sizes = _edits(pairs)
    word_edits, words = _word_edits(pairs)
    structure = structure_of(truths, readings) if notation else structure_of((), ())
    found = interval(totals(edits, documents), totals(sizes, documents)) if documents is not None else None
    low, high = found or (None, None)
    return Scores(
        cer=_rate(edits.sum(), sizes.sum()),
        wer=_rate(word_edits, words),
        cer_low=low,
        cer_high=high,
        units=len(truths),
        characters=int(sizes.sum()),
        edits=int(edits.sum()),
        words=words,
        word_edits=word_edits,
        documents=len(set(documents)) if documents is not None else 0,
        calibration_error=calibration_error(edits, sizes, confidences) if confidences is not None else None,
        tables=structure.tables,
        teds=structure.teds,
        formulas=structure.formulas,
        formula_error=structure.formula_error,
    )


def normalise(text: str) -> str:
    """The form in which texts are compared (see the module's docstring)."""
    return SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip().replace("\u0f0c", "\u0f0b")


def words_of(text: str) -> list[str]:
    """Words; Tibetan syllables count as words."""
    return [word for word in WORD_BREAK.split(normalise(text)) if word]


def line_edits(
    truths: Sequence[str], readings: Sequence[str], *, notation: bool = True
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edits and true code points of each line, or page."""
    return _edits(_pairs(truths, readings, notation=notation))


def _edits(pairs: Sequence[tuple[str, str]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    edits = np.array([Levenshtein.distance(t, r) for t, r in pairs], dtype=np.int64)
    return edits, np.array([len(t) for t, _ in pairs], dtype=np.int64)


def calibration_error(
    edits: NDArray[np.int64], sizes: NDArray[np.int64], confidences: Sequence[float], bins: int = 10
) -> float:
    """Expected calibration error (Guo et al. 2017, eq. 3) of line confidence against a line's accuracy.

    A line's accuracy is 1 - edits / characters, at least 0; bins are weighted by their lines.
    """
    if not len(edits):
        return 0.0
    confidence = np.asarray(confidences, dtype=np.float64)
    accuracy = np.clip(1 - edits / np.maximum(sizes, 1), 0, 1)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(accuracy[place == b].mean() - confidence[place == b].mean()) * (place == b).sum()
        for b in np.unique(place)
    ]
    return float(sum(gaps) / len(edits))


def _pairs(truths: Sequence[str], readings: Sequence[str], *, notation: bool) -> list[tuple[str, str]]:
    """Each truth and its reading in the form in which they are compared."""
    if len(truths) != len(readings):
        raise ValueError(f"{len(truths)} truths for {len(readings)} readings")
    both = zip(truths, readings, strict=True)
    pairs = [comparable(truth, reading) for truth, reading in both] if notation else both
    return [(normalise(truth), normalise(reading)) for truth, reading in pairs]


def _word_edits(pairs: Sequence[tuple[str, str]]) -> tuple[int, int]:
    edits = words = 0
    for truth, reading in pairs:
        wanted = words_of(truth)
        edits += Levenshtein.distance(wanted, words_of(reading))
        words += len(wanted)
    return edits, words


def _rate(edits: float, size: float) -> float:
    return float(edits) / max(1.0, float(size))
