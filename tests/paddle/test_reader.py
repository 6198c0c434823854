"""The contract of page readers (models/readers/protocol.py), and how well PaddleOCR reads drawn pages."""

from __future__ import annotations

import dataclasses
import json
import unicodedata

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from flywheel.document import Kind, Label, PageReading, decode_label, encode
from models.readers.protocol import PageInput, PageReader
from tests.paddle.drawing import CHINESE, ENGLISH, DrawnPage, column, draw_page, stored, turned

PAGES = [
    draw_page(column(ENGLISH[:3]), height=300),
    draw_page(column(CHINESE, left=60), "zh", height=340, width=700),
    draw_page([], height=320),
    draw_page(column(ENGLISH[3:6], left=60) + column(ENGLISH[6:9], left=880), height=300, width=1640),
]
INPUTS = [page.input(language) for page, language in zip(PAGES, ("en", "zh", None, "en"), strict=True)]


@pytest.fixture(scope="module")
def readings(reader: PageReader) -> list[PageReading]:
    return reader.read_many(INPUTS)


def without_numbers(label: Label) -> list[tuple[str, tuple[str, ...]]]:
    return [(region.category, tuple(line.text for line in region.lines)) for region in label.regions]


def cer(reading: PageReading, page: DrawnPage) -> float:
    """Character error rate of a page's lines, in their order."""
    truth = "\n".join(page.texts)
    return Levenshtein.distance("\n".join(line.text for line in reading.label.lines), truth) / len(truth)


def test_every_page_has_its_reading_in_the_pages_order(reader: PageReader, readings: list[PageReading]) -> None:
    assert isinstance(reader, PageReader)
    assert (reader.checkpoint, reader.producer) == ("paddleocr", "paddleocr")
    assert reader.read_many([]) == []
    for reading, page in zip(readings, INPUTS, strict=True):
        label = reading.label
        assert (label.width, label.height, label.language) == (page.width, page.height, page.language)
        assert (label.kind, label.checkpoint, label.producer) == (Kind.FINE, "paddleocr", "paddleocr")


def test_english_chinese_and_two_columns_are_read_in_order(readings: list[PageReading]) -> None:
    for reading, page in zip(readings, PAGES, strict=True):
        assert [line.text for line in reading.label.lines] == page.texts
    assert [reading.label.script for reading in readings] == ["Latn", "Hani", "Zyyy", "Latn"]


def test_a_blank_page_has_a_label_without_regions(readings: list[PageReading]) -> None:
    assert readings[2].label.regions == ()


def test_boxes_are_on_the_page_in_points_around_their_lines(readings: list[PageReading]) -> None:
    for reading, page in zip(readings, PAGES, strict=True):
        label, scale = reading.label, 72 / page.dpi
        for box in [x.box for region in label.regions for x in (region, *region.lines)]:
            assert 0 <= box.x0 < box.x1 <= label.width
            assert 0 <= box.y0 < box.y1 <= label.height
        for line, (x, y, _) in zip(label.lines, page.lines, strict=True):
            assert line.box.contains((x + 10) * scale, (y - 5) * scale)


def test_a_page_says_the_same_alone_as_among_others(reader: PageReader, readings: list[PageReading]) -> None:
    [alone] = reader.read_many([INPUTS[3]])
    last = reader.read_many([INPUTS[3], INPUTS[1]])[0]
    assert readings[3] == alone == last


def test_confidences_are_probabilities_one_a_code_point(readings: list[PageReading]) -> None:
    lines = [line for reading in readings for line in reading.label.lines]
    assert lines
    for line in lines:
        assert line.confidence is not None
        assert 0.5 < line.confidence <= 1
        assert len(line.character_confidences) == len(line.text)


def test_texts_are_nfc_and_survive_their_json_form(readings: list[PageReading]) -> None:
    for reading in readings:
        assert unicodedata.is_normalized("NFC", reading.label.text)
        back = decode_label(json.loads(json.dumps(encode(reading.label))))
        assert without_numbers(back) == without_numbers(reading.label)


def test_gray_and_colour_are_read_alike(reader: PageReader, readings: list[PageReading]) -> None:
    colour = dataclasses.replace(INPUTS[0], image=stored(INPUTS[0].image, ".png"))
    assert reader.read_many([colour]) == readings[:1]


def test_text_in_colour_on_colour_is_read_as_in_scenes(reader: PageReader) -> None:
    gray = PAGES[0].image.astype(np.float32)[:, :, None] / 255
    sign, paint = np.array((20, 60, 160)), np.array((250, 220, 40))  # yellow on blue, in RGB
    image = (paint + (sign - paint) * gray).astype(np.uint8)
    [reading] = reader.read_many([dataclasses.replace(INPUTS[0], image=image)])
    assert [line.text for line in reading.label.lines] == PAGES[0].texts


def test_drawn_english_is_read_at_under_three_percent_errors_through_every_kind_of_file(
    reader: PageReader,
) -> None:
    page = draw_page(column(ENGLISH))
    images = {
        "png": stored(page.image, ".png"),
        "jpeg": stored(page.image, ".jpg", 1, 50),
        "turned": turned(page.image, 1.5),
        "noisy": noisy(page),
    }
    given = [dataclasses.replace(page.input("en"), image=image) for image in images.values()]
    errors = {name: cer(reading, page) for name, reading in zip(images, reader.read_many(given), strict=True)}
    assert max(errors.values()) < 0.03, errors


def noisy(page: DrawnPage) -> PageInput:
    """As from a poor scanner: gray paper, faded ink, grain."""
    grain = np.random.default_rng(3).normal(0, 12, page.image.shape)
    return np.clip(70 + page.image * 0.6 + grain, 0, 255).astype(np.uint8)
