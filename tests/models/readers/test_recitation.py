"""A reader that looks says less of a page that is mostly painted over; one that recites says it all again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from flywheel.document import Box, Kind, Label, Line, PageReading, Region
from models.lines.detector import LineDetector
from models.readers.lines import LinePageReader
from models.readers.protocol import PageInput, PageReader
from models.readers.recitation import LEAST_TEXT, probe
from models.recognition.ppocr import PpocrRecogniser
from tests.models.drawing import draw_page

POEM = [
    "The mill was counting grains of rye",
    "when all the clocks had stopped at four,",
    "a lantern crossed the yard, and I",
    "heard seven sparrows at the door.",
    "They asked for neither bread nor key,",
    "they only wished to see the wheel",
    "turn once again for nobody,",
    "and wrote it down in ink of steel.",
]
OTHER = ["No word of this is known by heart,", "it has been written for the test,", "and so a reader has to look."]


class CountingReader:
    """A reader that counts the pages it is given, and passes them on."""

    def __init__(self, inner: PageReader) -> None:
        self.inner, self.pages = inner, 0

    checkpoint = producer = "counting"

    def read_many(self, pages: Sequence[PageInput]) -> list[PageReading]:
        self.pages += len(pages)
        gray = [replace(page, image=page.image[..., 0]) if page.image.ndim == 3 else page for page in pages]
        return self.inner.read_many(gray)


class RecitingReader(CountingReader):
    """Looks at the page, and where it sees `cue` says the text that it knows to the end."""

    def __init__(self, inner: PageReader, known: list[str] = POEM, cue: str = POEM[0]) -> None:
        super().__init__(inner)
        self.known, self.cue = known, cue

    def read_many(self, pages: Sequence[PageInput]) -> list[PageReading]:
        return [
            saying(self.known, page) if self.cue in reading.label.text else reading
            for page, reading in zip(pages, super().read_many(pages), strict=True)
        ]


class ConstantReader(CountingReader):
    """Says the same of any image."""

    def read_many(self, pages: Sequence[PageInput]) -> list[PageReading]:
        return [saying(POEM, page) for page in pages]


def saying(lines: list[str], page: PageInput) -> PageReading:
    box = Box(0, 0, page.width, page.height)
    region = Region("text", box, tuple(Line(text, box) for text in lines))
    return PageReading(Label(Kind.FINE, "test", page.width, page.height, (region,)))


@pytest.fixture(scope="module")
def honest() -> LinePageReader:
    return LinePageReader(LineDetector(), PpocrRecogniser(), checkpoint="a-row", producer="ppocr")


def page_of(lines: list[str], *, pitch: int = 60, colour: bool = False) -> PageInput:
    drawn = draw_page(
        [(60, 70 + pitch * k, text) for k, text in enumerate(lines)], size=30, language="en", width=760, height=560
    )
    image = drawn.image
    if colour:
        image = np.stack([image, image, (image * 0.8).astype(np.uint8)], axis=2)  # on yellow paper
    return PageInput(image, drawn.dpi, *drawn.points, "en")


def asked(reader: PageReader, *pages: PageInput) -> list[bool | None]:
    readings = reader.read_many(pages)
    probed = probe(reader, pages, readings, share=1.0)
    assert [replace(reading, recited=None) for reading in probed] == readings
    return [reading.recited for reading in probed]


def test_a_reader_that_looks_is_cleared_at_the_price_of_one_more_reading(honest: LinePageReader) -> None:
    counted = CountingReader(honest)
    assert asked(counted, page_of(POEM), page_of(POEM, colour=True)) == [False, False]
    assert counted.pages == 2 + 2


def test_a_reader_that_goes_on_from_the_first_line_recites_what_it_knows_and_reads_the_rest(
    honest: LinePageReader,
) -> None:
    reader = RecitingReader(honest)
    assert asked(reader, page_of(POEM), page_of(OTHER)) == [True, False]
    assert reader.pages == 2 + 2 + 1


def test_a_reader_that_does_not_look_recites(honest: LinePageReader) -> None:
    white = PageInput(np.full((400, 300), 255, np.uint8), 150.0, 144.0, 192.0, "en")
    assert asked(ConstantReader(honest), page_of(OTHER), white) == [True, True]


def test_a_page_of_one_line_is_cut_between_its_letters(honest: LinePageReader) -> None:
    line = ["The clocks had stopped, seven sparrows at the door"]
    assert asked(honest, page_of(line)) == [False]
    assert asked(RecitingReader(honest, line, "The clocks"), page_of(line)) == [True]


def test_a_picture_below_the_text_brings_no_reader_under_suspicion(honest: LinePageReader) -> None:
    page = page_of(OTHER)
    image = page.image.copy()
    for top in range(260, 540, 40):
        image[top : top + 24, 60:700] = 70
    page = replace(page, image=image)
    counted = CountingReader(honest)
    assert asked(counted, page) == [False]
    assert counted.pages == 3  # suspected, and cleared by what is below


def test_short_texts_are_not_asked_and_a_share_of_none_asks_nothing(honest: LinePageReader) -> None:
    short = page_of(["x" * (LEAST_TEXT - 1)])
    reader = CountingReader(honest)
    assert [r.recited for r in probe(reader, [short], [saying(["x" * (LEAST_TEXT - 1)], short)], share=1.0)] == [
        None
    ]
    page = page_of(POEM)
    assert [r.recited for r in probe(reader, [page], [saying(POEM, page)], share=0.0)] == [None]
    assert probe(reader, [], []) == []
    assert reader.pages == 0


def test_the_image_and_the_seed_pick_the_pages_not_the_batch(honest: LinePageReader) -> None:
    pages = [page_of([f"{k} {line}" for line in POEM]) for k in range(40)]
    readings = [saying([f"{k} {line}" for line in POEM], page) for k, page in enumerate(pages)]
    reader = ConstantReader(honest)
    together = [r.recited is not None for r in probe(reader, pages, readings, share=0.3)]
    alone = [
        probe(reader, [p], [r], share=0.3)[0].recited is not None for p, r in zip(pages, readings, strict=True)
    ]
    assert together == alone
    assert 4 <= sum(together) <= 22
    assert together != [r.recited is not None for r in probe(reader, pages, readings, share=0.3, seed=-7)]


def test_a_text_with_hardly_any_ink_is_always_asked(honest: LinePageReader) -> None:
    page = page_of(["."])
    [reading] = probe(ConstantReader(honest), [page], [saying(POEM, page)], share=1e-12)
    assert reading.recited is True
