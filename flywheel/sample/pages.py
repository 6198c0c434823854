"""Typesetting: paragraphs into lines, lines onto pages, pages into a PDF with a faithful text layer.

A `Layout` says how a page looks (a book page, two columns, a pecha leaf); `compose` breaks
the text into lines that fit and gives each its place; `write_pdf` draws them with fpdf2 and
HarfBuzz. What was drawn is known exactly: `DrawnLine` keeps the text and the box of its ink.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import uharfbuzz as hb
from fpdf import FPDF
from fpdf.fonts import TTFFont

from flywheel.document import Box
from flywheel.sample.phrases import Pieces


class TextSource(Protocol):
    """Source of text: `Tibetan` or `Phrases`."""

    def title(self) -> str: ...

    def paragraph(self, sentences: int) -> str: ...

    def number(self, value: int) -> str: ...


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """One line as drawn: NFC text, the box of its ink in points, baseline start, size, category."""

    text: str
    box: Box
    x: float
    y: float
    size: float
    category: str


@dataclass(frozen=True, slots=True)
class DrawnPage:
    """Lines in reading order. Width and height in points; `rules` are thin lines (x0, y0, x1, y1)."""

    width: float
    height: float
    lines: tuple[DrawnLine, ...]
    rules: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """Look of a document's pages. Lengths in points; `pitch` is baseline to baseline."""

    size: float
    pitch: float
    width: float = 499.0  # B5
    height: float = 709.0
    margin_x: float = 54.0
    margin_y: float = 62.0
    columns: int = 1
    gutter: float = 26.0
    indent: float = 0.0
    sentences: tuple[int, int] = (4, 8)
    framed: bool = False  # a pecha leaf: ruled left and right, number at the left edge

    @property
    def column_width(self) -> float:
        return (self.width - 2 * self.margin_x - (self.columns - 1) * self.gutter) / self.columns

    @classmethod
    def pecha(cls, size: float) -> Layout:
        """A long leaf of six or seven lines."""
        return cls(
            size=size,
            pitch=size * 1.95,
            width=792.0,
            height=238.0,
            margin_x=66.0,
            margin_y=26.0,
            sentences=(20, 30),
            framed=True,
        )


class Face:
    """A font file as HarfBuzz sees it: advances for breaking lines, extents for boxes.

    `shaped` is False for faces whose glyphs map one to one (Latin, Han); those are drawn unshaped.
    """

    def __init__(self, path: Path, *, shaped: bool) -> None:
        self.path, self.shaped = path, shaped
        face = hb.Face(hb.Blob.from_file_path(str(path)))
        self._font, self._em = hb.Font(face), face.upem
        self._advances: dict[str, float] = {}

    def advance(self, text: str) -> float:
        """Width in em."""
        if text not in self._advances:
            self._advances[text] = sum(p.x_advance for p in self._shape(text)[1]) / self._em
        return self._advances[text]

    def ink(self, text: str) -> Box:
        """Box of the ink in em, relative to the baseline's start, y down."""
        pen, boxes = 0, []
        for info, place in zip(*self._shape(text), strict=True):
            extents = self._font.get_glyph_extents(info.codepoint)
            if extents and extents.width:
                x, y = pen + place.x_offset + extents.x_bearing, -place.y_offset - extents.y_bearing
                boxes.append(Box(x, y, x + extents.width, y - extents.height))
            pen += place.x_advance
        return Box.around(boxes).scaled(1 / self._em)

    def _shape(self, text: str) -> tuple[list[hb.GlyphInfo], list[hb.GlyphPosition]]:
        buffer = hb.Buffer()
        buffer.add_str(text)
        buffer.guess_segment_properties()
        hb.shape(self._font, buffer, {} if self.shaped else {"kern": False, "liga": False})
        return buffer.glyph_infos, buffer.glyph_positions


@dataclass(slots=True)
class _Composer:
    """Composer of the pages of one document from a writer."""

    writer: TextSource
    face: Face
    pieces: Pieces
    layout: Layout
    pending: list[tuple[str, float]] = field(default_factory=list)  # text and indent of lines to come

    def body(self, sentences: int) -> None:
        """Break one more paragraph into pending lines."""
        layout, line, indent = self.layout, "", self.layout.indent
        used = indent
        for piece in self.pieces(self.writer.paragraph(sentences)):
            wide = self.face.advance(piece) * layout.size
            if line and used + self.face.advance(piece.rstrip()) * layout.size > layout.column_width:
                self.pending.append((line.rstrip(), indent))
                line, used, indent = "", 0.0, 0.0
            line, used = line + piece, used + wide
        self.pending.append((line.rstrip(), indent))

    def line(self, text: str, x: float, y: float, size: float, category: str = "text") -> DrawnLine:
        text = unicodedata.normalize("NFC", text)
        ink = self.face.ink(text).scaled(size)
        box = Box(x + ink.x0, y + ink.y0, x + ink.x1, y + ink.y1)
        return DrawnLine(text, box, x, y, size, category)

    def title(self, text: str, y: float, size: float) -> DrawnLine:
        """Centred; made smaller until it fits."""
        room = self.layout.width - 2 * self.layout.margin_x
        size = min(size, room / self.face.advance(text))
        return self.line(text, (self.layout.width - self.face.advance(text) * size) / 2, y, size, "title")


def compose(
    writer: TextSource, face: Face, pieces: Pieces, layout: Layout, pages: int, *, blank: int | None = None
) -> list[DrawnPage]:
    """Compose `pages` pages. The first begins with a title; page `blank` (0-based) stays empty."""
    composer = _Composer(writer, face, pieces, layout)
    draw = _leaf if layout.framed else _book_page
    return [
        DrawnPage(layout.width, layout.height, ()) if number == blank else draw(composer, number)
        for number in range(pages)
    ]


def _book_page(composer: _Composer, number: int) -> DrawnPage:
    layout, lines = composer.layout, []
    top = layout.margin_y
    if number == 0:
        lines.append(composer.title(composer.writer.title(), top + layout.size, layout.size * 1.5))
        top += layout.pitch * 2
    lines += [composer.line(text, x, y, layout.size) for x, y, text in _flow(composer, top + layout.size)]
    folio = composer.writer.number(number + 1)
    x = (layout.width - composer.face.advance(folio) * layout.size * 0.9) / 2
    lines.append(composer.line(folio, x, layout.height - layout.margin_y * 0.5, layout.size * 0.9, "footer"))
    return DrawnPage(layout.width, layout.height, tuple(lines))


def _flow(composer: _Composer, first: float) -> Iterator[tuple[float, float, str]]:
    """x, baseline and text of the body lines of one page, column by column."""
    layout = composer.layout
    low, high = layout.sentences
    for column in range(layout.columns):
        left = layout.margin_x + column * (layout.column_width + layout.gutter)
        y, count = first, 0
        while y < layout.height - layout.margin_y:
            if not composer.pending:
                composer.body(low + (count * 7 + column) % (high - low + 1))
                y += layout.pitch * 0.35 if count else 0.0
                continue
            text, indent = composer.pending.pop(0)
            yield left + indent, y, text
            y, count = y + layout.pitch, count + 1


def _leaf(composer: _Composer, number: int) -> DrawnPage:
    layout, edge = composer.layout, composer.layout.margin_x - 14
    lines = [
        composer.line(text, x, y, layout.size) for x, y, text in _flow(composer, layout.margin_y + layout.size)
    ]
    if number == 0:
        head = composer.line("༄༅།", layout.margin_x, lines[0].y, layout.size)
        shift = head.box.x1 - layout.margin_x + layout.size * 0.4
        text = _shorten(composer, lines[0].text, layout.column_width - shift)
        lines[0] = composer.line(f"{head.text} {text}", layout.margin_x, lines[0].y, layout.size)
    folio = composer.writer.number(number + 1)
    size = layout.size * 0.8
    x = (edge - composer.face.advance(folio) * size) / 2
    lines.insert(0, composer.line(folio, x, layout.height / 2, size, "header"))
    right, top, bottom = layout.width - edge, layout.margin_y * 0.5, layout.height - layout.margin_y * 0.5
    return DrawnPage(
        layout.width, layout.height, tuple(lines), ((edge, top, edge, bottom), (right, top, right, bottom))
    )


def _shorten(composer: _Composer, text: str, room: float) -> str:
    """As many pieces of the text as fit; what is cut is not drawn anywhere."""
    kept = ""
    for piece in composer.pieces(text):
        if composer.face.advance((kept + piece).rstrip()) * composer.layout.size > room:
            break
        kept += piece
    return kept.rstrip()


def write_pdf(pages: list[DrawnPage], face: Face, path: Path, *, title: str) -> None:
    """Draw the pages with fpdf2; extraction gives back exactly the lines' text."""
    pdf = FPDF(unit="pt")
    pdf.set_creation_date(datetime(2026, 1, 1, tzinfo=UTC))  # the same corpus has the same bytes
    pdf.set_title(title)
    pdf.set_auto_page_break(False)
    pdf.c_margin = 0
    pdf.add_font("face", "", face.path)
    font = pdf.fonts["face"]
    assert isinstance(font, TTFFont)
    for table in {"GSUB", "GPOS", "GDEF"} & set(font.ttfont.keys()):
        del font.ttfont[table]  # HarfBuzz reads its own copy; here they only slow down the embedding, by 0.2 s
    pdf.set_text_shaping(face.shaped)
    for page in pages:
        pdf.add_page(format=(page.width, page.height))
        for rule in page.rules:
            pdf.line(*rule)
        for line in page.lines:
            pdf.set_font("face", "", line.size)
            # `text()` drops the offsets of shaped marks (fpdf2 2.8.9); `cell()` keeps them, and
            # puts the baseline at y + h / 2 + 0.3 size.
            pdf.set_xy(line.x, line.y - 0.8 * line.size)
            pdf.cell(h=line.size, text=line.text)
    path.write_bytes(bytes(pdf.output()))
