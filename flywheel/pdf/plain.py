"""Pages that need no layout model: one column of even print, and perhaps a page number below it.

The model answers such a page with one region of text and a footer (tests compare the
two), and takes ten to fifty times as long as reading the page. The rule is strict,
because a wrong "plain" loses a heading: one font, one size, one left edge, even line
spacing, lines as long as the column, no image, and no ink outside the lines. Anything
else goes to the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from flywheel.document import Box, Line, Region
from flywheel.pdf.results import InkEvidence

LINES = 8  # fewer are a title page, a letterhead, a caption
SAME_SIZE = 0.01
SAME_EDGE = 0.3  # font sizes; boxes are those of the outlines, and letters begin differently far in
EVEN_SPACING = 0.05
WIDEST_SPACING = 2.1  # font sizes from one baseline to the next; beyond, the model sees single lines
FULL_LINE = 0.8  # of the widest; a shorter one ends a paragraph, but the last may be short
COLUMN = 0.4  # of the page's width
NUMBER_GAP = 1.7  # line spacings between the text and the page number
NUMBER_HEIGHT = 0.85  # of the page's height: a page number stands below
TEXT_INK = 0.995


def plain_regions(
    rows: Sequence[tuple[Line, float, float]], ink: InkEvidence, width: float, height: float
) -> tuple[Region, ...]:
    """The regions of a plain page; () for any other.

    `rows` are the page's lines in the order of the file, each with its baseline and its font
    size (points); the caller has seen that they are in one font and that there is no image.
    """
    if len(rows) < LINES or ink.in_text < TEXT_INK or ink.bare_characters:
        return ()
    body, number = list(rows), None
    if _is_number(rows, height):
        number = body.pop()[0]
    if len(body) < LINES or not (_is_even(body) and _is_column(body, width)):
        return ()
    lines = tuple(line for line, _, _ in body)
    text = Region("text", Box.around(line.box for line in lines), lines)
    return (text,) if number is None else (text, Region("footer", number.box, (number,)))


def _is_number(rows: Sequence[tuple[Line, float, float]], height: float) -> bool:
    """True when the last line is a page number: digits, alone, at the foot, apart from the text."""
    (_, above, _), (line, baseline, _) = rows[-2:]
    text = line.text.strip()
    spacing = rows[1][1] - rows[0][1]
    return (
        text.isdecimal()
        and len(text) <= 4
        and baseline >= NUMBER_HEIGHT * height
        and baseline - above >= NUMBER_GAP * spacing
    )


def _is_even(rows: Sequence[tuple[Line, float, float]]) -> bool:
    """One size, and the same step from every baseline to the next."""
    sizes = [size for _, _, size in rows]
    steps = [below[1] - above[1] for above, below in pairwise(rows)]
    step = steps[0]
    return (
        max(sizes) <= (1 + SAME_SIZE) * min(sizes)
        and 0 < step <= WIDEST_SPACING * sizes[0]
        and max(steps) - min(steps) <= EVEN_SPACING * step
    )


def _is_column(rows: Sequence[tuple[Line, float, float]], width: float) -> bool:
    """One left edge, lines as long as the column, each beginning with a letter (a list does not)."""
    edges = [line.box.x0 for line, _, _ in rows]
    lengths = [line.box.width for line, _, _ in rows]
    widest = max(lengths)
    return (
        max(edges) - min(edges) <= SAME_EDGE * rows[0][2]
        and min(lengths[:-1]) >= FULL_LINE * widest
        and widest >= COLUMN * width
        and all(line.text.lstrip()[0].isalpha() for line, _, _ in rows)
    )
