"""Layers that were seen in the wild, word for word: gate and reader see that their pages show another text."""

from __future__ import annotations

from pathlib import Path

import pytest
from fpdf import FPDF

from benchmarks.lies import remap
from flywheel.database.tables import DocumentRow
from flywheel.gate import Gate
from flywheel.labels.recording import LabelledPage
from flywheel.pdf import PageText
from flywheel.pdf.coarse import label as coarse_label
from tasks.worker import process
from tasks.worker.verification import builtin_reader, judge_layers
from tests.flywheel import draw

SHOWN = "The quick brown fox jumps over the lazy dog while Nine Old Boxers count the river stones again"
EXCHANGED = str.maketrans("Teiqrnoa", "Fiegnrao")
SAID = {
    "Tamil": "«À¢Ã¡Á¢ ¾Á¢ú ¦Á¡Æ¢ ¸ÕòÐ",
    "Hindi": "vkt ds fnu gekjs ns'k esa cgqr lh leL;k,¡ gSaA ;g ,d egRoiw.kZ fo\"k; gS ftl ij ge lHkh",
    "Thai in the Western code page": "ÀÒÉÒä·Âà»ç¹ÀÒÉÒ·ÕèÁÕ ÇÃÃ³ÂØ¡µì áÅÐ¡ÒÃ¼Ñ¹àÊÕÂ§",
    "Russian in the Western code page": "Ñòàðûé ïåðåïë¸ò÷èê ñ÷èòàåò êàæäûé ëèñò",
    "French in Mac Roman": "la prŽsente dŽclaration considŽrŽe ˆ l’ŽgalitŽ rŽpŽtŽe des libertŽs",
    "French in UTF-8": "la prÃ©sente dÃ©claration considÃ©rÃ©e rÃ©pÃ©tÃ©e des libertÃ©s",
}


@pytest.fixture(autouse=True)
def fresh(environment: dict[str, str]) -> None:
    process.store.cache_clear()


def judged(path: Path, language: str | None) -> tuple[str, str, str]:
    """The label's text, and reason and detail of the verdict after a look at the page."""
    (page,) = process.sandbox().text(path, [0], layout=False)
    assert isinstance(page, PageText)
    label, counts = coarse_label(page, language)
    verdict = Gate().judge_coarse(label, page.facts, counts, language)
    labelled = {0: LabelledPage(0, label, verdict, page.facts)}
    document = DocumentRow(id=0, language=language)
    found = judge_layers(document, labelled, path, lambda _language, _script: builtin_reader()).get(0, verdict)
    return label.text, found.reason.value, found.detail


def test_letters_exchanged_within_latin_are_read_off_the_page(tmp_path: Path) -> None:
    def write(book: FPDF) -> None:
        draw.use_font(book, 1, 12, tmp_path)
        draw.write_lines(book, [SHOWN[:60], SHOWN[30:]] * 8)

    sound = draw.book_of(tmp_path / "sound.pdf", write)
    assert judged(sound, "en")[1] == "accepted"
    lie = remap(sound, tmp_path / "lie.pdf", lambda text: text.translate(EXCHANGED))
    text, reason, detail = judged(lie, "en")
    assert text.startswith("Fhi gueck bnawr fax")
    assert reason == "layer_disagrees"
    assert "the layer says" in detail
    assert "the page shows" in detail


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_a_layer_in_the_encoding_of_an_old_font_is_refused(tmp_path: Path, said: str) -> None:
    codes = [code for code in range(0x21, 0x7F) if chr(code) not in "()\\"]
    code_of = dict(zip(sorted(set(said) - {" "}), codes, strict=False)) | {" ": 0x20}
    shown = "".join(chr(code_of[symbol]) for symbol in said)
    path = tmp_path / "a.pdf"
    path.write_bytes(draw.lying_pdf([shown] * 6, {code: symbol for symbol, code in code_of.items()}))
    text, reason, detail = judged(path, None)
    assert text.startswith(said[:6])
    # The few words of the Hindi font have too few signs and capitals for the gate: the page itself is read.
    assert reason == ("layer_disagrees" if said == SAID["Hindi"] else "legacy_encoding"), detail
