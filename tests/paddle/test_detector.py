"""Lines are found once each, in reading order, level or not, with boxes in the page's own pixels."""

from __future__ import annotations

import numpy as np
import pytest

from models.lines.crop import crop
from models.lines.detector import DetectedLine
from models.paddle import PaddleLineDetector
from tests.paddle.drawing import CHINESE, ENGLISH, DrawnPage, column, draw_page, stored, turned


def assert_finds(lines: list[DetectedLine], page: DrawnPage) -> None:
    """One detected line for each drawn one, in the drawn order, around its baseline's start."""
    assert len(lines) == len(page.lines)
    for found, (x, y, _) in zip(lines, page.lines, strict=True):
        assert found.box.contains(x + 10, y - 5), (found.box, x, y)


@pytest.mark.parametrize(("language", "texts"), [("en", ENGLISH), ("zh", CHINESE)])
def test_every_line_of_a_column_is_found_once_from_top_to_bottom(
    detector: PaddleLineDetector, language: str, texts: list[str]
) -> None:
    page = draw_page(column(texts), language)
    assert_finds(detector.find(page.image, page.dpi), page)


def test_two_columns_are_read_one_after_the_other(detector: PaddleLineDetector) -> None:
    left, right = column(ENGLISH[:5], left=60), column(ENGLISH[4:9], left=880)
    page = draw_page(left + right, width=1640)
    assert_finds(detector.find(page.image, page.dpi), page)


def test_boxes_are_in_the_pages_pixels_at_any_resolution(detector: PaddleLineDetector) -> None:
    once = draw_page(column(ENGLISH[:4]), height=400)
    lines = [(2 * x, 2 * y, text) for x, y, text in once.lines]
    twice = DrawnPage(draw_page(lines, size=56, width=1800, height=800).image, lines, dpi=300)
    assert_finds(detector.find(twice.image, twice.dpi), twice)
    for small, large in zip(detector.find(once.image, 150), detector.find(twice.image, 300), strict=True):
        assert large.width / small.width == pytest.approx(2, rel=0.05)
        assert large.height / small.height == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize("degrees", [-3.0, 2.0])
def test_a_skewed_page_gives_its_slant_and_its_lines_are_cut_level(
    detector: PaddleLineDetector, degrees: float
) -> None:
    page = draw_page(column(ENGLISH))
    image = turned(page.image, degrees)
    lines = detector.find(image, page.dpi)
    assert len(lines) == len(page.lines)
    assert all(abs(line.slant - degrees) < 0.4 for line in lines)
    assert [line.box.y0 for line in lines] == sorted(line.box.y0 for line in lines)
    level = detector.find(page.image, page.dpi)
    heights = [
        np.mean([crop(i, line).shape[0] for line in found]) for i, found in ((page.image, level), (image, lines))
    ]
    assert heights[1] < 1.2 * heights[0]  # unlevelled, 700 pixels at 2 degrees would add 24 rows to 45


def test_colour_and_gray_give_the_same_lines(detector: PaddleLineDetector) -> None:
    page = draw_page(column(ENGLISH[:3]), height=300)
    assert detector.find(stored(page.image, ".png"), page.dpi) == detector.find(page.image, page.dpi)


def test_a_blank_page_and_a_sliver_have_no_lines(detector: PaddleLineDetector) -> None:
    assert detector.find(np.full((900, 700), 255, np.uint8)) == []
    assert detector.find(np.full((4, 700), 255, np.uint8)) == []
