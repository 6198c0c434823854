"""Patches pair a line's image with the characters whose origins fall in it, or are dropped with a reason."""

from __future__ import annotations

import dataclasses
import unicodedata

import pytest

from flywheel.document import Box, Character, Kind, Label, Line, Region
from flywheel.reasons import Reason
from models.lines.detector import DetectedLine, LineDetector
from models.lines.patches import cut, cut_label, text_of
from tests.models.drawing import DrawnPage, column, draw_page


@pytest.fixture(scope="module")
def detector() -> LineDetector:
    return LineDetector(threads=1)


@pytest.fixture(scope="module")
def page() -> DrawnPage:
    return draw_page(column(100, 100, 6, 14, seed=1))


@pytest.fixture(scope="module")
def lines(detector: LineDetector, page: DrawnPage) -> list[DetectedLine]:
    return detector.find(page.image)


def test_each_line_becomes_a_patch_with_its_own_text(page: DrawnPage, lines: list[DetectedLine]) -> None:
    report = cut(page.image, page.dpi, page.characters(), lines)
    assert [p.text for p in report.patches] == [text for _, _, text in page.lines]
    assert not report.dropped


def test_a_patch_has_its_box_in_points_and_its_image_in_gray(page: DrawnPage, lines: list[DetectedLine]) -> None:
    patch = cut(page.image, page.dpi, page.characters(), lines).patches[0]
    assert patch.box == lines[0].box.scaled(72 / 150)
    assert patch.image.ndim == 2
    assert patch.image.shape[1] >= lines[0].width


def test_line_boxes_twice_too_tall_do_no_harm(page: DrawnPage, lines: list[DetectedLine]) -> None:
    tall = [
        dataclasses.replace(c, box=Box(c.box.x0, c.box.y0 - 40, c.box.x1, c.box.y1 + 40))
        for c in page.characters()
    ]
    assert len(cut(page.image, page.dpi, tall, lines).patches) == 6


def test_a_line_without_characters_is_dropped_as_empty(page: DrawnPage, lines: list[DetectedLine]) -> None:
    report = cut(page.image, page.dpi, [c for c in page.characters() if c.line != 2], lines)
    assert report.dropped == {Reason.PATCH_EMPTY: 1}
    assert len(report.patches) == 5


def test_a_detected_line_over_two_text_lines_is_dropped_as_merged(
    page: DrawnPage, lines: list[DetectedLine]
) -> None:
    both = Box.around((lines[0].box, lines[1].box))
    merged = DetectedLine(both, 0.9, 0.0, both.width, both.height)
    report = cut(page.image, page.dpi, page.characters(), [merged, *lines[2:]])
    assert report.dropped == {Reason.PATCH_MERGED: 1}


def test_a_text_line_in_two_detected_lines_is_dropped_as_split_on_both_sides(
    page: DrawnPage, lines: list[DetectedLine]
) -> None:
    box = lines[0].box
    middle = (box.x0 + box.x1) / 2
    halves = [Box(box.x0, box.y0, middle, box.y1), Box(middle, box.y0, box.x1, box.y1)]
    split = [DetectedLine(b, 0.9, 0.0, b.width, b.height) for b in halves]
    report = cut(page.image, page.dpi, page.characters(), [*split, *lines[1:]])
    assert report.dropped == {Reason.PATCH_SPLIT: 2}


def test_characters_beyond_the_end_of_the_detected_line_drop_it_as_clipped(
    page: DrawnPage, lines: list[DetectedLine]
) -> None:
    characters = page.characters()
    last = max((c for c in characters if c.line == 0), key=lambda c: c.x)
    reaching = dataclasses.replace(last, box=Box(last.box.x0, last.box.y0, last.box.x1 + 80, last.box.y1))
    wide = [reaching if c is last else c for c in characters]
    assert cut(page.image, page.dpi, wide, lines).dropped == {Reason.PATCH_CLIPPED: 1}


def test_more_characters_than_fit_drop_the_line_as_long(page: DrawnPage, lines: list[DetectedLine]) -> None:
    crowd = [c for c in page.characters() if c.line == 0] * 9
    assert cut(page.image, page.dpi, crowd, lines[:1]).dropped == {Reason.PATCH_LONG: 1}


def test_a_line_too_low_to_read_is_dropped_as_small(page: DrawnPage, lines: list[DetectedLine]) -> None:
    box = lines[0].box
    low = DetectedLine(Box(box.x0, box.y1 - 30, box.x1, box.y1 - 20), 0.9, 0.0, box.width, 10)
    characters = [dataclasses.replace(c, y=(box.y1 - 25) * 72 / 150) for c in page.characters() if c.line == 0]
    assert cut(page.image, page.dpi, characters, [low]).dropped == {Reason.PATCH_SMALL: 1}


def character(text: str, x: float, width: float = 5.0) -> Character:
    return Character(text, x, 10.0, Box(x, 0.0, x + width, 12.0), 0)


def test_text_keeps_the_text_layers_order_and_is_nfc() -> None:
    decomposed = unicodedata.normalize("NFD", "é")
    characters = [character("b", 50), character(decomposed[0], 56), character(decomposed[1], 56, 0.0)]
    assert text_of(characters, 12) == "bé"


def test_a_gap_that_the_pen_jumped_is_a_space_and_runs_of_spaces_are_one() -> None:
    jumped = [character("a", 0), character("b", 20)]
    written = [character("a", 0), character(" ", 5), character(" ", 10), character("b", 15)]
    assert text_of(jumped, 12) == text_of(written, 12) == "a b"


def test_a_lone_digit_whose_baseline_is_its_boxs_lower_edge_is_kept(detector: LineDetector) -> None:
    page = draw_page([*column(100, 100, 4, 14, seed=1), (600, 620, "༥")])
    report = cut(page.image, page.dpi, page.characters(), detector.find(page.image))
    assert report.patches[-1].text == "༥"


def label_of(page: DrawnPage, boxes: list[Box], texts: list[str]) -> Label:
    written = tuple(Line(t, b.scaled(72 / page.dpi)) for t, b in zip(texts, boxes, strict=True))
    region = Region("text", Box.around(x.box for x in written), written)
    return Label(Kind.HUMAN, "person", *page.points, (region,))


def test_a_corrected_label_gives_its_text_to_the_lines_its_boxes_cover(
    page: DrawnPage, lines: list[DetectedLine]
) -> None:
    texts = [f"line {i}" for i in range(6)]
    report = cut_label(page.image, page.dpi, label_of(page, [x.box for x in lines], texts), lines)
    assert [p.text for p in report.patches] == texts
    assert not report.dropped


def test_label_lines_that_do_not_fit_the_detected_ones_are_dropped_by_reason(
    page: DrawnPage, lines: list[DetectedLine]
) -> None:
    first, second = lines[0].box, lines[1].box
    half = Box(first.x0, first.y0, (first.x0 + first.x1) / 2, first.y1)
    rest = Box(half.x1, first.y0, first.x1, first.y1)
    both = Box.around((second, lines[2].box))
    boxes = [half, rest, both, lines[3].box, lines[4].box]
    label = label_of(page, boxes, ["a", "b", "c", "d", "e"])
    report = cut_label(page.image, page.dpi, label, lines)
    assert [p.text for p in report.patches] == ["d", "e"]
    assert report.dropped == {Reason.PATCH_MERGED: 1, Reason.PATCH_SPLIT: 2, Reason.PATCH_EMPTY: 1}
