"""The contract of page readers: one set of claims, and every reader goes through it."""

from __future__ import annotations

import dataclasses
import json
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from flywheel.document import Kind, Label, PageReading, decode_label, encode
from models.lines.detector import LineDetector
from models.readers.deepseek_ocr.reader import DeepseekOcrReader
from models.readers.deepseek_ocr2 import DeepseekOcr2Reader
from models.readers.endpoint.reader import EndpointReader
from models.readers.got_ocr2 import GotOcr2Reader
from models.readers.lines import LinePageReader
from models.readers.protocol import PageInput, PageReader
from models.recognition.ppocr import PpocrRecogniser
from tests.models.drawing import draw_page
from tests.models.misbehaving import Server
from tests.models.tiny import tiny_deepseek_ocr
from tests.models.tiny_transformers import tiny_deepseek_ocr2, tiny_got_ocr2

LIMIT = 16


@contextmanager
def lines(_: Path) -> Iterator[PageReader]:
    yield LinePageReader(LineDetector(), PpocrRecogniser(), checkpoint="a-row", producer="ppocr")


@contextmanager
def deepseek_ocr(directory: Path) -> Iterator[PageReader]:
    yield DeepseekOcrReader.load(
        tiny_deepseek_ocr(directory), checkpoint="a-row", mode="tiny", limit=LIMIT, batch=2
    )


@contextmanager
def deepseek_ocr2(directory: Path) -> Iterator[PageReader]:
    yield DeepseekOcr2Reader.load(tiny_deepseek_ocr2(directory), checkpoint="a-row", limit=LIMIT, batch=2)


@contextmanager
def got_ocr2(directory: Path) -> Iterator[PageReader]:
    yield GotOcr2Reader.load(tiny_got_ocr2(directory), checkpoint="a-row", limit=LIMIT, batch=2)


@contextmanager
def endpoint(_: Path) -> Iterator[PageReader]:
    with Server() as server:
        yield EndpointReader(server.url, "a-model", checkpoint="a-row", requests=2)


READERS: dict[str, Callable[[Path], AbstractContextManager[PageReader]]] = {
    "ppocr": lines,
    "deepseek-ocr": deepseek_ocr,
    "deepseek-ocr-2": deepseek_ocr2,
    "got-ocr2": got_ocr2,
    "endpoint": endpoint,
}


@dataclasses.dataclass(frozen=True)
class ReaderCase:
    """A reader with what it said of the pages, read together."""

    producer: str
    reader: PageReader
    readings: list[PageReading]


@pytest.fixture(scope="module", params=READERS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReaderCase]:
    with READERS[request.param](tmp_path_factory.mktemp("reader")) as reader:
        yield ReaderCase(request.param, reader, reader.read_many(PAGES))


def page(number: int, language: str | None) -> PageInput:
    """Some lines, and below them a picture of large squares: untrained networks tell pages apart by it."""
    words = ["The loop turns once.", "What it could not read,", "it learns to read."][: number % 3 + 1]
    drawn = draw_page(
        [(30.0, 60.0 + 50 * n, f"{number} {text}") for n, text in enumerate(words)],
        width=480 + 40 * number,
        height=480,
        size=30,
        language="en",
    )
    squares = np.random.default_rng(number).integers(0, 256 - 40 * number, (5, 12 + number), np.uint8)
    drawn.image[240:440, : 40 * squares.shape[1]] = squares.repeat(40, axis=0).repeat(40, axis=1)
    return PageInput(drawn.image, drawn.dpi, *drawn.points, language)


PAGES = [page(number, language) for number, language in enumerate(("en", None, "bo", "en"))]


def in_colour(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(image[:, :, None], 3, axis=2)


def said(label: Label) -> list[tuple[str, tuple[str, ...]]]:
    return [(region.category, tuple(line.text for line in region.lines)) for region in label.regions]


def test_it_is_a_page_reader_that_says_its_name(case: ReaderCase) -> None:
    assert isinstance(case.reader, PageReader)
    assert (case.reader.checkpoint, case.reader.producer) == ("a-row", case.producer)


def test_every_page_has_its_reading_in_the_pages_order(case: ReaderCase) -> None:
    assert len(case.readings) == len(PAGES)
    for reading, page in zip(case.readings, PAGES, strict=True):
        label = reading.label
        assert (label.width, label.height, label.language) == (page.width, page.height, page.language)
        assert (label.kind, label.checkpoint, label.producer) == (Kind.FINE, "a-row", case.producer)
    assert len({(reading.label.text, reading.label.confidence) for reading in case.readings}) == len(PAGES)


def test_no_page_has_no_reading(case: ReaderCase) -> None:
    assert case.reader.read_many([]) == []


def test_a_page_says_the_same_alone_as_among_others(case: ReaderCase) -> None:
    order = [2, 0, 3, 1]
    together = case.reader.read_many([PAGES[n] for n in order])
    [alone] = case.reader.read_many([PAGES[2]])
    for reading, other in [(alone, together[0]), *((case.readings[n], together[order.index(n)]) for n in order)]:
        assert dataclasses.replace(reading, label=other.label) == other
        assert said(reading.label) == said(other.label)
        assert reading.label.confidence == pytest.approx(other.label.confidence, rel=1e-3)


def test_boxes_are_on_the_page_in_points(case: ReaderCase) -> None:
    for reading in case.readings:
        label = reading.label
        for box in [x.box for region in label.regions for x in (region, *region.lines)]:
            assert 0 <= box.x0 <= box.x1 <= label.width
            assert 0 <= box.y0 <= box.y1 <= label.height


def test_confidences_are_probabilities_one_a_code_point(case: ReaderCase) -> None:
    lines = [line for reading in case.readings for line in reading.label.lines]
    assert lines
    for line in lines:
        assert line.confidence is None or 0 <= line.confidence <= 1
        assert len(line.character_confidences) in (0, len(line.text))
        assert all(0 <= value <= 1 for value in line.character_confidences)
        assert bool(line.character_confidences) == (line.confidence is not None)


def test_texts_are_nfc_and_survive_their_json_form(case: ReaderCase) -> None:
    for reading in case.readings:
        text = reading.label.text
        assert text == unicodedata.normalize("NFC", text)
        written = json.dumps(encode(reading.label), ensure_ascii=False).encode("utf-8")
        back = decode_label(json.loads(written))
        assert said(back) == said(reading.label)
        assert (back.kind, back.producer, back.checkpoint) == (Kind.FINE, case.producer, "a-row")


def test_gray_and_colour_are_read_alike(case: ReaderCase) -> None:
    gray = PAGES[0]
    colour = dataclasses.replace(gray, image=in_colour(gray.image))
    [reading] = case.reader.read_many([colour])
    assert said(reading.label) == said(case.readings[0].label)


def test_tokens_are_counted_or_not_told(case: ReaderCase) -> None:
    for reading in case.readings:
        assert reading.recited is None
        assert reading.vision_tokens is None or reading.vision_tokens > 0
        assert reading.text_tokens is None or 0 <= reading.text_tokens <= LIMIT
        assert reading.truncated == (reading.text_tokens == LIMIT)
