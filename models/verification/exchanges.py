"""Two letters of which a text layer says each of the other, found by the whole of what it says.

    exchanged(comparison, draw) -> (letter, other) | None
    overstated(comparison, draw) -> (said, shown) | None

A face may draw one letter like another's drawing, but not that one like the first, and not in all the letter
groups that either stands in. Two letters are held exchanged when the groups that hold them are nearer to the
drawings of their texts with the two letters changed round. What leans towards one letter in all that a face draws
weighs for the one as much as against the other, and cancels in the sum of both letters' leads: that is what
decides, even between two letters that differ by a dot.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import combinations, islice, pairwise

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

# Distances of two drawings below which a typeface may well turn one into the other: of one group with a letter
# changed, of any two groups, and the least by which a lead is measured where letters are only ranked.
ALIKE, ALIKE_GROUPS, ALIKE_RANKED = 0.01, 0.12, 0.08
OFTEN = 4  # occurrences of each of the two,
OFTEN_BOTH = 12  # and of two signs together
# Leads, see models/verification/shapes.py: of both letters together; of either, where its drawings are TOLD_APART
# in all its groups, and where they are not; and the share of its occurrences that have one. Of 6,700 doubted pairs
# of letters in 70 sound faces of 24 scripts none has over 0.27 where both have over 0.05; of 229 exchanged
# pairs 210 are above all. Sound pages of other faces had 0.2 and 0.5 of letters 0.03 apart, and 0.9 together where
# a share of 0.6 had a lead (2026-11-30).
TOGETHER, EACH, EACH_ALIKE = 0.7, 0.2, 0.7
TOLD_APART, MOSTLY = 0.1, 0.7
EXCHANGED = 0.3  # median lead of two signs of which one is not shown,
NEARLY_ALL = 0.75  # where of so many it is above 0
EXCHANGED_GROUPS = 0.5
SUSPECT = -0.2  # lead of either of two groups over the other from which their letters are looked at
LETTERS = 12  # of each kind, the least like themselves, that are held against each other
SCREENED = 2  # groups of either letter that are drawn anew at first
CANDIDATES = 6  # pairs of letters of which all groups are drawn anew
# Lead and distance with which a group looks like another than it is said to be, and their share among groups
# without suspected letters, above which a page's typeface is too strange for drawings to tell two letters apart: a
# sound cursive face has 0.5, pages of Tibetan with exchanged vowels up to 0.37 (2026-11-30).
LEAD, CLEARLY, STRANGE = 0.25, 0.04, 0.4


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

    @property
    def gains(self) -> Vectors:
        """How much nearer each of the page's groups is to each drawing than to its own, M x N."""
        distances = self.distances
        return np.asarray(distances[np.arange(len(self.own)), self.own][:, None] - distances, dtype=np.float32)

    @property
    def doubtful(self) -> NDArray[np.bool_]:
        """True where a group of the page looks like another drawing than its own, M x N."""
        gains = self.gains
        return np.asarray((gains > CLEARLY) & (gains > LEAD * np.maximum(self.apart[self.own], 1e-3)))

    @property
    def best_leads(self) -> Vectors:
        """Of each of the page's groups the highest lead of another claimed drawing, M."""
        count = self.claimed
        leads = self.gains[:, :count] / np.maximum(self.apart[self.own, :count], ALIKE_RANKED)
        leads[np.arange(len(self.own)), self.own] = -np.inf
        return np.asarray(leads.max(axis=1), dtype=np.float32)


# The vector of a claimed group, by its index, with its text changed where it stands; None where that is no group.
Draw = Callable[[int, str], Vectors | None]


def exchanged(comparison: LetterComparison, draw: Draw) -> tuple[str, str] | None:
    """Two letters, or two whole groups, that are most surely exchanged; None when no two are."""
    lead, redrawn = _leads(comparison), _Redrawn(comparison, draw)
    pairs = dict.fromkeys([*islice(_differences(comparison, lead), CANDIDATES), *_doubted(comparison)])
    screened = {pair: sum(lead.mean for lead in redrawn.leads_of(pair, SCREENED)) for pair in pairs}
    found: dict[tuple[str, str], float] = {}
    for pair in sorted(pairs, key=lambda pair: -screened[pair])[:CANDIDATES]:
        leads = redrawn.leads_of(pair)
        if all(lead.is_sure for lead in leads) and sum(lead.mean for lead in leads) > TOGETHER:
            found[pair] = sum(lead.mean for lead in leads)
    if found and _strangeness(comparison, set("".join(map("".join, found)))) > STRANGE:
        return None
    return max(found, key=lambda pair: found[pair]) if found else _groups(comparison, lead)


def _strangeness(comparison: LetterComparison, letters: AbstractSet[str]) -> float:
    """Share of the groups without these letters that look like others than they are said to be."""
    without = np.array([not letters & set(text) for text in comparison.texts])[comparison.own]
    return float(comparison.doubtful[without].any(axis=1).mean()) if without.any() else 0.0


def _leads(comparison: LetterComparison) -> Vectors:
    """Of every claimed group (row) the lead of another's drawing over its own, from the medians of occurrences.

    Far below zero where two drawings are too much alike to be told apart in other typefaces.
    """
    count, distances = comparison.claimed, comparison.distances
    usual = np.stack([np.median(distances[comparison.own == k, :count], axis=0) for k in range(count)])
    apart = comparison.apart[:count, :count]
    lead = (np.diag(usual)[:, None] - usual) / np.maximum(apart, 1e-3)
    return np.where(apart >= ALIKE_RANKED, lead, -9).astype(np.float32)


def _differences(comparison: LetterComparison, lead: Vectors) -> Iterator[tuple[str, str]]:
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


def _doubted(comparison: LetterComparison) -> Iterator[tuple[str, str]]:
    """Pairs of those letters, and of those signs, whose groups are least like what they are said to be."""
    of_letter: dict[str, list[float]] = defaultdict(list)
    for k, doubt in zip(comparison.own, comparison.best_leads, strict=True):
        for letter in set(comparison.texts[k]):
            of_letter[letter].append(float(doubt))
    often = [letter for letter, doubts in of_letter.items() if len(doubts) >= OFTEN]
    ranked = sorted(often, key=lambda letter: -np.median(of_letter[letter]))
    for kind in "LM":
        doubted = [letter for letter in ranked if unicodedata.category(letter)[0] == kind][:LETTERS]
        for one, other in combinations(sorted(doubted), 2):
            if _base(one) != _base(other):
                yield one, other


@dataclass(frozen=True, slots=True)
class _Lead:
    """Lead of a letter's groups with the letter changed.

    `mean`: over groups; `share` of the occurrences that have one; `apart`: the groups' two drawings, in all.
    """

    mean: float
    share: float
    occurrences: int
    apart: float

    @property
    def is_sure(self) -> bool:
        least = EACH if self.apart >= TOLD_APART else EACH_ALIKE
        return self.occurrences >= OFTEN and self.mean > least and self.share >= MOSTLY


class _Redrawn:
    """The groups of a comparison beside drawings of their texts with letters changed, each drawn once."""

    def __init__(self, comparison: LetterComparison, draw: Draw) -> None:
        self._comparison, self._draw = comparison, draw
        self._drawings: dict[tuple[int, str], Vectors | None] = {}
        times = np.bincount(comparison.own, minlength=comparison.claimed)
        self._groups: dict[str, list[int]] = defaultdict(list)  # of each letter, the most frequent first
        for k in np.argsort(-times[: comparison.claimed], kind="stable").tolist():
            for letter in set(comparison.texts[k]):
                self._groups[letter].append(k)

    def leads_of(self, pair: tuple[str, str], most: int | None = None) -> tuple[_Lead, _Lead]:
        """Leads of either letter, over its `most` frequent groups, with the two changed round."""
        table = str.maketrans("".join(pair), "".join(reversed(pair)))
        one, other = (self._lead(self._groups[letter][:most], lambda t: t.translate(table)) for letter in pair)
        return one, other

    def _lead(self, groups: Sequence[int], change: Callable[[str], str]) -> _Lead:
        """Lead over groups: each counts by how far apart its two drawings are, and by the root of its occurrences'
        number, for they share a glyph."""
        seen = [(apart, leads) for k in groups for apart, leads in [self._apart_and_leads(k, change)] if leads]
        if not seen:
            return _Lead(-np.inf, 0.0, 0, 0.0)
        weights = [apart * len(leads) ** 0.5 for apart, leads in seen]
        return _Lead(
            float(np.average([np.median(leads) for _, leads in seen], weights=weights)),
            float(np.average([np.mean(np.array(leads) > 0) for _, leads in seen], weights=weights)),
            sum(len(leads) for _, leads in seen),
            sum(apart for apart, _ in seen),
        )

    def leads(self, groups: Sequence[int], change: Callable[[str], str]) -> list[float]:
        """Leads of the changed texts' drawings in all occurrences of the groups."""
        return [lead for k in groups for lead in self._apart_and_leads(k, change)[1]]

    def _apart_and_leads(self, group: int, change: Callable[[str], str]) -> tuple[float, list[float]]:
        """The distance of a group's two drawings, and of each occurrence the lead of the changed text's.

        No leads where the two are alike or the changed text is no group.
        """
        comparison, changed = self._comparison, (group, change(self._comparison.texts[group]))
        if changed not in self._drawings:
            self._drawings[changed] = self._draw(*changed)
        said, drawing = comparison.drawings[group], self._drawings[changed]
        if drawing is None or (apart := float(1 - said @ drawing)) < ALIKE:
            return 0.0, []
        return apart, ((comparison.vectors[comparison.own == group] @ (drawing - said)) / apart).tolist()

    def groups(self, letter: str) -> list[int]:
        return self._groups[letter]


def overstated(comparison: LetterComparison, draw: Draw) -> tuple[str, str] | None:
    """Two neighbouring signs of which the layer says both wherever the page shows the second alone.

    A glyph of one vowel whose table says a subjoined letter of Tibetan as well; None where no pair stands out.
    Of other scripts nothing is said: PDF writers double their split vowels in sound text (2026-11-24).
    """
    times: Counter[str] = Counter()
    for k, count in enumerate(np.bincount(comparison.own, minlength=comparison.claimed)[: comparison.claimed]):
        pairs = {a + b for a, b in pairwise(comparison.texts[k]) if _is_subjoined(a) and _is_sign(b)}
        times.update(dict.fromkeys(pairs, int(count)))
    best, found, redrawn = EXCHANGED, None, _Redrawn(comparison, draw)
    for pair, count in times.most_common(CANDIDATES):
        if count < OFTEN_BOTH:
            break
        groups = [k for k in redrawn.groups(pair[0]) if pair in comparison.texts[k]]
        if (score := _sure(redrawn.leads(groups, _without_first(pair)))) > best:
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


def _said(text: str) -> str:
    """Letters and marks of a group, without joiners."""
    return "".join(
        symbol for symbol in unicodedata.normalize("NFKC", text) if unicodedata.category(symbol) != "Cf"
    )


def _groups(comparison: LetterComparison, lead: Vectors) -> tuple[str, str] | None:
    """Two whole groups each of which looks like the other: glyphs of stacks whose texts are exchanged. Two forms
    of one letter say the same."""
    times = np.bincount(comparison.own, minlength=comparison.claimed)
    often = (times[:, None] >= OFTEN) & (times[None, :] >= OFTEN)
    often &= comparison.apart[: comparison.claimed, : comparison.claimed] >= ALIKE_GROUPS
    said = np.array([_said(text) for text in comparison.texts[: comparison.claimed]])
    often &= said[:, None] != said[None, :]
    both = np.where(often, np.minimum(lead, lead.T), -9)
    one, other = np.unravel_index(int(both.argmax()), both.shape)
    return (comparison.texts[one], comparison.texts[other]) if both[one, other] > EXCHANGED_GROUPS else None
