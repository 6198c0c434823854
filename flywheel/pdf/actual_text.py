"""Repair of what MuPDF makes of texts that are given for several glyphs at once (/ActualText), inside the child.

    given_texts(page, texts)         the page's, where its lines show signs that there is something to repair
    joined(glyphs, given)            the characters, with lines that break within a letter group joined
    said_again(glyphs, given)        which of them MuPDF says twice, or are blanks within a word

Where a glyph has no text of its own, as in conjuncts and stacks, browsers and office programs write the text of
the whole letter group beside its glyphs. MuPDF 1.28 says that text in full at the first glyph that says something
else, and then once more the last of its characters that glyphs say by themselves: of ကြံ it makes ကြံံ. The
characters that it has no glyph for get no width; where the group's further glyphs are passed over, a gap remains
that it takes for a blank or the end of a line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flywheel.text.bidi import runs_right_to_left

if TYPE_CHECKING:
    from flywheel.pdf.glyphs import Glyphs

Mask = NDArray[np.bool_]

LONGEST = 6  # characters that are said again
LONGEST_GROUP = 16
FORMS = 64  # of a page, that are looked through: what is transparent is drawn in one
WIDTHLESS = 0.01  # of the font size
GROUP = 3.0  # font sizes: no glyphs of a letter group that are passed over are wider
_AGAIN = re.compile(rf"([^\x00-\x7f\s]{{1,{LONGEST}}}?) ?\1")
_GIVEN = re.compile(rb"/ActualText\s*(?:<\s*([0-9A-Fa-f\s]+)>|\(((?:[^\\()]|\\.)*)\))", re.DOTALL)
_ESCAPED = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_UTF16 = b"\xfe\xff"


def given_texts(page: Any, texts: Sequence[str]) -> frozenset[str]:
    """Texts that are given for groups of glyphs, where characters come twice or a word begins with a mark."""
    signs = any(map(_AGAIN.search, texts)) or any(
        unicodedata.category(word[0])[0] == "M" for text in texts for word in text.split()
    )
    if not (signs and page.parent.is_pdf):
        return frozenset()
    forms = (page.parent.xref_stream(form[0]) or b"" for form in page.get_xobjects()[:FORMS])
    return frozenset(text for content in chain((page.read_contents(),), forms) for text in _given(content))


def _given(content: bytes) -> Iterator[str]:
    for written, literal in _GIVEN.findall(content):
        digits = b"".join(written.split())
        data = bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode()) if digits else _unescaped(literal)
        if data.startswith(_UTF16) and 0 < (len(data) - 2) // 2 <= LONGEST_GROUP:
            yield data[2:].decode("utf-16-be", "replace")


def _unescaped(literal: bytes) -> bytes:
    return _ESCAPED.sub(lambda m: bytes([int(m[1], 8) & 255]) if m[1].isdigit() else m[1], literal)


def joined(glyphs: Glyphs, given: AbstractSet[str]) -> Glyphs:
    """The characters with lines joined where a letter group ends one and a mark, or its last character once more,
    stands beside it in the next."""
    lines, symbols = glyphs.lines.copy(), glyphs.symbols
    for k in (np.flatnonzero(np.diff(glyphs.lines)) + 1).tolist() if given else ():
        belongs = symbols[k] == symbols[k - 1] or unicodedata.category(symbols[k] or " ")[0] == "M"
        if belongs and _is_beside(glyphs, k - 1, k) and _ends(symbols, k - 1, given):
            lines[glyphs.lines == glyphs.lines[k]] = lines[k - 1]
    return replace(glyphs, lines=lines)


def said_again(glyphs: Glyphs, given: AbstractSet[str]) -> Mask:
    """Ends of letter groups that come once more right behind, and blanks that MuPDF puts there."""
    again = np.zeros(len(glyphs.symbols), dtype=bool)
    if not given:
        return again
    if any(s == " " and not made for s, made in zip(glyphs.symbols, glyphs.synthetic.tolist(), strict=True)):
        for k in (np.flatnonzero(glyphs.synthetic[1:]) + 1).tolist():  # blanks of its own part the page's words
            again[k] = _ends(glyphs.symbols, k - 1, given)
    rest = np.flatnonzero(~again)
    symbols = [glyphs.symbols[k] for k in rest]
    widthless = (glyphs.advances <= WIDTHLESS * glyphs.sizes)[rest]
    leftwards = frozenset(filter(runs_right_to_left, given))  # MuPDF turns such lines round, groups and all
    twice = _repeated(symbols, widthless, glyphs.lines[rest], given - leftwards)
    twice |= _repeated(symbols[::-1], widthless[::-1], glyphs.lines[rest][::-1], leftwards)[::-1]
    again[rest[twice]] = True
    return again


def _repeated(symbols: Sequence[str], widthless: Mask, lines: NDArray[np.int64], given: AbstractSet[str]) -> Mask:
    """Characters without a width, up to the end of a letter group, that come once more right behind."""
    again = np.zeros(len(symbols), dtype=bool)
    codes = np.array([ord(symbol or "\0") for symbol in symbols], dtype=np.int64)
    for length in range(1, min(LONGEST, len(symbols) - 1) + 1) if given else ():
        same = widthless[:-length] & (codes[length:] == codes[:-length]) & (lines[length:] == lines[:-length])
        sums = np.concatenate([[0], same.cumsum()])
        for start in np.flatnonzero(sums[length:] - sums[:-length] == length).tolist():
            if _ends(symbols, start + length - 1, given, length):
                again[start : start + length] = True
    return again


def _ends(symbols: Sequence[str], k: int, given: AbstractSet[str], shortest: int = 1) -> bool:
    """True where a given text of at least so many characters ends with this one."""
    told = "".join(symbols[max(0, k + 1 - LONGEST_GROUP) : k + 1])
    return any(told[-length:] in given for length in range(shortest, len(told) + 1))


def _is_beside(glyphs: Glyphs, before: int, k: int) -> bool:
    """True for a character on the baseline of the one before, and near enough to belong to its group."""
    right, down = (glyphs.origins[k] - glyphs.origins[before]) / glyphs.sizes[k]
    return bool(0 <= right < GROUP and abs(down) < WIDTHLESS)
