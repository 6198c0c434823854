"""Markup -> regions and flaws: `parse` reads what a model produced, cut off, mis-shaped or out of range.

It keeps each block that is sound, records every other as a `Flaw`, and raises `MarkupError` only when
nothing is sound. Asked for lines ("OCR this image"), DeepSeek-OCR puts the words themselves between <|ref|>
and <|/ref|>, and nothing after the boxes; `parse` tells the two forms apart, or is told. The time it takes
is in proportion to the markup, whatever that is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from flywheel.document import Box, Line, Region
from flywheel.markup.boxes import boxes_of
from flywheel.markup.form import (
    ALIASES,
    CATEGORIES,
    CENTER,
    CENTER_END,
    DET_END,
    END_OF_SENTENCE,
    REF,
    Fault,
    Flaw,
    MarkupError,
    ParsedMarkup,
    Span,
    blanked,
    check_page,
    plain,
    without_strays,
)
from flywheel.markup.tables import closed_table, is_sound_table

Faults = list[tuple[Fault, int]]  # with the place of each
Said = list[tuple[str, Span]]  # lines, with where each stands


def parse(markup: str, width: float, height: float, *, lines: bool | None = None) -> ParsedMarkup:
    """Read grounded markdown of a page of `width` x `height` points; `lines`: whether it grounds lines,
    or None to tell from the markup.

    `parse(fine(label), ...)` gives back categories, bins and texts, but for blanks at the ends of lines and
    around a text, "<center>" around a caption, and a region that comes twice.
    Raises MarkupError when the page has no size, or when text is there but not one sound region.
    """
    check_page(width, height)
    text = blanked(markup)
    blocks = list(_blocks(text))
    faults = _lead_faults(text[: blocks[0].start] if blocks else text, last=not blocks)
    as_lines = _grounds_lines(blocks) if lines is None else lines
    parts: list[_Part] = []
    for block in blocks:
        read = _read_lines if as_lines and not block.is_region else _read_region
        found, wrong = read(block, width, height)
        parts += found
        faults += wrong
    kept, again = _without_repeats(parts)
    faults += [(Fault.DUPLICATE, part.start) for part in again]
    flaws = tuple(Flaw(f, at, markup[at : at + 80]) for f, at in sorted(faults, key=lambda fault: fault[1]))
    if flaws and not kept:
        first = f"{flaws[0].fault.value} at {flaws[0].position}"
        raise MarkupError(f"no sound region; first flaw: {first}", flaws)
    joined = _joined(kept)
    regions = tuple(Region(part.category, part.box, part.lines) for part in joined)
    return ParsedMarkup(regions, flaws, tuple(part.spans for part in joined))


_HEAD = re.compile(r"<\|ref\|>((?:[^<]|<(?!\|))*)<\|/ref\|>\s*<\|det\|>([^<]*)<\|/det\|>")
_NAME = re.compile(r"[a-z]+(?:_[a-z]+)*")
_TITLE = re.compile(r"#{1,6}(?: |\Z)")


@dataclass(frozen=True, slots=True)
class _Block:
    """From one <|ref|> to the next, `start` to `end` of `markup`. `name` is what stands between <|ref|> and
    <|/ref|>, None without a sound head; the text starts at `body`."""

    markup: str
    start: int
    end: int
    name: str | None = None
    boxes: str = ""
    body: int = 0

    @property
    def text(self) -> str:
        return self.markup[self.body : self.end]

    @property
    def is_last(self) -> bool:
        return self.end == len(self.markup)

    @property
    def category(self) -> str | None:
        name = (self.name or "").strip().lower()
        name = ALIASES.get(name, name)
        return name if name in CATEGORIES else None

    @property
    def is_region(self) -> bool:
        """A block that can be nothing else, even among lines."""
        return self.name is None or (self.category is not None and bool(self.text.strip()))

    @property
    def is_cut(self) -> bool:
        """A head that stops before its end: what a token limit leaves behind."""
        rest = self.markup[self.start : self.end]
        return self.is_last and DET_END not in rest and "\n" not in rest.strip("\n")


def _blocks(markup: str) -> Iterator[_Block]:
    starts = [match.start() for match in re.finditer(re.escape(REF), markup)]
    for start, end in pairwise([*starts, len(markup)]):
        head = _HEAD.match(markup, start, end)
        yield _Block(markup, start, end, head[1], head[2], head.end()) if head else _Block(markup, start, end)


def _lead_faults(lead: str, *, last: bool) -> Faults:
    """Of what stands before the first block, or of an answer without one: its first mark may be cut in two."""
    if not (said := lead.strip()):
        return []
    return [(Fault.TRUNCATED if last and _begun_mark(said) == len(said) else Fault.UNGROUNDED, 0)]


def _grounds_lines(blocks: Sequence[_Block]) -> bool:
    """True when most blocks say their words in the head and nothing after it. A lone word in small letters
    may as well be a category without text, and tells nothing."""
    heads = [block for block in blocks if block.name is not None]
    regions = sum(bool(block.text.strip()) for block in heads)
    lines = sum(not (block.text.strip() or _NAME.fullmatch((block.name or "").strip())) for block in heads)
    return lines > regions


@dataclass(frozen=True, slots=True)
class _Part:
    """A region, or lines (category "") that are yet to be put into one."""

    category: str
    box: Box
    lines: tuple[Line, ...]
    spans: tuple[Span, ...]
    start: int


def _read_region(block: _Block, width: float, height: float) -> tuple[list[_Part], Faults]:
    if block.name is None:
        return [], [(Fault.TRUNCATED if block.is_cut else Fault.BAD_HEAD, block.start)]
    boxes, wrong = boxes_of(block.boxes, width, height)
    faults = [(fault, block.start) for fault in wrong]
    if not boxes:
        return [], faults
    category = block.category or "text"
    if block.category is None:
        faults.append((Fault.UNKNOWN_CATEGORY, block.start))
    box = Box.around(boxes)
    said, found = _texts(block, category)
    lines = tuple(Line(text, box) for text, _ in said)
    return [_Part(category, box, lines, tuple(span for _, span in said), block.start)], [*faults, *found]


def _read_lines(block: _Block, width: float, height: float) -> tuple[list[_Part], Faults]:
    """The words between <|ref|> and <|/ref|>, a line in each of the boxes: several boxes ground several places
    where the same words stand."""
    boxes, wrong = boxes_of(block.boxes, width, height)
    faults = [(fault, block.start) for fault in wrong]
    if block.text.strip():
        faults.append((Fault.UNGROUNDED, block.body))
    raw = block.name or ""
    start = block.start + len(REF) + len(raw) - len(raw.lstrip())
    span = (start, start + len(raw.strip()))
    text = plain(" ".join(raw.split()))
    return [_Part("", box, (Line(text, box),), (span,), block.start) for box in boxes if text], faults


def _texts(block: _Block, category: str) -> tuple[Said, Faults]:
    """The lines of a region's text, and what is wrong with them."""
    faults: Faults = []
    text = without_strays(block.text)
    if text != block.text:
        faults.append((Fault.STRAY_MARK, block.body))
    if block.is_last and (size := _begun_mark(text)):
        text = text[:-size]
        faults.append((Fault.TRUNCATED, block.end - size))
    place, end = _trimmed(text, category)
    said: Said = []
    for raw in text[place:end].split("\n"):
        line = raw.rstrip()
        said.append((plain(line), (block.body + place, block.body + place + len(line))))
        place += len(raw) + 1
    if category == "table" and "<t" in text.lower():
        said, found = _checked_table(said, block)
        faults += found
    return said if any(line for line, _ in said) else [], faults


def _trimmed(text: str, category: str) -> Span:
    """First and last + 1 of a text's characters, without the blanks around it and the marks of its category."""
    start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    if category == "title" and (mark := _TITLE.match(text, start, end)):
        start = mark.end()
    if category == "caption":
        start += len(CENTER) * text.startswith(CENTER, start, end)
        end -= len(CENTER_END) * text.endswith(CENTER_END, start, end)
        inside = text[start:end]
        start, end = end - len(inside.lstrip()), start + len(inside.rstrip())
    return start, max(start, end)


def _begun_mark(text: str) -> int:
    """Characters of a mark that the end of the output cuts in two. A "<" alone is one on a line of its own."""
    place = text.rfind("<", -len(END_OF_SENTENCE))
    tail = text[place:] if place >= 0 else ""
    begun = any(mark.startswith(tail) for mark in (REF, END_OF_SENTENCE))
    return len(tail) if begun and (len(tail) > 1 or text[:place][-1:] in ("", "\n")) else 0


def _checked_table(said: Said, block: _Block) -> tuple[Said, Faults]:
    """The lines of an HTML table; of one that the output's end cuts off those up to the last whole row."""
    text = "\n".join(line for line, _ in said)
    if is_sound_table(text):
        return said, []
    if not block.is_last or text.lower().rstrip().endswith("</table>"):
        return said, [(Fault.BAD_TABLE, block.start)]
    closed = closed_table(text)
    faults = [(Fault.TRUNCATED, block.start)]
    if closed and not is_sound_table(closed):
        faults.append((Fault.BAD_TABLE, block.start))
    spans = [span for _, span in said]
    return list(zip(closed.split("\n"), spans, strict=False)) if closed else [], faults


def _without_repeats(parts: Sequence[_Part]) -> tuple[list[_Part], list[_Part]]:
    """Each part where it comes first, and those that come again."""
    first: dict[object, _Part] = {}
    again = [part for part in parts if first.setdefault((part.category, part.box, part.lines), part) is not part]
    return list(first.values()), again


def _joined(parts: Sequence[_Part]) -> list[_Part]:
    """The parts, where lines in a row are one region."""
    out: list[_Part] = []
    for category, run in groupby(parts, key=lambda part: part.category):
        alike = list(run)
        out += alike if category else [_region_of(alike)]
    return out


def _region_of(lines: Sequence[_Part]) -> _Part:
    said = tuple(line for part in lines for line in part.lines)
    spans = tuple(span for part in lines for span in part.spans)
    return _Part("text", Box.around(part.box for part in lines), said, spans, lines[0].start)
