"""Lines are found once each, in reading order, level or not; and cut so that nothing of them is lost."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from flywheel.document import Box
from models.lines.crop import LevelPage, crop
from models.lines.detector import DetectedLine, LineDetector
from tests.models.drawing import DrawnPage, Gray, column, draw_page, syllables


@pytest.fixture(scope="module")
def detector() -> LineDetector:
    return LineDetector(threads=1)


def assert_finds(lines: list[DetectedLine], page: DrawnPage) -> None:
    """One detected line for each drawn one, in the drawn order, around its baseline's start."""
    assert len(lines) == len(page.lines)
    for found, (x, y, _) in zip(lines, page.lines, strict=True):
        assert found.box.contains(x + 10, y - 5), (found.box, x, y)


def turned(image: Gray, degrees: float) -> Gray:
    height, width = image.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderValue=255.0), dtype=np.uint8)


def test_every_line_of_a_column_is_found_once_from_top_to_bottom(detector: LineDetector) -> None:
    page = draw_page(column(100, 100, 8, 14, seed=1))
    assert_finds(detector.find(page.image), page)


def test_two_columns_are_found_and_read_one_after_the_other(detector: LineDetector) -> None:
    page = draw_page(column(60, 100, 7, 7, seed=2) + column(680, 100, 7, 7, seed=3))
    assert_finds(detector.find(page.image), page)


def test_the_long_lines_of_a_pecha_leaf_are_each_one_line(detector: LineDetector) -> None:
    page = draw_page(column(80, 80, 5, 30, seed=4), width=2100, height=430)
    assert_finds(detector.find(page.image), page)


def test_a_line_with_gaps_between_its_phrases_stays_one_line(detector: LineDetector) -> None:
    broken = f"{syllables(5, 5)}།   །{syllables(5, 6)}"
    page = draw_page([*column(100, 100, 2, 14, seed=7), (100, 240, broken), *column(100, 310, 2, 14, seed=8)])
    assert_finds(detector.find(page.image), page)


@pytest.mark.parametrize("degrees", [-3.0, -1.2, 1.5, 3.0])
def test_a_skewed_page_gives_its_slant_and_boxes_in_its_own_coordinates(
    detector: LineDetector, degrees: float
) -> None:
    page = draw_page(column(100, 120, 8, 14, seed=9), height=800)
    lines = detector.find(turned(page.image, degrees))
    assert len(lines) == 8
    assert all(abs(line.slant - degrees) < 0.3 for line in lines)
    assert all(0 <= x.box.x0 < x.box.x1 <= 1240 and 0 <= x.box.y0 < x.box.y1 <= 800 for x in lines)
    assert [line.box.y0 for line in lines] == sorted(line.box.y0 for line in lines)


def test_a_crop_of_a_skewed_line_is_level(detector: LineDetector) -> None:
    page = draw_page(column(100, 120, 8, 14, seed=9), height=800)
    level, skewed = detector.find(page.image)[3], detector.find(turned(page.image, 2.5))[3]
    heights = [rows_of_ink(crop(page.image, level)), rows_of_ink(crop(turned(page.image, 2.5), skewed))]
    assert heights[1] <= heights[0] * 1.35  # unlevelled, 600 pixels at 2.5 degrees would add 26 rows


def rows_of_ink(image: Gray) -> int:
    return int((np.sort(image, axis=1)[:, 3] < 128).sum())


def test_a_crop_holds_vowels_above_and_stacks_below(detector: LineDetector) -> None:
    page = draw_page([(100, 150, "སྐྱེལ་བསྒྲུབས་མོའི་ཕྱྭ་རྫུ་འཕྲུལ་སྒྲོལ་ཀླུ་" * 2)], height=300)
    [line] = detector.find(page.image)
    cut = crop(page.image, line)
    assert (cut < 128).sum() == (page.image < 128).sum()


def test_a_blank_page_and_a_sliver_have_no_lines(detector: LineDetector) -> None:
    assert detector.find(np.full((900, 700), 255, np.uint8)) == []
    assert detector.find(np.full((4, 700), 255, np.uint8)) == []


def test_latin_and_chinese_lines_are_found_as_well(detector: LineDetector) -> None:
    english = [(100.0, 100.0 + 40 * i, f"Line {i} of an English page, set in a small size.") for i in range(6)]
    chinese = [(100.0, 100.0 + 50 * i, "一二三四五六七八九十上下左右中大小") for i in range(6)]
    for lines, language, size in ((english, "en", 22), (chinese, "zh", 26)):
        page = draw_page(lines, size=size, language=language, height=500)
        assert_finds(detector.find(page.image), page)


@pytest.mark.parametrize("slant", [0.0, 2.0])
def test_a_line_that_an_edge_of_the_page_cuts_off_is_cut_where_it_stands(slant: float) -> None:
    page = LevelPage.of(np.full((700, 500), 255, np.uint8), slant)
    whole = DetectedLine(Box(100, 20, 400, 60), 0.9, slant, 300, 40)
    width, height = (300, 40) if not slant else (299.0, 29.6)
    whole = dataclasses.replace(whole, width=width, height=height)
    cut_off = dataclasses.replace(whole, box=Box(100, 0, 400, 30))  # the same, 30 pixels higher
    assert page.window(cut_off).y1 == pytest.approx(page.window(whole).y1 - 30, abs=1.5)


def test_a_line_outside_the_page_cannot_be_cut(detector: LineDetector) -> None:
    page = draw_page([(100, 150, syllables(8, 1))], height=300)
    [line] = detector.find(page.image)
    with pytest.raises(ValueError, match="outside a page"):
        crop(page.image[:20, :20], line)
