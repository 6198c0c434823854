"""Markup to be read: regions and tables as hypothesis draws them, blocks written by hand."""

from __future__ import annotations

import string

from hypothesis import settings
from hypothesis import strategies as st

from flywheel.document import Box, Kind, Label, Line, Region
from flywheel.markup import (
    CATEGORIES,
    Fault,
    MarkupError,
    ParsedMarkup,
    parse,
)

WIDTH, HEIGHT = 595.0, 842.0
steady = settings(derandomize=True, database=None, deadline=None, max_examples=150)
MARKS = [
    "<|ref|>",
    "<|/ref|>",
    "<\\|det|>",
    "<|det|>[[1, 2, 3, 4]]<|/det|>",
    "<｜end▁of▁sentence｜>",
    "<｜",
    "<|re",
]
SAID = ["# ", "བོད་ཡིག", r"\(x_{1} \)", r"\[ \frac{a}{b} \\ \|c\| \]", r"0<\|x\|", "<td>", "</table>", "<center>"]
pieces = st.sampled_from([*MARKS, *SAID]) | st.text(
    st.sampled_from(string.ascii_letters + " #<|>\\/[]ref0912།་ཀིོ文字"), max_size=12
)
texts = st.lists(st.lists(pieces, max_size=4).map("".join), max_size=4)
cells = st.text(st.sampled_from(string.ascii_letters + "0123456789 .,་ཀཁག文字&;"), max_size=8)
rows = st.lists(st.lists(cells, min_size=1, max_size=3), min_size=1, max_size=4)


def html(table: list[list[str]]) -> str:
    lines = ("".join(f"<td>{cell.replace('&', '&amp;')}</td>" for cell in row) for row in table)
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


@st.composite
def regions(draw: st.DrawFn) -> Region:
    xs = sorted(draw(st.tuples(*[st.floats(0, WIDTH)] * 2)))
    ys = sorted(draw(st.tuples(*[st.floats(0, HEIGHT)] * 2)))
    box = Box(xs[0], ys[0], xs[1], ys[1])
    category = draw(st.sampled_from(sorted(CATEGORIES)))
    said = [html(draw(rows))] if category == "table" else draw(texts)
    return Region(category, box, tuple(Line(text, box) for text in said))


pages = st.lists(regions(), max_size=5, unique_by=lambda region: said((region,))[0])


def label(*parts: Region) -> Label:
    return Label(Kind.FINE, "test", WIDTH, HEIGHT, parts)


def kept(text: str) -> str:
    """The part of a text that is kept: not the blanks at the ends of its lines, nor those around it."""
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()


def said(parts: tuple[Region, ...]) -> list[tuple[str, tuple[int, ...], str]]:
    return [(r.category, r.box.bins(WIDTH, HEIGHT), uncentred(r)) for r in parts]


def uncentred(region: Region) -> str:
    text = kept(region.text)
    return kept(text.removeprefix("<center>")) if region.category == "caption" else text


def block(text: str, category: str = "text", box: str = "[[1, 2, 300, 400]]") -> str:
    return f"<|ref|>{category}<|/ref|><|det|>{box}<|/det|>\n{text}\n\n"


def tolerant(markup: str, lines: bool | None = False) -> ParsedMarkup:
    """Also where nothing is sound."""
    try:
        return parse(markup, WIDTH, HEIGHT, lines=lines)
    except MarkupError as error:
        return ParsedMarkup((), error.flaws)


def faults(reading: ParsedMarkup) -> list[Fault]:
    return [flaw.fault for flaw in reading.flaws]
