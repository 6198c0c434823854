"""Text that runs from top to bottom is refused with its reason, and what only looks like it is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel.document import Box, Kind, Label, Line, Outcome, PageReading, Region
from flywheel.gate import Gate
from flywheel.pdf import PageText, Sandbox, coarse
from flywheel.reasons import Reason
from tests.flywheel import draw
from tests.flywheel.rows import make_facts

MONGOLIAN_SCRIPT = 31
MONGOLIAN = "ᠮᠣᠩᠭᠣᠯ ᠬᠡᠯᠡ ᠪᠢᠴᠢᠭ"
CHINESE = "天地玄黃宇宙洪荒日月盈"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as shared:
        yield shared


def judged(sandbox: Sandbox, path: Path, language: str) -> tuple[Outcome, Reason]:
    (page,) = sandbox.text(path, [0], layout=False)
    assert isinstance(page, PageText)
    label, counts = coarse.label(page, language)
    verdict = Gate().judge_coarse(label, page.facts, counts, language)
    return verdict.outcome, verdict.reason


def test_vertical_mongolian_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    def columns(book: draw.FPDF) -> None:
        draw.use_font(book, MONGOLIAN_SCRIPT, 16, tmp_path)
        for k in range(6):
            with book.rotation(-90, 60 + 40 * k, 60):
                book.text(60 + 40 * k, 60, MONGOLIAN)

    path = draw.book_of(tmp_path / "a.pdf", columns)
    assert judged(sandbox, path, "mn") == (Outcome.REJECTED, Reason.VERTICAL_TEXT)


def set_down(columns: list[str]) -> bytes:
    """Columns of Chinese by a font that writes downwards (CMap UniGB-UTF16-V)."""
    shown = b"".join(
        b"1 0 0 1 %d 190 Tm <%s> Tj " % (180 - 20 * k, text.encode("utf-16-be").hex().encode())
        for k, text in enumerate(columns)
    )
    font = b"<</Type/Font/Subtype/Type0/BaseFont/STSong-Light/Encoding/UniGB-UTF16-V/DescendantFonts[6 0 R]>>"
    glyphs = (
        b"<</Type/Font/Subtype/CIDFontType0/BaseFont/STSong-Light/FontDescriptor 7 0 R"
        b"/CIDSystemInfo<</Registry(Adobe)/Ordering(GB1)/Supplement 4>>>>"
    )
    descriptor = (
        b"<</Type/FontDescriptor/FontName/STSong-Light/Flags 6/FontBBox[-25 -254 1000 880]/ItalicAngle 0"
        b"/Ascent 880/Descent -120/CapHeight 880/StemV 93>>"
    )
    content = draw.stream(b"BT /F 12 Tf " + shown + b"ET")
    return draw.pdf([draw.CATALOGUE, draw.tree([4]), font, draw.page(5), content, glyphs, descriptor])


def test_vertical_chinese_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(set_down([CHINESE[k:] + CHINESE[:k] for k in range(8)]))
    assert judged(sandbox, path, "zh") == (Outcome.REJECTED, Reason.VERTICAL_TEXT)


def test_letters_set_below_each_other_one_by_one_are_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    def columns(book: draw.FPDF) -> None:
        draw.use_font(book, draw.HAN_SCRIPT, 14, tmp_path)
        for column in range(6):
            for row, symbol in enumerate(CHINESE):
                book.text(400 - 40 * column, 60 + 16 * row, symbol)

    path = draw.book_of(tmp_path / "a.pdf", columns)
    assert judged(sandbox, path, "zh") == (Outcome.REJECTED, Reason.VERTICAL_TEXT)


def test_a_line_along_the_margin_and_a_column_of_numbers_do_no_harm(sandbox: Sandbox, tmp_path: Path) -> None:
    def page(book: draw.FPDF) -> None:
        draw.write_lines(book, [f"{k % 10} the wheel turns and every page" for k in range(12)], x=90)
        draw.write_lines(book, [str(k % 10) for k in range(20)], x=500)
        with book.rotation(90, 40, 500):
            book.text(40, 500, "a note along the margin of the page")

    path = draw.book_of(tmp_path / "a.pdf", page)
    assert judged(sandbox, path, "en") == (Outcome.ACCEPTED, Reason.ACCEPTED)


def reading(*lines: Line) -> PageReading:
    region = Region("text", Box.around(line.box for line in lines), lines)
    return PageReading(Label(Kind.FINE, "ppocr", 595, 842, (region,), script="Hani"))


def test_a_reading_of_lines_down_the_page_is_refused() -> None:
    lines = [
        Line("天地玄黃宇宙洪荒"[k] * 2, Box(500 - 30 * k, 60, 516 - 30 * k, 500), 0.9, (0.9, 0.9))
        for k in range(8)
    ]
    verdict = Gate().judge_reading(reading(*lines), make_facts(), "zh")
    assert verdict.reason is Reason.VERTICAL_TEXT


def test_the_box_of_a_tall_region_that_a_page_reader_gives_its_lines_tells_nothing() -> None:
    box = Box(100, 60, 200, 700)
    lines = [Line(f"the wheel turns {k} times", box, 0.9) for k in range(6)]
    assert Gate().judge_reading(reading(*lines), make_facts(), "en").reason is not Reason.VERTICAL_TEXT
