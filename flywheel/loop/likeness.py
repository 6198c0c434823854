"""Likeness of pages: which are the same page twice, and which documents therefore stand on one side of a split.

    signature(text, bits, known) -> bytes     of one page; kept beside its patches, read again by `LikePages`
    LikePages.of(pages)                   the signatures of many pages
    .groups() -> document -> its group        near-equal documents have one group
    .like(others) -> pages                    those of which a near-equal page is in the other documents

Texts are compared by MinHash (Broder 1997; datasketch) over runs of eight letters, blanks and punctuation aside:
that suits scripts with and without spaces, and survives the line breaks of another edition. What counts is the
share of the shorter page that is in the longer one, so that a book set anew on larger pages is found.
Pictures are compared by the bits of models/training/appearance.py. Candidates come from locality-sensitive
hashing, so that the work grows with the pages, not with their pairs.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

VERSION = 1  # of the signatures; those of other versions say nothing
LETTERS = 8  # in a run
LEAST_RUNS = 40  # different ones that a text must have to be found in another
FEW_RUNS = 8  # and to be found equal as a whole: a page number or a word of a title says nothing
LEAST_RUNS_SEEN = 24  # and the text of a picture: of few words one picture looks like another
MINIMA, BAND = 128, 3  # of a text's signature; so many together make a text a candidate
BITS = 1024
UNSEEN = bytes(BITS // 8)
TABLES, KEY_BITS = 192, 16  # bits of a picture that make it a candidate, so often
# Measured on 395 pages of one Tibetan book (2026-11-24): of different pages 99.9 % share less than 0.09 of their
# runs, the most 0.35 (a commentary that quotes its root text); at 5 % CER a page keeps 0.65, at 10 % 0.4.
SAME_TEXT = 0.4
SAME_SHORT_TEXT = 0.9  # of the runs of two texts, of which one has few: cards, subtitles, lines of verse
# On 156 pages of 25 drawn and real books: of different pages 99.9 % share less than 0.61 of their bits, the most
# 0.63 (columns set alike). A page made JPEG, half as large, black on white or put into a black border shares 0.85
# and more with itself; turned by 1 degree 0.82, scanned badly 0.77, cut by 2 to 5 % 0.84 to 0.92 (medians).
SAME_PICTURE = 0.68  # of the bits known of either
LEAST_KNOWN = 0.35  # of the bits: a page with a few lines looks like every other
BUCKET = 32  # pages of one bucket that each page of it is compared with
MOST, SOME = 0.5, 0.1  # shares of the smaller document's pages: a copy, and a part
COMMON = 4  # groups of copies that a page is in before it is taken for a form or a licence
_WORDS = np.dtype(
    [
        ("version", "u1"),
        ("runs", "<u4"),
        ("minima", "<u4", (MINIMA,)),
        ("bits", "<u8", (BITS // 64,)),
        ("known", "<u8", (BITS // 64,)),
    ]
)

Pairs = NDArray[np.int64]  # (N, 2), places of pages


def signature(text: str, bits: bytes = UNSEEN, known: bytes = UNSEEN) -> bytes:
    """Signature of a page by its text, and its appearance (packed bits) where that is known."""
    from datasketch import MinHash  # takes a second to import, and only those who cut patches need it

    runs = runs_of(text)
    minima = MinHash(num_perm=MINIMA, scheme="affine32")
    minima.update_batch([run.encode() for run in sorted(runs)])
    told: bytes = minima.hashvalues.astype("<u4").tobytes()
    return struct.pack("<BI", VERSION, len(runs)) + told + bits + known


def runs_of(text: str) -> set[str]:
    """The different runs of letters (marks and digits among them) of a text, without regard to case."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    letters = "".join(character for character in folded if unicodedata.category(character)[0] in "LMN")
    return {letters[start : start + LETTERS] for start in range(len(letters) - LETTERS + 1)}


class SignedPage(NamedTuple):
    """A page's document (by hash), its id, and its signature."""

    document: str
    page: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class LikePages:
    """Signatures of pages. `document` and `page` are those of each: places in `documents`, and ids.
    `group` is one number for all near-equal pages, `short` is true of those with few words and no picture."""

    documents: tuple[str, ...]
    document: NDArray[np.int64]
    page: NDArray[np.int64]
    group: NDArray[np.int64]
    short: NDArray[np.bool_]

    @classmethod
    def of(cls, signed_pages: Collection[SignedPage]) -> Self:
        """Of many pages. One may come more than once; signatures of other versions, and of pages that say nothing,
        are left out."""
        documents, pages, rows = zip(*signed_pages, strict=True) if signed_pages else ((), (), ())
        told = [n for n, row in enumerate(rows) if len(row) == _WORDS.itemsize and row[0] == VERSION]
        words = np.frombuffer(b"".join(rows[n] for n in told), _WORDS)
        names = tuple(sorted({documents[n] for n in told}))
        places = {name: place for place, name in enumerate(names)}
        document = np.array([places[documents[n]] for n in told], np.int64)
        page = np.array([pages[n] for n in told], np.int64)
        speaks = (words["runs"] >= FEW_RUNS) | _seen(words)
        words, document, page = words[speaks], document[speaks], page[speaks]
        short = (words["runs"] < LEAST_RUNS) & ~_seen(words)
        return cls(names, document, page, _components(len(words), list(_same(words, document))), short)

    def groups(self) -> dict[str, str]:
        """Document -> the first of the documents that it is near-equal to, itself among them.

        Two belong together when most pages of the smaller one are in the other, or some, if these have more than
        a few words and are not in many others besides: forms, licences and empty pages make no copies.
        """
        counts = self._counts()
        is_short = np.isin(counts[:, 0], self.group[self.short])
        copies = self._linked(counts, MOST)
        spread = _spread(counts[:, 0], copies[counts[:, 1]])
        parts = self._linked(counts[(spread <= COMMON) & ~is_short], SOME)
        pairs = np.stack([np.concatenate([np.arange(len(copies))] * 2), np.concatenate([copies, parts])], axis=1)
        first = _components(len(self.documents), [pairs])
        return {name: self.documents[first[place]] for place, name in enumerate(self.documents)}

    def like(self, others: Collection[str]) -> set[int]:
        """Pages of the remaining documents to which a page of these is near-equal."""
        theirs = np.array([name in others for name in self.documents], bool)
        if not len(self.page):
            return set()
        in_others = theirs[self.document]
        common = np.isin(self.group, self.group[in_others])
        return set(self.page[common & ~in_others].tolist())

    def _counts(self) -> NDArray[np.int64]:
        """(group of pages, document, number of its pages in it), by group."""
        pages = np.unique(np.stack([self.group, self.document, self.page], axis=1).reshape(-1, 3), axis=0)
        pairs, counts = np.unique(pages[:, :2], axis=0, return_counts=True)
        return np.column_stack([pairs, counts]).astype(np.int64)

    def _linked(self, counts: NDArray[np.int64], share: float) -> NDArray[np.int64]:
        """Document -> the first one that it is linked with by this share of the smaller one's pages."""
        size = len(self.documents)
        total = np.zeros(size, np.int64)
        np.add.at(total, self.document, 1)
        one, other = (np.concatenate(side) for side in zip(*_neighbours(counts[:, 0]), strict=True))
        a, b = counts[one, 1], counts[other, 1]
        pairs, where = np.unique(a * size + b, return_inverse=True)
        matched = np.stack([np.bincount(where, counts[side, 2], len(pairs)) for side in (one, other)], axis=1)
        ends = np.stack([pairs // max(1, size), pairs % max(1, size)], axis=1)
        totals = total[ends]
        smaller = totals == totals.min(axis=1, keepdims=True)
        shares = np.where(smaller, matched / np.maximum(1, totals), 0).max(axis=1, initial=0)
        return _components(size, [ends[shares >= share]])


def _seen(words: NDArray[np.void]) -> NDArray[np.bool_]:
    """True for the pages whose picture says something."""
    known = np.bitwise_count(words["known"]).sum(axis=1)
    return np.asarray((known >= LEAST_KNOWN * BITS) & (words["runs"] >= LEAST_RUNS_SEEN))


def _same(words: NDArray[np.void], document: NDArray[np.int64]) -> Iterator[Pairs]:
    """Pairs of near-equal pages of different documents."""
    told = np.flatnonzero(words["runs"] >= FEW_RUNS)
    for keys in _text_keys(words["minima"][told]):
        pairs = told[_candidates(keys)]
        pairs = pairs[document[pairs[:, 0]] != document[pairs[:, 1]]]
        yield pairs[_is_same_text(words, pairs)]
    seen = np.flatnonzero(_seen(words))
    for keys in _picture_keys(words["bits"][seen]):
        pairs = seen[_candidates(keys)]
        pairs = pairs[document[pairs[:, 0]] != document[pairs[:, 1]]]
        yield pairs[_shared_picture(words, pairs) >= SAME_PICTURE]


def _text_keys(minima: NDArray[np.uint32]) -> Iterator[NDArray[np.uint64]]:
    """For each band a key of every text: equal where the band is."""
    for start in range(0, MINIMA - BAND + 1, BAND):
        key = np.zeros(len(minima), np.uint64)
        for column in range(start, start + BAND):
            key = key * np.uint64(0x9E3779B97F4A7C15) + minima[:, column].astype(np.uint64) + np.uint64(1)
        yield key


def _picture_keys(bits: NDArray[np.uint64]) -> Iterator[NDArray[np.uint64]]:
    """For each table a key of every picture: some of its bits, the same for all."""
    each = np.unpackbits(bits.view(np.uint8).reshape(len(bits), BITS // 8), axis=1)
    generator = np.random.RandomState(VERSION)
    weights = (1 << np.arange(KEY_BITS)).astype(np.uint64)
    for _ in range(TABLES):
        chosen = generator.choice(BITS, KEY_BITS, replace=False)
        yield each[:, chosen].astype(np.uint64) @ weights


def _candidates(keys: NDArray[np.uint64]) -> Pairs:
    """Pairs of places with the same key, each with at most so many of the next."""
    order = np.argsort(keys, kind="stable")
    _, group = np.unique(keys[order], return_inverse=True)
    found = [np.stack([order[one], order[other]], axis=1) for one, other in _neighbours(group, BUCKET)]
    return np.concatenate(found) if found else np.zeros((0, 2), np.int64)


def _neighbours(
    sorted_groups: NDArray[np.int64], most: int = 2 * BUCKET
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Places of two members of a group, for each member the next ones, up to `most` of them."""
    for step in range(1, most + 1):
        [here] = np.nonzero(sorted_groups[:-step] == sorted_groups[step:])
        yield here, here + step
        if not len(here):
            return


def _is_same_text(words: NDArray[np.void], pairs: Pairs) -> NDArray[np.bool_]:
    """True where a text is in another, or where texts of few words are equal but for a slip."""
    one, other = words[pairs[:, 0]], words[pairs[:, 1]]
    short = np.minimum(one["runs"], other["runs"]) < LEAST_RUNS
    alike = (one["minima"] == other["minima"]).mean(axis=1)
    return np.where(short, alike >= SAME_SHORT_TEXT, _shared_text(words, pairs) >= SAME_TEXT)


def _shared_text(words: NDArray[np.void], pairs: Pairs) -> NDArray[np.float64]:
    """Share of the shorter text of each pair that is in the longer one, as the signatures estimate it."""
    one, other = words[pairs[:, 0]], words[pairs[:, 1]]
    alike = (one["minima"] == other["minima"]).mean(axis=1)  # Jaccard's index
    runs = np.stack([one["runs"], other["runs"]]).astype(np.float64)
    return np.asarray(alike / (1 + alike) * runs.sum(axis=0) / runs.min(axis=0))


def _shared_picture(words: NDArray[np.void], pairs: Pairs) -> NDArray[np.float64]:
    """Share of equal bits among those that are known of either picture."""
    one, other = words[pairs[:, 0]], words[pairs[:, 1]]
    known = one["known"] | other["known"]
    unlike = np.bitwise_count((one["bits"] ^ other["bits"]) & known).sum(axis=1)
    return np.asarray(1 - unlike / np.maximum(1, np.bitwise_count(known).sum(axis=1)))


def _components(size: int, pairs: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Place -> the lowest place that it is connected with by the pairs."""
    ends = np.concatenate([np.zeros((0, 2), np.int64), *pairs])
    if not len(ends):
        return np.arange(size)
    from scipy.sparse import coo_array  # only where datasets are frozen: workers of one reader have none
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(size, size))
    _, part = connected_components(graph, directed=False)
    _, first = np.unique(part, return_index=True)
    return np.asarray(first[part], dtype=np.int64)


def _spread(group: NDArray[np.int64], copies: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each entry, how many different groups of copies its group of pages is in."""
    pairs = np.unique(np.stack([group, copies], axis=1), axis=0)
    numbers, counts = np.unique(pairs[:, 0], return_counts=True)
    return np.asarray(counts[np.searchsorted(numbers, group)], dtype=np.int64)
