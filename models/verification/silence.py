"""Ink that a text layer tells as nothing: letters mapped to zero-width spaces and other marks that no label keeps.

    silent_fonts(pages) -> font -> (glyphs that are drawn and say nothing, glyphs that say something)

A glyph is silent when its text is a blank or is removed by cleaning, although its outline is as high as a good
part of a letter; it counts when the page shows ink there that belongs to no other character. Blanks and joiners
have no outline, whatever passes through them: underlines, rules, the slant of a neighbour.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from flywheel.document import Box, Character
from flywheel.text.cleaning import clean
from models.verification.sampling import POINTS, LayerPage

HIGH = 0.35  # of the letters' median height: lower outlines are hyphens and dots
INKED = 0.3  # of the letters' median height, or of a lower outline: rows that show ink
NARROW = 0.1  # of its height: a glyph that advances less stands on the one before it
INNER = 0.12  # of a glyph's width on either side, where its neighbours' ink may reach
CONTRAST = 64  # gray levels between ink and what it stands on
FULL = 0.95  # of the columns: an underline or a filled box, no letter
FEWEST, SHARE = 3, 0.01  # silent glyphs of a font that lies, and their share of its letters
OF_ALL = 0.003  # and of all letters: a diagram is drawn in a few glyphs of a font of lines and arrows


def silent_fonts(pages: Sequence[LayerPage]) -> dict[str, tuple[int, int]]:
    """Silent glyphs and letters of each font that tells more of its ink as nothing than a slip explains."""
    silent: Counter[str] = Counter()
    for page in pages:
        silent += silent_ink(page)
    letters = Counter(c.font for page in pages for c in page.characters if c.text.isalnum())
    return {
        font: (times, letters[font])
        for font, times in silent.items()
        if times >= FEWEST and times > SHARE * (letters[font] + times) and times > OF_ALL * letters.total()
    }


def silent_ink(page: LayerPage) -> Counter[str]:
    """Glyphs of each font that are drawn and say nothing."""
    lines: dict[int, list[Character]] = defaultdict(list)
    for character in page.characters:
        if character.upright:
            lines[character.line].append(character)
    found: Counter[str] = Counter()
    for line in lines.values():
        silent = [k for k, c in enumerate(line) if c.box.height > 0 and _is_silent(c)]
        if not silent:
            continue
        letters = [c.box.height for c in line if c.text.isalnum()] or [line[k].box.height for k in silent]
        height = float(np.median(letters))
        for k in silent:
            if line[k].box.height >= HIGH * height and _shows_ink(page, line, k, height):
                found[line[k].font] += 1
    return found


def _is_silent(character: Character) -> bool:
    """True for what leaves nothing in a label; a soft hyphen does so within a line."""
    return not clean(character.text + "x").removesuffix("x")


def _advances(box: Box) -> bool:
    return box.width > NARROW * box.height


def _place(line: Sequence[Character], index: int) -> Box | None:
    """A glyph's own place without its edges; of one that does not advance, the width of the one it stands on.

    None for a further character of one glyph: MuPDF gives it the font's own height and no width.
    """
    box = line[index].box
    if _advances(box):
        edge = INNER * box.width
        return Box(box.x0 + edge, box.y0, box.x1 - edge, box.y1)
    under = next((c.box for c in reversed(line[:index]) if not _is_silent(c) and _advances(c.box)), None)
    if under is None or (box.y0 <= under.y0 and box.y1 >= under.y1):
        return None
    return Box(under.x0, box.y0, under.x1, box.y1)


def _shows_ink(page: LayerPage, line: Sequence[Character], index: int, height: float) -> bool:
    """True where the page has ink of a letter's height in the glyph's place and outside all told characters."""
    place = _place(line, index)
    if place is None:
        return False
    scale = page.dpi / POINTS
    x0, x1 = max(0, round(place.x0 * scale)), round(place.x1 * scale)
    y0, y1 = max(0, round(place.y0 * scale)), round(place.y1 * scale)
    around = round(height * scale)
    paper = page.image[max(0, y0 - around) : y1 + around, max(0, x0 - around) : x1 + around]
    view = page.image[y0:y1, x0:x1]
    if view.size == 0:
        return False
    ink = np.abs(view.astype(np.int16) - int(np.median(paper))) > CONTRAST
    ink[ink.mean(axis=1) >= FULL] = False
    for other in line:
        if not _is_silent(other):
            box = other.box
            top, bottom = round(box.y0 * scale) - 1 - y0, round(box.y1 * scale) + 1 - y0
            left, right = round(box.x0 * scale) - 1 - x0, round(box.x1 * scale) + 1 - x0
            if not _advances(box):  # a mark's ink lies beside its place
                left, right = left - around, right + around
            ink[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = False
    return bool(ink.any(axis=1).sum() >= INKED * min(height, place.height) * scale)
