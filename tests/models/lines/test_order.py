"""Reading order, joined fragments and split double lines, on boxes laid out by hand."""

from __future__ import annotations

import random

from flywheel.document import Box
from models.lines.order import join_fragments, reading_order, split_double_lines


def rows(x0: float, x1: float, top: float, count: int, pitch: float = 30, height: float = 24) -> list[Box]:
    return [Box(x0, top + i * pitch, x1, top + i * pitch + height) for i in range(count)]


def assert_read_in_this_order(boxes: list[Box]) -> None:
    """Whatever order the detector gives them in."""
    for seed in range(5):
        shuffled = random.Random(seed).sample(boxes, len(boxes))
        assert [shuffled[i] for i in reading_order(shuffled)] == boxes


def test_one_column_is_read_downwards() -> None:
    assert_read_in_this_order(rows(50, 500, 40, 12))


def test_two_columns_are_read_one_after_the_other() -> None:
    assert_read_in_this_order(rows(50, 280, 40, 10) + rows(320, 550, 40, 10))


def test_columns_of_text_that_runs_from_right_to_left_are_read_from_the_right() -> None:
    boxes = [Box(60, 2, 540, 28), *rows(320, 550, 40, 10), *rows(50, 280, 40, 10)]
    shuffled = random.Random(1).sample(boxes, len(boxes))
    assert [shuffled[i] for i in reading_order(shuffled, "R")] == boxes


def test_three_columns_with_ragged_ends_are_read_one_after_the_other() -> None:
    left, middle, right = rows(40, 200, 40, 9), rows(220, 380, 47, 7), rows(400, 560, 33, 8)
    assert_read_in_this_order(left + middle + right)


def test_a_heading_across_both_columns_parts_what_is_above_from_what_is_below() -> None:
    above = rows(50, 280, 40, 4) + rows(320, 550, 40, 4)
    heading = [Box(50, 180, 550, 210)]
    below = rows(50, 280, 230, 4) + rows(320, 550, 230, 4)
    assert_read_in_this_order([Box(60, 2, 540, 28), *above, *heading, *below])


def test_the_lines_of_a_pecha_leaf_are_read_downwards_with_the_margin_first() -> None:
    assert_read_in_this_order([Box(10, 60, 40, 90), *rows(80, 1900, 20, 6)])


def test_lines_of_one_level_are_read_from_the_left() -> None:
    assert_read_in_this_order([Box(50, 100, 200, 124), Box(400, 98, 560, 122), *rows(50, 560, 140, 3)])


def test_every_line_is_read_once_however_they_lie() -> None:
    r = random.Random(7)
    boxes = []
    for _ in range(120):
        x, y = r.uniform(0, 500), r.uniform(0, 700)
        boxes.append(Box(x, y, x + r.uniform(5, 300), y + r.uniform(5, 60)))
    assert sorted(reading_order(boxes)) == list(range(120))


def test_a_page_of_very_many_lines_is_still_ordered() -> None:
    boxes = rows(0, 100, 0, 1000)
    assert reading_order(boxes) == list(range(1000))


def test_no_lines_have_no_order() -> None:
    assert reading_order([]) == []


def test_pieces_of_a_line_are_joined_where_a_neighbour_runs_across_the_gap() -> None:
    text = rows(50, 550, 40, 3, pitch=40, height=36)
    pieces = [Box(50, 160, 260, 196), Box(330, 161, 550, 197)]
    joined = join_fragments([(b, 0.9) for b in [*text, *pieces]])
    assert len(joined) == 4
    assert (Box(50, 160, 550, 197)) in [b for b, _ in joined]


def test_pieces_are_not_joined_over_a_gutter() -> None:
    columns = rows(50, 280, 40, 8, pitch=40, height=36) + rows(312, 550, 40, 8, pitch=40, height=36)
    assert len(join_fragments([(b, 0.9) for b in columns])) == 16


def test_pieces_almost_touching_are_joined_and_confidence_is_weighed_by_width() -> None:
    [(box, confidence)] = join_fragments([(Box(0, 0, 300, 40), 1.0), (Box(304, 1, 404, 41), 0.6)])
    assert box == Box(0, 0, 404, 41)
    assert abs(confidence - 0.9) < 1e-6


def test_a_box_as_tall_as_two_lines_is_cut_in_two() -> None:
    usual = rows(50, 550, 40, 6, pitch=40, height=36)
    double = Box(50, 280, 550, 352)
    split = split_double_lines([(b, 0.9) for b in [*usual, double]])
    assert len(split) == 8
    assert (Box(50, 280, 550, 316), 0.9) in split


def test_a_tall_short_title_is_left_whole() -> None:
    usual = rows(50, 550, 100, 6, pitch=40, height=36)
    title = Box(200, 10, 360, 82)
    assert (title, 0.9) in split_double_lines([(b, 0.9) for b in [*usual, title]])


def test_a_page_number_under_the_gutter_is_read_after_both_columns() -> None:
    left = [Box(10, y, 100, y + 10) for y in range(20, 120, 14)]
    right = [Box(120, y, 210, y + 10) for y in range(20, 106, 14)]
    number = Box(107, 140, 113, 150)
    assert_read_in_this_order([*left, *right, number])
    assert_read_in_this_order([Box(70, 0, 150, 12), *left, *right, number])


def test_a_mark_over_the_gutter_is_read_before_both_columns() -> None:
    left = [Box(10, y, 100, y + 10) for y in range(20, 120, 14)]
    right = [Box(120, y, 210, y + 10) for y in range(20, 120, 14)]
    boxes = [Box(107, 2, 113, 12), *left, *right]
    assert reading_order(boxes) == list(range(len(boxes)))


def test_the_lowest_line_of_a_column_stays_in_its_column() -> None:
    left = [Box(10, y, 100, y + 10) for y in range(20, 160, 14)]
    right = [Box(120, y, 210, y + 10) for y in range(20, 90, 14)]
    boxes = [*left, *right]
    assert reading_order(boxes) == list(range(len(boxes)))
