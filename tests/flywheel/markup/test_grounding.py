"""Labels that are targets of grounded answers, and boxes that are a line's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flywheel.document import Box, Kind, Label, Line, Region, TextOrigin
from flywheel.markup import grounded, own_boxes, parse

WHOLE, PART = Box(0, 0, 100, 100), Box(10, 10, 90, 40)
TABLE = "<table><tr><td>ཀ</td><td>ཁ</td></tr></table>"
FORMULA = r"\[ a^{2} + b^{2} = c^{2} \]"


def of(*boxes: Box, kind: Kind = Kind.FINE) -> Label:
    return Label(kind, "t", 100, 100, tuple(Region("text", box, (Line("ཀ", box),)) for box in boxes))


def with_region(category: str, text: str, **more: object) -> Label:
    body = Region("text", PART, (Line("ཀ", PART),))
    low = Box(10, 60, 90, 80)
    return Label(Kind.FINE, "t", 100, 100, (body, Region(category, low, (Line(text, low),))), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", Kind)
def test_a_label_is_grounded_where_it_knows_where_things_stand_whoever_made_it(kind: Kind) -> None:
    assert (grounded(of(PART, kind=kind)) or "").startswith("<|ref|>text<|/ref|><|det|>[[100, 100, 900, 400]]")
    assert grounded(of(WHOLE, kind=kind)) is None
    assert grounded(of(WHOLE, PART, kind=kind)) is None


def test_a_reading_of_markup_that_boxes_the_whole_page_is_not_grounded() -> None:
    read = parse("<|ref|>text<|/ref|><|det|>[[0, 0, 999, 999]]<|/det|>\nཀཁག", 595, 842)
    assert grounded(Label(Kind.FINE, "t", 595, 842, read.regions)) is None


def test_a_picture_behind_the_text_takes_no_place_away() -> None:
    assert grounded(replace(of(PART), regions=(Region("picture", WHOLE), *of(PART).regions))) is not None
    assert grounded(Label(Kind.FINE, "t", 100, 100, (Region("picture", WHOLE),))) is None


def test_tables_without_html_and_formulas_without_tex_are_no_targets() -> None:
    assert grounded(with_region("table", TABLE)) is not None
    assert grounded(with_region("formula", FORMULA)) is not None
    assert grounded(with_region("table", "ཀ ཁ")) is None
    assert grounded(with_region("table", TABLE[:-8])) is None
    assert grounded(with_region("formula", "a2 + b2 = c2")) is None
    for origin in (TextOrigin.TEXT_LAYER, TextOrigin.OCR_LAYER):
        assert grounded(with_region("table", TABLE, origin=origin)) is None
        assert grounded(with_region("formula", FORMULA, origin=origin)) is None
        assert grounded(with_region("caption", "ཀ ཁ", origin=origin)) is not None


def test_a_table_that_was_only_seen_has_no_text_to_be_wrong() -> None:
    seen = Region("table", Box(10, 60, 90, 80))
    assert grounded(replace(of(PART), regions=(*of(PART).regions, seen))) is not None


def test_what_cannot_be_written_as_markup_is_not_grounded() -> None:
    assert grounded(Label(Kind.FINE, "t", 100, 100, (Region("doodle", PART),))) is None
    assert grounded(Label(Kind.FINE, "t", 0, 0, of(PART).regions)) is None
    assert grounded(Label(Kind.FINE, "t", 100, 100, ())) is None


# Boxes of lines


def page_of(*regions: Region) -> Label:
    return Label(Kind.FINE, "t", 595, 842, regions)


def test_lines_that_share_a_box_have_none_of_their_own_wherever_it_comes_from() -> None:
    rows = tuple(Line(f"line {n}", Box(50, 100, 500, 160)) for n in range(3))
    for region_box in (Box(50, 100, 500, 160), Box(45, 95, 510, 170)):  # a reader's region, a layout's around it
        assert own_boxes(page_of(Region("text", region_box, rows))) == frozenset()


def test_lines_that_a_detector_found_have_boxes_of_their_own_also_when_one_is_its_whole_region() -> None:
    boxes = [Box(50, 100 + 20 * n, 500, 116 + 20 * n) for n in range(3)]
    lines = tuple(Line("the wheel turns and every page comes back with a label", box) for box in boxes)
    label = Label(
        Kind.FINE, "t", 595, 842, (Region("text", Box.around(boxes), lines), Region("title", boxes[0], ()))
    )
    assert own_boxes(label) == frozenset(boxes)
    alone = Label(Kind.FINE, "t", 595, 842, (Region("text", boxes[0], lines[:1]),))
    assert own_boxes(alone) == frozenset(boxes[:1])


def test_a_paragraph_written_without_line_breaks_is_no_line_upright_or_turned() -> None:
    said = " ".join(["the wheel turns and every page comes back with a label"] * 2)
    han = "天地玄黃宇宙洪荒日月盈昃辰宿列張寒來暑往" * 2
    low = Box(50, 100, 330, 134)  # two lines of 14 points
    assert own_boxes(page_of(Region("text", low, (Line(han, low),)))) == frozenset()
    for box in (Box(50, 100, 350, 132), Box(50, 100, 82, 400)):  # two lines of 12 points
        assert own_boxes(page_of(Region("text", box, (Line(said, box),)))) == frozenset()
    tall = Box(50, 100, 66, 500)
    upright = Line("天地玄黃宇宙洪荒日月盈昃辰宿列張寒來暑往", tall)
    assert own_boxes(page_of(Region("text", tall, (upright,)))) == frozenset({tall})


def test_html_and_tex_are_no_line_of_text() -> None:
    row = Box(50, 100, 500, 116)
    for category, text in (("table", "<table><tr><td>1</td></tr></table>"), ("formula", r"\( a^2 \)")):
        assert own_boxes(page_of(Region(category, row, (Line(text, row),)))) == frozenset()
    cells = Label(Kind.FINE, "t", 595, 842, (Region("table", Box(40, 90, 510, 300), (Line("name 12", row),)),))
    assert own_boxes(cells) == frozenset({row})


@pytest.mark.parametrize("last", [0.1, 0.2, 0.3])
def test_a_paragraph_of_two_lines_is_no_line_however_short_its_last_one_is(last: float) -> None:
    """Helvetica of 11 points, 14 points from line to line: a letter is half as wide as the type is large."""
    letters = 55
    box = Box(50, 50, 50 + letters * 5.5, 50 + 10.5 + 14)
    text = "n" * round(letters * (1 + last))
    lines = [Box(50, 100 + 14 * n, 50 + letters * 5.5, 110.5 + 14 * n) for n in range(5)]
    single = [Region("text", place, (Line("n" * letters, place),)) for place in lines]
    label = Label(Kind.FINE, "t", 595, 842, (Region("text", box, (Line(text, box),)), *single))
    assert own_boxes(label) == frozenset(lines)
