"""Fine labels: a layout's regions of a page, with the text that a reader or a text layer has for it.

    fine_label(layout, source, dpi=...) -> Label
    LayoutReader(reader, layout)                  a page reader whose labels are fine ones

"Boxes and text interleaved" (DeepSeek-OCR, section 3.4): the layout gives regions, categories and their
order, the source gives the words. No word of the source is lost and none is doubled: what no region of the
layout holds makes regions of its own, at the place where the source read it.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from flywheel.document import Box, Kind, Label, Line, PageReading, Region
from models.layout.cleaning import clipped, in_reading_order, overlap
from models.layout.protocol import LayoutDetector, LayoutRegion
from models.lines.order import reading_order
from models.readers.protocol import PageInput, PageReader

POINTS = 72.0
SEEN = frozenset({"picture", "table", "formula"})  # regions that stand for something without a word in them


@dataclass(frozen=True, slots=True)
class MatchingThresholds:
    """Shares in 0..1. `held`: of a line inside a region that makes it the region's. A text whose lines have no
    boxes of their own goes to the region that it is `alike` (intersection over union), or that holds `within`
    of it; `covered`: of a table or formula under text from elsewhere that says it all."""

    held: float = 0.5
    alike: float = 0.5
    within: float = 0.8
    covered: float = 0.5


@dataclass(frozen=True, slots=True)
class _Piece:
    """A unit of text that is moved as one: a line, or (`whole`) a source's region with all its lines, if any."""

    box: Box
    lines: tuple[Line, ...]
    category: str
    region: int  # of the source
    whole: bool


@dataclass(frozen=True, slots=True)
class _Stray:
    """Pieces that no region of the layout holds; `after` the region (an index, -1 for none) read before them."""

    region: Region
    after: int


def fine_label(
    layout: Sequence[LayoutRegion], source: Label, *, dpi: float, matching: MatchingThresholds | None = None
) -> Label:
    """The label of `source`'s page with the regions of `layout` (pixels at `dpi`), in reading order.

    Each of the source's lines goes to the region that holds most of it, with its confidences. Lines that carry
    no boxes of their own (a page reader's) go together, region to region. Regions without text stay only as
    pictures, tables and formulas. Producer, checkpoint, script and language stay the text's.
    """
    matching = matching or MatchingThresholds()
    page = [
        dataclasses.replace(part, box=clipped(part.box.scaled(POINTS / dpi), source.width, source.height))
        for part in in_reading_order(layout)
    ]
    pieces = _pieces(source)
    homes = [_home(piece, page, matching) for piece in pieces]
    strays = _strays(pieces, homes)
    regions: list[Region | None] = [
        _region(part, [p for p, home in zip(pieces, homes, strict=True) if home == i], strays, matching)
        for i, part in enumerate(page)
    ]
    return dataclasses.replace(source, kind=Kind.FINE, regions=_interleaved(regions, strays))


class LayoutReader:
    """A PageReader around another: reads with it, and puts its lines into the layout detector's regions."""

    def __init__(
        self, reader: PageReader, layout: LayoutDetector, *, matching: MatchingThresholds | None = None
    ) -> None:
        self._reader = reader
        self._layout = layout
        self._matching = matching or MatchingThresholds()

    @property
    def checkpoint(self) -> str:
        return self._reader.checkpoint

    @property
    def producer(self) -> str:
        return self._reader.producer

    def read_many(self, pages: Sequence[PageInput]) -> list[PageReading]:
        """The reader's readings with fine labels, in the pages' order. Raises what the reader raises."""
        readings = self._reader.read_many(pages)
        layouts = self._layout.find([page.image for page in pages], [page.dpi for page in pages])
        return [
            dataclasses.replace(
                reading, label=fine_label(layout, reading.label, dpi=page.dpi, matching=self._matching)
            )
            for page, reading, layout in zip(pages, readings, layouts, strict=True)
        ]


def _pieces(source: Label) -> list[_Piece]:
    """The source's text in its order: by line, or by region where lines only repeat their region's box."""
    repeated = all(line.box == region.box for region in source.regions for line in region.lines)
    whole = repeated and source.kind is not Kind.COARSE
    pieces = []
    for number, region in enumerate(source.regions):
        if whole and region.lines:
            pieces.append(_Piece(region.box, region.lines, region.category, number, whole=True))
        elif region.lines:
            pieces += [_Piece(line.box, (line,), region.category, number, whole=False) for line in region.lines]
        elif region.category in SEEN:
            pieces.append(_Piece(region.box, (), region.category, number, whole=True))
    return pieces


def _home(piece: _Piece, page: Sequence[LayoutRegion], matching: MatchingThresholds) -> int | None:
    """The region that a piece belongs to, or None; of regions that hold it alike, the smallest."""
    if not page:
        return None
    shares = [part.box.intersection(piece.box) / max(piece.box.area, 1e-6) for part in page]
    holder = max(range(len(page)), key=lambda i: (round(shares[i], 3), -page[i].box.area))
    if not piece.whole:
        return holder if shares[holder] >= matching.held else None
    alike = [overlap(part.box, piece.box) for part in page]
    likest = max(range(len(page)), key=alike.__getitem__)
    if alike[likest] >= matching.alike:
        return likest
    if shares[holder] >= matching.within:
        return holder
    same = [i for i, part in enumerate(page) if alike[i] > 0 and part.category == piece.category]
    return None if piece.lines or not same else max(same, key=alike.__getitem__)


def _strays(pieces: Sequence[_Piece], homes: Sequence[int | None]) -> list[_Stray]:
    """Regions for the pieces without a home: those of one source region that follow each other together."""
    strays: list[_Stray] = []
    after, run, last = -1, 0, (-1, -1)
    for piece, home in zip(pieces, homes, strict=True):
        if home is not None:
            run += 1
            after = home if piece.lines else after
            continue
        mine = Region(piece.category, piece.box, piece.lines)
        if last == (piece.region, run):
            before = strays.pop().region
            mine = Region(before.category, Box.around((before.box, piece.box)), (*before.lines, *piece.lines))
        strays.append(_Stray(mine, after))
        last = (piece.region, run)
    return strays


def _region(
    part: LayoutRegion, pieces: Sequence[_Piece], strays: Sequence[_Stray], matching: MatchingThresholds
) -> Region | None:
    """A region of the layout with its text; None for one that has none and stands for nothing without."""
    lines = tuple(line for piece in pieces for line in piece.lines)
    if lines:
        return Region(part.category, part.box, lines)
    if part.category not in SEEN:
        return None
    area = sum(part.box.intersection(stray.region.box) for stray in strays if stray.region.lines)
    covered = part.category != "picture" and area >= matching.covered * part.box.area
    return None if covered else Region(part.category, part.box)


def _interleaved(regions: Sequence[Region | None], strays: Sequence[_Stray]) -> tuple[Region, ...]:
    """Both in one order: each stray behind the region that was read before it."""
    behind: dict[int, list[Region]] = defaultdict(list)
    for stray in strays:
        behind[_place(stray, regions)].append(stray.region)
    order = list(behind[-1])
    for i, region in enumerate(regions):
        order += [region] if region else []
        order += behind[i]
    return tuple(order)


def _place(stray: _Stray, regions: Sequence[Region | None]) -> int:
    """The index that a stray comes behind: past regions without text too, as far as they stand before it."""
    place = stray.after
    for i in range(stray.after + 1, len(regions)):
        region = regions[i]
        if region is None:
            continue
        if region.lines or reading_order([region.box, stray.region.box])[0] != 0:
            break
        place = i
    return place
