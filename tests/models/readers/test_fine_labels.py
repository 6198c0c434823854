"""Fine labels: every word of the source, once, in the layout's regions and in reading order."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fpdf import FPDF
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from flywheel.document import Box, Kind, Label, Line, PageReading, Region
from flywheel.pdf import PageText, Sandbox
from flywheel.pdf.coarse import label as coarse_label
from models.layout.lines import LinesLayout
from models.layout.protocol import LayoutRegion
from models.lines.detector import LineDetector
from models.readers.fine_labels import LayoutReader, fine_label
from models.readers.lines import LinePageReader
from models.readers.protocol import PageInput, PageReader
from models.recognition.ppocr import PpocrRecogniser
from tests.models.drawing import font

DPI = 150.0
SIZE = (1240, 1754)  # A4 at DPI
POINTS = (SIZE[0] * 72 / DPI, SIZE[1] * 72 / DPI)
TABLE, PICTURE = (120, 760, 580, 900), (660, 330, 1120, 640)

# What stands on the page, in reading order: part, category, then x, baseline and text of each line in pixels.
Part = tuple[str, str, list[tuple[int, int, str]]]
PARTS: list[Part] = [
    ("head", "header", [(880, 100, "The turning wheel")]),
    ("title", "title", [(330, 210, "Pages that label themselves")]),
    (
        "upper left",
        "text",
        [
            (120, 340 + 44 * n, text)
            for n, text in enumerate(
                (
                    "A page comes back with",
                    "a label that somebody",
                    "can check against ink",
                    "before the next round",
                    "begins. What it could",
                    "not read, it learns to",
                    "read from other pages.",
                )
            )
        ],
    ),
    ("table", "table", [(140, 810, "books"), (380, 810, "pages"), (140, 880, "twelve"), (380, 880, "4096")]),
    (
        "lower left",
        "text",
        [
            (120, 990 + 44 * n, text)
            for n, text in enumerate(("Columns and margins", "are counted twice, and", "so are notes."))
        ],
    ),
    ("picture", "picture", []),
    ("caption", "caption", [(700, 690, "The wheel, from above")]),
    (
        "right",
        "text",
        [
            (660, 800 + 44 * n, text)
            for n, text in enumerate(
                (
                    "Lines of text go into",
                    "regions; and regions in",
                    "boxes. Every word stays",
                    "what it was, and where.",
                )
            )
        ],
    ),
    ("foot", "footer", [(606, 1680, "12")]),
]
ORDER = [category for _, category, _ in PARTS]


def size_of(part: str) -> int:
    return {"title": 44, "head": 24, "caption": 26}.get(part, 32)


def line_box(x: int, y: int, text: str, size: int) -> Box:
    """The ink of a line that starts at x on the baseline y, in pixels."""
    x0, y0, x1, y1 = font(size, "en").getbbox(text, anchor="ls")
    return Box(x + x0, y + y0, x + x1, y + y1)


def drawn() -> NDArray[np.uint8]:
    """The page as a scan would show it, gray."""
    canvas = Image.new("L", SIZE, 255)
    draw = ImageDraw.Draw(canvas)
    for part, _, lines in PARTS:
        for x, y, text in lines:
            draw.text((x, y), text, fill=0, font=font(size_of(part), "en"), anchor="ls")
    draw.rectangle(TABLE, outline=0, width=3)
    draw.line((350, 760, 350, 900), fill=0, width=3)
    draw.line((120, 830, 580, 830), fill=0, width=3)
    noise = np.random.default_rng(1).integers(90, 200, (31, 46), np.uint8)
    canvas.paste(Image.fromarray(noise.repeat(10, axis=0).repeat(10, axis=1)), PICTURE[:2])
    return np.asarray(canvas).copy()


def layout() -> list[LayoutRegion]:
    """The parts' boxes in pixels, as a good network would find them."""
    regions = []
    for part, category, lines in PARTS:
        boxes = [line_box(*line, size_of(part)) for line in lines]
        frame = {"table": Box(*TABLE), "picture": Box(*PICTURE)}.get(part) or Box.around(boxes)
        regions.append(LayoutRegion(category, Box(frame.x0 - 4, frame.y0 - 4, frame.x1 + 4, frame.y1 + 4), 0.9))
    return regions


def in_points(box: Box) -> Box:
    return box.scaled(72 / DPI)


def read_by_lines(*, rows: bool = False) -> Label:
    """A line reader's label of the page; with `rows`, by one that does not see the columns."""
    lines = [
        (y, x, Line(text, in_points(line_box(x, y, text, size_of(part))), 0.5 + n / 100, (0.9,) * len(text)))
        for part, _, drawn_lines in PARTS
        for n, (x, y, text) in enumerate(drawn_lines)
    ]
    if rows:
        lines.sort(key=lambda entry: entry[:2])
    return source([Region("text", Box.around(line.box for *_, line in lines), tuple(line for *_, line in lines))])


def source(regions: Sequence[Region], kind: Kind = Kind.FINE) -> Label:
    return Label(kind, "line", *POINTS, tuple(regions), "Latn", "en", "line-en-3")


def words(label: Label) -> Counter[Line]:
    return Counter(label.lines)


def by_part(label: Label) -> list[tuple[str, list[str]]]:
    return [(region.category, [line.text for line in region.lines]) for region in label.regions]


TRUTH = [(category, [text for *_, text in lines]) for _, category, lines in PARTS]


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("ordered", [False, True])
def test_lines_go_to_their_regions_and_regions_into_reading_order(rows: bool, ordered: bool) -> None:
    read, seen = read_by_lines(rows=rows), layout()
    if ordered:
        seen = [dataclasses.replace(region, order=place) for place, region in enumerate(seen)]
    fine = fine_label(random.Random(3).sample(seen, len(seen)), read, dpi=DPI)
    assert by_part(fine) == TRUTH
    assert words(fine) == words(read)
    assert (fine.kind, fine.producer, fine.checkpoint) == (Kind.FINE, "line", "line-en-3")
    assert (fine.script, fine.language, fine.width, fine.height) == ("Latn", "en", *POINTS)
    assert fine.confidence == pytest.approx(read.confidence)


def test_boxes_are_in_points_of_the_page() -> None:
    fine = fine_label(layout(), read_by_lines(), dpi=DPI)
    picture = fine.regions[ORDER.index("picture")].box
    assert (picture.x0, picture.y1) == pytest.approx((656 * 0.48, 644 * 0.48))
    over = [LayoutRegion("table", Box(-20, 1700, 1300, 1800), 0.9)]
    assert fine_label(over, source([]), dpi=DPI).regions[0].box == Box(0, 816, *POINTS)


def test_lines_that_no_region_holds_make_regions_where_they_were_read() -> None:
    without = [
        r for r, name in zip(layout(), PARTS, strict=True) if name[0] not in ("title", "lower left", "foot")
    ]
    read = read_by_lines()
    fine = fine_label(without, read, dpi=DPI)
    assert [texts for _, texts in by_part(fine)] == [texts for _, texts in TRUTH]
    named = [("text" if name in ("title", "lower left", "foot") else kind) for name, kind, _ in PARTS]
    assert [region.category for region in fine.regions] == named
    assert words(fine) == words(read)
    stray = fine.regions[4]
    assert stray.box == Box.around(line.box for line in stray.lines)


def test_a_line_below_a_picture_without_words_is_read_after_it() -> None:
    picture, text = LayoutRegion("picture", Box(100, 100, 500, 300), 0.9), Line("below", Box(60, 160, 200, 170))
    above = Line("above", Box(60, 20, 200, 30))
    read = source([Region("text", Box(60, 20, 200, 30), (above,)), Region("text", Box(60, 20, 200, 170), (text,))])
    fine = fine_label([picture], read, dpi=DPI)
    assert by_part(fine) == [("text", ["above"]), ("picture", []), ("text", ["below"])]


def test_regions_without_text_stay_when_they_stand_for_something_else() -> None:
    boxes = {
        c: Box(100, 100 * n, 400, 100 * n + 60) for n, c in enumerate(("text", "picture", "table", "formula"), 1)
    }
    fine = fine_label([LayoutRegion(c, box, 0.9) for c, box in boxes.items()], source([]), dpi=DPI)
    assert by_part(fine) == [("picture", []), ("table", []), ("formula", [])]


def test_without_a_layout_the_source_keeps_its_regions() -> None:
    read = fine_label(layout(), read_by_lines(), dpi=DPI)
    alone = fine_label([], dataclasses.replace(read, kind=Kind.COARSE), dpi=DPI)
    assert by_part(alone) == by_part(read)
    assert alone.kind is Kind.FINE


# Sources whose lines have no boxes of their own: page readers


def paragraph(category: str, box: tuple[float, float, float, float], *texts: str) -> Region:
    return Region(category, Box(*box), tuple(Line(text, Box(*box), 0.8) for text in texts))


def at(category: str, *box: float) -> LayoutRegion:
    """A layout's region given in points."""
    return LayoutRegion(category, Box(*box).scaled(DPI / 72), 0.9)


def test_a_page_readers_regions_are_matched_whole() -> None:
    read = source(
        [
            paragraph("text", (50, 50, 500, 80), "# Title"),
            paragraph("text", (52, 104, 280, 300), "first", "second"),
            paragraph("text", (50, 310, 280, 500), "third"),
            paragraph("table", (305, 100, 555, 310), "<table><tr><td>1</td></tr></table>"),
        ]
    )
    seen = [at("title", 48, 48, 505, 84), at("text", 50, 100, 282, 505), at("table", 320, 110, 550, 280)]
    fine = fine_label(seen, read, dpi=DPI)
    assert by_part(fine) == [
        ("title", ["# Title"]),
        ("text", ["first", "second", "third"]),
        ("table", ["<table><tr><td>1</td></tr></table>"]),
    ]
    assert [region.box.x0 for region in fine.regions] == pytest.approx([48, 50, 320])  # the layout's
    assert words(fine) == words(read)


def test_a_text_over_several_regions_stays_whole_in_its_own_box() -> None:
    both = paragraph("text", (50, 100, 280, 500), "one", "two")
    seen = [at("text", 50, 100, 280, 240), at("text", 50, 260, 280, 380), at("table", 50, 400, 280, 500)]
    fine = fine_label(seen, source([both]), dpi=DPI)
    assert fine.regions == (both,)


def test_a_plain_answer_over_the_page_keeps_its_text_and_gains_the_pictures() -> None:
    answer = paragraph("text", (0, 0, *POINTS), "all", "of", "it")
    fine = fine_label([at("text", 50, 50, 500, 300), at("picture", 50, 400, 500, 700)], source([answer]), dpi=DPI)
    assert sorted(by_part(fine)) == [("picture", []), ("text", ["all", "of", "it"])]


def test_a_readers_own_picture_stays_where_the_layout_has_none() -> None:
    drawing, text = (
        Region("picture", Box(50, 300, 280, 500)),
        paragraph("text", (50, 100, 280, 290), "words", "go"),
    )
    read = source([text, drawing])
    assert by_part(fine_label([at("text", 50, 100, 280, 290)], read, dpi=DPI)) == [
        ("text", ["words", "go"]),
        ("picture", []),
    ]
    seen = [at("text", 50, 100, 280, 290), at("picture", 60, 350, 290, 520)]
    [_, picture] = fine_label(seen, read, dpi=DPI).regions
    assert (picture.category, picture.box.x1) == ("picture", pytest.approx(290))


sides = st.tuples(st.integers(0, 500), st.integers(0, 700), st.integers(1, 300), st.integers(1, 300))
boxes = sides.map(lambda s: Box(s[0], s[1], s[0] + s[2], s[1] + s[3]))
kinds = st.sampled_from(["text", "table", "picture", "header", "footer"])


@st.composite
def sources(draw: st.DrawFn) -> Label:
    regions = []
    for number, (box, many) in enumerate(draw(st.lists(st.tuples(boxes, st.integers(0, 4)), max_size=5))):
        own = draw(st.lists(boxes, min_size=many, max_size=many)) if draw(st.booleans()) else [box] * many
        lines = tuple(Line(f"{number} {n}", place, 0.5) for n, place in enumerate(own))
        regions.append(Region(draw(kinds), box, lines))
    return source(regions, draw(st.sampled_from([Kind.FINE, Kind.COARSE])))


@settings(max_examples=150, deadline=None)
@given(sources(), st.lists(st.tuples(kinds, boxes), max_size=6))
def test_no_word_is_lost_or_doubled_whatever_the_layout(read: Label, seen: list[tuple[str, Box]]) -> None:
    fine = fine_label([LayoutRegion(kind, box, 0.5) for kind, box in seen], read, dpi=72)
    assert words(fine) == words(read)
    assert all(region.lines or region.category in ("picture", "table", "formula") for region in fine.regions)


# Readers with a layout


class ScriptedReader:
    """A page reader and a layout detector in one, saying of an image what it was given for one of its height."""

    checkpoint, producer = "a-row", "given"

    def __init__(self, said: dict[int, tuple[Label, list[LayoutRegion]]]) -> None:
        self._said = said

    def read_many(self, pages: Sequence[PageInput]) -> list[PageReading]:
        return [PageReading(self._said[len(p.image)][0], True, ("bad_box",), False, 256, 31) for p in pages]

    def find(self, images: Sequence[NDArray[np.uint8]], dpis: Sequence[float]) -> list[list[LayoutRegion]]:
        assert list(dpis) == [DPI] * len(images)
        return [self._said[len(image)][1] for image in images]


def test_a_layout_reader_changes_nothing_but_the_label() -> None:
    other = source([paragraph("text", (50, 50, 100, 60), "b", "c")])
    both = ScriptedReader({100: (read_by_lines(), layout()), 90: (other, [at("list", 50, 50, 100, 60)])})
    reader = LayoutReader(both, both)
    assert isinstance(reader, PageReader)
    assert (reader.checkpoint, reader.producer) == ("a-row", "given")
    pages = [PageInput(np.zeros((height, 80), np.uint8), DPI, *POINTS) for height in (100, 90)]
    before, after = both.read_many(pages), reader.read_many(pages)
    assert [by_part(reading.label) for reading in after] == [TRUTH, [("list", ["b", "c"])]]
    for plain, fine in zip(before, after, strict=True):
        assert dataclasses.replace(fine, label=plain.label) == plain
    assert reader.read_many([]) == []


class RecordingReader:
    """A page reader that remembers what it said."""

    def __init__(self, reader: PageReader) -> None:
        self.checkpoint, self.producer = reader.checkpoint, reader.producer
        self._reader = reader
        self.said: list[PageReading] = []

    def read_many(self, pages: Sequence[PageInput]) -> list[PageReading]:
        self.said = self._reader.read_many(pages)
        return self.said


def test_a_scan_is_read_and_laid_out_without_weights() -> None:
    detector = LineDetector()
    plain = RecordingReader(
        LinePageReader(detector, PpocrRecogniser(), checkpoint="ppocr-v6-small", producer="ppocr")
    )
    [reading] = LayoutReader(plain, LinesLayout(detector)).read_many([PageInput(drawn(), DPI, *POINTS, "en")])
    assert words(reading.label) == words(plain.said[0].label)
    assert (reading.label.checkpoint, reading.label.producer) == ("ppocr-v6-small", "ppocr")
    said = [line.text for line in reading.label.lines]
    body = [
        text for name, _, lines in PARTS for *_, text in lines if name in ("upper left", "lower left", "right")
    ]
    assert [text for text in said if text in body] == body
    assert by_part(reading.label)[-1] == ("footer", ["12"])


# Born-digital pages


def written(path: Path) -> Path:
    """The same page as a PDF with a text layer, in points."""
    book = FPDF(unit="pt", format=POINTS)
    book.set_auto_page_break(False)
    book.add_page()
    for part, _, lines in PARTS:
        book.set_font("Times", size=size_of(part) * 72 / DPI)
        for x, y, text in lines:
            book.text(x * 72 / DPI, y * 72 / DPI, text)
    book.rect(*(v * 72 / DPI for v in (TABLE[0], TABLE[1], TABLE[2] - TABLE[0], TABLE[3] - TABLE[1])))
    path.write_bytes(bytes(book.output()))
    return path


def test_a_text_layer_is_given_the_layouts_regions(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        [page] = sandbox.text(written(tmp_path / "a.pdf"), [0], layout=False)
    assert isinstance(page, PageText)
    layer, _ = coarse_label(page, "en")
    fine = fine_label(layout(), layer, dpi=DPI)
    assert words(fine) == words(layer)
    assert Counter(" ".join(fine.text.split()).split()) == Counter(
        word for _, _, lines in PARTS for *_, text in lines for word in text.split()
    )
    assert [(kind, " ".join(texts)) for kind, texts in by_part(fine)] == [
        (kind, " ".join(texts)) for kind, texts in TRUTH
    ]
    assert (fine.kind, fine.producer, fine.checkpoint) == (Kind.FINE, "fitz", None)
