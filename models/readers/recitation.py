"""Probe for recitation: a page is read again with most of its text painted over.

    probe(reader, pages, readings) -> the readings, with `recited` set for the pages that were probed

A language model that knows a text says it from memory once the first words, or the prompt alone, bring it to
mind. Such a text is fluent, in the right script, and fits the ink; only another image of the page tells. A
white page would not: with nothing to remind it, most readers say nothing. Neither would the halves
exchanged: what a reader leaves out or puts in another order there is no proof. So the first third of the
page's ink stays as it is, which is cue enough, and the rest takes the colour of the paper. A reader that
looks now says a third; one that says nearly all of it again was reciting.

A page whose text stands above the cut, with a picture below, is read alike by both. So a page under suspicion
is read once more with the other part painted over: where that part holds no text either, the reader is
cleared. That makes one more reading of a page that is probed, and two of one that is suspected.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from flywheel.document import PageReading
from models.readers.protocol import PageInput, PageReader

SHARE = 0.05  # of all pages that are probed
LEAST_TEXT = 40  # characters without blanks; shorter texts may be alike by chance
THIN = 2.0  # square points of ink a character: with less, a page is always probed (of 7-point print: 7)
SAMPLED = 3  # one pixel in three, down and across, tells that well enough
KEPT = (0.2, 0.45)  # shares of the ink above the cut, which goes where least ink is between them
SAME = 0.85  # likeness from which two texts are the same; one that is half of the other has 0.67
HIDDEN = 0.4  # least share of the text that is read off the other part where a page holds it all over
FREE = 0.05  # of the mean ink of the rows with any: a row with less is between lines
CONTRAST = 32  # gray levels between paper and ink, as in flywheel/pdf/structure.py
POINTS = 72.0


def probe(
    reader: PageReader,
    pages: Sequence[PageInput],
    readings: Sequence[PageReading],
    *,
    share: float = SHARE,
    seed: int = 0,
) -> list[PageReading]:
    """`readings` of `pages` by `reader`, in their order; `recited` is True or False where it was probed.

    Probed are those with text enough: `share` (0..1) of the pages, by a hash of the image and `seed` alone, so
    that it is not the batch that decides, and all with hardly enough ink for what was read. None with a share
    of 0. Raises what `reader.read_many` raises.
    """
    out = list(readings)
    probed = [
        k for k, page in enumerate(pages) if share > 0 and _is_probed(page, _text_of(readings[k]), share, seed)
    ]
    cuts = {k: _cut(_ink(pages[k].image)) for k in probed}
    suspects = []
    for k, text in _texts_of(reader, {k: _painted(pages[k], cuts[k], below=True) for k in probed}):
        out[k] = replace(readings[k], recited=False)
        if fuzz.ratio(_text_of(readings[k]), text) >= 100 * SAME:
            suspects.append(k)
    for k, text in _texts_of(reader, {k: _painted(pages[k], cuts[k], below=False) for k in suspects}):
        out[k] = replace(readings[k], recited=len(text) >= HIDDEN * len(_text_of(readings[k])))
    return out


def _is_probed(page: PageInput, text: str, share: float, seed: int) -> bool:
    if len(text) < LEAST_TEXT:
        return False
    if _chance(page, seed) < share:
        return True
    ink = np.count_nonzero(_ink(page.image[::SAMPLED, ::SAMPLED])) * (SAMPLED * POINTS / page.dpi) ** 2
    return bool(ink < THIN * len(text))


def _chance(page: PageInput, seed: int) -> float:
    """A number in 0..1 that the image and the seed decide."""
    digest = blake2b(page.image.tobytes(), digest_size=8, salt=seed.to_bytes(8, "little", signed=True))
    return int.from_bytes(digest.digest(), "little") / 2**64


def _texts_of(reader: PageReader, pages: Mapping[int, PageInput]) -> list[tuple[int, str]]:
    """The reader's text of each page, all read in one call."""
    again = reader.read_many(list(pages.values())) if pages else []
    return [(k, _text_of(answer)) for k, answer in zip(pages, again, strict=True)]


def _text_of(reading: PageReading) -> str:
    """The text without blanks, which readers set as they like."""
    return "".join(unicodedata.normalize("NFC", reading.label.text).split())


@dataclass(frozen=True, slots=True)
class _Cut:
    """Before this row (axis 0) or column (axis 1)."""

    axis: int
    place: int


def _ink(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """H x W: True where a pixel differs from the paper."""
    gray = image if image.ndim == 2 else image.min(axis=2)
    return np.abs(gray.astype(np.int16) - int(_paper(gray)[0])) > CONTRAST


def _paper(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The most common level of each channel."""
    channels = image.reshape(image.shape[0] * image.shape[1], -1)
    levels = [np.bincount(channels[:, k], minlength=256).argmax() for k in range(channels.shape[1])]
    return np.array(levels, dtype=np.uint8)


def _cut(ink: NDArray[np.bool_]) -> _Cut:
    """Between two lines; between two columns of pixels where no row is free, as on a page of one line."""
    rows = ink.sum(axis=1)
    place = _gap(rows)
    written = rows[rows > 0]
    if written.size == 0 or rows[place] <= FREE * written.mean():
        return _Cut(0, place)
    return _Cut(1, _gap(ink.sum(axis=0)))


def _gap(ink: NDArray[np.int64]) -> int:
    """The place with least ink of those with `KEPT` of it before them, and there the nearest to a third."""
    before = np.cumsum(ink) / max(1, int(ink.sum()))
    near = np.flatnonzero((before >= KEPT[0]) & (before <= KEPT[1]))
    if near.size == 0:
        return len(ink) // 2
    least = near[ink[near] == ink[near].min()]
    return int(least[np.abs(before[least] - 1 / 3).argmin()])


def _painted(page: PageInput, cut: _Cut, *, below: bool) -> PageInput:
    """The page with what is below the cut, or what is above, in the colour of its paper."""
    image = page.image.copy()
    along = slice(cut.place, None) if below else slice(None, cut.place)
    image[along if cut.axis == 0 else (slice(None), along)] = np.squeeze(_paper(page.image))
    return replace(page, image=image)
