"""Ink that a layer tells as nothing, and what only looks like it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fpdf import FPDF

from benchmarks.lies import remap
from flywheel.document import Box, Character
from flywheel.pdf import PageImage, Sandbox
from models.verification.sampling import LayerPage
from models.verification.silence import silent_fonts
from tests.flywheel import draw

LATIN = "the old binder counts the loose sheets that the river took and folds each of them in a long room"
HEBREW = "הכורך הזקן סופר את הדפים שהביא הנהר ומניח כל אחד מהם בחדר הארוך לאור המנורה בכל חורף"
CYRILLIC = "старый переплётчик считает листы которые принесла река и складывает каждый из них"
SCRIPTS = {"Latn": (1, LATIN, "e"), "Hebr": (5, HEBREW, "ה"), "Cyrl": (3, CYRILLIC, "а")}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


def pages(sandbox: Sandbox, path: Path) -> list[LayerPage]:
    [image] = sandbox.render(path, [0], 150)
    assert isinstance(image, PageImage)
    return [LayerPage(0, sandbox.characters(path, 0), image.image, image.dpi)]


def drawn(path: Path, script: str, *, style: str = "plain") -> Path:
    """A page of one script, plain, underlined, on a coloured ground or between the rules of a table."""
    number, text, _ = SCRIPTS[script]
    rng = random.Random(script)
    words = text.split()

    def write(book: FPDF) -> None:
        draw.use_font(book, number, 13, path.parent)
        if style == "underlined":
            book.set_font(style="U")
        book.set_fill_color(230, 220, 120)
        for row in range(16):
            line = " ".join(rng.choice(words) for _ in range(8))
            book.set_xy(40, 40 + row * 24)
            book.cell(500, 24, line, border=int(style == "ruled"), fill=style == "highlighted")

    return draw.book_of(path, write)


@pytest.mark.parametrize("nothing", ["\u200b", "\ufeff", "\u2060", "\u00ad", " ", "\u00a0"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_letters_told_as_nothing_are_found(sandbox: Sandbox, tmp_path: Path, script: str, nothing: str) -> None:
    letter = SCRIPTS[script][2]
    lie = remap(
        drawn(tmp_path / "sound.pdf", script), tmp_path / "lie.pdf", lambda text: text.replace(letter, nothing)
    )
    [(silent, told)] = silent_fonts(pages(sandbox, lie)).values()
    assert silent >= 10
    assert told > silent


def test_vowel_signs_told_as_nothing_are_found(sandbox: Sandbox, tmp_path: Path) -> None:
    draw.tibetan_pdf(tmp_path / "sound.pdf", lines=14)
    lie = remap(tmp_path / "sound.pdf", tmp_path / "lie.pdf", lambda text: text.replace("\u0f72", "\u200b"))
    assert silent_fonts(pages(sandbox, tmp_path / "sound.pdf")) == {}
    [(silent, _)] = silent_fonts(pages(sandbox, lie)).values()
    assert silent >= 3


@pytest.mark.parametrize("style", ["plain", "underlined", "highlighted", "ruled"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_blanks_are_silent_whatever_passes_through_them(
    sandbox: Sandbox, tmp_path: Path, script: str, style: str
) -> None:
    assert silent_fonts(pages(sandbox, drawn(tmp_path / "sound.pdf", script, style=style))) == {}


@pytest.mark.parametrize("joiner", ["\u200b", "\u200d", "\u00ad", "\ufeff"])
def test_blanks_told_as_other_blanks_are_no_lie(sandbox: Sandbox, tmp_path: Path, joiner: str) -> None:
    blank = remap(
        drawn(tmp_path / "sound.pdf", "Latn"), tmp_path / "blank.pdf", lambda text: text.replace(" ", joiner)
    )
    assert silent_fonts(pages(sandbox, blank)) == {}


@pytest.mark.parametrize(("arrows", "lying"), [(4, []), (12, ["Lines"])])
def test_a_diagram_in_glyphs_that_say_nothing_condemns_no_page_of_text(arrows: int, lying: list[str]) -> None:
    """TeX draws lines, arrows and circles in fonts whose glyphs have no text."""
    image = np.full((1000, 1000), 255, np.uint8)
    characters = []
    for index in range(1600 + arrows):
        row, column = divmod(index, 40)
        x, y = 20 + 20 * column, 20 + 20 * row
        font, text = ("Body", "abcd"[index % 4]) if index < 1600 else ("Lines", "\x10")
        image[y : y + 10, x + 2 : x + 8] = 0
        characters.append(Character(text, x, y + 10, Box(x, y, x + 12, y + 10), row, True, font))
    assert list(silent_fonts([LayerPage(0, characters, image, 72)])) == lying
