"""Hebrew and Arabic lines with numbers, brackets and Latin words, drawn by two writers of PDFs.

fpdf2 names a bracket as the text does, MuPDF's stories as it is drawn; browsers and Pango do as fpdf2 does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pymupdf

from tests.flywheel import draw

HEBREW_SCRIPT, ARABIC_SCRIPT, LATIN_SCRIPT = 5, 6, 3  # as MuPDF numbers them
HEBREW = (
    "שלום עולם זה מבחן של טקסט",
    "בשנת 1948 הוקמה מדינת ישראל (בארץ).",
    "המחיר הוא 10% או 3.50 שקלים בלבד",
    'ראה [12, 34] בעמודים 5-7, "ציטוט"',
    "החברה Apple Inc. נוסדה בשנת 1976",
)
ARABIC = (
    "مرحبا بالعالم هذا نص تجريبي",
    "في عام 1948 كانت السنة (الأولى).",
    "السعر 10% أو 3.50 ريال ١٢٣",
    "لا إله إلا الله والأسماء الآن",
    "شركة Apple Inc. تأسست عام 1976",
    "می\u200cخواهم کتاب را",
)
SCRIPTS = {"he": HEBREW_SCRIPT, "ar": ARABIC_SCRIPT}
LINES = {"he": HEBREW, "ar": ARABIC}


def book(language: str, directory: Path, size: float = 16) -> draw.FPDF:
    """An empty page with shaped letters of the language and a Latin face beside them."""
    made = draw.blank_book()
    made.c_margin = 0
    made.add_page()
    draw.use_font(made, LATIN_SCRIPT, size, directory)
    draw.use_font(made, SCRIPTS[language], size, directory)
    made.set_fallback_fonts([f"script{LATIN_SCRIPT}"])
    return made


def write(
    made: draw.FPDF,
    lines: Sequence[str],
    *,
    right: float = 535,
    width: float = 475,
    y: float = 60,
    pitch: float = 36,
) -> None:
    """Lines set flush right, each in its own cell (`text()` sets no paragraph)."""
    for k, line in enumerate(lines):
        made.set_xy(right - width, y + k * pitch)
        made.cell(w=width, h=16, text=line, align="R")


def drawn_by_fpdf(path: Path, language: str, lines: Sequence[str]) -> Path:
    made = book(language, path.parent)
    write(made, lines)
    made.output(str(path))
    return path


def drawn_by_story(path: Path, language: str, lines: Sequence[str]) -> Path:
    del language
    document = pymupdf.open()
    html = "".join(f'<p dir="rtl" style="font-size:16px">{line}</p>' for line in lines)
    document.new_page().insert_htmlbox(pymupdf.Rect(50, 50, 550, 750), html)
    document.save(str(path))
    return path


def drawn_sloping(path: Path) -> Path:
    """Arabic whose words fall to the baseline, letter by letter, as Nastaliq's do."""
    made = book("ar", path.parent)
    for row, line in enumerate(ARABIC[:1] * 4):
        x = 535.0
        for word in line.split():
            for index, letter in enumerate(word):
                x -= 7
                made.text(x, 60 + row * 40 - 2.5 * (len(word) - 1 - index), letter)
            x -= 10
    made.output(str(path))
    return path
