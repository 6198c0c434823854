"""Patches pair a line's image with the characters whose ink it shows, or are dropped with a reason."""

from __future__ import annotations

import dataclasses
import unicodedata
from pathlib import Path

import pymupdf
import pytest

from flywheel.document import Box, Character, Kind, Label, Line, Region
from flywheel.pdf import PageImage, Sandbox
from flywheel.reasons import Reason
from models.lines.crop import PAD_ENDS
from models.lines.detector import DetectedLine, LineDetector
from models.lines.patches import cut, cut_label, text_of
from tests.models.drawing import DrawnPage, column, draw_page, font


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


def parted(line: DetectedLine, at: float, *, apart: float = 0.0) -> list[DetectedLine]:
    """The line as two, `apart` pixels from each other around `at`."""
    box = line.box
    halves = [Box(box.x0, box.y0, at - apart / 2, box.y1), Box(at + apart / 2, box.y0, box.x1, box.y1)]
    return [DetectedLine(b, 0.9, 0.0, b.width, b.height) for b in halves]


def test_a_character_that_two_detected_lines_share_drops_both(page: DrawnPage, lines: list[DetectedLine]) -> None:
    box = lines[0].box
    split = parted(lines[0], (box.x0 + box.x1) / 2)
    report = cut(page.image, page.dpi, page.characters(), [*split, *lines[1:]])
    assert sum(report.dropped.values()) == 2
    assert set(report.dropped) <= {Reason.PATCH_SPLIT, Reason.PATCH_FOREIGN}
    assert [p.text for p in report.patches] == [text for _, _, text in page.lines[1:]]


def test_a_text_line_that_the_detector_parts_at_a_gap_gives_both_parts_their_own_text(
    detector: LineDetector,
) -> None:
    page = draw_page([(100, 150, "ཀ་ཁ་ག་ང་     ཅ་ཆ་ཇ་ཉ་"), *column(100, 220, 4, 14, seed=1)])
    first = next(line for line in detector.find(page.image) if line.box.contains(110, 140))
    start, end = (font(34).getlength(text) for text in ("ཀ་ཁ་ག་ང་", "ཀ་ཁ་ག་ང་     "))
    halves = parted(first, 100 + (start + end) / 2, apart=(end - start) * 0.6)
    assert [p.text for p in cut(page.image, page.dpi, page.characters(), halves).patches] == [
        "ཀ་ཁ་ག་ང་",
        "ཅ་ཆ་ཇ་ཉ་",
    ]


def test_a_detected_line_that_ends_inside_a_character_is_dropped_as_clipped(
    page: DrawnPage, lines: list[DetectedLine]
) -> None:
    last = max((c for c in page.characters() if c.line == 0 and c.text != "་"), key=lambda c: c.box.x1)
    middle = (last.box.x0 + last.box.x1) / 2 * page.dpi / 72
    air = PAD_ENDS * lines[0].height
    short, _ = parted(lines[0], middle + 2 - air)
    assert cut(page.image, page.dpi, page.characters(), [short]).dropped == {Reason.PATCH_CLIPPED: 1}


def test_a_picture_with_characters_that_belong_to_another_line_is_dropped(
    page: DrawnPage, lines: list[DetectedLine]
) -> None:
    row = [c for c in page.characters() if c.line == 0 and c.box.width > 0]
    scale = page.dpi / 72
    air = PAD_ENDS * lines[0].height
    start, _ = parted(lines[0], row[8].box.x0 * scale)  # the first eight, the last two of which are the rest's
    _, rest = parted(lines[0], row[6].box.x0 * scale + air)
    report = cut(page.image, page.dpi, page.characters(), [start, rest])
    assert report.dropped == {Reason.PATCH_FOREIGN: 1}
    [patch] = report.patches
    assert patch.text.startswith(row[6].text)
    assert page.lines[0][2].endswith(patch.text)


def test_every_character_is_in_one_line_or_counted_as_elsewhere(
    page: DrawnPage, lines: list[DetectedLine]
) -> None:
    kept = cut(page.image, page.dpi, page.characters(), lines[:4])
    assert kept.elsewhere == sum(c.box.width > 0 and c.line > 3 for c in page.characters())
    assert cut(page.image, page.dpi, page.characters(), lines).elsewhere == 0


def test_text_without_ink_drops_its_line(page: DrawnPage, lines: list[DetectedLine]) -> None:
    image = page.image.copy()
    box = lines[0].box
    image[:, int(box.x0 + box.width / 2) : int(box.x1) + 8][int(box.y0) : int(box.y1)] = 255
    assert cut(image, page.dpi, page.characters(), lines).dropped == {Reason.PATCH_BARE: 1}


def test_more_characters_than_fit_drop_the_line_as_long(page: DrawnPage, lines: list[DetectedLine]) -> None:
    crowd = [dataclasses.replace(c, text=9 * c.text) for c in page.characters() if c.line == 0]
    assert cut(page.image, page.dpi, crowd, lines[:1]).dropped == {Reason.PATCH_LONG: 1}


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.4, 0.0), (0.7, 0.7), (3.0, 2.0)])
def test_text_drawn_twice_drops_its_line(
    page: DrawnPage, lines: list[DetectedLine], shift: tuple[float, float]
) -> None:
    right, down = shift
    row = [c for c in page.characters() if c.line == 2]
    again = [
        dataclasses.replace(
            c, x=c.x + right, y=c.y + down, box=Box(c.box.x0 + right, c.box.y0, c.box.x1 + right, c.box.y1)
        )
        for c in row
    ]
    report = cut(page.image, page.dpi, [*page.characters(), *again], lines)
    assert report.dropped == {Reason.PATCH_OVERLAP: 1}
    interleaved = [c for pair in zip(row, again, strict=True) for c in pair]
    assert cut(page.image, page.dpi, interleaved, lines[2:3]).dropped == {Reason.PATCH_OVERLAP: 1}


def told(page: DrawnPage, place: int, text: str) -> list[Character]:
    """The page's characters, one of line 2 of which says something else."""
    row = [i for i, c in enumerate(page.characters()) if c.line == 2]
    out = page.characters()
    out[row[place]] = dataclasses.replace(out[row[place]], text=text)
    return out


@pytest.mark.parametrize("wrong", ["\ufffd", "\ue0f1", "\U000f0001", "\u0f48", "\u0378"])
def test_text_with_what_is_no_character_drops_its_line(
    page: DrawnPage, lines: list[DetectedLine], wrong: str
) -> None:
    report = cut(page.image, page.dpi, told(page, 4, wrong), lines)
    assert report.dropped == {Reason.PATCH_CHARSET: 1}
    texts = [text for _, _, text in page.lines]
    texts[3] = f"ka{wrong}kha"
    label = label_of(page, [x.box for x in lines], texts)
    assert cut_label(page.image, page.dpi, label, lines).dropped == {Reason.PATCH_CHARSET: 1}


@pytest.mark.parametrize("invisible", ["\u00ad", "\u200b", "\ufeff", "\u200f", "\u202b", "\x02"])
def test_a_patchs_text_is_cleaned_as_labels_are(
    page: DrawnPage, lines: list[DetectedLine], invisible: str
) -> None:
    truth = page.lines[2][2]
    characters = told(page, 0, truth[0] + invisible)
    assert cut(page.image, page.dpi, characters, lines).patches[2].text == truth
    texts = [text for _, _, text in page.lines]
    texts[3] = texts[3][0] + invisible + texts[3][1:]
    label = label_of(page, [x.box for x in lines], texts)
    assert cut_label(page.image, page.dpi, label, lines).patches[3].text == page.lines[3][2]


def test_a_raised_mark_that_was_written_last_is_read_where_it_stands(detector: LineDetector) -> None:
    before = font(34).getlength("ཀ་ཁ་ག་ང་ ")
    page = draw_page(
        [(100, 150, "ཀ་ཁ་ག་ང་    ཅ་ཆ་ཇ་ཉ་"), *column(100, 220, 4, 14, seed=1), (100 + before, 140, "༥")]
    )
    [patch, *_] = cut(page.image, page.dpi, page.characters(), detector.find(page.image)).patches
    assert "".join(patch.text.split()) == "ཀ་ཁ་ག་ང་༥ཅ་ཆ་ཇ་ཉ་"


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


def test_a_readings_line_that_its_reader_was_unsure_of_is_dropped_and_others_keep_their_confidence(
    page: DrawnPage, lines: list[DetectedLine]
) -> None:
    label = label_of(page, [x.box for x in lines], [f"line {i}" for i in range(6)])
    given = (0.21, 0.84, 0.85, 0.97, None, 0.99)
    read = tuple(dataclasses.replace(x, confidence=c) for x, c in zip(label.lines, given, strict=True))
    regions = (dataclasses.replace(label.regions[0], lines=read),)
    label = dataclasses.replace(label, regions=regions, kind=Kind.FINE)
    report = cut_label(page.image, page.dpi, label, lines, 0.85)
    assert report.dropped == {Reason.PATCH_UNSURE: 3}  # a line that nobody said anything of is not sure
    kept = [("line 2", 0.85), ("line 3", 0.97), ("line 5", 0.99)]
    assert [(p.text, p.confidence) for p in report.patches] == kept
    by_a_person = cut_label(page.image, page.dpi, dataclasses.replace(label, kind=Kind.HUMAN), lines, 0.85)
    assert len(by_a_person.patches) == 6


def test_text_that_does_not_stand_upright_drops_its_line(page: DrawnPage, lines: list[DetectedLine]) -> None:
    turned = [dataclasses.replace(c, upright=c.line != 1) for c in page.characters()]
    assert cut(page.image, page.dpi, turned, lines).dropped == {Reason.PATCH_TURNED: 1}


def test_ink_that_is_told_as_nothing_drops_its_line_unless_the_glyph_before_tells_it(
    detector: LineDetector,
) -> None:
    rows = [(100.0, 100.0 + 60 * i, f"Line {i} of an English page, set large.") for i in range(5)]
    page = draw_page(rows, language="en")
    lines, characters = detector.find(page.image), page.characters("en")
    row = [i for i, c in enumerate(characters) if c.line == 2]
    characters[row[15]] = dataclasses.replace(characters[row[15]], text="\u200b")
    assert cut(page.image, page.dpi, characters, lines).dropped == {Reason.PATCH_FOREIGN: 1}
    both = rows[2][2][14:16]
    characters[row[14]] = dataclasses.replace(characters[row[14]], text=both)
    assert cut(page.image, page.dpi, characters, lines).patches[2].text == rows[2][2]


def test_letters_that_lean_by_the_texts_own_matrix_are_not_taken_for_text_drawn_twice(
    detector: LineDetector, tmp_path: Path
) -> None:
    """Browsers and word processors set an italic so where the face has none."""
    rows = [
        "Still all fill the tall hall; illicit jilts",
        "will lull a little filly till she is ill;",
        "it is all still.",
    ]
    with pymupdf.open() as document:
        sheet = document.new_page(width=420, height=200)
        for number, row in enumerate(rows):
            lean = pymupdf.Matrix(1, 0, -0.36, 1, 0, 0)  # 20 degrees
            start = pymupdf.Point(50, 60 + 30 * number)
            sheet.insert_text(start, row, fontsize=15, fontname="helv", morph=(start, lean))
        document.save(tmp_path / "lean.pdf")
    with Sandbox() as sandbox:
        [image] = sandbox.render(tmp_path / "lean.pdf", [0], 150)
        assert isinstance(image, PageImage)
        characters = sandbox.characters(tmp_path / "lean.pdf", 0)
    report = cut(image.image, image.dpi, characters, detector.find(image.image, image.dpi))
    assert [p.text for p in report.patches] == rows, report.dropped
