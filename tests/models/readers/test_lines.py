"""Pages become labels: boxes in points, lines in order, the same alone as among others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from flywheel.document import Box, Kind, Line, decode_label, encode
from models.lines.detector import LineDetector
from models.readers.lines import LinePageReader, regions_of
from models.readers.protocol import PageInput
from models.recognition.ppocr import PpocrRecogniser
from models.recognition.protocol import Transcription
from tests.flywheel.text.words import WORDS, text_script
from tests.models.drawing import DrawnPage, draw_page

ENGLISH = ["The loop turns once.", "It reads what it could not", "read before, and learns", "from what it reads."]


@pytest.fixture(scope="module")
def reader() -> LinePageReader:
    return LinePageReader(LineDetector(), PpocrRecogniser(), checkpoint="a-row", producer="ppocr")


def english_page(top: float = 100.0, left: float = 120.0) -> DrawnPage:
    lines = [(left, top + 50 * i, text) for i, text in enumerate(ENGLISH)]
    return draw_page(lines, size=30, language="en", height=500)


def page_input(page: DrawnPage) -> PageInput:
    return PageInput(page.image, page.dpi, *page.points, "en")


def test_a_page_is_read_in_order_with_boxes_in_points(reader: LinePageReader) -> None:
    page = english_page()
    label = reader.read(page.image, page.dpi, *page.points, "en")
    assert [line.text for line in label.lines] == ENGLISH
    for line, (x, y, _) in zip(label.lines, page.lines, strict=True):
        assert line.box.contains((x + 5) * 72 / 150, (y - 4) * 72 / 150)
    assert (label.kind, label.script, label.language) == (Kind.FINE, "Latn", "en")
    assert (label.checkpoint, label.producer) == ("a-row", "ppocr")
    assert (label.confidence or 0) > 0.8


def test_a_label_names_the_checkpoint_and_producer_the_reader_was_given() -> None:
    other = LinePageReader(LineDetector(), PpocrRecogniser(), checkpoint="line-bo-1", producer="line")
    [read] = other.read_many([PageInput(np.full((70, 50), 255, np.uint8), 150.0, 24.0, 33.6)])
    label = read.label
    assert (label.checkpoint, label.producer) == ("line-bo-1", "line")
    assert other.checkpoint == "line-bo-1"


def test_pages_read_together_are_labelled_as_if_alone(reader: LinePageReader) -> None:
    pages = [page_input(english_page(top)) for top in (100.0, 160.0, 130.0)]
    together = [read.label for read in reader.read_many(pages)]
    alone = [reader.read_many([page])[0].label for page in pages]
    assert [label.text for label in together] == [label.text for label in alone]
    assert [label.regions[0].box for label in together] == [label.regions[0].box for label in alone]


def test_a_blank_page_has_a_label_without_regions(reader: LinePageReader) -> None:
    [read] = reader.read_many([PageInput(np.full((700, 500), 255, np.uint8), 150.0, 240.0, 336.0)])
    label = read.label
    assert label.regions == ()
    assert label.script == "Zyyy"
    assert reader.read_many([]) == []


def test_a_label_survives_its_json_form(reader: LinePageReader) -> None:
    label = reader.read_many([page_input(english_page())])[0].label
    assert [line.text for line in decode_label(encode(label)).lines] == ENGLISH


def line(x0: float, y0: float, x1: float, y1: float) -> Line:
    return Line("x", Box(x0, y0, x1, y1), 0.9)


def test_lines_are_grouped_by_gaps_columns_and_sizes() -> None:
    title = [line(50, 20, 300, 50)]
    first = [line(50, 80 + 16 * i, 280, 92 + 16 * i) for i in range(4)]
    second = [line(50, 190 + 16 * i, 280, 202 + 16 * i) for i in range(3)]
    column = [line(320, 80 + 16 * i, 550, 92 + 16 * i) for i in range(6)]
    regions = regions_of([*title, *first, *second, *column])
    assert [len(region.lines) for region in regions] == [1, 4, 3, 6]
    assert regions[1].box == Box(50, 80, 280, 140)
    assert all(region.category == "text" for region in regions)


class OneWord:
    """A recogniser that reads the same word in every line."""

    checkpoint, producer, scripts = "a-row", "one-word", frozenset[str]()

    def __init__(self, word: str) -> None:
        self.word = word

    def read(self, images: Sequence[NDArray[np.uint8]]) -> list[Transcription]:
        return [Transcription(self.word, 0.9, (0.9,) * len(self.word)) for _ in images]


def test_the_label_of_a_page_read_by_lines_names_the_script_that_was_read() -> None:
    page, detector = page_input(english_page()), LineDetector()
    for code in ("Knda", "Gujr", "Tibt", "Kana", "Hang", "Latn"):
        reader = LinePageReader(detector, OneWord(WORDS[code]), checkpoint="a-row", producer="one-word")
        [reading] = reader.read_many([page])
        assert reading.label.lines
        assert reading.label.script == text_script(code)


@pytest.mark.parametrize(("word", "leftmost_first"), [("word", True), ("שלום", False)])
def test_columns_are_read_from_the_side_that_the_text_begins_at(word: str, leftmost_first: bool) -> None:
    columns = [(x, 100.0 + 50 * i, text) for x in (60.0, 700.0) for i, text in enumerate(ENGLISH)]
    page = draw_page(columns, size=30, language="en", height=400)
    reader = LinePageReader(LineDetector(), OneWord(word), checkpoint="a-row", producer="one-word")
    [reading] = reader.read_many([page_input(page)])
    lefts = [line.box.x0 for line in reading.label.lines]
    assert len(lefts) == 8
    assert (max(lefts[:4]) < min(lefts[4:])) == leftmost_first
