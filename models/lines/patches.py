"""Patches: a page's line images with their true text, for training.

    cut(image, dpi, characters, lines) -> PatchReport        from a text layer's characters
    cut_label(image, dpi, label, lines) -> PatchReport       from the lines of a reader's or person's label

A line's box comes from the detector, for the text layer's line boxes lie (Tibetan fonts declare
ascents and descents up to twice the line pitch). Its text is the text-layer characters whose
*origins* fall into that box, in the text layer's order. Where the two disagree the line is dropped
and counted by reason: a patch with wrong text teaches the error.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from flywheel.document import Box, Character, Label, Line
from flywheel.reasons import Reason
from flywheel.text.bidi import Base, base_direction, runs_right_to_left, survives, to_logical, to_visual
from flywheel.text.ink_order import line_text, shown_text
from models.lines.crop import crop
from models.lines.detector import DetectedLine

POINTS = 72.0
LOWEST = 14  # pixels of a line's height; below, stacks cannot be told apart
STRAY = 0.04  # of a line's characters may belong to another text-layer line (a footnote mark, a page number)
WIDE_SPACE = 0.45  # of the line's height: a gap between characters that is written as a space
NARROWEST_CHARACTER = 0.07  # of the line's height, a code point on average; stacks make Tibetan dense
BELOW = 0.2  # of a line's height: how far below its box a baseline may stand
HOLDS = 0.5  # of the smaller box: a label's line and a detected line are about the same ink
COVERED = 0.85  # of the longer width that the two must share
UPRIGHT = 2.0  # times as tall as wide: a line of several characters that runs down
STICKS_OUT = 0.5  # of a character's own width may lie beyond the line's ends


@dataclass(frozen=True, slots=True)
class Patch:
    """A line's image (gray H x W, uint8), its text (NFC, stripped) and its box in points."""

    image: NDArray[np.uint8]
    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class PatchReport:
    """Patches of a page in the lines' order, and the lines dropped, by reason."""

    patches: list[Patch] = field(default_factory=list)
    dropped: Counter[Reason] = field(default_factory=Counter)


def cut(
    image: NDArray[np.uint8], dpi: float, characters: Sequence[Character], lines: Sequence[DetectedLine]
) -> PatchReport:
    """Patches of a page.

    `image` is the page in gray at `dpi`; `characters` come from its text layer, origins and boxes in
    points; `lines` from the detector, in pixels of `image`. Dropped lines are counted under
    PATCH_EMPTY, PATCH_VERTICAL, PATCH_SPLIT, PATCH_MERGED, PATCH_CLIPPED, PATCH_SMALL,
    PATCH_LONG and PATCH_ORDER.
    """
    report = PatchReport()
    scale = POINTS / dpi
    boxes = [line.box.scaled(scale) for line in lines]
    held = _assign(characters, boxes)
    base = base_direction("".join(character.text for character in characters))
    spread = _spread(held)
    for line, box, mine in zip(lines, boxes, held, strict=True):
        text = text_of(mine, box.height, base)
        reason = _objection(line, box, mine, spread) or _order_objection(text, mine, box.height)
        if reason is not None:
            report.dropped[reason] += 1
            continue
        report.patches.append(Patch(crop(image, line), text, box))
    return report


def cut_label(image: NDArray[np.uint8], dpi: float, label: Label, lines: Sequence[DetectedLine]) -> PatchReport:
    """Patches of a page from a label whose lines carry their own boxes and text (readings, corrections).

    A label's line and a detected line belong together when they share most of the smaller of both and
    reach equally far, and no other claims either. Dropped are detected lines under PATCH_EMPTY (no such
    label line), PATCH_MERGED (several), PATCH_SPLIT (the label's line goes on in another), PATCH_SMALL,
    PATCH_VERTICAL, PATCH_LONG and PATCH_ORDER.
    """
    report = PatchReport()
    boxes = [line.box.scaled(POINTS / dpi) for line in lines]
    written = [line for line in label.lines if line.text.strip()]
    for line, box in zip(lines, boxes, strict=True):
        mine = [w for w in written if _shared(w.box, box) > HOLDS]
        reason = _label_objection(line, box, mine, boxes)
        if reason is not None:
            report.dropped[reason] += 1
            continue
        text = unicodedata.normalize("NFC", " ".join(mine[0].text.split()))
        report.patches.append(Patch(crop(image, line), text, box))
    return report


def text_of(characters: Sequence[Character], height: float, base: Base = "R") -> str:
    """A line's text in text-layer order, NFC; white space is one space a run. With letters that run from right to
    left it is told by the order of their ink, in a paragraph of direction `base`.

    Some PDF writers draw no space but move the pen: a wide gap between neighbours is a space too.
    `height` of the line in points.
    """
    if any(runs_right_to_left(character.text) for character in characters):
        return line_text(characters, WIDE_SPACE * height, base)
    parts: list[str] = []
    for before, character in zip([None, *characters], characters, strict=False):
        if before is not None and character.box.x0 - before.box.x1 > WIDE_SPACE * height:
            parts.append(" ")
        parts.append(character.text)
    return unicodedata.normalize("NFC", " ".join("".join(parts).split()))


def _order_objection(text: str, characters: Sequence[Character], height: float) -> Reason | None:
    """Reason against a text that would not be learned as its ink stands, or be read back as it is."""
    if not runs_right_to_left(text):
        return None
    shown = shown_text(characters, WIDE_SPACE * height)
    return None if to_visual(text) == shown and to_logical(shown) == text else Reason.PATCH_ORDER


def _assign(characters: Iterable[Character], boxes: Sequence[Box]) -> list[list[Character]]:
    """Each character to the one box that holds its origin: of several, the one whose middle is nearer.

    Grown boxes of neighbouring lines overlap by a sliver, and a baseline stands well inside its own.
    A lone digit's box ends at its baseline, or a hair above; so boxes are taken a little lower.
    """
    held: list[list[Character]] = [[] for _ in boxes]
    lower = [Box(b.x0, b.y0, b.x1, b.y1 + BELOW * b.height) for b in boxes]
    for character in characters:
        inside = [i for i, box in enumerate(lower) if box.contains(character.x, character.y)]
        if inside:
            held[min(inside, key=lambda i: _off_centre(boxes[i], character.y))].append(character)
    return held


def _label_objection(line: DetectedLine, box: Box, mine: Sequence[Line], boxes: Sequence[Box]) -> Reason | None:
    if not mine:
        return Reason.PATCH_EMPTY
    if len(mine) > 1:
        return Reason.PATCH_MERGED
    if sum(_shared(mine[0].box, other) > HOLDS for other in boxes) > 1 or _reach(mine[0].box, box) < COVERED:
        return Reason.PATCH_SPLIT
    if line.height < LOWEST:
        return Reason.PATCH_SMALL
    if len(mine[0].text) > 1 and line.height > UPRIGHT * line.width:
        return Reason.PATCH_VERTICAL
    if box.width < NARROWEST_CHARACTER * box.height * len(mine[0].text):
        return Reason.PATCH_LONG
    return None if survives(" ".join(mine[0].text.split())) else Reason.PATCH_ORDER


def _shared(one: Box, other: Box) -> float:
    """Share of the smaller of two boxes that lies in the other, 0..1."""
    return one.intersection(other) / max(1e-6, min(one.area, other.area))


def _reach(one: Box, other: Box) -> float:
    """Share of the longer one's width that the two have in common, 0..1."""
    shared = min(one.x1, other.x1) - max(one.x0, other.x0)
    return shared / max(1e-6, one.width, other.width)


def _off_centre(box: Box, y: float) -> float:
    return abs(y - (box.y0 + box.y1) / 2) / max(1e-6, box.height)


def _spread(held: Sequence[Sequence[Character]]) -> dict[int, Counter[int]]:
    """text-layer line -> detected line -> how many of its inked characters are there."""
    spread: dict[int, Counter[int]] = defaultdict(Counter)
    for index, characters in enumerate(held):
        for character in characters:
            if not character.text.isspace():
                spread[character.line][index] += 1
    return spread


def _objection(
    line: DetectedLine, box: Box, mine: Sequence[Character], spread: dict[int, Counter[int]]
) -> Reason | None:
    """Reason that this line makes no patch; None when it does."""
    inked = [c for c in mine if not c.text.isspace()]
    if not inked:
        return Reason.PATCH_EMPTY
    if line.height < LOWEST or box.width <= 0:
        return Reason.PATCH_SMALL
    if _is_vertical(inked, box):
        return Reason.PATCH_VERTICAL
    if _rows(inked, box) > 1:
        return Reason.PATCH_MERGED
    if _is_split(inked, spread):
        return Reason.PATCH_SPLIT
    if any(_outside(c.box, box) > STICKS_OUT * max(c.box.width, 0.3 * box.height) for c in inked):
        return Reason.PATCH_CLIPPED
    if box.width < NARROWEST_CHARACTER * box.height * sum(len(c.text) for c in inked):
        return Reason.PATCH_LONG
    return None


def _is_vertical(inked: Sequence[Character], box: Box) -> bool:
    """True when the characters stand below each other: their origins go down further than across."""
    down, across = (max(v) - min(v) for v in ([c.y for c in inked], [c.x for c in inked]))
    return len(inked) > 1 and down > max(across, box.width)


def _rows(inked: Sequence[Character], box: Box) -> int:
    """Number of baselines the characters stand on: clusters of origins further apart than a third of the box."""
    heights = sorted(c.y for c in inked)
    steps = [b - a for a, b in pairwise(heights)]
    return 1 + sum(step > box.height / 3 for step in steps)


def _is_split(inked: Sequence[Character], spread: dict[int, Counter[int]]) -> bool:
    """True when a text-layer line of these characters has more than strays in another detected line."""
    here = Counter(c.line for c in inked)
    for line, count in here.items():
        elsewhere = spread[line].total() - count
        if elsewhere > STRAY * (count + elsewhere):
            return True
    return False


def _outside(character: Box, line: Box) -> float:
    """Points by which a character reaches beyond the line's left or right end."""
    return max(0.0, line.x0 - character.x0, character.x1 - line.x1)
