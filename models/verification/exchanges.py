"""Two letters of which a text layer says each of the other, found by the whole of what it says.

    exchanged(comparison, draw) -> (letter, other) | None

A face may draw one letter like another's drawing, but not that one like the first, and not in all the letter
groups that either stands in. Two letters are held exchanged when the groups that hold them are nearer to the
drawings of their texts with the two letters changed round: of each letter more than half of its occurrences by a
good part of what lies between the two drawings, and nearly all by something.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

# Distances of two drawings below which a typeface may well turn one into the other (dots, strokes): of one group
# with a letter changed, and of any two groups.
ALIKE, ALIKE_GROUPS = 0.08, 0.12
OFTEN = 4  # occurrences of each of the two
# Leads, see models/verification/shapes.py. Of 468 sound samples in 23 scripts and over 200 faces the
# highest is 0.23 of letters and 0.34 of whole groups; exchanged letters have a median of 0.6 (2026-11-24).
EXCHANGED = 0.3
EXCHANGED_GROUPS = 0.5
NEARLY_ALL = 0.75  # of each letter's occurrences have a lead above 0
SUSPECT = -0.2  # lead of either of two groups over the other from which their letters are looked at
CANDIDATES = 6  # pairs of letters that are drawn anew


@dataclass(frozen=True, slots=True)
class LetterComparison:
    """Letter groups of a page beside drawings of what the layer says.

    `texts` and `drawings` (N x F unit vectors): those claimed first, `claimed` in number. `vectors` (M x F): the
    page's groups; `own` (M): the index of what each is said to be.
    """

    texts: list[str]
    drawings: Vectors
    claimed: int
    vectors: Vectors
    own: NDArray[np.int64]

    @property
    def distances(self) -> Vectors:
        """Of the page's groups to the drawings, M x N."""
        return np.asarray(1 - self.vectors @ self.drawings.T, dtype=np.float32)

    @property
    def apart(self) -> Vectors:
        """Of the drawings to each other, N x N."""
        return np.asarray(1 - self.drawings @ self.drawings.T, dtype=np.float32)


Draw = Callable[[str], Vectors | None]


def exchanged(comparison: LetterComparison, draw: Draw) -> tuple[str, str] | None:
    """Two letters, or two whole groups, that are most surely exchanged; None when no two are."""
    lead = _leads(comparison)
    best, found = EXCHANGED, None
    for letters in islice(_candidates(comparison, lead), CANDIDATES):
        score = _score(comparison, *letters, draw)
        if score > best:
            best, found = score, letters
    return found or _groups(comparison, lead)


def _leads(comparison: LetterComparison) -> Vectors:
    """Of every claimed group (row) the lead of another's drawing over its own, from the medians of occurrences.

    Far below zero where two drawings are too much alike to be told apart in other typefaces.
    """
    count, distances = comparison.claimed, comparison.distances
    usual = np.stack([np.median(distances[comparison.own == k, :count], axis=0) for k in range(count)])
    apart = comparison.apart[:count, :count]
    lead = (np.diag(usual)[:, None] - usual) / np.maximum(apart, 1e-3)
    return np.where(apart >= ALIKE, lead, -9).astype(np.float32)


def _candidates(comparison: LetterComparison, lead: Vectors) -> Iterator[tuple[str, str]]:
    """Pairs of letters by which two suspect groups differ, the most suspect first."""
    both = lead + lead.T
    ones, others = np.nonzero(np.triu(np.maximum(lead, lead.T) > SUSPECT, 1))
    seen: set[tuple[str, str]] = set()
    for k in np.argsort(-both[ones, others]):
        pair = _difference(comparison.texts[ones[k]], comparison.texts[others[k]])
        if pair and pair not in seen:
            seen.add(pair)
            yield pair


def _difference(one: str, other: str) -> tuple[str, str] | None:
    """The only two letters by which two texts differ, in their order; None when they differ by more or less,
    or only by an accent."""
    if len(one) != len(other):
        return None
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
    if len(pairs) != 1 or _base(pairs[0][0]) == _base(pairs[0][1]):
        return None
    return min(pairs[0]), max(pairs[0])


def _base(letter: str) -> str:
    """A letter without its accents, which typefaces place and shape most freely."""
    return unicodedata.normalize("NFD", letter)[:1]


def _score(comparison: LetterComparison, letter: str, other: str, draw: Draw) -> float:
    """The lesser of the two letters' median leads with both changed round in all groups; -inf for too few."""
    known = dict(zip(comparison.texts[::-1], comparison.drawings[::-1], strict=True))
    change = str.maketrans(letter + other, other + letter)
    leads: dict[str, list[float]] = {letter: [], other: []}
    for k, text in enumerate(comparison.texts[: comparison.claimed]):
        if letter not in text and other not in text:
            continue
        said, changed = comparison.drawings[k], text.translate(change)
        drawing = known[changed] if changed in known else draw(changed)
        if drawing is None or (apart := float(1 - said @ drawing)) < ALIKE:
            continue
        seen = comparison.vectors[comparison.own == k]
        gains = (seen @ (drawing - said) / apart).tolist()
        for one in leads:
            leads[one] += gains if one in text else []
    if min(map(len, leads.values())) < OFTEN:
        return -np.inf
    if min(np.mean(np.array(found) > 0) for found in leads.values()) < NEARLY_ALL:
        return -np.inf
    return min(float(np.median(found)) for found in leads.values())


def _groups(comparison: LetterComparison, lead: Vectors) -> tuple[str, str] | None:
    """Two whole groups each of which looks like the other: glyphs of stacks whose texts are exchanged."""
    times = np.bincount(comparison.own, minlength=comparison.claimed)
    often = (times[:, None] >= OFTEN) & (times[None, :] >= OFTEN)
    often &= comparison.apart[: comparison.claimed, : comparison.claimed] >= ALIKE_GROUPS
    both = np.where(often, np.minimum(lead, lead.T), -9)
    np.fill_diagonal(both, -9)
    one, other = np.unravel_index(int(both.argmax()), both.shape)
    return (comparison.texts[one], comparison.texts[other]) if both[one, other] > EXCHANGED_GROUPS else None
