"""Text of a line by where its characters stand: in the order of the ink, and in the order of reading.

    shown_text(characters, space) -> left to right as the ink stands
    line_text(characters, space, base) -> in logical order
    sloping(characters) -> letters whose order their places do not tell

The order that PDF text comes out in is no help where it runs from right to left: writers draw such lines from
either end, and MuPDF turns each run of letters but neither the runs themselves nor numbers of Arabic digits. The
places of the characters tell. What shares one place moves as one and keeps the order it came in: a base with its
marks, the letters of a ligature.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

from flywheel.document import Character
from flywheel.text.bidi import Base, is_mark, is_right_to_left_letter, runs_right_to_left, to_logical

SAME_PLACE = 0.05  # points; a ligature's later letters have no width and stand at an edge of the first
NO_WIDTH = 0.01  # points
OFF = 0.06  # of the height of a line's ink, off its baseline: letters of Naskh and Kufi all stand on it
FEWEST = 3  # letters that a baseline can be told by


def line_text(characters: Sequence[Character], space: float, base: Base = "R") -> str:
    """The line's text in logical order, NFC, its blanks single. `base` is the paragraph's direction; a gap of more
    than `space` points between neighbours is a blank too."""
    return to_logical(shown_text(characters, space), base)


def shown_text(characters: Sequence[Character], space: float) -> str:
    """The line's text from left to right as its ink stands; for lines without letters that run from right to left
    the order of the text layer."""
    units = _units(characters)
    if any(runs_right_to_left(character.text) for character in characters):
        places = _places(units)
        units = [units[i] for i in sorted(range(len(units)), key=places.__getitem__)]
    parts: list[str] = []
    for before, unit in zip([None, *units], units, strict=False):
        if before is not None and _gap(before, unit) > space:
            parts.append(" ")
        parts.append(_shown(unit))
    return unicodedata.normalize("NFC", " ".join("".join(parts).split()))


def sloping(characters: Sequence[Character]) -> int:
    """Letters from right to left in a line that stand off its baseline, be that level or slanted as a whole.

    Words that climb and fall, as in Nastaliq, set letters above each other: their places do not tell the order.
    """
    letters = [c for c in characters if is_right_to_left_letter(c.text)]
    if len(letters) < FEWEST:
        return 0
    x, y = np.array([(c.x, c.y) for c in letters]).T
    slope = np.polyfit(x, y, 1)[0] if np.ptp(x) > 0 else 0.0
    level = y - slope * x
    height = max(c.box.y1 for c in letters) - min(c.box.y0 for c in letters) - abs(slope) * np.ptp(x)
    return int(np.sum(np.abs(level - np.median(level)) > OFF * max(height, 0.0)))


def _units(characters: Sequence[Character]) -> list[list[Character]]:
    """Characters that move as one, each in the order of the text layer."""
    units: list[list[Character]] = []
    for character in characters:
        if units and _belongs(character, units[-1]):
            units[-1].append(character)
        else:
            units.append([character])
    return units


def _belongs(character: Character, unit: Sequence[Character]) -> bool:
    first = unit[0]
    if is_mark(character.text):
        return not first.text.isspace()
    if not (is_right_to_left_letter(character.text) and is_right_to_left_letter(first.text)):
        return False
    edges = (first.box.x0, first.box.x1)
    return character.box.width < NO_WIDTH and any(abs(character.x - edge) < SAME_PLACE for edge in edges)


def _places(units: Sequence[Sequence[Character]]) -> list[float]:
    """The middle of each unit in x. A letter that was given no width (what an ActualText covers) stands to the
    left of
    the one before it, wherever its glyphs began."""
    places: list[float] = []
    for unit in units:
        first = unit[0]
        place = (first.box.x0 + first.box.x1) / 2
        bare = first.box.width < NO_WIDTH and is_right_to_left_letter(first.text)
        follows = bool(places) and place < places[-1]
        places.append(places[-1] - SAME_PLACE if bare and follows else place)
    return places


def _gap(left: Sequence[Character], right: Sequence[Character]) -> float:
    """Points between two neighbours; 0 where one has no width, whose place is that of a glyph before it."""
    if left[0].box.width < NO_WIDTH or right[0].box.width < NO_WIDTH:
        return 0.0
    return right[0].box.x0 - max(character.box.x1 for character in left)


def _shown(unit: Sequence[Character]) -> str:
    """The unit from left to right, each base before its marks."""
    clusters: list[str] = []
    for symbol in "".join(character.text for character in unit):
        if clusters and is_mark(symbol):
            clusters[-1] += symbol
        else:
            clusters.append(symbol)
    return "".join(reversed(clusters) if is_right_to_left_letter(unit[0].text) else clusters)
