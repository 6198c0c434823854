"""Findings by font, and what becomes of the verdicts on the pages that use them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from fpdf import FPDF

from benchmarks.lies import remap
from flywheel.database.tables import DocumentRow
from flywheel.document import Outcome, Verdict
from flywheel.pdf import PageImage, Sandbox
from flywheel.reasons import Reason
from models.verification.comparison import Finding
from models.verification.drawn import Typeface
from models.verification.findings import FontFinding, examine
from models.verification.sampling import LayerPage
from tasks.worker.verification import examined, font_samples, judged, layer_pages
from tests.flywheel import draw

LATIN = "the old binder counts the loose sheets that the river took and folds each of them in a long room"
HEBREW = "הכורך הזקן סופר את הדפים שהביא הנהר ומניח כל אחד מהם בחדר הארוך לאור המנורה בכל חורף"
ACCEPTED = Verdict(Outcome.ACCEPTED, Reason.ACCEPTED)
NUMBERS = {"Latn": 1, "Hebr": 5}


def two_fonts(path: Path) -> Path:
    """A page with lines of two fonts by turns."""
    rng = random.Random(2)

    def write(book: FPDF) -> None:
        for row in range(24):
            script, text = ("Latn", LATIN) if row % 2 else ("Hebr", HEBREW)
            draw.use_font(book, NUMBERS[script], 13, path.parent)
            draw.write_lines(book, [" ".join(rng.choice(text.split()) for _ in range(8))], y=40 + 28 * row)

    return draw.book_of(path, write)


def findings(path: Path) -> dict[str, FontFinding]:
    """Findings by script, by drawings alone."""
    with Sandbox() as sandbox:
        [image] = sandbox.render(path, [0], 150)
        assert isinstance(image, PageImage)
        page = LayerPage(0, sandbox.characters(path, 0), image.image, image.dpi)
    return {
        sample.script: examine(sample, None, Typeface(draw.font_bytes(NUMBERS[sample.script])))
        for sample in font_samples([page])
    }


def test_one_lying_font_is_told_from_a_sound_one_on_the_same_page(tmp_path: Path) -> None:
    sound = two_fonts(tmp_path / "sound.pdf")
    lie = remap(sound, tmp_path / "lie.pdf", lambda text: text.translate(str.maketrans("הר", "רה")))
    assert {script: found.finding for script, found in findings(sound).items()} == {
        "Latn": Finding.AGREES,
        "Hebr": Finding.AGREES,
    }
    assert {script: found.finding for script, found in findings(lie).items()} == {
        "Latn": Finding.AGREES,
        "Hebr": Finding.DISAGREES,
    }


def test_only_pages_with_a_lying_font_are_rejected() -> None:
    found = {
        "Body": FontFinding("Body", Finding.AGREES),
        "Lie": FontFinding("Lie", Finding.DISAGREES, "Lie: 'a' as 'b'"),
        "Odd": FontFinding("Odd", Finding.UNSURE, "Odd: not verified", looked=False),
    }
    assert judged(ACCEPTED, ["Body", "Rare"], found) == ACCEPTED
    assert judged(ACCEPTED, ["Body", "Lie"], found) == Verdict(
        Outcome.REJECTED, Reason.LAYER_DISAGREES, "Lie: 'a' as 'b'"
    )
    assert judged(ACCEPTED, ["Odd"], found) == Verdict(Outcome.ACCEPTED, Reason.ACCEPTED, "Odd: not verified")


@pytest.mark.usefixtures("environment")
def test_a_document_that_cannot_be_opened_again_is_believed_rather_than_lost(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7\n" + b"nothing " * 50)
    assert layer_pages(tmp_path / "a.pdf", [0]) == []


@pytest.mark.usefixtures("environment")
def test_an_error_of_ours_costs_the_look_and_not_the_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> FontFinding:
        raise ValueError("min() of an empty sequence")

    monkeypatch.setattr("models.verification.findings.examine", fails)
    [page] = layer_pages(two_fonts(tmp_path / "a.pdf"), [0])
    document = DocumentRow(id=1, language="en")
    found = [examined(document, sample, lambda *_: None) for sample in font_samples([page])]
    assert [(one.finding, one.looked) for one in found] == [(Finding.UNSURE, False)] * 2
    assert judged(ACCEPTED, [found[0].font], {found[0].font: found[0]}).accepted
