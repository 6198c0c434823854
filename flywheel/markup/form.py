"""Parts of grounded markdown: categories, marks, faults, and the result of parsing it.

blanked(markup) -> the same length, with every mark but <|ref|>, <|det|> and their ends blanked out
escaped(line), plain(line)    a text's own "<|ref|>" is written "<\\|ref|>", so that it is no mark
check_page(width, height)     a page without size has no bins
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from flywheel.document import Region
from flywheel.errors import FlywheelError

CATEGORIES = frozenset(
    ("text", "title", "list", "table", "picture", "caption", "formula", "header", "footer", "footnote")
)
# What readers call the same things (DeepSeek-OCR's own output, and PP-DocLayout's names).
ALIASES = {
    name: category
    for category, names in {
        "text": "abstract algorithm aside_text content paragraph reference reference_content vertical_text",
        "title": "sub_title doc_title paragraph_title section_title",
        "list": "list_item",
        "picture": "image figure chart seal header_image footer_image",
        "caption": "image_caption figure_caption figure_title chart_caption table_caption code_caption",
        "formula": "equation display_formula inline_formula formula_number",
        "header": "page_header",
        "footer": "page_footer page_number number",
        "footnote": "page_footnote table_footnote image_footnote vision_footnote",
    }.items()
    for name in names.split()
}
REF, REF_END, DET, DET_END = "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>"
END_OF_SENTENCE = "<｜end▁of▁sentence｜>"  # of DeepSeek's tokenizers, with wide bars
CENTER, CENTER_END = "<center>", "</center>"  # around DeepSeek-OCR's captions


class Fault(StrEnum):
    """Faults of a block. A block with a fault of `DROPPED` is in no region, others are kept."""

    UNGROUNDED = "ungrounded"  # text that no box belongs to, before the first region or behind a line
    TRUNCATED = "truncated"  # the output ends inside a mark, a head or a table; a table keeps its whole rows
    BAD_HEAD = "bad_head"  # no category and boxes where they belong
    BAD_BOX = "bad_box"  # not four finite numbers with x1 <= x2 and y1 <= y2
    DUPLICATE = "duplicate"  # the same category, boxes and text as a block before
    OVER_EDGE = "over_edge"  # up to 1 % beyond the page, and cut at its edge
    OUT_OF_PAGE = "out_of_page"  # further beyond the page than that, and cut at its edge
    EMPTY_BOX = "empty_box"  # a box without width or height
    BAD_TABLE = "bad_table"  # HTML that is no well-formed table, as it stands
    STRAY_MARK = "stray_mark"  # a mark inside a text, taken out
    UNKNOWN_CATEGORY = "unknown_category"  # read as "text"


DROPPED = frozenset((Fault.UNGROUNDED, Fault.BAD_HEAD, Fault.BAD_BOX, Fault.DUPLICATE))


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that was not sound: where it starts (characters), and its first 80 characters."""

    fault: Fault
    position: int
    excerpt: str


class MarkupError(FlywheelError):
    """The markup, or what it was to be written from, holds nothing that can be used. `flaws` say why."""

    def __init__(self, detail: str, flaws: tuple[Flaw, ...] = ()) -> None:
        super().__init__(detail)
        self.flaws = flaws


Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ParsedMarkup:
    """Result of parsing markup: regions in reading order with boxes in points. A line of a region carries the
    region's box; only where the markup grounds lines has each its own, and those in a row are one "text".

    `spans`: for each region's lines, first and last + 1 of the characters in the markup that say them.
    """

    regions: tuple[Region, ...]
    flaws: tuple[Flaw, ...] = ()
    spans: tuple[tuple[Span, ...], ...] = ()


def check_page(width: float, height: float) -> None:
    """Check that a page has bins. Raises MarkupError."""
    if not (math.isfinite(width) and math.isfinite(height) and width > 0 and height > 0):
        raise MarkupError(f"a page of {width} x {height} points has no bins")


_FILL = "\x1f"  # the unit separator: blank like white space, and told apart from it
_INSIDE = r"/?[^<>|｜\n]{1,40}"
# Any mark of a tokenizer, such as its end of sentence, that is not one of the four.
_OTHER_MARK = re.compile(rf"<[|｜](?!/?(?:ref|det)\|>){_INSIDE}[|｜]>")
_STRAY_MARK = re.compile(r"<\|(?:/ref|/?det)\|>")
# What is a mark, or at a line's end the beginning of one, behind "<" and its bar.
_BEGUN = "|".join(re.escape(mark[2:end]) for mark in (REF, END_OF_SENTENCE) for end in range(2, len(mark)))
_MARK = rf"(?=(?:{_INSIDE}[|｜]>|(?:{_BEGUN})\Z))"
_TO_ESCAPE = re.compile(rf"<(\\*)([|｜]){_MARK}")
_ESCAPED = re.compile(rf"<(\\*)\\([|｜]){_MARK}")


def blanked(markup: str) -> str:
    """The markup without the tokenizer's other marks; blanks stand for them, so that nothing moves."""
    return _OTHER_MARK.sub(_blank, markup)


def without_strays(text: str) -> str:
    """A region's text without marks that have no place in it, blanked likewise."""
    return _STRAY_MARK.sub(_blank, text)


def escaped(line: str) -> str:
    """The line with a backslash more in each "<|" that could be taken for a mark."""
    return _TO_ESCAPE.sub(r"<\1\\\2", line)


def plain(line: str) -> str:
    """Inverse of `escaped`, without what was blanked."""
    return _ESCAPED.sub(r"<\1\2", line.replace(_FILL, ""))


def _blank(mark: re.Match[str]) -> str:
    return _FILL * len(mark[0])
