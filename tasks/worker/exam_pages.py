"""Whole pages of a dataset's held-out documents, for an exam of readers of different kinds.

    write_exam_pages(dataset, directory, dpi)      a dataset of pages (models/page_training/dataset.py)

A dataset of lines holds patches alone. Its manifest names the labels: their pages are rendered anew.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import func, select

from flywheel import markup
from flywheel.database import array_of, transaction
from flywheel.database.tables import DocumentRow, LabelRow, PageRow
from flywheel.document import TRUE_ORIGINS
from flywheel.errors import BlobCorrupt, BlobMissing, Rejected
from flywheel.labels.storage import load_label
from flywheel.loop.whole_pages import page_shows_more
from flywheel.pdf import PageImage
from tasks.worker.process import document_file, sandbox, store

if TYPE_CHECKING:
    from models.page_training.dataset import PageSample
    from models.training.manifest import FrozenDataset, Split

log = structlog.get_logger()

PAGES_IN_FILE = 64  # in memory together: 2 MB a page


HeldOutPage = tuple[LabelRow, PageRow, DocumentRow]


def write_exam_pages(dataset: FrozenDataset, directory: Path, dpi: float) -> None:
    """Write the pages of a dataset's held-out labels, as a dataset of pages that is all held out.

    Pages whose label or document is lost are left out, those that cannot be rendered any more, and those that show
    more than their text: whoever reads all of such a page would be judged wrong.
    """
    from models.page_training.dataset import write_pages
    from models.training.manifest import write_manifest

    directory.mkdir()
    for of_document in _held_out(dataset):
        for start in range(0, len(of_document), PAGES_IN_FILE):
            rows = _samples(of_document[start : start + PAGES_IN_FILE], dpi)
            if rows:
                write_pages(directory / f"{rows[0].page}.parquet", rows)
    splits: dict[str, Split] = dict.fromkeys(sorted(dataset.documents("heldout")), "heldout")
    write_manifest(directory, splits=splits, language=dataset.language, groups=dataset.groups)


def _held_out(dataset: FrozenDataset) -> list[list[HeldOutPage]]:
    """Labels that may examine, with their pages, of one document after the other."""
    labels = (dataset.labels if dataset.exam_labels is None else dataset.exam_labels) or frozenset()
    with transaction() as session:
        rows = session.execute(
            select(LabelRow, PageRow, DocumentRow)
            .join(PageRow, PageRow.id == LabelRow.page_id)
            .join(DocumentRow, DocumentRow.id == PageRow.document_id)
            .where(
                LabelRow.id == func.any(array_of(sorted(labels))),
                LabelRow.origin.in_(TRUE_ORIGINS),
                DocumentRow.sha256.in_(dataset.documents("heldout")),
                ~page_shows_more(),
            )
            .order_by(DocumentRow.id, PageRow.number)
        ).all()
    found: dict[int, list[HeldOutPage]] = {}
    for label, page, document in rows:
        if dataset.examines(label.id, label.generation):
            found.setdefault(document.id, []).append((label, page, document))
    return list(found.values())


def _samples(held_out: Sequence[HeldOutPage], dpi: float) -> list[PageSample]:
    """Pages of one document with their true text."""
    by_number = {page.number: (label, page) for label, page, _ in held_out}
    _, _, document = held_out[0]
    try:
        with document_file(document) as path:
            images = list(sandbox().render(path, list(by_number), dpi))
    except Rejected as error:
        log.warning("a document is in no exam", document=document.sha256, error=str(error))
        return []
    samples = []
    for image in images:
        label, page = by_number[image.number]
        if isinstance(image, PageImage) and (text := _true_text(label)):
            samples.append(_sample(document, page, label, image, text))
    return samples


def _true_text(row: LabelRow) -> str:
    """The label's text as pages are learned; empty of one that is lost."""
    try:
        return unicodedata.normalize("NFC", markup.coarse(load_label(store(), row))).strip()
    except (BlobMissing, BlobCorrupt) as error:
        log.warning("a label is in no exam", label=row.id, error=str(error))
        return ""


def _sample(document: DocumentRow, page: PageRow, row: LabelRow, image: PageImage, text: str) -> PageSample:
    from models.page_training.dataset import PageSample

    return PageSample(
        document=document.sha256,
        page=page.id,
        image=image.image,
        dpi=image.dpi,
        width=image.width,
        height=image.height,
        text=text,
        language=document.language or "",
        label=row.id,
        producer=row.producer,
    )
