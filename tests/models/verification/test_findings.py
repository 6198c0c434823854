"""Drawn pages in several scripts, and the same pages with tables that lie, without any reader of theirs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from fpdf import FPDF

from benchmarks.lies import remap
from flywheel.pdf import PageImage, Sandbox
from models.recognition.ppocr import PpocrRecogniser
from models.verification.comparison import Finding
from models.verification.drawn import Typeface
from models.verification.findings import FontFinding, FontSample, LineReader, examine
from models.verification.sampling import LayerPage, pieces
from tests.flywheel import draw

LATIN = (
    "the old binder counts the loose sheets that the river took and folds each of them in a long room in winter"
)
GREEK = "και ο βιβλιοδέτης μετρά τα φύλλα που έφερε το ποτάμι στο μακρύ δωμάτιο κάθε χειμώνα πριν ρωτήσει κανείς"
CYRILLIC = (
    "старый переплётчик считает листы которые принесла река и складывает каждый из них в длинной комнате зимой"
)
HEBREW = "הכורך הזקן סופר את הדפים שהביא הנהר ומניח כל אחד מהם בחדר הארוך לאור המנורה בכל חורף לפני שמישהו שואל"
SCRIPTS = {"Grek": (2, GREEK), "Cyrl": (3, CYRILLIC), "Hebr": (5, HEBREW), "Latn": (1, LATIN)}
PAIRS = {"Grek": "αε", "Cyrl": "ак", "Hebr": "הר", "Tibt": "དང"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


@pytest.fixture(scope="module")
def builtin() -> LineReader:
    reader = PpocrRecogniser()
    return LineReader(reader, frozenset("".join(reader.charset)), trusted=True)


def drawn(path: Path, script: str) -> Path:
    """A page in a face of the wheel."""
    rng = random.Random(script)
    if script == "Tibt":
        draw.tibetan_pdf(path, lines=14)
        return path
    number, text = SCRIPTS[script]
    words = text.split()

    def write(book: FPDF) -> None:
        draw.use_font(book, number, 14, path.parent)
        lines = [" ".join(rng.choice(words) for _ in range(8)) for _ in range(20)]
        draw.write_lines(book, lines, pitch=26)

    return draw.book_of(path, write)


def exchanged(sound: Path, path: Path, pair: str) -> Path:
    """The page with a table that says each of two letters of the other."""
    return remap(sound, path, lambda text: text.translate(str.maketrans(pair, pair[::-1])))


def finding(sandbox: Sandbox, path: Path, script: str, reader: LineReader | None) -> FontFinding:
    [image] = sandbox.render(path, [0], 150)
    assert isinstance(image, PageImage)
    page = LayerPage(0, sandbox.characters(path, 0), image.image, image.dpi)
    [(font, found)] = pieces([page]).items()
    face = Typeface(draw.font_bytes(draw.TIBETAN_SCRIPT if script == "Tibt" else SCRIPTS[script][0]))
    return examine(FontSample(font, script, found), reader, face)


@pytest.mark.parametrize("script", PAIRS)
def test_a_sound_layer_agrees_with_drawn_letters(sandbox: Sandbox, tmp_path: Path, script: str) -> None:
    path = drawn(tmp_path / "sound.pdf", script)
    assert finding(sandbox, path, script, None).finding is Finding.AGREES


@pytest.mark.parametrize("script", PAIRS)
def test_two_exchanged_letters_are_seen_without_a_reader(sandbox: Sandbox, tmp_path: Path, script: str) -> None:
    path = exchanged(drawn(tmp_path / "sound.pdf", script), tmp_path / "lie.pdf", PAIRS[script])
    found = finding(sandbox, path, script, None)
    assert found.finding is Finding.DISAGREES
    assert any(letter in found.detail for letter in PAIRS[script])


@pytest.mark.parametrize("pair", ["et", "ns", "ao"])
def test_two_exchanged_letters_are_read_by_the_builtin_reader(
    sandbox: Sandbox, tmp_path: Path, builtin: LineReader, pair: str
) -> None:
    sound = drawn(tmp_path / "sound.pdf", "Latn")
    assert finding(sandbox, sound, "Latn", builtin).finding is Finding.AGREES
    found = finding(sandbox, exchanged(sound, tmp_path / "lie.pdf", pair), "Latn", builtin)
    assert found.finding is Finding.DISAGREES
    assert "the layer says" in found.detail


def test_a_page_number_alone_is_not_judged(sandbox: Sandbox, tmp_path: Path, builtin: LineReader) -> None:
    path = draw.book_of(tmp_path / "number.pdf", lambda book: draw.write_lines(book, ["17"]))
    assert finding(sandbox, path, "Latn", builtin).finding is Finding.UNSURE


def test_nothing_to_look_with_is_said(sandbox: Sandbox, tmp_path: Path) -> None:
    path = drawn(tmp_path / "sound.pdf", "Grek")
    [image] = sandbox.render(path, [0], 150)
    assert isinstance(image, PageImage)
    page = LayerPage(0, sandbox.characters(path, 0), image.image, image.dpi)
    [(font, found)] = pieces([page]).items()
    assert examine(FontSample(font, "Grek", found), None, None) == FontFinding(font, Finding.UNSURE, looked=False)
