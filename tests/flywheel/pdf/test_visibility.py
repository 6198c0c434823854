"""Visible text alone is a label; a layer that is mainly hidden is an OCR layer; text drawn twice counts once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import pymupdf
import pytest
from PIL import Image

from flywheel.document import Label, TextOrigin
from flywheel.gate import Gate
from flywheel.pdf import PageText, Sandbox, glyphs
from flywheel.pdf.coarse import label as coarse_label
from flywheel.reasons import Reason
from flywheel.sample.faces import cut_face
from tests.flywheel import draw
from tests.flywheel.pdf_pages import saved
from tests.flywheel.right_to_left import ARABIC_SCRIPT

Draw = Callable[[draw.FPDF], None]
LINES = [draw.latin_line(random.Random(k), 60) for k in range(12)]
WORDS = "\n".join(LINES)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as shared:
        yield shared


def read(sandbox: Sandbox, path: Path) -> tuple[PageText, Label, str]:
    """The page, its label, and its characters as one string without blanks."""
    (page,) = sandbox.text(path, [0], layout=False)
    assert isinstance(page, PageText), page
    label, _ = coarse_label(page, "en")
    return page, label, inked("".join(character.text for character in sandbox.characters(path, 0)))


def inked(text: str) -> str:
    return "".join(text.split())


# Mainly hidden layers


def under_a_scan(book: draw.FPDF) -> None:
    draw.write_lines(book, LINES)
    book.image(draw.scan(), 0, 0, *draw.A4)


def invisible_on_a_scan(book: draw.FPDF) -> None:
    book.image(draw.scan(), 0, 0, *draw.A4)
    with draw.invisible(book):
        draw.write_lines(book, LINES)


def transparent_on_a_scan(book: draw.FPDF) -> None:
    book.image(draw.scan(), 0, 0, *draw.A4)
    with book.local_context(fill_opacity=0.0):
        draw.write_lines(book, LINES)


def nearly_transparent(book: draw.FPDF) -> None:
    with book.local_context(fill_opacity=0.02):
        draw.write_lines(book, LINES)


def paper_on_paper(book: draw.FPDF) -> None:
    book.set_fill_color(240, 230, 200)
    book.rect(0, 0, *draw.A4, style="F")
    book.set_text_color(240, 230, 200)
    draw.write_lines(book, LINES)


def black_on_black(book: draw.FPDF) -> None:
    book.rect(40, 40, 500, 320, style="F")
    draw.write_lines(book, LINES)


def covered_by_a_box(book: draw.FPDF) -> None:
    draw.write_lines(book, LINES)
    book.set_fill_color(255, 255, 255)
    book.rect(40, 40, 500, 320, style="F")


def in_strips_of_a_scan(book: draw.FPDF) -> None:
    draw.write_lines(book, LINES)
    whole = draw.scan()
    for k in range(8):
        strip = whole.crop((0, k * whole.height // 8, whole.width, (k + 1) * whole.height // 8))
        book.image(strip, 0, k * draw.A4[1] / 8, draw.A4[0], draw.A4[1] / 8)


HIDDEN: list[Draw] = [
    under_a_scan,
    invisible_on_a_scan,
    transparent_on_a_scan,
    nearly_transparent,
    paper_on_paper,
    black_on_black,
    covered_by_a_box,
    in_strips_of_a_scan,
]


def nothing(book: draw.FPDF) -> None:
    del book


def stamp(book: draw.FPDF) -> None:
    book.set_text_color(200, 0, 0)
    book.text(200, 830, "Scanned by the library of paper")


def page_number(book: draw.FPDF) -> None:
    book.set_text_color(0, 0, 0)
    book.text(290, 815, "- 17 -")


@pytest.mark.parametrize("seen", [nothing, stamp, page_number])
@pytest.mark.parametrize("hide", HIDDEN)
def test_a_hidden_layer_is_an_ocr_layer_whatever_is_stamped_on_the_page(
    sandbox: Sandbox, tmp_path: Path, hide: Draw, seen: Draw
) -> None:
    def both(book: draw.FPDF) -> None:
        hide(book)
        seen(book)

    page, label, _ = read(sandbox, draw.book_of(tmp_path / "a.pdf", both))
    assert label.origin is TextOrigin.OCR_LAYER
    assert page.facts.hidden_share > 0.9
    assert set(LINES) <= {line.text for line in label.lines}  # people see what it says


# Visible text


def plain(book: draw.FPDF) -> None:
    draw.write_lines(book, LINES)


def on_a_dark_box(book: draw.FPDF) -> None:
    book.rect(40, 40, 500, 320, style="F")
    book.set_text_color(255, 255, 255)
    draw.write_lines(book, LINES)


def on_a_picture(book: draw.FPDF) -> None:
    book.image(Image.linear_gradient("L").resize((620, 877)).point(lambda v: 120 + v // 2), 0, 0, *draw.A4)
    draw.write_lines(book, LINES)


def in_light_gray(book: draw.FPDF) -> None:
    book.set_text_color(190, 190, 190)
    draw.write_lines(book, LINES)


def half_transparent(book: draw.FPDF) -> None:
    with book.local_context(fill_opacity=0.4):
        draw.write_lines(book, LINES)


def in_outline(book: draw.FPDF) -> None:
    with book.local_context(text_mode=draw.TextMode.STROKE, line_width=0.4):
        draw.write_lines(book, LINES)


def under_a_marker(book: draw.FPDF) -> None:
    draw.write_lines(book, LINES)
    book.set_fill_color(255, 240, 0)
    with book.local_context(blend_mode="Multiply"):
        book.rect(40, 40, 500, 320, style="F")


def under_a_watermark(book: draw.FPDF) -> None:
    draw.write_lines(book, LINES)
    mark = Image.new("RGBA", (300, 300), (120, 120, 120, 60))
    book.image(mark, 40, 40, 500, 400)


def in_colours(book: draw.FPDF) -> None:
    for k, line in enumerate(LINES):
        book.set_text_color(*((200, 0, 0), (0, 0, 180), (20, 120, 20))[k % 3])
        book.text(60, 60 + 24 * k, line)


def small(book: draw.FPDF) -> None:
    book.set_font("Helvetica", size=4)
    draw.write_lines(book, LINES, pitch=7)


def said_once_more(book: draw.FPDF) -> None:
    """As browsers print letters that are outlined, patterned or have a shadow: said twice, drawn once."""
    draw.write_lines(book, LINES)
    with draw.invisible(book):
        draw.write_lines(book, LINES, x=61.5, y=61.5)


VISIBLE: list[Draw] = [
    said_once_more,
    plain,
    on_a_dark_box,
    on_a_picture,
    in_light_gray,
    half_transparent,
    in_outline,
    under_a_marker,
    under_a_watermark,
    in_colours,
    small,
]


@pytest.mark.parametrize("show", VISIBLE)
def test_text_that_is_seen_is_a_text_layer_to_the_last_character(
    sandbox: Sandbox, tmp_path: Path, show: Draw
) -> None:
    page, label, characters = read(sandbox, draw.book_of(tmp_path / "a.pdf", show))
    assert (label.origin, page.facts.hidden_share) == (TextOrigin.TEXT_LAYER, 0.0)
    assert [line.text for line in label.lines] == LINES
    assert characters == inked(WORDS)


def few_on_a_dark_ground(book: draw.FPDF) -> None:
    book.rect(40, 40, 500, 420, style="F")
    book.set_text_color(255, 255, 255)
    draw.write_lines(book, LINES[:3])


def few_on_a_light_picture(book: draw.FPDF) -> None:
    book.image(Image.linear_gradient("L").resize((620, 877)).point(lambda v: 130 + v // 3), 30, 30, 535, 782)
    draw.write_lines(book, LINES[:3])


def small_and_light(book: draw.FPDF) -> None:
    book.set_font("Helvetica", size=5)
    book.set_text_color(215, 215, 215)
    draw.write_lines(book, LINES, pitch=9)
    book.set_font("Helvetica", size=12)
    book.set_text_color(0, 0, 0)
    book.text(60, 300, LINES[0])


@pytest.mark.parametrize("show", [few_on_a_dark_ground, few_on_a_light_picture, small_and_light])
def test_what_stands_behind_a_text_and_how_faint_it_is_refuses_no_page(
    sandbox: Sandbox, tmp_path: Path, show: Draw
) -> None:
    (page,) = sandbox.text(draw.book_of(tmp_path / "a.pdf", show), [0], layout=False)
    assert isinstance(page, PageText), page
    label, counts = coarse_label(page, "en")
    assert Gate().judge_coarse(label, page.facts, counts, "en").accepted


@pytest.mark.parametrize("paper", [255, 205])
def test_a_scan_with_a_stamp_on_it_is_refused_however_gray_its_paper(
    sandbox: Sandbox, tmp_path: Path, paper: int
) -> None:
    def show(book: draw.FPDF) -> None:
        book.image(draw.scan(40).convert("L").point(lambda v: v * paper // 255), 30, 30, 535, 782)
        stamp(book)

    (page,) = sandbox.text(draw.book_of(tmp_path / "a.pdf", show), [0], layout=False)
    assert isinstance(page, PageText), page
    label, counts = coarse_label(page, "en")
    assert Gate().judge_coarse(label, page.facts, counts, "en").reason is Reason.INK_WITHOUT_TEXT


HIDING = {
    "mode 3": b"3 Tr (hidden) Tj 0 Tr",
    "opacity 0": b"/G gs (hidden) Tj /H gs",
    "white": b"1 g (hidden) Tj 0 g",
    "mode 7": b"ET q BT /F 12 Tf 7 Tr 10 60 Td (hidden) Tj ET Q BT /F 12 Tf 10 130 Td",
    "outside the clip": b"ET q 0 0 5 5 re W n BT /F 12 Tf 10 60 Td (hidden) Tj ET Q BT /F 12 Tf 10 130 Td",
    "outside the page": b"ET BT /F 12 Tf 10 -60 Td (hidden) Tj ET BT /F 12 Tf 10 130 Td",
}


@pytest.mark.parametrize("hiding", HIDING.values(), ids=HIDING)
def test_single_words_that_are_hidden_are_left_out_of_a_sound_layer(
    sandbox: Sandbox, tmp_path: Path, hiding: bytes
) -> None:
    content = b"BT /F 12 Tf 10 150 Td (this is seen) Tj " + hiding + b" (and this too) Tj ET"
    states = b"/ExtGState<</G<</ca 0>>/H<</ca 1>>>>"
    path = saved(tmp_path, draw.small_pdf(content, resources=states))
    _, label, characters = read(sandbox, path)
    assert inked(label.text) == characters == "thisisseenandthistoo"
    assert label.origin is TextOrigin.TEXT_LAYER


# Text drawn twice

AGAIN = {
    "in the same place": (0, 0),
    "false bold": (0.3, 0),
    "bolder": (0.8, 0),
    "a shadow": (1.5, 1.5),
    "a far shadow": (3, 2),
    "a shadow above": (-1, -2),
}


@pytest.mark.parametrize("offset", AGAIN.values(), ids=AGAIN)
@pytest.mark.parametrize("by", ["page", "line", "word"])
def test_text_drawn_twice_is_read_once(
    sandbox: Sandbox, tmp_path: Path, offset: tuple[float, float], by: str
) -> None:
    def doubled(book: draw.FPDF) -> None:
        lines = [(60.0, 60.0 + 24 * k, line) for k, line in enumerate(LINES)]
        if by == "word":
            lines = [place for x, y, line in lines for place in words_of(book, x, y, line)]
        copies = [[(x + offset[0], y + offset[1], text), (x, y, text)] for x, y, text in lines]
        for x, y, text in chain(*(zip(*copies, strict=True) if by == "page" else copies)):
            book.text(x, y, text)

    _, label, characters = read(sandbox, draw.book_of(tmp_path / "a.pdf", doubled))
    assert sorted(characters) == sorted(inked(WORDS))
    assert [inked(line.text) for line in label.lines] == [inked(line) for line in LINES]


def words_of(book: draw.FPDF, x: float, y: float, line: str) -> Iterator[tuple[float, float, str]]:
    for word in line.split():
        yield x, y, word
        x += book.get_string_width(word + " ")


def test_text_drawn_twice_in_two_fonts_is_read_once(sandbox: Sandbox, tmp_path: Path) -> None:
    def doubled(book: draw.FPDF) -> None:
        for font in ("Times", "Helvetica"):
            book.set_font(font, size=11)
            draw.write_lines(book, LINES)

    _, label, characters = read(sandbox, draw.book_of(tmp_path / "a.pdf", doubled))
    assert [line.text for line in label.lines] == LINES
    assert len(characters) == len(inked(WORDS))


def test_a_stroke_over_a_fill_and_slices_through_a_clip_are_read_once(sandbox: Sandbox, tmp_path: Path) -> None:
    stroked = b"BT /F 24 Tf 20 100 Td (hello) Tj ET BT 1 Tr /F 24 Tf 20 100 Td (hello) Tj ET "
    sliced = b"".join(
        b"q 0 %d 200 6 re W n BT 0 Tr /F 24 Tf 20 40 Td (slices) Tj ET Q " % y for y in range(34, 66, 6)
    )
    _, label, characters = read(sandbox, saved(tmp_path, draw.small_pdf(stroked + sliced)))
    assert [line.text for line in label.lines] == ["hello", "slices"]
    assert characters == "helloslices"


DOUBLED_LETTERS = [
    "llama all bill 1100 oo .......... -- aardvark",
    "no no no, that that is is that that is not is not",
    "MMMM iiii llll |||| '''' ,,,, 11111111",
]


def test_doubled_letters_and_repeated_words_stay(sandbox: Sandbox, tmp_path: Path) -> None:
    def tight(book: draw.FPDF) -> None:
        for size, y in ((11, 60), (6, 200), (24, 300)):
            book.set_font("Helvetica", size=size)
            draw.write_lines(book, DOUBLED_LETTERS, y=y, pitch=size * 0.95, x=20)

    _, label, characters = read(sandbox, draw.book_of(tmp_path / "a.pdf", tight))
    assert [line.text for line in label.lines] == DOUBLED_LETTERS * 3
    assert characters == inked("".join(DOUBLED_LETTERS * 3))


def test_a_table_of_thousands_of_equal_cells_is_read_whole_and_soon(sandbox: Sandbox, tmp_path: Path) -> None:
    rows = b"".join(
        b"BT /F 4 Tf %d %d Td %s rg (0) Tj ET " % (4 + 5 * x, 2 + 5 * y, b"0 0 1" if x % 2 else b"1 0 0")
        for y in range(39)
        for x in range(38)
    )
    page, _, characters = read(sandbox, saved(tmp_path, draw.small_pdf(rows)))
    assert characters == "0" * 39 * 38
    assert page.facts.hidden_share == 0


def test_joiners_stay_where_a_page_is_looked_at_closely(sandbox: Sandbox, tmp_path: Path) -> None:
    line = "می\u200cخواهم کتاب\u200cها را بخوانم"

    def coloured(book: draw.FPDF) -> None:
        draw.use_font(book, ARABIC_SCRIPT, 18, tmp_path)
        book.set_text_color(150, 0, 0)
        draw.write_lines(book, [line] * 3, pitch=40)

    _, label, _ = read(sandbox, draw.book_of(tmp_path / "a.pdf", coloured))
    assert label.text.count("\u200c") == 6


def test_repeated_tibetan_syllables_stay(sandbox: Sandbox, tmp_path: Path) -> None:
    lines = ["བཀྲ་བཀྲ་ཤིས་ཤིས་།།།།", "ཡི་ཡི་གེ་གེ་ཧ་ཧ་ཧ་ཧ།"] * 4

    def repeated(book: draw.FPDF) -> None:
        draw.use_font(book, draw.TIBETAN_SCRIPT, 18, tmp_path)
        book.set_text_color(10, 10, 120)
        draw.write_lines(book, lines, pitch=30)

    _, label, characters = read(sandbox, draw.book_of(tmp_path / "a.pdf", repeated))
    assert [line.text for line in label.lines] == lines
    assert characters == "".join(lines)


def test_slim_characters_of_a_slanted_face_stay_where_a_page_is_looked_at_closely(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    face, rng = tmp_path / "slanted.ttf", random.Random(8)
    face.write_bytes(cut_face(draw.font_bytes(draw.TIBETAN_SCRIPT), "slanted"))
    lines = [f"ལོ་༡༧༡༨་{draw.tibetan_line(rng, 8)}" for _ in range(15)]

    def coloured(book: draw.FPDF) -> None:
        book.add_font("slanted", fname=face)
        book.set_font("slanted", size=8)
        book.set_text_shaping(True)
        for number, line in enumerate(lines):
            book.set_text_color(0)
            book.set_xy(40 + 0.37 * number, 40 + 48 * number)
            book.cell(text=line)
            book.set_text_color(150, 0, 0)
            book.cell(text="ཀ")

    _, label, _ = read(sandbox, draw.book_of(tmp_path / "a.pdf", coloured))
    assert [line.text for line in label.lines] == [f"{line}ཀ" for line in lines]


# Turned text


def turned(matrix: bytes, rotate: int = 0) -> bytes:
    content = b"BT /F 12 Tf %s Tm (some words that are to be read) Tj ET" % matrix
    return draw.small_pdf(content, more=b"/Rotate %d" % rotate)


@pytest.mark.parametrize(
    ("matrix", "rotate"),
    [
        (b"-1 0 0 -1 190 100", 0),
        (b"1 0 0 -1 10 100", 0),
        (b"-1 0 0 1 190 100", 0),
        (b"1 0 0 1 10 100", 180),
        (b"0 1 1 0 100 10", 0),
    ],
    ids=["upside down", "mirrored across", "mirrored along", "upside down by the page", "mirrored sideways"],
)
def test_text_that_is_shown_upside_down_or_mirrored_is_counted(
    sandbox: Sandbox, tmp_path: Path, matrix: bytes, rotate: int
) -> None:
    path = saved(tmp_path, turned(matrix, rotate))
    page, _, _ = read(sandbox, path)
    assert page.facts.turned == page.facts.characters == 24
    assert not any(character.upright for character in sandbox.characters(path, 0))


@pytest.mark.parametrize(
    ("matrix", "rotate", "upright"),
    [
        (b"1 0 0 1 10 100", 0, True),
        (b"0.97 0.24 -0.24 0.97 10 100", 0, True),
        (b"1 0 0.3 1 10 100", 0, True),
        (b"-1 0 0 -1 190 100", 180, True),
        (b"0 1 -1 0 100 10", 90, True),
        (b"0 1 -1 0 100 10", 0, False),
        (b"0 -1 1 0 100 190", 0, False),
        (b"1 0 0 1 10 100", 90, False),
    ],
)
def test_text_that_is_slanted_or_stands_sideways_is_not(
    sandbox: Sandbox, tmp_path: Path, matrix: bytes, rotate: int, upright: bool
) -> None:
    path = saved(tmp_path, turned(matrix, rotate))
    page, label, _ = read(sandbox, path)
    assert page.facts.turned == 0
    assert label.text == "some words that are to be read"
    assert {character.upright for character in sandbox.characters(path, 0)} == {upright}


def test_glyphs_that_are_programs_and_mirror_themselves_are_upright(sandbox: Sandbox, tmp_path: Path) -> None:
    """As Ghostscript writes TeX's bitmap fonts: the text's matrix is mirrored, and so is the font's."""
    bar = draw.stream(b"23 0 0 0 20 25 d1 0 0 20 25 re f")
    font = (
        b"<</Type/Font/Subtype/Type3/FontBBox[0 0 1000 1000]/FontMatrix[1 0 0 -1 0 0]/Encoding<</Type/Encoding"
        b"/Differences[97/a/b]>>/CharProcs<</a 6 0 R/b 6 0 R>>/FirstChar 97/LastChar 98/Widths[23 23]>>"
    )
    content = draw.stream(b"BT /F 0.4 Tf 1 0 0 -1 10 100 Tm (abba) Tj ET")
    path = saved(tmp_path, draw.pdf([draw.CATALOGUE, draw.tree([4]), font, draw.page(5), content, bar]))
    page, _, _ = read(sandbox, path)
    assert page.facts.characters == 4
    assert page.facts.turned == 0
    assert all(character.upright for character in sandbox.characters(path, 0))


def test_a_character_that_is_no_code_point_is_unknown(tmp_path: Path) -> None:
    """MuPDF leaves such in the text of some Arabic pages."""
    with pymupdf.open(stream=draw.small_pdf(b"BT /F 10 Tf 10 100 Td (words) Tj ET")) as document:
        text_page = document[0].get_displaylist().get_textpage(0)
        next(iter(next(iter(next(iter(text_page)))))).m_internal.c = 0x411F66CF
        assert "".join(glyphs.read(text_page).symbols) == "\ufffdords"
