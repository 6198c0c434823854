"""Export: the accepted pages of a corpus, with their images and lineage, as a training set."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

import structlog
from PIL import Image
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, defer

from flywheel import export as exporting
from flywheel.database import array_of, transaction
from flywheel.database.tables import (
    CheckpointRow,
    CorpusRow,
    DatasetRow,
    DocumentRow,
    ExportRow,
    LabelRow,
    PageRow,
    ReviewRow,
    RoundRow,
)
from flywheel.document import TRUE_ORIGINS, Kind, Outcome
from flywheel.errors import BlobCorrupt, BlobMissing, Rejected
from flywheel.export import ExportedPage, ExportFormat, Lineage
from flywheel.figures import ExportProgress
from flywheel.labels.standing import current_labels
from flywheel.labels.storage import load_label
from flywheel.loop import splits
from flywheel.loop.likeness import SignedPage, signature
from flywheel.loop.whole_pages import page_shows_more
from flywheel.pdf import PageFailure, PageImage
from flywheel.reasons import Reason
from flywheel.settings import settings
from flywheel.states import RequestStatus, Split
from flywheel.work import ledger
from tasks.worker.attempt import Attempt, stop_task
from tasks.worker.process import document_file, sandbox, scratch, store

log = structlog.get_logger()

JPEG_QUALITY = 87
RENDER_PAGES = 16
REPORT_ROWS = 25
Entry = tuple[LabelRow, PageRow, DocumentRow]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Facts of an export's rows that stand in other tables: lineages by label, sides by document hash, people by
    the label that they wrote or accepted."""

    lineages: dict[int, Lineage]
    splits: dict[str, Split]
    people: dict[int, str]


@stop_task("export")
def export(attempt: Attempt) -> None:
    with transaction() as session:
        row = session.get_one(ExportRow, attempt.claim.export_id)
        corpus = session.get_one(CorpusRow, row.corpus_id)
        entries, reasons = accepted(session, corpus.id)
        lineages, people = lineage_of(session, entries), people_of(session, entries)
    provenance = Provenance(lineages, splits_of(attempt, entries), people)
    of = len(entries) + sum(reasons.values())

    def progress(done: int) -> None:
        attempt.check()
        if done % REPORT_ROWS == 0:
            with transaction() as session:
                ledger.guard(session, attempt.claim)
                _set(session, row.id, progress=ExportProgress(rows=done, of=of, reasons=reasons))

    with scratch("export") as directory:
        rows = export_rows(attempt, corpus.name, entries, provenance)
        report = exporting.write(ExportFormat.named(row.format), rows, directory / "out", progress=progress)
        tree_key = store().put_tree(directory / "out")
    with transaction() as session:
        ledger.guard(session, attempt.claim)
        progress_made = ExportProgress(rows=report.rows, of=of, left_out=of - report.rows, reasons=reasons)
        values = {"tree_key": tree_key, "rows": report.rows, "progress": progress_made}
        _set(session, row.id, status=RequestStatus.FINISHED, finished_at=func.now(), **values)
        ledger.finish(session, attempt.claim)


def _set(session: Session, export_id: int, **values: object) -> None:
    session.execute(update(ExportRow).where(ExportRow.id == export_id).values(**values))


def accepted(session: Session, corpus_id: int) -> tuple[list[Entry], dict[str, int]]:
    """The accepted current labels of a corpus with their pages and documents, by document and page; and the number
    of those that are left out, by reason."""
    current = current_labels().where(DocumentRow.corpus_id == corpus_id).subquery()
    rows = session.execute(
        select(LabelRow, PageRow, DocumentRow, page_shows_more())
        .options(defer(PageRow.facts), defer(DocumentRow.facts))  # to decode them takes as long as all the rest
        .join(current, current.c.id == LabelRow.id)
        .join(PageRow, PageRow.id == LabelRow.page_id)
        .join(DocumentRow, DocumentRow.id == PageRow.document_id)
        .where(LabelRow.verdict == Outcome.ACCEPTED, LabelRow.lines > 0)
        .order_by(DocumentRow.id, PageRow.number)
    ).all()
    entries = [(label, page, document) for label, page, document, more in rows if not more]
    left_out = len(rows) - len(entries)
    return entries, {Reason.INK_WITHOUT_TEXT.value: left_out} if left_out else {}


def people_of(session: Session, entries: Sequence[Entry]) -> dict[int, str]:
    """Label id -> the person whose review made it."""
    label_ids = [label.id for label, _, _ in entries if label.kind is Kind.HUMAN]
    made = ReviewRow.new_label_id == func.any(array_of(label_ids))
    rows = session.execute(select(ReviewRow.new_label_id, ReviewRow.reviewer).where(made))
    return {label_id: reviewer for label_id, reviewer in rows if label_id is not None}


def splits_of(attempt: Attempt, entries: Sequence[Entry]) -> dict[str, Split]:
    """Document hash -> its side. Those that no dataset holds are compared by page with all that examines, and lie
    where a round in their language would put them."""
    languages: dict[str | None, dict[str, bool]] = defaultdict(dict)
    for label, _, document in entries:
        own = languages[document.language]
        own[document.sha256] = own.get(document.sha256, False) or label.origin in TRUE_ORIGINS
    documents = {document for own in languages.values() for document in own}
    with transaction() as session:
        frozen = splits.frozen_sides(session, documents)
        others = documents - frozen.keys()
        examining, pages = splits.examining_pages(session) if others else ({}, [])
    for label, page, document in attempt.each(e for e in entries if e[2].sha256 in others):
        try:
            pages.append(SignedPage(document.sha256, page.id, signature(load_label(store(), label).text)))
        except (BlobMissing, BlobCorrupt):
            continue  # neither is it exported
    known = examining | frozen
    return {d: side for own in languages.values() for d, side in splits.sides_of(own, pages, known).items()}


def lineage_of(session: Session, entries: Sequence[Entry]) -> dict[int, Lineage]:
    """Label id -> its origin: checkpoint, round and dataset."""
    rows = [label for label, _, _ in entries]
    ids = {row.checkpoint_id for row in rows if row.checkpoint_id}
    origins = {
        checkpoint: (round_id, digest)
        for checkpoint, round_id, digest in session.execute(
            select(CheckpointRow.id, RoundRow.id, DatasetRow.hash)
            .outerjoin(RoundRow, RoundRow.id == CheckpointRow.round_id)
            .outerjoin(DatasetRow, DatasetRow.id == CheckpointRow.dataset_id)
            .where(CheckpointRow.id.in_(ids))
        )
    }
    return {row.id: _lineage(row, *origins.get(row.checkpoint_id or "", (None, None))) for row in rows}


def _lineage(row: LabelRow, round_id: int | None, dataset_hash: str | None) -> Lineage:
    return Lineage(
        label_id=str(row.id),
        kind=row.kind,
        producer=row.producer,
        checkpoint=row.checkpoint_id,
        round=str(round_id) if round_id is not None else None,
        dataset_hash=dataset_hash,
        parent_label=str(row.parent_id) if row.parent_id is not None else None,
        generation=row.generation,
    )


def export_rows(
    attempt: Attempt, corpus: str, entries: list[Entry], provenance: Provenance
) -> Iterator[ExportedPage]:
    """One row a page. A document whose file is gone is logged and left out."""
    for _, group in groupby(entries, key=lambda entry: entry[2].id):
        of_document = list(group)
        document = of_document[0][2]
        try:
            with document_file(document) as path:
                yield from pages_of(attempt, corpus, document, of_document, path, provenance)
        except Rejected as error:
            log.warning("document left out of the export", document=document.id, why=str(error))


def pages_of(
    attempt: Attempt,
    corpus: str,
    document: DocumentRow,
    entries: list[Entry],
    path: Path,
    provenance: Provenance,
) -> Iterator[ExportedPage]:
    """The pages of one document, images rendered a few pages ahead. A page whose image or label cannot be had
    any more is logged and left out."""
    by_number = {page.number: (label, page) for label, page, _ in entries}
    for part in batched(by_number, RENDER_PAGES):
        for image in attempt.each(sandbox().render(path, list(part), settings().render_dpi)):
            row, page = by_number[image.number]
            if isinstance(image, PageFailure):
                log.warning("page left out of the export", page=page.id, why=image.reason)
                continue
            try:
                label = load_label(store(), row)
            except (BlobMissing, BlobCorrupt) as error:
                log.warning("page left out of the export", page=page.id, why=str(error))
                continue
            yield ExportedPage(
                corpus=corpus,
                document=document.name,
                sha256=document.sha256,
                page=page.number,
                image=jpeg(image),
                label=label,
                verdict=row.verdict,
                reason=row.reason,
                lineage=provenance.lineages[row.id],
                split=provenance.splits[document.sha256],
                text_origin=row.origin,
                rights=document.rights,
                confirmed_by=provenance.people.get(row.id),
            )


def batched(numbers: Iterable[int], size: int) -> Iterator[list[int]]:
    """Numbers in lists of at most `size`."""
    left = iter(numbers)
    while part := list(islice(left, size)):
        yield part


def jpeg(image: PageImage) -> bytes:
    """The page image as a whole JPEG file."""
    out = io.BytesIO()
    Image.fromarray(image.image).save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue()
