"""Order of characters in text that runs from right to left (UAX #9): as it is stored, and as its ink stands.

    to_visual(text)     logical -> left to right as the ink stands, brackets as they are drawn
    to_logical(text)    the inverse; `logical_places` says where each of its code points came from
    survives(text)      True when the ink's order alone gives the text back

Text is stored, scored and exported in logical order, the order it is read aloud in; a recogniser that looks
along a line meets it in visual order. python-bidi (the unicode-bidi crate) gives the order; it moves single
code points and mirrors nothing, so that marks would lead their base and brackets would point the wrong way.
Here a base and what follows it without a place of its own (nonspacing marks, joiners) is one cluster, which
moves as one: in either order the base comes first and its marks after it, in the order of NFC.

A line with any letter that runs from right to left belongs, unless `base` says otherwise, to a paragraph of
that direction; text without one is the same in both orders. Several logical texts can have one visual order
("Windows 10" and "10 Windows" inside Hebrew): `to_logical` gives the one with the number behind the Latin word.
Source: UAX #9, rules W1-W7, N0-N2, L2, L4.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, islice
from typing import Literal

from bidi import get_display
from bidi.mirror import MIRRORED

Base = Literal["L", "R"]
Reordered = tuple[list[str], list[int]]  # clusters in their new order, and the index each had before

_CANDIDATE = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_STRONG = ("R", "AL")
_RUNS_RIGHT_TO_LEFT = (*_STRONG, "AN")
_WITHOUT_A_PLACE = ("NSM", "BN")
_SEPARATORS = ("CS", "ES")
_BREAKS = ("B", "S", "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
_class = lru_cache(maxsize=1 << 14)(unicodedata.bidirectional)


def runs_right_to_left(text: str) -> bool:
    """True when the text has a letter or a digit of a script that runs from right to left."""
    if text.isascii() or not _CANDIDATE.search(text):
        return False
    return any(_class(c) in _RUNS_RIGHT_TO_LEFT for c in text)


def base_direction(text: str) -> Base:
    """The direction that most of the text's letters have."""
    kinds = [_class(c) for c in text] if _CANDIDATE.search(text) else []
    return "R" if sum(kind in _STRONG for kind in kinds) > kinds.count("L") else "L"


def to_visual(text: str, base: Base = "R") -> str:
    """The text from left to right as its ink stands; itself where nothing runs from right to left."""
    return "".join(_displayed(_clusters(text), base)[0]) if runs_right_to_left(text) else text


def to_logical(text: str, base: Base = "R") -> str:
    """The text whose ink stands in this order from left to right."""
    return "".join(_stored(_clusters(text), base)[0]) if runs_right_to_left(text) else text


def logical_places(text: str, base: Base = "R") -> list[int]:
    """For each code point of `to_logical(text)` its place in `text`."""
    if not runs_right_to_left(text):
        return list(range(len(text)))
    clusters = _clusters(text)
    starts = list(accumulate((len(cluster) for cluster in clusters), initial=0))
    return [place for i in _stored(clusters, base)[1] for place in range(starts[i], starts[i + 1])]


def survives(text: str, base: Base = "R") -> bool:
    """True when the text comes back from its visual order unchanged."""
    return to_logical(to_visual(text, base), base) == text


def right_to_left_places(text: str) -> set[int]:
    """Places of a text in visual order whose characters run from right to left."""
    if not runs_right_to_left(text):
        return set()
    read = [_flipped(cluster) for cluster in reversed(_clusters(text))]
    backward = {len(read) - 1 - i for i, reverse in _order(read, "R") if reverse}
    starts = accumulate((len(cluster) for cluster in reversed(read)), initial=0)
    return {start for i, start in enumerate(starts) if i in backward}


def is_mark(character: str) -> bool:
    """True for what has no place of its own in a line: nonspacing marks and joiners."""
    return len(character) == 1 and _class(character) in _WITHOUT_A_PLACE


def is_right_to_left_letter(text: str) -> bool:
    """True when the text begins with a letter that runs from right to left."""
    return bool(text) and _class(text[0]) in _STRONG


def mirror(text: str) -> str:
    """The text with each bracket, and whatever else has a mirror image, replaced by it."""
    return "".join(MIRRORED.get(c, c) for c in text)


def _clusters(text: str) -> list[str]:
    found: list[str] = []
    for character in text:
        if found and _class(character) in _WITHOUT_A_PLACE:
            found[-1] += character
        else:
            found.append(character)
    return found


def _flipped(cluster: str) -> str:
    image = MIRRORED.get(cluster[0])
    return image + cluster[1:] if image else cluster


def _displayed(clusters: Sequence[str], base: Base) -> Reordered:
    """Logical -> visual: rule L2 by cluster, and L4, mirroring."""
    order = _order(clusters, base)
    return [_flipped(clusters[i]) if reverse else clusters[i] for i, reverse in order], [i for i, _ in order]


def _stored(clusters: Sequence[str], base: Base) -> Reordered:
    """Visual -> logical: the first likely text that is displayed so; where none is, the likeliest."""
    first: Reordered | None = None
    for guess in _guesses(clusters, base):
        first = first or guess
        if _displayed(guess[0], base)[0] == clusters:
            return guess
    assert first is not None
    return first


def _guesses(clusters: Sequence[str], base: Base) -> Iterator[Reordered]:
    if base == "L":
        yield _displayed(clusters, base)  # in such a paragraph the rules are nearly their own inverse
    yield _unreversed(clusters, follow=True)
    yield _unreversed(clusters, follow=False)
    if base == "R":
        yield _displayed(clusters, base)


def _unreversed(clusters: Sequence[str], *, follow: bool) -> Reordered:
    """Visual -> logical in a paragraph from right to left: read from the right, with what runs from left to
    right turned back. Neighbours are then the same as in the logical text, which the rules for numbers ask for.
    `follow`: a number to the right of a Latin word was written after it."""
    read = [_flipped(cluster) for cluster in reversed(clusters)]
    forward = [False] * len(read)
    for i, reverse in _order(read, "R"):
        forward[i] = not reverse
    if follow:
        _join_numbers(read, forward)
    order: list[int] = []
    start = 0
    for i in range(len(read)):
        start = len(order) if i == 0 or not forward[i - 1] else start
        order.insert(start if forward[i] else len(order), i)
    last = len(read) - 1
    return [_flipped(read[i]) if forward[i] else read[i] for i in order], [last - i for i in order]


def _join_numbers(read: Sequence[str], forward: list[bool]) -> None:
    """Mark what lies between a Latin word and the numbers to its right as running forward like these."""
    word, gap = False, len(read)
    for i in range(len(read) - 1, -1, -1):
        kind = _class(read[i][0])
        if kind in _RUNS_RIGHT_TO_LEFT:
            word = False
        elif kind == "L" or (kind == "EN" and word):
            if word:
                forward[i:gap] = [True] * (gap - i)
            word, gap = True, i


def _order(clusters: Sequence[str], base: Base) -> list[tuple[int, bool]]:
    """(index, True when it runs from right to left) of each cluster, from left to right as displayed.

    Each base goes through the algorithm with a nonspacing mark of its own, which stays beside it (rule W1) and
    tells its index, and, by the side it comes out on, its direction. Separators go without, for a mark would keep
    them out of their number (W4); their neighbours tell. Texts that the algorithm would break up or
    not take (lone surrogates), or that have more clusters than there are marks, stay as they are.
    """
    used = {cluster[0] for cluster in clusters}
    tags = list(islice((mark for mark in _marks() if mark not in used), len(clusters)))
    if len(tags) < len(clusters) or any(_class(base) in _BREAKS or "\ud800" <= base <= "\udfff" for base in used):
        return [(i, False) for i in range(len(clusters))]
    index = {tag: i for i, tag in enumerate(tags)}
    separators = {base for base in used if _class(base) in _SEPARATORS}
    tagged = (c[0] if c[0] in separators else c[0] + tag for c, tag in zip(clusters, tags, strict=True))
    shown = str(get_display("".join(tagged), base_dir=base))
    order: list[tuple[int, bool] | str] = []
    place = 0
    while place < len(shown):
        symbol = shown[place]
        if symbol in separators:
            order.append(symbol)
            place += 1
            continue
        order.append((index[symbol], True) if symbol in index else (index[shown[place + 1]], False))
        place += 2
    return _with_separators(order, clusters, separators) if separators else order  # type: ignore[return-value]


def _with_separators(
    order: Sequence[tuple[int, bool] | str], clusters: Sequence[str], separators: set[str]
) -> list[tuple[int, bool]]:
    """The order with the index and direction of each separator.

    It has the index next to that of a neighbour, if one is free; alike ones may change places. Its direction
    is forward between two parts that run so, as they stand in the text.
    """
    known = [-1 if isinstance(entry, str) else entry[0] for entry in order]
    missing = {i for i, cluster in enumerate(clusters) if cluster[0] in separators}
    open_places = [at for at, i in enumerate(known) if i < 0]
    for at in (*open_places, *reversed(open_places), *open_places):
        near = [known[k] for k in (at - 1, at + 1) if known[at] < 0 and 0 <= k < len(known) and known[k] >= 0]
        free = (i + step for i in near for step in (-1, 1))
        known[at] = next((i for i in free if i in missing and clusters[i][0] == order[at]), known[at])
        missing.discard(known[at])
    for at in open_places:
        if known[at] < 0:
            known[at] = next(i for i in sorted(missing) if clusters[i][0] == order[at])
            missing.discard(known[at])
    out: list[tuple[int, bool]] = []
    for at, entry in enumerate(order):
        out.append((known[at], not _is_inside(order, known, at)) if isinstance(entry, str) else entry)
    return out


def _is_inside(order: Sequence[tuple[int, bool] | str], known: Sequence[int], at: int) -> bool:
    """True when the nearest parts on both sides run forward and stand so in the text."""
    left = next((k for k in range(at - 1, -1, -1) if not isinstance(order[k], str)), None)
    right = next((k for k in range(at + 1, len(order)) if not isinstance(order[k], str)), None)
    if left is None or right is None or order[left][1] or order[right][1]:
        return False
    return known[right] - known[left] == right - left


@lru_cache(maxsize=1)
def _marks() -> tuple[str, ...]:
    return tuple(c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.bidirectional(c) == "NSM")
