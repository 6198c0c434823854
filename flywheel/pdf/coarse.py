"""A page's text layer -> its coarse label, and counts of the text before it was cleaned.

The label holds text that can be stored and trained on; the counts keep what the gate
must know and cleaning hides (controls, surrogates, glyphs without a character).
"""

from __future__ import annotations

import operator
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from flywheel.document import Kind, Label, Line, Region, TextOrigin
from flywheel.pdf.results import InkEvidence, PageText
from flywheel.text.cleaning import clean
from flywheel.text.scripts import PRIVATE, UNKNOWN, script_of, script_of_counts

PRODUCER = "fitz"
BULLETS_START = 0xF000  # symbol fonts map their glyphs to U+F000-F0FF
BULLETS_END = 0xF0FF
BULLET_KINDS = 3  # different bullets on a page; more are letters
BULLET_SHARE = 0.1  # of the characters


@dataclass(frozen=True, slots=True)
class RawCounts:
    """Characters of the uncleaned text layer, blanks left out, and how text and ink lie together.

    `private_use` leaves out symbol-font bullets that stand alone at the start of a line, as long as they are of
    few kinds and the text behind them is much longer: a readable text may have those.
    """

    characters: int
    private_use: int = 0
    control: int = 0
    replacement: int = 0
    surrogate: int = 0
    unassigned: int = 0
    ink: InkEvidence | None = None

    @property
    def garbage(self) -> int:
        return self.private_use + self.control + self.replacement + self.surrogate + self.unassigned


def label(page: PageText, language: str | None = None) -> tuple[Label, RawCounts]:
    """The coarse label of a page and the counts of its raw text. `language` is what was declared (BCP-47)."""
    regions = tuple(_cleaned(region) for region in page.regions)
    made = Label(
        kind=Kind.COARSE,
        producer=PRODUCER,
        width=page.facts.width,
        height=page.facts.height,
        regions=tuple(region for region in regions if region.lines or region.category == "picture"),
        script=script_of_counts(page.facts.scripts, language),
        language=language,
        origin=TextOrigin.OCR_LAYER if page.facts.mainly_hidden else TextOrigin.TEXT_LAYER,
    )
    return made, count(page)


def count(page: PageText) -> RawCounts:
    """Count what a healthy text layer has little of."""
    if page.facts.scripts.keys().isdisjoint((UNKNOWN, PRIVATE)):
        return RawCounts(characters=page.facts.characters, ink=page.ink)
    lines = [line.text for region in page.regions for line in region.lines]
    kinds: Counter[str] = Counter()
    for symbol, number in Counter("".join(lines)).items():
        kinds[_kind(symbol)] += number
    return RawCounts(
        characters=kinds.total() - kinds["blank"],
        private_use=kinds["private_use"] - _bullets(lines, kinds.total() - kinds["blank"]),
        control=kinds["control"],
        replacement=kinds["replacement"],
        surrogate=kinds["surrogate"],
        unassigned=kinds["unassigned"],
        ink=page.ink,
    )


_KINDS = {"Co": "private_use", "Cc": "control", "Cs": "surrogate"}


def _kind(symbol: str) -> str:
    if symbol.isspace():
        return "blank"
    if symbol == "\ufffd":
        return "replacement"
    return _KINDS.get(unicodedata.category(symbol)) or ("unassigned" if script_of(symbol) == UNKNOWN else "text")


def _bullets(lines: Sequence[str], characters: int) -> int:
    """The number of bullets on the page; 0 where they are too many, or of too many kinds, to be any."""
    found = [line[0] for line in lines if _is_bullet(line)]
    sound = len(set(found)) <= BULLET_KINDS and len(found) <= BULLET_SHARE * characters
    return len(found) if sound else 0


def _is_bullet(line: str) -> bool:
    """True when the line begins with one symbol-font character, alone or before a blank."""
    first, rest = line[:1], line[1:2]
    return bool(first) and BULLETS_START <= ord(first) <= BULLETS_END and (not rest or rest.isspace())


def _cleaned(region: Region) -> Region:
    """The region with clean lines; itself, and each line itself, where there was nothing to clean."""
    lines = tuple(line for line in map(_clean_line, region.lines) if line.text)
    same = len(lines) == len(region.lines) and all(map(operator.is_, lines, region.lines))
    return region if same else Region(region.category, region.box, lines)


def _clean_line(line: Line) -> Line:
    text = clean(line.text)
    return line if text == line.text else Line(text, line.box)
