"""Letters beyond ASCII: those that the built-in reader knows tell a wrong code page, others tell nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from fpdf import FPDF

from benchmarks.lies import remap
from flywheel.pdf import PageImage, Sandbox
from models.recognition.protocol import Transcription
from models.verification.comparison import UNKNOWN, Finding, Tally, folded, legible, tally_of
from models.verification.findings import FontFinding, FontSample, examine
from models.verification.sampling import LayerPage, pieces
from tasks.worker.verification import builtin_reader
from tests.flywheel import draw

ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyzøìřěčéŋɔ")
CZECH = (
    "příliš žluťoučký kůň věděl o všech dnech které přijdou než řeka někde ve městě změní směr večer před deštěm"
)
EWE = "le ɖevi la ŋuti kple ŋkɔ si wotsɔna ɖoa eteƒe be woakpɔ ame sia ame ƒe gbɔ ŋdi kple fiɛ ɖekaɖeka"


def test_an_accented_letter_that_is_read_as_another_is_not_lost_among_its_plain_like() -> None:
    tally = Tally()
    for said, shown in (
        ("dobøe", "dobre"),
        ("øeka", "reka"),
        ("moøe", "more"),
        ("pøed", "pred"),
        ("osobo", "osobo"),
    ):
        tally += tally_of(said, Transcription(shown, 0.99, ()), ALPHABET, {"Latn"})
    assert tally.exchanged == ("ø", "r")


def test_one_accented_letter_read_as_another_asks_for_a_longer_look() -> None:
    once = tally_of(
        "moøe nad hladkou skalou a polem",
        Transcription("more nad hladkou skalou a polem", 0.99, ()),
        ALPHABET,
        {"Latn"},
    )
    assert once.finding() is Finding.UNSURE
    assert once.finding(final=True) is Finding.AGREES


def test_letters_that_the_reader_only_writes_are_unknown() -> None:
    assert folded("eŋkɔ", legible(ALPHABET), {"Latn"}) == f"e{UNKNOWN}k{UNKNOWN}"
    assert legible(frozenset("aéřþɖж漢1")) == frozenset("aéřж漢1")


def test_a_letter_under_an_accent_that_the_reader_is_not_held_to_is_still_that_letter() -> None:
    assert tally_of("pŭpŭ", Transcription("pǔpǔ", 0.99, ()), legible(ALPHABET | {"ŭ", "ǔ"}), {"Latn"}).wrong == 0


def examined(directory: Path, text: str, table: dict[str, str]) -> FontFinding:
    rng = random.Random(text)

    def write(book: FPDF) -> None:
        draw.use_font(book, 1, 13, directory)
        draw.write_lines(book, [" ".join(rng.choice(text.split()) for _ in range(8)) for _ in range(24)])

    path = draw.book_of(directory / "a.pdf", write)
    path = remap(path, directory / "b.pdf", lambda told: "".join(table.get(c, c) for c in told))
    with Sandbox() as sandbox:
        [image] = sandbox.render(path, [0], 150)
        assert isinstance(image, PageImage)
        page = LayerPage(0, sandbox.characters(path, 0), image.image, image.dpi)
    [(font, found)] = pieces([page]).items()
    return examine(FontSample(font, "Latn", found), builtin_reader(), None)


@pytest.mark.parametrize(
    ("text", "table", "finding"),
    [
        (CZECH, {}, Finding.AGREES),
        (CZECH, dict(zip("řěčů", "øìèù", strict=True)), Finding.DISAGREES),
        (EWE, {}, Finding.AGREES),
        (EWE, {"e": "a", "a": "e"}, Finding.DISAGREES),
    ],
    ids=["Czech", "Czech in the Western code page", "Ewe", "Ewe with letters exchanged"],
)
def test_european_letters_are_held_to_what_is_read_and_african_ones_are_not(
    tmp_path: Path, text: str, table: dict[str, str], finding: Finding
) -> None:
    assert examined(tmp_path, text, table).finding is finding
