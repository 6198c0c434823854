"""Pages that show much more than their text teach no page reader and are not exported, and are counted."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from sqlalchemy import select

from flywheel.database import transaction
from flywheel.database.tables import DocumentRow, ExportRow, LabelRow, PageRow
from flywheel.document import PageFacts
from flywheel.figures import ExportProgress, Unit
from flywheel.loop import submission
from flywheel.work import ledger
from flywheel.work.ledger import Work
from models.page_training.dataset import PageDataset
from models.training.manifest import FrozenDataset
from tasks.patches import cut_patches
from tasks.worker import process
from tasks.worker.exam_pages import write_exam_pages
from tests.flywheel import draw
from tests.flywheel.rows import store
from tests.tasks.drain import drain


@pytest.fixture(autouse=True)
def fresh(environment: dict[str, str]) -> None:
    process.store.cache_clear()


def half_in_outlines(book: draw.FPDF) -> None:
    """Twelve lines of text, and below them lines of outlines that hold as much ink."""
    rng = random.Random(5)
    draw.write_lines(book, [draw.latin_line(rng, 60) for _ in range(12)])
    for row in range(12):
        for column in range(50):
            book.rect(60 + column * 7, 420 + row * 24, 3.5, 6, style="F")


def ruled(book: draw.FPDF) -> None:
    """A page with a frame and a small table."""
    rng = random.Random(5)
    draw.write_lines(book, [draw.latin_line(rng, 60) for _ in range(20)])
    for row in range(5):
        book.line(60, 560 + row * 20, 500, 560 + row * 20)


@pytest.mark.parametrize("unit", list(Unit))
def test_a_page_that_is_half_outlines_teaches_lines_and_no_page_examines_no_reader_of_pages_and_is_not_exported(
    tmp_path: Path, unit: Unit
) -> None:
    paths = [draw.book_of(tmp_path / f"{drawn.__name__}.pdf", drawn) for drawn in (half_in_outlines, ruled)]
    with transaction() as session:
        ids = [
            submission.submit(
                session,
                store(),
                corpus="drawn",
                name=path.name,
                path=path,
                media_type="application/pdf",
                language="en",
            ).document_id
            for path in paths
        ]
    drain()
    taught, labels, hashes = [], set(), []
    for path, document_id in zip(paths, ids, strict=True):
        with transaction() as session:
            [page] = session.execute(select(PageRow).where(PageRow.document_id == document_id)).scalars()
            [label] = session.execute(select(LabelRow).where(LabelRow.page_id == page.id)).scalars()
            document = session.get_one(DocumentRow, document_id)
        assert label.verdict == "accepted"
        given = cut_patches(path, document, page, label, unit)
        labels.add(label.id)
        hashes.append(document.sha256)
        taught.append((len(given.rows) > 0, dict(given.dropped).get("ink_without_text", 0)))
    assert taught == ([(False, 1), (True, 0)] if unit is Unit.PAGE else [(True, 0), (True, 0)])
    assert documents_of_page_exam(labels, hashes, tmp_path) == {hashes[1]}
    with transaction() as session:
        row = ExportRow(corpus_id=document.corpus_id, format="jsonl")
        session.add(row)
        session.flush()
        ledger.enqueue(session, [Work("export", export_id=row.id)])
    drain()
    with transaction() as session:
        progress = session.get_one(ExportRow, row.id).progress
    assert progress == ExportProgress(rows=1, of=2, left_out=1, reasons={"ink_without_text": 1})


def documents_of_page_exam(labels: set[int], hashes: list[str], directory: Path) -> set[str]:
    """The documents of which pages stand in an exam of whole pages, for a dataset of lines with these labels."""
    dataset = FrozenDataset(
        directory,
        hash="",
        language="en",
        splits=dict.fromkeys(hashes, "heldout"),
        files=(),
        exam_labels=frozenset(labels),
    )
    write_exam_pages(dataset, directory / "exam", 72.0)
    return set(PageDataset.open(directory / "exam").pages("heldout", exam=True).documents)


def test_facts_of_an_older_service_say_nothing_of_what_is_drawn() -> None:
    assert PageFacts(0, 100, 200, 0, 0.1, True, image_only=False, characters=90).drawn == 0.0
