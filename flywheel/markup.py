"""Grounded markdown: how a page's label is written for, and read back from, a vision-language reader.

    <|ref|>category<|/ref|><|det|>[[x1, y1, x2, y2]]<|/det|>
    text

One such block a region, in reading order, a blank line between them; coordinates are
0-999 bins of the page (DeepSeek-OCR, section 3.4). A title's text starts with "# ". Where a
text itself holds "<|" it is written "<\\|", and read back as it was. The plain form, `coarse`, is the
text alone.

`parse` reads what a model produced: cut off, mis-shaped, out of range. It keeps each block
that is sound, records every other as a `Flaw`, and raises `MarkupError` only when nothing is sound.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from flywheel.document import BINS, Box, Label, Line, Region
from flywheel.errors import FlywheelError

CATEGORIES = frozenset(
    ("text", "title", "list", "table", "picture", "caption", "formula", "header", "footer", "footnote")
)
# What readers call the same things (DeepSeek-OCR's own output, and PP-DocLayout's names).
ALIASES = {
    "image": "picture",
    "figure": "picture",
    "sub_title": "title",
    "doc_title": "title",
    "paragraph_title": "title",
    "equation": "formula",
    "image_caption": "caption",
    "figure_title": "caption",
    "table_caption": "caption",
    "page_header": "header",
    "page_footer": "footer",
    "number": "footer",
    "page_footnote": "footnote",
    "list_item": "list",
}


class MarkupError(FlywheelError):
    """The markup, or what it was to be written from, holds nothing that can be used."""


class Fault(StrEnum):
    """What can be wrong with a block."""

    UNGROUNDED = "ungrounded"  # text before the first region
    TRUNCATED = "truncated"  # the output ends inside a region's head
    BAD_HEAD = "bad_head"  # no category and boxes where they belong
    BAD_BOX = "bad_box"  # not four finite numbers in 0-999 with x1 <= x2 and y1 <= y2
    UNKNOWN_CATEGORY = "unknown_category"  # kept, as "text"


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that was not sound: where it starts (characters), and its first 80 characters."""

    fault: Fault
    position: int
    excerpt: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What markup says. Regions in reading order with boxes in points; markup knows no line
    boxes, so each line carries its region's."""

    regions: tuple[Region, ...]
    flaws: tuple[Flaw, ...] = ()


def coarse(label: Label) -> str:
    """The plain form: regions' text in reading order, a blank line between them."""
    return label.text


def fine(label: Label) -> str:
    """The grounded form. Raises MarkupError when the page has no size or a category is unknown."""
    _check_page(label.width, label.height)
    return "\n\n".join(_block(region, label.width, label.height) for region in label.regions)


def parse(markup: str, width: float, height: float) -> Reading:
    """Reads grounded markdown of a page of `width` x `height` points.

    `parse(fine(label), ...)` gives back categories, bins and texts (but for newlines around a text).
    Raises MarkupError when the page has no size, or when text is there but not one sound region.
    """
    _check_page(width, height)
    starts = [match.start() for match in re.finditer(re.escape(_REF), markup)]
    lead = markup[: starts[0]] if starts else markup
    flaws = [_flaw(Fault.UNGROUNDED, 0, lead)] if lead.strip() else []
    regions = []
    for start, end in pairwise([*starts, len(markup)]):
        read = _read_block(markup[start:end], start, width, height, last=end == len(markup))
        regions += [part for part in read if isinstance(part, Region)]
        flaws += [part for part in read if isinstance(part, Flaw)]
    if flaws and not regions:
        raise MarkupError(f"no sound region; first flaw: {flaws[0].fault.value} at {flaws[0].position}")
    return Reading(tuple(regions), tuple(flaws))


_REF, _REF_END, _DET, _DET_END = "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>"
_HEAD = re.compile(r"<\|ref\|>([^<\n]*)<\|/ref\|>[ \t]*<\|det\|>([^<]*)<\|/det\|>[ \t]*")


def _block(region: Region, width: float, height: float) -> str:
    if region.category not in CATEGORIES:
        raise MarkupError(f"no such category: {region.category!r}")
    bins = list(region.box.bins(width, height))
    text = _escaped(region.text.strip("\n"))
    if region.category == "title" and text:
        text = f"# {text}"
    head = f"{_REF}{region.category}{_REF_END}{_DET}[{json.dumps(bins)}]{_DET_END}"
    return f"{head}\n{text}" if text else head


def _read_block(block: str, start: int, width: float, height: float, *, last: bool) -> list[Region | Flaw]:
    """One block, from its <|ref|> to the next: a region, what is wrong with it, or both."""
    head = _HEAD.match(block)
    if head is None:
        return [_flaw(Fault.TRUNCATED if last and _is_head_start(block) else Fault.BAD_HEAD, start, block)]
    box = _box(head.group(2), width, height)
    if box is None:
        return [_flaw(Fault.BAD_BOX, start, block)]
    name = head.group(1).strip().lower()
    category = ALIASES.get(name, name)
    flaws: list[Region | Flaw] = []
    if category not in CATEGORIES:
        flaws, category = [_flaw(Fault.UNKNOWN_CATEGORY, start, block)], "text"
    text = block[head.end() :].strip("\n")
    if category == "title":
        text = re.sub(r"\A#{1,6} ", "", text)
    text = _unescaped(text)
    return [*flaws, Region(category, box, tuple(Line(part, box) for part in text.split("\n")) if text else ())]


def _is_head_start(block: str) -> bool:
    """True for a head that stops before its end: what a token limit leaves behind."""
    return _DET_END not in block and "\n" not in block.strip("\n")


def _box(text: str, width: float, height: float) -> Box | None:
    """[[x1, y1, x2, y2], ...] in bins -> the box around all of them in points, or None."""
    try:
        quads = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(quads, list) and quads and not isinstance(quads[0], list):
        quads = [quads]
    if not isinstance(quads, list) or not quads or not all(_is_sound(quad) for quad in quads):
        return None
    return Box.around(
        # The middle of a bin, so that the box falls into the same bins again.
        Box(*((v + 0.5) / BINS * size for v, size in zip(quad, (width, height, width, height), strict=True)))
        for quad in quads
    )


def _is_sound(quad: object) -> bool:
    if not isinstance(quad, list) or len(quad) != 4:
        return False
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v < BINS for v in quad):
        return False
    return bool(quad[0] <= quad[2] and quad[1] <= quad[3])


def _escaped(text: str) -> str:
    return re.sub(r"<(\\*)\|", r"<\1\\|", text)


def _unescaped(text: str) -> str:
    return re.sub(r"<(\\*)\\\|", r"<\1|", text)


def _flaw(fault: Fault, position: int, text: str) -> Flaw:
    return Flaw(fault, position, text[:80])


def _check_page(width: float, height: float) -> None:
    if not (math.isfinite(width) and math.isfinite(height) and width > 0 and height > 0):
        raise MarkupError(f"a page of {width} x {height} points has no bins")
