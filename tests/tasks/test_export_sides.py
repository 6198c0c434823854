"""An export keeps copies of what examines apart from what may be trained on, whatever their files are called."""

from __future__ import annotations

import hashlib
import json
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import select

from flywheel.database import transaction
from flywheel.database.tables import (
    DatasetDocumentRow,
    DatasetRow,
    DocumentRow,
    ExportRow,
    LabelRow,
    PageRow,
    PatchSetRow,
)
from flywheel.figures import DatasetCounts, SplitCounts, Unit
from flywheel.labels.storage import load_label
from flywheel.loop import submission
from flywheel.loop.likeness import signature
from flywheel.loop.sides import HELD_OUT, VALIDATION, place_of
from flywheel.states import Split
from flywheel.work import ledger
from flywheel.work.ledger import Work
from tasks.worker import process
from tests.flywheel import draw
from tests.flywheel.rows import store
from tests.tasks.drain import drain


@pytest.fixture(autouse=True)
def fresh(environment: dict[str, str]) -> None:
    """A worker's warm things belong to one cluster; the PDF child may stay."""
    process.store.cache_clear()


def submit(path: Path, corpus: str) -> int:
    with transaction() as session:
        done = submission.submit(
            session,
            store(),
            corpus=corpus,
            name=path.name,
            path=path,
            media_type="application/pdf",
            language="en",
        )
        return done.document_id


def examine(document_id: int) -> None:
    """A dataset that holds the document out, with its page's signature, as a round leaves them."""
    counts = DatasetCounts(
        unit=Unit.LINE, units=SplitCounts(), pages=SplitCounts(), documents=SplitCounts(), dropped={}
    )
    with transaction() as session:
        dataset = DatasetRow(hash="d", language="en", manifest_key="k", counts=counts)
        session.add(dataset)
        session.flush()
        document = session.get_one(DocumentRow, document_id)
        session.add(DatasetDocumentRow(dataset_id=dataset.id, sha256=document.sha256, split=Split.HELDOUT))
        labels = select(LabelRow).join(PageRow, PageRow.id == LabelRow.page_id)
        for label in session.execute(labels.where(PageRow.document_id == document_id)).scalars():
            seen = signature(load_label(store(), label).text)
            session.add(PatchSetRow(label_id=label.id, unit=Unit.LINE, blob_key="b", units=1, likeness=seen))


def export(corpus_of: int, directory: Path) -> dict[str, str]:
    """Document's name -> the file's name that its row is in."""
    with transaction() as session:
        row = ExportRow(corpus_id=session.get_one(DocumentRow, corpus_of).corpus_id, format="jsonl")
        session.add(row)
        session.flush()
        ledger.enqueue(session, [Work("export", export_id=row.id)])
        number = row.id
    drain()
    with transaction() as session:
        store().fetch_tree(str(session.get_one(ExportRow, number).tree_key), directory)
    return {
        json.loads(line)["document"]: path.stem
        for path in directory.glob("*.jsonl")
        for line in path.read_text().splitlines()
    }


def trained_on(path: Path, seed: int) -> Path:
    """A file of this text whose own hash would have it trained on."""
    draw.latin_pdf(path, 1, seed=seed)
    drawn = path.read_bytes()
    files = (drawn + b"%% %d\n" % number for number in count())
    file = next(file for file in files if place_of(hashlib.sha256(file).hexdigest()) > HELD_OUT + VALIDATION)
    path.write_bytes(file)
    return path


def test_a_copy_of_an_exam_in_another_corpus_is_not_exported_for_training(tmp_path: Path) -> None:
    exam = submit(trained_on(tmp_path / "exam.pdf", 1), "first")
    drain()
    examine(exam)
    copy = submit(trained_on(tmp_path / "copy.pdf", 1), "second")
    other = submit(trained_on(tmp_path / "other.pdf", 2), "second")
    assert len({exam, copy, other}) == 3
    drain()
    assert export(copy, tmp_path / "out") == {"copy.pdf": "test", "other.pdf": "train"}
