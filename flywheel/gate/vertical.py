"""Text that runs from top to bottom: vertical Mongolian, Chinese and Japanese, and lines set sideways.

letters_down(label) -> (letters on such lines, all letters)
"""

from __future__ import annotations

from collections.abc import Sequence

from flywheel.document import Label, Line
from flywheel.markup import own_boxes

TALL = 2.5  # times as tall as wide: a line of several letters that runs down
BARE = 4.0  # likewise with one letter, for readers make little of such a line
STACK = 4  # letters below each other, each a line of its own, as MuPDF gives them where nothing else joins them
PITCH = 2.5  # heights of a letter from one to the next
ASIDE = 0.3  # widths of a letter between their middles


def letters_down(label: Label) -> tuple[int, int]:
    """Letters of a label that stand on lines down the page, and all its letters. Boxes of regions tell nothing."""
    own = own_boxes(label)
    lines = [line for line in label.lines if line.text.strip()]
    down = sum(len(line.text.strip()) for line in lines if line.box in own and _is_tall(line))
    return down + _stacked(lines), sum(len(line.text.strip()) for line in lines)


def _is_tall(line: Line) -> bool:
    several = len(line.text.strip()) > 1
    return line.box.height > (TALL if several else BARE) * line.box.width


def _stacked(lines: Sequence[Line]) -> int:
    """Letters in runs of single ones that stand below each other."""
    found = run = 0
    for before, line in zip([None, *lines], lines, strict=False):
        run = run + 1 if before is not None and _is_below(line, before) else 0
        if run >= STACK - 1:
            found += STACK if run == STACK - 1 else 1
    return found


def _is_below(line: Line, before: Line) -> bool:
    one, other = before.text.strip(), line.text.strip()
    if not (len(one) == len(other) == 1 and one.isalpha() and other.isalpha()):
        return False
    aside = abs((line.box.x0 + line.box.x1) - (before.box.x0 + before.box.x1)) / 2
    return aside < ASIDE * before.box.width and 0 < line.box.y0 - before.box.y0 < PITCH * before.box.height
