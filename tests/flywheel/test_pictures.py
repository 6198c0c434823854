"""Pictures of labels: regions and lines are where the label says, in the colours it says."""

import numpy as np
import pytest

from flywheel.document import Box, Kind, Label, Line, Outcome, Region, Verdict
from flywheel.pictures import (
    CATEGORY_COLOURS,
    DESK,
    HEADER,
    OUTCOME_COLOURS,
    SheetItem,
    annotate,
    confidence_colour,
    contact_sheet,
    text_width,
)
from flywheel.reasons import Reason

DPI = 144  # two pixels a point
PAGE = np.full((800, 600), 255, np.uint8)
ACCEPTED = Verdict(Outcome.ACCEPTED, Reason.ACCEPTED)


def label(confidence: float | None = 0.9, category: str = "text", text: str = "བཀྲ་ཤིས།") -> Label:
    box = Box(50, 100, 250, 300)
    lines = (Line(text, Box(60, 110, 240, 130), confidence),)
    return Label(Kind.FINE, "line", 300.0, 400.0, (Region(category, box, lines),), "Tibt", "bo")


def near(pixel, colour) -> bool:
    return bool(np.abs(np.asarray(pixel, int) - np.asarray(colour, int)).max() <= 24)


@pytest.mark.parametrize("category", sorted(CATEGORY_COLOURS))
def test_a_region_is_framed_in_the_colour_of_its_category(category):
    picture = np.asarray(annotate(PAGE, label(category=category), DPI))
    top = picture.shape[0] - PAGE.shape[0]
    row = picture[top + 400]  # 200 points down: below the line, inside the region
    edges = np.flatnonzero([near(pixel, CATEGORY_COLOURS[category]) for pixel in row])
    assert abs(edges.min() - 100) <= 5
    assert abs(edges.max() - 500) <= 5
    assert not near(row[300], CATEGORY_COLOURS[category])


def test_line_colours_run_from_red_over_amber_to_green_and_are_blue_without_confidence():
    low, middle, high = (confidence_colour(c) for c in (0.1, 0.8, 0.99))
    assert low[0] > 2 * low[1]
    assert middle[0] > middle[1] > middle[2]
    assert high[1] > 2 * high[0]
    assert confidence_colour(None)[2] > 200
    assert confidence_colour(-1.0) == confidence_colour(0.0)
    assert confidence_colour(2.0) == confidence_colour(1.0)
    sure, unsure = (np.asarray(annotate(PAGE, label(c), DPI)).astype(int) for c in (0.99, 0.1))
    top = sure.shape[0] - PAGE.shape[0]
    assert sure[top + 240, 300, 1] > unsure[top + 240, 300, 1]
    assert sure[top + 240, 300, 0] < unsure[top + 240, 300, 0]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_header_shows_the_verdict_in_its_colour(outcome):
    verdict = Verdict(outcome, Reason.LOW_CONFIDENCE, "seven lines under 80 %")
    picture = annotate(PAGE, label(), DPI, verdict=verdict, file="a.pdf", page=0)
    header = np.asarray(picture)[: picture.height - PAGE.shape[0]]
    assert near(header[0, 0], HEADER)
    assert np.all(header == OUTCOME_COLOURS[outcome], axis=2).sum() > 500


def test_a_label_that_leaves_the_page_and_a_file_name_in_any_script_are_drawn_all_the_same():
    stray = Region("text", Box(-50, -20, 900, 900), (Line("x", Box(290, 20, 280, 10), 0.5),))
    odd = Label(Kind.FINE, "line", 300.0, 400.0, (stray, stray))
    picture = annotate(PAGE, odd, DPI, file="བོད་ཡིག 文字 \x00\u202e name" * 9, page=3)
    assert picture.width == PAGE.shape[1]


def test_a_narrow_page_keeps_a_readable_header():
    picture = annotate(PAGE[:, :90], label(), DPI, verdict=ACCEPTED, file="a.pdf", page=0)
    assert picture.width == 480


def test_tibetan_is_set_in_a_face_that_stacks_it():
    assert text_width("སྒྲ", 40) < text_width("སགར", 40) * 0.6


def test_a_contact_sheet_has_its_columns_and_as_many_rows_as_it_needs():
    item = SheetItem(PAGE, DPI, label(), ACCEPTED, "a.pdf · page 1", "CER 2.1 %")
    one, five = contact_sheet([item], columns=4), contact_sheet([item] * 5, columns=4)
    four = contact_sheet([item] * 4, columns=4)
    assert five.width == four.width > 3 * one.width * 0.8
    assert five.height > 1.8 * four.height
    assert near(five.getpixel((five.width - 60, five.height - 60)), DESK)


def test_a_card_shows_the_page_s_text_underneath():
    said, silent = (contact_sheet([SheetItem(PAGE, DPI, label(text=t), ACCEPTED)]) for t in ("བཀྲ་ཤིས།" * 9, ""))
    assert said.height > silent.height


def test_no_pages_make_an_empty_sheet():
    assert contact_sheet([]).height > 0
