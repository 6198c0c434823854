"""Two letters of which a text layer says each of the other, found by the whole of what it says.

    exchanged(comparison, draw) -> (letter, other) | None
    overstated(comparison, draw) -> (said, shown) | None

A face may draw one letter like another's drawing, but not that one like the first, and not in all the letter
groups that either stands in. Two letters are held exchanged when the groups that hold them are nearer to the
drawings of their texts with the two letters changed round: of each letter more than half of its occurrences by a
good part of what lies between the two drawings, and nearly all by something.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

# Distances of two drawings below which a typeface may well turn one into the other (dots, strokes): of one group
# with a letter changed, and of any two groups.
ALIKE, ALIKE_GROUPS = 0.08, 0.12
OFTEN = 4  # occurrences of each of the two,
OFTEN_BOTH = 12  # and of two signs together
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
    table = str.maketrans(letter + other, other + letter)
    leads = _changed_leads(comparison, letter + other, lambda text: text.translate(table), draw)
    return min(_sure([lead for text, lead in leads if one in text]) for one in (letter, other))


def overstated(comparison: LetterComparison, draw: Draw) -> tuple[str, str] | None:
    """Two neighbouring signs of which the layer says both wherever the page shows the second alone.

    A glyph of one vowel whose table says a subjoined letter of Tibetan as well; None where no pair stands out.
    Of other scripts nothing is said: PDF writers double their split vowels in sound text (2026-11-24).
    """
    times: Counter[str] = Counter()
    for k, count in enumerate(np.bincount(comparison.own, minlength=comparison.claimed)[: comparison.claimed]):
        pairs = {a + b for a, b in pairwise(comparison.texts[k]) if _is_subjoined(a) and _is_sign(b)}
        times.update(dict.fromkeys(pairs, int(count)))
    best, found = EXCHANGED, None
    for pair, count in times.most_common(CANDIDATES):
        if count < OFTEN_BOTH:
            break
        leads = _changed_leads(comparison, pair[0], _without_first(pair), draw)
        if (score := _sure([lead for _, lead in leads])) > best:
            best, found = score, (pair, pair[1])
    return found


def _without_first(pair: str) -> Callable[[str], str]:
    return lambda text: text.replace(pair, pair[1])


def _is_subjoined(letter: str) -> bool:
    return "\u0f90" <= letter <= "\u0fbc"


def _is_sign(letter: str) -> bool:
    return unicodedata.category(letter).startswith("M")


def _sure(leads: Sequence[float]) -> float:
    """The median lead; -inf for too few, or when too many are of the layer's opinion."""
    if len(leads) < OFTEN or np.mean(np.array(leads) > 0) < NEARLY_ALL:
        return -np.inf
    return float(np.median(leads))


def _changed_leads(
    comparison: LetterComparison, letters: str, change: Callable[[str], str], draw: Draw
) -> list[tuple[str, float]]:
    """Of each occurrence that holds one of the letters: its text, and the lead of the changed text's drawing."""
    known = dict(zip(comparison.texts[::-1], comparison.drawings[::-1], strict=True))
    leads: list[tuple[str, float]] = []
    for k, text in enumerate(comparison.texts[: comparison.claimed]):
        changed = change(text)
        if changed == text or not set(letters) & set(text):
            continue
        said = comparison.drawings[k]
        drawing = known[changed] if changed in known else draw(changed)
        if drawing is not None and (apart := float(1 - said @ drawing)) >= ALIKE:
            seen = comparison.vectors[comparison.own == k]
            leads += [(text, float(gain)) for gain in seen @ (drawing - said) / apart]
    return leads


def _said(text: str) -> str:
    """Letters and marks of a group, without joiners."""
    kept = (symbol for symbol in unicodedata.normalize("NFKC", text) if unicodedata.category(symbol) != "Cf")
    return "".join(kept)


def _groups(comparison: LetterComparison, lead: Vectors) -> tuple[str, str] | None:
    """Two whole groups each of which looks like the other: glyphs of stacks whose texts are exchanged. Two forms
    of one letter say the same."""
    times = np.bincount(comparison.own, minlength=comparison.claimed)
    often = (times[:, None] >= OFTEN) & (times[None, :] >= OFTEN)
    often &= comparison.apart[: comparison.claimed, : comparison.claimed] >= ALIKE_GROUPS
    said = np.array([_said(text) for text in comparison.texts[: comparison.claimed]])
    both = np.where(often & (said[:, None] != said[None, :]), np.minimum(lead, lead.T), -9)
    one, other = np.unravel_index(int(both.argmax()), both.shape)
    return (comparison.texts[one], comparison.texts[other]) if both[one, other] > EXCHANGED_GROUPS else None
