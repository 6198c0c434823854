"""Real files through ingest, coarse and recognition: good pages get labels, bad ones get reasons, alone."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from fpdf import FPDF
from fpdf.enums import EncryptionMethod
from PIL import Image, ImageDraw, ImageFont
from sqlalchemy import select

from flywheel import labels, submission
from flywheel.database import transaction
from flywheel.pdf import Sandbox
from flywheel.tables import Document, LabelRow, Lease, Page
from tasks import process
from tests.flywheel import draw
from tests.flywheel.rows import store
from tests.tasks.drain import drain

SOUND = ("labelled", "accepted", "accepted")  # state, verdict, reason


@pytest.fixture(autouse=True)
def fresh(environment: dict[str, str]) -> None:
    """A worker's warm things belong to one cluster; the PDF child may stay."""
    process.store.cache_clear()


def submit(path: Path, language: str | None = "en") -> int:
    with transaction() as session:
        done = submission.submit(
            session,
            store(),
            corpus="mixed",
            name=path.name,
            path=path,
            media_type="application/pdf",
            language=language,
        )
    return done.document_id


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def standing(document_id: int) -> list[tuple[str, str | None, str | None]]:
    """(state, verdict, reason) of a document's pages, in order."""
    with transaction() as session:
        query = select(Page).where(Page.document_id == document_id).order_by(Page.number)
        return [(page.state, page.verdict, page.reason) for page in session.execute(query).scalars()]


def document(document_id: int) -> Document:
    with transaction() as session:
        return session.get_one(Document, document_id)


def said(document_id: int, stop: str = "coarse") -> list[str]:
    """The texts of a document's labels, page by page."""
    with transaction() as session:
        query = (
            select(LabelRow)
            .join(Page, Page.id == LabelRow.page_id)
            .where(Page.document_id == document_id, LabelRow.stop == stop)
            .order_by(Page.number)
        )
        return [labels.load(store(), row).text for row in session.execute(query).scalars()]


def nothing_is_open() -> bool:
    with transaction() as session:
        return session.execute(select(Lease)).first() is None


def encrypted() -> bytes:
    book = draw.blank_book()
    book.add_page()
    book.set_font("Helvetica", size=11)
    book.text(60, 60, "nobody reads this")
    book.set_encryption(owner_password="owner", user_password="user", encryption_method=EncryptionMethod.AES_128)
    return bytes(book.output())


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.pdf": (lambda: b"", "empty_file"),
    "page.pdf": (lambda: draw.encoded(draw.scan(), "PNG"), "not_pdf"),
    "notes.txt": (lambda: b"just some words", "unsupported_type"),
    "garbage.pdf": (lambda: b"%PDF-1.7\n" + bytes(range(256)) * 20, "pdf_unreadable"),
    "no-pages.pdf": (lambda: draw.pdf([draw.CATALOGUE, draw.tree([])]), "pdf_no_pages"),
    "million.pdf": (lambda: draw.small_pdf(draw.HELLO, count=1_000_000), "pdf_bad_page_tree"),
    "locked.pdf": (encrypted, "pdf_encrypted"),
}


def test_every_bad_file_is_quarantined_with_its_reason_and_the_good_ones_beside_it_are_labelled(
    tmp_path: Path,
) -> None:
    first = tmp_path / "first.pdf"
    draw.latin_pdf(first, 2, seed=5)
    last = tmp_path / "last.pdf"
    draw.latin_pdf(last, 2, seed=6)
    good = [submit(first)]
    bad = {name: submit(written(tmp_path / name, make())) for name, (make, _) in BAD.items()}
    good.append(submit(last))
    drain()
    found = {name: document(document_id) for name, document_id in bad.items()}
    assert {name: (row.state, row.reason) for name, row in found.items()} == {
        name: ("quarantined", reason) for name, (_, reason) in BAD.items()
    }
    assert [standing(document_id) for document_id in bad.values()] == [[]] * len(bad)
    assert [standing(document_id) for document_id in good] == [[SOUND, SOUND]] * 2
    assert nothing_is_open()


def test_a_truncated_file_keeps_its_whole_pages_and_says_which_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "book.pdf"
    draw.latin_pdf(path, 10)
    data = path.read_bytes()
    document_id = submit(written(tmp_path / "cut.pdf", data[: len(data) * 6 // 10]))
    drain()
    row = document(document_id)
    pages = standing(document_id)
    if row.state == "quarantined":  # the page tree itself lay in the lost part
        assert (row.reason, pages) == ("pdf_unreadable", [])
    else:
        assert row.facts["repaired"]
        assert {page[2] for page in pages} <= {"accepted", "page_content_missing"}
    assert "blank" not in {page[2] for page in pages}


def test_a_sound_text_layer_becomes_the_label_of_its_page(tmp_path: Path) -> None:
    path = tmp_path / "book.pdf"
    truth = draw.latin_pdf(path, 2, lines=6)
    document_id = submit(path)
    drain()
    assert standing(document_id) == [SOUND, SOUND]
    assert [text.split() for text in said(document_id)] == [" ".join(lines).split() for lines in truth]
    row = document(document_id)
    assert (row.state, row.page_count, row.facts["repaired"]) == ("ready", 2, False)


def test_clean_tibetan_is_accepted_and_keeps_every_letter(tmp_path: Path) -> None:
    path = tmp_path / "tibetan.pdf"
    [lines] = draw.tibetan_pdf(path, 1, lines=5)
    document_id = submit(path, "bo")
    drain()
    assert standing(document_id) == [SOUND]
    assert "".join(said(document_id)[0].split()) == "".join("".join(lines).split())


def test_a_text_layer_in_another_script_than_declared_waits_for_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "latin.pdf"
    draw.latin_pdf(path)
    document_id = submit(path, "bo")
    drain()
    assert standing(document_id) == [("waiting", "rejected", "wrong_script")]


def test_private_use_characters_are_found_out_and_the_page_waits(tmp_path: Path) -> None:
    lines = ["the wheel turns and every page" for _ in range(8)]
    private = {code: chr(0xE000 + code) for code in range(97, 123)}
    document_id = submit(written(tmp_path / "lies.pdf", draw.lying_pdf(lines, private)), "bo")
    drain()
    assert standing(document_id) == [("waiting", "rejected", "garbled_characters")]


def test_a_scan_that_nobody_can_read_waits_and_a_blank_page_is_labelled_blank(tmp_path: Path) -> None:
    path = tmp_path / "scan.pdf"
    book = draw.blank_book()
    book.add_page()
    book.image(draw.scan(), x=0, y=0, w=book.w, h=book.h)
    book.add_page()
    book.output(str(path))
    document_id = submit(path, "bo")
    drain()
    scanned, blank = standing(document_id)
    assert scanned[0] == "waiting"
    assert scanned[2] == "no_text_layer"
    assert blank == ("labelled", "accepted", "blank")


def test_a_page_that_hangs_costs_itself_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_PAGE_SECONDS", "4")
    process.settings.cache_clear()
    process.sandbox().close()
    process.sandbox.cache_clear()
    document_id = submit(written(tmp_path / "nested.pdf", draw.nested_forms()))
    drain(only="ingest")
    drain(only="coarse")
    process.sandbox().close()
    process.sandbox.cache_clear()
    first, hung, last = standing(document_id)
    assert hung == ("quarantined", None, "page_timeout")
    assert first == last
    assert first[0] == "labelled"


def test_a_page_on_which_only_the_layout_fails_keeps_its_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tibetan.pdf"
    draw.tibetan_pdf(path, 2)
    visits: list[int] = []

    def crash_the_second_visit(number: int, pid: int) -> None:
        visits.append(number)
        if number == 1 and len(visits) > 2:
            os.kill(pid, signal.SIGKILL)

    document_id = submit(path, "bo")
    drain(only="ingest")
    with Sandbox(on_page=crash_the_second_visit) as sandbox:
        monkeypatch.setattr("tasks.coarse.sandbox", lambda: sandbox)
        drain(only="coarse")
    assert visits == [0, 1, 0, 1, 1]  # read, then arranged; a page that crashes its child is tried twice
    assert standing(document_id) == [SOUND, SOUND]
    assert [len(text) > 200 for text in said(document_id)] == [True, True]


def scanned(lines: list[str]) -> Image.Image:
    """A page of print as a scanner sees it, 150 dpi."""
    image = Image.new("L", (1240, 700), 240)
    pen = ImageDraw.Draw(image)
    font = ImageFont.truetype(io.BytesIO(draw.font_bytes("helv")), 34)
    for number, line in enumerate(lines):
        pen.text((110, 90 + 70 * number), line, fill=25, font=font)
    return image


def test_an_english_scan_is_read_by_the_reader_that_comes_with_the_service(tmp_path: Path) -> None:
    lines = ["The wheel turns and every page", "comes back with a label", "that somebody can check"]
    path = tmp_path / "scan.pdf"
    book = FPDF(unit="pt", format=(595, 336))
    book.add_page()
    book.image(scanned(lines), x=0, y=0, w=595, h=336)
    book.output(str(path))
    document_id = submit(path)
    drain()
    assert standing(document_id) == [SOUND]
    [text] = said(document_id, "recognition")
    assert text.split() == " ".join(lines).split()
    with transaction() as session:
        row = session.execute(select(LabelRow).where(LabelRow.stop == "recognition")).scalar_one()
        parent = session.get_one(LabelRow, row.parent_id)
    assert (row.kind, row.checkpoint_id, row.generation) == ("fine", "ppocr-v6-small", 1)
    assert (parent.stop, parent.reason) == ("coarse", "no_text_layer")
    assert row.confidence is not None
    assert row.confidence > 0.9
