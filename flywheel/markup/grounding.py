"""Places of a label that may be believed: regions as targets of a grounded answer, boxes that are a line's own.

    grounded(label) -> markup or None     one rule for training and for every export
    own_boxes(label) -> boxes             of the lines that have one to themselves

A page reader that gives no boxes leaves one region over the page, and one that grounds regions gives each line
of a region the region's box. Neither says where a line stands; what learned from it would learn what is not so.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from flywheel.document import Box, Label, Line, Region, TextOrigin
from flywheel.markup.form import MarkupError
from flywheel.markup.tables import is_sound_table
from flywheel.markup.writing import fine

WHOLE = 0.99  # of a page's area: text over so much of it stands nowhere in particular
# Letters of a line (a Han character counts as two) times the shorter side over the longer: how much higher
# the box is than a letter wide. Measured on drawn pages, 2026-11-24: up to 5.3 for 99.9 % of 7,533 lines of
# Latin and Han, 5.8 for lines of Tibetan, less for nine other scripts; over 6.8 for 95 % of paragraphs of two.
CROWDED = 6.0
# Where a reader gives a box to each paragraph, boxes of one line are 1.5 to 2.9, of two lines at least 2.3 times
# those of one in the same letters (drawn in four faces, 2026-11-30).
PARAGRAPH = 4.0
HIGHER = 1.8  # than the boxes that are lowest for their letters, on the same page
_TEX = re.compile(r"[\\^_{}$]")  # a formula that a reader writes has one of these
_LAYERS = frozenset({TextOrigin.TEXT_LAYER, TextOrigin.OCR_LAYER})


def grounded(label: Label) -> str | None:
    """The label as grounded markdown (NFC), or None where it does not know where things stand, or what they are.

    Text over the whole page has no place. Tables that are no HTML and formulas that are no TeX, as text layers and
    readers of lines have them, would be unlearned. A page without size and unknown categories have no markup.
    """
    if not label.regions or _lacks_places(label) or not all(_is_notated(label, part) for part in label.regions):
        return None
    try:
        return unicodedata.normalize("NFC", fine(label))
    except MarkupError:
        return None


def own_boxes(label: Label) -> frozenset[Box]:
    """Boxes that hold one line of the label and nothing else.

    A box that several lines share is a region's. One line with more letters than fit a line of its box's shape is
    a paragraph that was written without line breaks; where no region has lines with boxes of their own, so is one
    with many more than others on the page. HTML and TeX are no line of text.
    """
    shared = Counter(line.box for line in label.lines)
    alone = [
        line
        for region in label.regions
        for line in region.lines
        if shared[line.box] == 1 and not _is_notation(region, line.text)
    ]
    most = (
        CROWDED if any(len({line.box for line in region.lines}) > 1 for region in label.regions) else _most(alone)
    )
    return frozenset(line.box for line in alone if _crowding(line) <= most)


def _most(alone: Sequence[Line]) -> float:
    """The most crowding of a line, among boxes of which any may be a paragraph's."""
    found = sorted(_crowding(line) for line in alone if line.text.strip())
    return min(PARAGRAPH, HIGHER * found[len(found) // 4]) if found else PARAGRAPH


def _lacks_places(label: Label) -> bool:
    """True where the only region, or any text, lies over the whole page."""
    page = Box(0, 0, label.width, label.height)
    whole = [region for region in label.regions if region.box.intersection(page) >= WHOLE * page.area]
    return any(region.lines for region in whole) or len(whole) == len(label.regions)


def _is_notated(label: Label, region: Region) -> bool:
    """False for a table or formula whose text is not in the notation that readers are to answer in."""
    if region.category not in ("table", "formula") or not region.text.strip():
        return True
    return label.origin not in _LAYERS and _is_notation(region, region.text)


def _is_notation(region: Region, text: str) -> bool:
    if region.category == "formula":
        return bool(_TEX.search(text))
    return region.category == "table" and is_sound_table(text)


def _crowding(line: Line) -> float:
    """Letters of a line for the shape of its box."""
    short, long = sorted((line.box.width, line.box.height))
    written = [char for char in line.text if unicodedata.category(char)[0] not in "MZC"]
    letters = len(written) + sum(unicodedata.east_asian_width(char) in "WF" for char in written)
    return letters * short / max(long, 1e-6)
