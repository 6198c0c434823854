"""Patches of lines from right to left hold logical text that their ink tells, or are dropped with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flywheel.document import Box, Character, Kind, Label, Line, Region
from flywheel.pdf import PageImage, Sandbox
from flywheel.reasons import Reason
from models.lines.detector import DetectedLine, LineDetector
from models.lines.patches import cut, cut_label, text_of
from tests.flywheel import right_to_left

POINT = 150 / 72


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as shared:
        yield shared


@pytest.mark.parametrize("language", ["he", "ar"])
def test_patches_of_a_drawn_page_hold_its_lines_in_logical_order(
    sandbox: Sandbox, tmp_path: Path, language: str
) -> None:
    truth = right_to_left.LINES[language]
    path = right_to_left.drawn_by_fpdf(tmp_path / "a.pdf", language, truth)
    [image] = sandbox.render(path, [0], 150)
    assert isinstance(image, PageImage)
    lines = LineDetector().find(image.image, image.dpi)
    report = cut(image.image, image.dpi, sandbox.characters(path, 0), lines)
    assert [patch.text for patch in report.patches] == list(truth)
    assert not report.dropped


def detected(width: float = 900, height: float = 40) -> DetectedLine:
    box = Box(100, 100, 100 + width, 100 + height)
    return DetectedLine(box, 0.9, 0.0, width, height)


PAGE = np.full((700, 1240), 255, np.uint8)


def label_of(text: str, line: DetectedLine) -> Label:
    written = Line(text, line.box.scaled(1 / POINT))
    return Label(Kind.HUMAN, "person", 595, 336, (Region("text", written.box, (written,)),))


def test_a_label_whose_order_its_ink_does_not_tell_makes_no_patch() -> None:
    line = detected()
    for text, dropped in {"שלום 10 km": {Reason.PATCH_ORDER: 1}, "שלום km 10": {}}.items():
        assert cut_label(PAGE, 150, label_of(text, line), [line]).dropped == dropped


def test_a_line_that_runs_down_the_page_makes_no_patch() -> None:
    line = detected(width=40, height=500)
    assert cut_label(PAGE, 150, label_of("天地玄黃", line), [line]).dropped == {Reason.PATCH_VERTICAL: 1}


def row(shown: str) -> list[Character]:
    """Characters of one line that stand in this order from left to right, ten points each."""
    return [Character(c, 10 * i, 100, Box(10 * i, 90, 10 * i + 10, 102), 0) for i, c in enumerate(shown)]


def test_text_is_told_by_places_from_whichever_end_the_layer_gives_it() -> None:
    characters = row("21 םולש")  # the digits are drawn as they are read
    assert text_of(characters, 12) == text_of(characters[::-1], 12) == "שלום 21"


def test_a_gap_between_words_is_a_space_whichever_way_they_run() -> None:
    word, number = row("םולש"), row("21")
    moved = [Character(c.text, c.x + 60, c.y, Box(c.box.x0 + 60, 90, c.box.x1 + 60, 102), 0) for c in word]
    assert text_of([*moved, *number], 12) == "שלום 21"


def test_a_line_whose_words_climb_and_fall_makes_no_patch() -> None:
    """Nastaliq: letters above each other have no order that their places tell."""
    image = PAGE.copy()
    line = detected(width=400, height=60)
    letters = [
        Character(c, x, y, Box(x, y - 6, x + 8, y), 0)
        for c, x, y in (("شلام"[n % 4], 230 - 10 * n, 70 - 4 * (3 - n % 4)) for n in range(16))
    ]
    for letter in letters:
        box = letter.box.scaled(POINT)
        image[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = 0
    assert cut(image, 150, letters, [line]).dropped == {Reason.PATCH_ORDER: 1}
