"""Drawn pages in several scripts, and the same pages with tables that lie, without any reader of theirs."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fpdf import FPDF
from numpy.typing import NDArray

from benchmarks.lies import remap
from flywheel.document import Box, Character
from flywheel.pdf import PageImage, Sandbox
from flywheel.sample.faces import cut_face
from models.recognition.ppocr import PpocrRecogniser
from models.recognition.protocol import Transcription
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
ARABIC = "يعد المجلد القديم كل ورقة مطوية تحت ضوء المصباح بينما يأخذ النهر ما يريد ولا يسأل أحد في الغرفة"
SCRIPTS = {"Grek": (2, GREEK), "Cyrl": (3, CYRILLIC), "Hebr": (5, HEBREW), "Latn": (1, LATIN), "Arab": (6, ARABIC)}
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


@pytest.mark.parametrize("script", ["Arab", "Hebr", "Tibt"])
def test_a_permuted_alphabet_is_seen_without_a_reader(sandbox: Sandbox, tmp_path: Path, script: str) -> None:
    sound = drawn(tmp_path / "sound.pdf", script)
    letters = sorted(
        {c for line in SCRIPTS.get(script, (0, "ཀཁགངཅཇཉཏཐདནཔཕབམཙཚཛཞཟའཡརལཤསཧ"))[1] for c in line if c != " "}
    )
    table = str.maketrans(dict(zip(letters, letters[5:] + letters[:5], strict=True)))
    found = finding(sandbox, remap(sound, tmp_path / "lie.pdf", lambda text: text.translate(table)), script, None)
    assert found.finding is Finding.DISAGREES


def test_a_ligature_that_is_one_character_of_two_letters_is_no_fault(sandbox: Sandbox, tmp_path: Path) -> None:
    path = drawn(tmp_path / "sound.pdf", "Arab")
    [image] = sandbox.render(path, [0], 150)
    assert isinstance(image, PageImage)
    characters: list[Character] = []
    for one in sandbox.characters(path, 0):
        if characters and (characters[-1].text, one.text) in (
            ("ل", "ا"),
            ("ي", "و"),
        ):  # joined by any face; by none
            before = characters.pop()
            characters.append(replace(before, text=before.text + one.text, box=Box.around([before.box, one.box])))
        else:
            characters.append(one)
    assert any(len(c.text) == 2 for c in characters)
    [(font, found)] = pieces([LayerPage(0, characters, image.image, image.dpi)]).items()
    finding = examine(FontSample(font, "Arab", found), None, Typeface(draw.font_bytes(SCRIPTS["Arab"][0])))
    assert finding.finding is Finding.AGREES


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
    finding = examine(FontSample(font, "Grek", found), None, None)
    assert (finding.finding, finding.looked) == (Finding.UNSURE, False)
    assert "neither a reader nor a typeface of Grek" in finding.detail


class Mistaken:
    """A champion that is sure of itself and takes one letter for another."""

    producer, checkpoint = "champion", "champion-1"

    def __init__(self, reader: LineReader, pair: str) -> None:
        self._reader, self._table = reader, str.maketrans(pair, pair[::-1])
        self.scripts = reader.recogniser.scripts

    def read(self, images: Sequence[NDArray[np.uint8]]) -> list[Transcription]:
        return [
            replace(read, text=read.text.translate(self._table)) for read in self._reader.recogniser.read(images)
        ]


def test_a_champion_that_no_drawing_bears_out_condemns_no_layer(
    sandbox: Sandbox, tmp_path: Path, builtin: LineReader
) -> None:
    sound = drawn(tmp_path / "sound.pdf", "Latn")
    champion = LineReader(Mistaken(builtin, "et"), builtin.alphabet, trusted=False)
    assert finding(sandbox, sound, "Latn", champion).finding is Finding.AGREES
    alone = finding(sandbox, sound, "Latn", replace(champion, trusted=True))
    assert alone.finding is Finding.DISAGREES


def test_a_champion_that_drawings_bear_out_condemns_a_layer(
    sandbox: Sandbox, tmp_path: Path, builtin: LineReader
) -> None:
    lie = exchanged(drawn(tmp_path / "sound.pdf", "Latn"), tmp_path / "lie.pdf", "et")
    champion = replace(builtin, trusted=False)
    assert finding(sandbox, lie, "Latn", champion).finding is Finding.DISAGREES


@pytest.mark.parametrize("cut", ["condensed", "slanted", "bold"])
@pytest.mark.parametrize("script", PAIRS)
def test_other_cuts_of_a_face_are_no_lies_and_hide_none(
    sandbox: Sandbox, tmp_path: Path, script: str, cut: str
) -> None:
    number = draw.TIBETAN_SCRIPT if script == "Tibt" else SCRIPTS[script][0]
    (tmp_path / "cut.ttf").write_bytes(cut_face(draw.font_bytes(number), cut))
    rng = random.Random(f"{script} {cut}")
    words = SCRIPTS[script][1].split() if script in SCRIPTS else []

    def write(book: FPDF) -> None:
        book.add_font("cut", fname=tmp_path / "cut.ttf")
        book.set_font("cut", size=11)
        book.set_text_shaping(True)
        lines = [
            " ".join(rng.choice(words) for _ in range(8)) if words else draw.tibetan_line(rng) for _ in range(20)
        ]
        draw.write_lines(book, lines, pitch=26)

    sound = draw.book_of(tmp_path / "sound.pdf", write)
    assert finding(sandbox, sound, script, None).finding is Finding.AGREES
    lie = exchanged(sound, tmp_path / "lie.pdf", PAIRS[script])
    assert finding(sandbox, lie, script, None).finding is Finding.DISAGREES


def test_a_vowel_that_the_layer_says_with_a_letter_more_is_seen(sandbox: Sandbox, tmp_path: Path) -> None:
    sound = drawn(tmp_path / "sound.pdf", "Tibt")
    lie = remap(sound, tmp_path / "lie.pdf", lambda text: text.replace("\u0f72", "\u0fb1\u0f72"))
    found = finding(sandbox, lie, "Tibt", None)
    assert found.finding is Finding.DISAGREES
    assert "\u0fb1\u0f72" in found.detail


def test_letters_permuted_and_legacy_bytes_disagree(sandbox: Sandbox, tmp_path: Path, builtin: LineReader) -> None:
    """Text that reads like a language and is another ("Fhi gueck bnawr fax"), and bytes of a legacy font."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    sound = drawn(tmp_path / "sound.pdf", "Latn")
    vowels = str.maketrans("eaioutnrsh", "iuaeonrthg")
    legacy = str.maketrans(letters, "".join(chr(0xA1 + 7 * k % 0x5E) for k in range(26)))
    for name, table in (("words", vowels), ("bytes", legacy)):
        lie = remap(sound, tmp_path / f"{name}.pdf", lambda text, table=table: text.translate(table))
        assert finding(sandbox, lie, "Latn", builtin).finding is Finding.DISAGREES, name


@pytest.mark.parametrize(
    "lines",
    [
        ["Chapter 3"],
        ["THE OLD BINDER COUNTS THE LOOSE SHEETS"] * 12,
        ["a² + b² = c² ± 2πr · 17 (x − y) / 4 = 0.25"] * 12,
    ],
    ids=["one line", "capitals", "mathematics"],
)
def test_short_capital_and_mathematical_text_is_believed(
    sandbox: Sandbox, tmp_path: Path, builtin: LineReader, lines: list[str]
) -> None:
    def write(book: FPDF) -> None:
        draw.use_font(book, 1, 12, tmp_path)
        draw.write_lines(book, lines)

    path = draw.book_of(tmp_path / "sound.pdf", write)
    assert finding(sandbox, path, "Latn", builtin).finding is not Finding.DISAGREES
