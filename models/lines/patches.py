"""Patches: a page's line images with their true text, for training.

    cut(image, dpi, characters, lines) -> PatchReport        from a text layer's characters
    cut_label(image, dpi, label, lines) -> PatchReport       from the lines of a reader's or person's label

A line's box comes from the detector, for the text layer's line boxes lie (Tibetan fonts declare
ascents and descents up to twice the line pitch). Its text is the text-layer characters whose ink the
crop shows (models/lines/assignment.py), in the text layer's order. Where picture and text disagree the
line is dropped and counted by reason: a patch with wrong text teaches the error.

A picture may show slivers of its neighbours, for crops overlap by design. Of a cluster (a base with its
marks) that is not in the text it may show less than 40 % of the ink where that stands in a line above or
below, as vowels and descenders do, and less than 25 % where it stands beside the line, at an end; of each
that is in the text it shows 75 % at least.
"""

from __future__ import annotations

import heapq
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from flywheel.document import Box, Character, Kind, Label, Line
from flywheel.reasons import Reason
from flywheel.text.bidi import Base, base_direction, runs_right_to_left, survives, to_logical, to_visual
from flywheel.text.cleaning import clean, is_readable
from flywheel.text.ink_order import line_text, shown_text, sloping
from models.lines.assignment import Assignment, Cluster, View, assign, clusters_of
from models.lines.crop import crop
from models.lines.detector import DetectedLine

POINTS = 72.0
LOWEST = 14  # pixels of a line's height; below, stacks cannot be told apart
WIDE_SPACE = 0.45  # of the line's height: a gap between characters that is written as a space
NARROWEST_CHARACTER = 0.07  # of the line's height, a code point on average; stacks make Tibetan dense
HOLDS = 0.5  # of the smaller box: a label's line and a detected line are about the same ink
COVERED = 0.85  # of the longer width that the two must share
UPRIGHT = 2.0  # times as tall as wide: a line of several characters that runs down
WHOLE = 0.75  # of the ink of each of the line's own clusters must be in the picture
SLIVER = 0.25  # of the ink of another cluster beside the line may be
CORE = 0.4  # of one in a line above or below: vowels are up to 35 % of a Tibetan cluster's ink
BESIDE = 0.35  # of the height of the crop, between the middles of a cluster and of the line
TWICE = 0.3  # of the smaller of two boxes that hold the same text: more, and it is drawn twice
ATOP = 0.5  # of the larger of two boxes, whatever they hold
APART = 0.2  # of a box's height: letters of a line that begin so far from each other stand side by side
ROW = 0.42  # of the line's height
SLOPING = 0.1  # of the characters may stand off the baseline
BARE = 0.1  # of the line's clusters may be without ink


@dataclass(frozen=True, slots=True)
class Patch:
    """A line's image (gray H x W, uint8), its text (cleaned, NFC), its box in points, its reader's confidence."""

    image: NDArray[np.uint8]
    text: str
    box: Box
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class PatchReport:
    """Patches of a page in the lines' order, and the lines dropped, by reason.

    `elsewhere` are clusters of the text layer that belong to no detected line.
    """

    patches: list[Patch] = field(default_factory=list)
    dropped: Counter[Reason] = field(default_factory=Counter)
    elsewhere: int = 0


def cut(
    image: NDArray[np.uint8], dpi: float, characters: Sequence[Character], lines: Sequence[DetectedLine]
) -> PatchReport:
    """Patches of a page.

    `image` is the page in gray at `dpi`; `characters` come from its text layer, origins and boxes in
    points; `lines` from the detector, in pixels of `image`. Dropped lines are counted under
    PATCH_EMPTY, PATCH_SPLIT, PATCH_MERGED, PATCH_CLIPPED, PATCH_FOREIGN, PATCH_BARE, PATCH_OVERLAP,
    PATCH_TURNED, PATCH_VERTICAL, PATCH_ORDER, PATCH_CHARSET, PATCH_SMALL and PATCH_LONG.
    """
    scale = dpi / POINTS
    clusters = clusters_of(characters, scale)
    assignment = assign(image, lines, clusters)
    base = base_direction("".join(character.text for character in characters))
    report = PatchReport(elsewhere=assignment.elsewhere)
    for line, view in zip(lines, assignment.views, strict=True):
        box, height = line.box.scaled(1 / scale), line.height / scale
        written = _written(view, clusters, characters)
        told = text_of(written, height, base)
        text = clean(told)
        reason = (
            _objection(line, view, clusters, assignment)
            or _order_objection(told, written, height)
            or _text_objection(line, text)
        )
        if reason is None:
            report.patches.append(Patch(crop(image, line), text, box))
        else:
            report.dropped[reason] += 1
    return report


def cut_label(
    image: NDArray[np.uint8],
    dpi: float,
    label: Label,
    lines: Sequence[DetectedLine],
    least_confidence: float = 0.0,
) -> PatchReport:
    """Patches of a page from a label whose lines carry their own boxes and text (readings, corrections).

    A label's line and a detected line belong together when they share most of the smaller of both and
    reach equally far, and no other claims either. Dropped are detected lines under PATCH_EMPTY (no such
    label line), PATCH_MERGED (several), PATCH_SPLIT (the label's line goes on in another), PATCH_SMALL,
    PATCH_VERTICAL, PATCH_ORDER, PATCH_UNSURE (its reader gave it less than `least_confidence`, or none),
    PATCH_CHARSET and PATCH_LONG. Lines of text layers and people have no confidence and need none.
    """
    report = PatchReport()
    boxes = [line.box.scaled(POINTS / dpi) for line in lines]
    written = [line for line in label.lines if line.text.strip()]
    for line, box in zip(lines, boxes, strict=True):
        mine = [w for w in written if _shared(w.box, box) > HOLDS]
        reason = _label_objection(line, box, mine, boxes, least_confidence if label.kind is Kind.FINE else 0.0)
        if reason is not None:
            report.dropped[reason] += 1
            continue
        report.patches.append(Patch(crop(image, line), clean(mine[0].text), box, mine[0].confidence))
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
    if sloping(characters) > SLOPING * len(characters):
        return Reason.PATCH_ORDER
    shown = shown_text(characters, WIDE_SPACE * height)
    return None if to_visual(text) == shown and to_logical(shown) == text else Reason.PATCH_ORDER


def _written(view: View, clusters: Sequence[Cluster], characters: Sequence[Character]) -> list[Character]:
    """The line's characters in the text layer's order.

    Where several of its lines are one here (a raised mark, columns of a table), whose characters all run to the
    right, they are merged by place: writers set such pieces in any order.
    """
    rows: dict[int, list[int]] = {}
    for index in sorted((*view.own, *view.blanks)):
        rows.setdefault(clusters[index].line, []).append(index)
    pieces = list(rows.values())
    if len(pieces) > 1 and all(_runs_right(piece, view) for piece in pieces):
        furthest = [list(accumulate((view.starts[i] for i in piece), max)) for piece in pieces]
        placed = [list(zip(starts, piece, strict=True)) for starts, piece in zip(furthest, pieces, strict=True)]
        pieces = [[index for _, index in heapq.merge(*placed)]]
    return [characters[i] for piece in pieces for index in piece for i in clusters[index].characters]


def _runs_right(piece: Sequence[int], view: View) -> bool:
    steps = [view.starts[b] - view.starts[a] for a, b in pairwise(piece)]
    return sum(step >= 0 for step in steps) >= sum(step < 0 for step in steps)


def _label_objection(
    line: DetectedLine, box: Box, mine: Sequence[Line], boxes: Sequence[Box], least_confidence: float
) -> Reason | None:
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
    if not survives(clean(mine[0].text)):
        return Reason.PATCH_ORDER
    if (mine[0].confidence or 0.0) < least_confidence:
        return Reason.PATCH_UNSURE
    return _text_objection(line, clean(mine[0].text))


def _shared(one: Box, other: Box) -> float:
    """Share of the smaller of two boxes that lies in the other, 0..1."""
    return one.intersection(other) / max(1e-6, min(one.area, other.area))


def _reach(one: Box, other: Box) -> float:
    """Share of the longer one's width that the two have in common, 0..1."""
    shared = min(one.x1, other.x1) - max(one.x0, other.x0)
    return shared / max(1e-6, one.width, other.width)


def _objection(
    line: DetectedLine, view: View, clusters: Sequence[Cluster], assignment: Assignment
) -> Reason | None:
    """Reason that this line's picture and characters make no patch; None when they do."""
    if not view.own:
        return Reason.PATCH_EMPTY
    if line.height < LOWEST or line.width <= 0:
        return Reason.PATCH_SMALL
    if not all(clusters[c].upright for c in view.own):
        return Reason.PATCH_TURNED
    if _is_vertical([clusters[c] for c in view.own], line):
        return Reason.PATCH_VERTICAL
    if _rows([view.baselines[c] for c in view.own if clusters[c].box.width > 1], line.height) > 1:
        return Reason.PATCH_MERGED
    if _overlaps([clusters[c] for c in view.own]):
        return Reason.PATCH_OVERLAP
    if cut := [c for c in view.own if view.shown[c] < WHOLE]:
        shared = any(other is not view and other.shown.get(c, 0.0) > 0 for other in assignment.views for c in cut)
        return Reason.PATCH_SPLIT if shared else Reason.PATCH_CLIPPED
    if any(share >= (SLIVER if abs(off) < BESIDE else CORE) for share, off in view.foreign.values()):
        return Reason.PATCH_FOREIGN
    if _has_silent_ink(view, clusters):
        return Reason.PATCH_FOREIGN
    return Reason.PATCH_BARE if len(view.bare) > BARE * len(view.own) else None


def _text_objection(line: DetectedLine, text: str) -> Reason | None:
    """Reason that this text cannot be the line's; None when it can."""
    if not text:
        return Reason.PATCH_EMPTY
    if not is_readable(text):
        return Reason.PATCH_CHARSET
    if line.width < NARROWEST_CHARACTER * line.height * len(text.replace(" ", "")):
        return Reason.PATCH_LONG
    return None


def _has_silent_ink(view: View, clusters: Sequence[Cluster]) -> bool:
    """True when a cluster with ink says nothing, and is no further glyph of one that says several characters.

    Lines with combining signs are not asked: their scripts set one syllable in several glyphs in many ways.
    """
    texts = {index: clean(clusters[index].text) for index in view.own}
    if any(unicodedata.category(symbol).startswith("M") for text in texts.values() for symbol in text):
        return False
    told = ""
    for index, text in texts.items():
        if not text and index not in view.bare and len(told) < 2:
            return True
        told = text or told
    return False


def _is_vertical(inked: Sequence[Cluster], line: DetectedLine) -> bool:
    """True when the clusters stand below each other: their origins go down further than across."""
    down, across = (max(v) - min(v) for v in ([c.y for c in inked], [c.x for c in inked]))
    return len(inked) > 1 and down > max(across, line.box.width)


def _rows(baselines: Sequence[float], height: float) -> int:
    """Number of baselines the clusters stand on. Two lines in one box are half of it apart, raised marks less."""
    return 1 + sum(b - a > ROW * height for a, b in pairwise(sorted(baselines)))


def _overlaps(inked: Sequence[Cluster]) -> bool:
    """True when two clusters are drawn at about one place. A tsheg under the arm of its letter is not, nor are
    neighbours that lean: upright boxes around them share more than their ink."""
    boxed = sorted((c for c in inked if c.box.area > 0), key=lambda c: c.box.x0)
    for i, one in enumerate(boxed):
        for other in boxed[i + 1 :]:
            if other.box.x0 >= one.box.x1:
                break
            if one.line == other.line and abs(one.x - other.x) > APART * min(one.box.height, other.box.height):
                continue
            shared = one.box.intersection(other.box)
            smaller, larger = sorted((one.box.area, other.box.area))
            if shared > ATOP * larger or (one.text == other.text and shared > TWICE * smaller):
                return True
    return False
