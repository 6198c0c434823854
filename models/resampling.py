"""Statistics over documents: intervals of error rates, and the paired test of two readers.

    totals(values, names) -> sums by name
    interval(edits, sizes) -> (low, high) or None        95 %, of sum(edits) / sum(sizes)
    sign_flip(candidate, baseline) -> p                  one-sided; small where the candidate errs less

Lines of one document err together, so documents are the unit, or clusters of near-equal ones: each function takes
one total of each. Up to EXACT documents all subsets and signs are gone through, beyond that a seeded sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

EXACT = 16  # documents; 2^16 signs take 2 ms
SAMPLES = 2**16 - 1
SUBSETS = 2**12 - 1
CELLS = 2**22  # of a random matrix in memory at once
TAIL = 0.025  # of an interval, on each side

Totals = NDArray[np.float64]


def totals(values: NDArray[np.int64], names: Sequence[str]) -> Totals:
    """Sums of the values of each name, in the order of the names' first appearance."""
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    of = np.array([places[name] for name in names], dtype=np.int64)
    return np.bincount(of, weights=values, minlength=len(places)).astype(np.float64)


def interval(edits: Totals, sizes: Totals, *, seed: int = 0) -> tuple[float, float] | None:
    """95 % interval of the pooled rate by the rates of random subsets of documents, each in with chance 1/2.

    Typical values of Hartigan (1969): where what a document adds is symmetric about the rate, every gap between
    the rates of the 2^n - 1 subsets is as likely to hold it, also for few documents. Five or fewer have no gap
    narrow enough: None. Rates of few documents are skewed, and the interval is too narrow for some of them
    (docs/lab-notes.md has the measured coverage), though less than a bootstrap of documents.
    """
    count = len(edits)
    if 2.0**count * TAIL < 1:
        return None
    parts = np.concatenate(list(_subsets(np.stack((edits, sizes), axis=1), seed)))
    rates = np.sort(parts[:, 0] / np.maximum(parts[:, 1], 1.0))
    outside = int(TAIL * (len(rates) + 1))
    return float(rates[outside - 1]), float(rates[-outside])


def _subsets(values: Totals, seed: int) -> Iterator[Totals]:
    """Sums (subsets, 2) of the rows in every subset but the empty one, or in a sample of them."""
    count = len(values)
    if count <= EXACT:
        sums = np.zeros((1, values.shape[1]))
        for row in values:
            sums = np.concatenate((sums, sums + row))
        yield sums[1:]
        return
    for chosen in _bits(SUBSETS, count, seed):
        yield chosen[chosen.any(axis=1)] @ values


def sign_flip(candidate: Totals, baseline: Totals, *, seed: int = 0) -> float:
    """One-sided p value of the edits of two readers in the same documents: the chance of a lead like the
    candidate's where the two are equal.

    Equal readers could have changed places in any document, so every pattern of signs of the differences is as
    likely (Fisher's permutation test, paired). A document counts by (candidate - baseline) / sqrt(candidate +
    baseline), as in McNemar's test: a long or hard one neither decides alone nor is lost. All patterns for up to
    EXACT documents that the readers read differently, beyond that (k + 1) / (SAMPLES + 1): never too small.
    """
    both = candidate + baseline
    lead = (candidate - baseline) / np.sqrt(np.maximum(both, 1.0))
    lead = lead[lead != 0]
    if not len(lead):
        return 1.0
    reached = lead.sum() + 1e-9 * np.abs(lead).sum()  # ties count against the candidate
    if len(lead) <= EXACT:
        sums = np.zeros(1)
        for value in lead:
            sums = np.concatenate((sums - value, sums + value))
        return float(np.mean(sums <= reached))
    # A sum of signs times leads is twice that of the chosen leads, less all.
    most = (reached + lead.sum()) / 2
    found = sum(int(np.sum(chosen @ lead <= most)) for chosen in _bits(SAMPLES, len(lead), seed))
    return (found + 1) / (SAMPLES + 1)


def _bits(rows: int, columns: int, seed: int) -> Iterator[Totals]:
    """A random matrix (rows, columns) of zeros and ones, some rows at a time."""
    generator = np.random.default_rng(seed)
    width = -(-columns // 8)
    step = max(1, CELLS // columns)
    for start in range(0, rows, step):
        drawn = generator.integers(0, 256, (min(step, rows - start), width), dtype=np.uint8)
        yield np.unpackbits(drawn, axis=1, count=columns).astype(np.float64)
