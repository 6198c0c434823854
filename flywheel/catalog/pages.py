"""Pages: listings with verdicts, and one page with all its labels and the current one's lineage."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session, defer

from flywheel import wire
from flywheel.catalog import cursor
from flywheel.catalog.corpora import corpus_row
from flywheel.catalog.rows import columns, row_by_id
from flywheel.database import tables
from flywheel.document import Outcome
from flywheel.labels.standing import current_label
from flywheel.reasons import Reason, explanation
from flywheel.states import PageState

LINEAGE_STEPS = 100  # labels walked back at most


@dataclass(frozen=True, slots=True)
class PageFilter:
    """Condition on the pages of a corpus; None: any."""

    state: PageState | None = None
    verdict: Outcome | None = None
    reason: Reason | None = None
    document_id: int | None = None


def pages(session: Session, corpus: str, wanted: PageFilter, *, after: str | None, limit: int) -> wire.Pages:
    """A corpus's pages by document and number. Raises NotFound, CursorRefused."""
    row = corpus_row(session, corpus)
    filters = {"list": "pages", "corpus": row.id, **asdict(wanted)}
    query = (
        select(tables.PageRow, tables.DocumentRow)
        .join(tables.DocumentRow, tables.DocumentRow.id == tables.PageRow.document_id)
        .options(defer(tables.PageRow.facts), defer(tables.DocumentRow.facts))  # a listing shows none
        .where(tables.DocumentRow.corpus_id == row.id, *_conditions(wanted))
    )
    if after is not None:
        place = cursor.decode(after, filters, 2)
        query = query.where(tuple_(tables.PageRow.document_id, tables.PageRow.number) > tuple_(*place))
    query = query.order_by(tables.PageRow.document_id, tables.PageRow.number).limit(limit + 1)
    found = session.execute(query).all()
    items = [_page(page, document, corpus) for page, document in found[:limit]]
    last = (items[-1].document_id, items[-1].number) if len(found) > limit else None
    return wire.Pages(items=items, next=cursor.encode(last, filters) if last else None)


def _conditions(wanted: PageFilter) -> list[Any]:
    by_column = {
        tables.PageRow.state: wanted.state,
        tables.PageRow.verdict: wanted.verdict,
        tables.PageRow.reason: wanted.reason,
        tables.PageRow.document_id: wanted.document_id,
    }
    return [column == value for column, value in by_column.items() if value is not None]


def _page(page: tables.PageRow, document: tables.DocumentRow, corpus: str) -> wire.Page:
    return wire.Page.model_validate(_fields(page, document, corpus))


def _fields(page: tables.PageRow, document: tables.DocumentRow, corpus: str) -> dict[str, Any]:
    return {
        **columns(page),
        "document": document.name,
        "language": document.language,
        "rights": document.rights,
        "corpus": corpus,
        "explanation": explanation(page.reason) or None,
    }


def page_and_document(session: Session, page_id: int) -> tuple[tables.PageRow, tables.DocumentRow]:
    """A page's row and its document's. Raises NotFound."""
    found = row_by_id(session, tables.PageRow, page_id, "page")
    return found, session.get_one(tables.DocumentRow, found.document_id)


def page(session: Session, page_id: int) -> wire.PageDetail:
    """A page with its facts, every label it had, reviews, and the lineage of the current label.
    Raises NotFound."""
    row, document = page_and_document(session, page_id)
    corpus = session.get_one(tables.CorpusRow, document.corpus_id)
    rows = session.scalars(
        select(tables.LabelRow).where(tables.LabelRow.page_id == page_id).order_by(tables.LabelRow.id)
    ).all()
    reviews = session.scalars(
        select(tables.ReviewRow).where(tables.ReviewRow.page_id == page_id).order_by(tables.ReviewRow.id)
    ).all()
    current = current_label(session, page_id)
    return wire.PageDetail.model_validate(
        {
            **_fields(row, document, corpus.name),
            "labels": [{**columns(row), "current": current is not None and row.id == current.id} for row in rows],
            "lineage": lineage(session, current) if current else [],
            "reviews": [columns(row) for row in reviews],
        }
    )


def label_row(session: Session, label_id: int) -> tables.LabelRow:
    """One label's row. Raises NotFound."""
    return row_by_id(session, tables.LabelRow, label_id, "label")


def lineage(session: Session, label: tables.LabelRow) -> list[wire.Ancestor]:
    """Lineage of a label: its checkpoint, that one's round and dataset, then the label it replaced, and so on."""
    steps: list[wire.Ancestor] = []
    row: tables.LabelRow | None = label
    while row is not None and len(steps) < LINEAGE_STEPS:
        detail = f"{row.kind}, by {row.producer}, {row.verdict}: {row.reason}, generation {row.generation}"
        steps.append(wire.Ancestor(kind=wire.AncestorKind.LABEL, id=str(row.id), detail=detail))
        if row.checkpoint_id is not None:
            steps.extend(_origin(session, row.checkpoint_id))
        row = session.get(tables.LabelRow, row.parent_id) if row.parent_id is not None else None
    return steps


def _origin(session: Session, checkpoint_id: str) -> list[wire.Ancestor]:
    """A checkpoint, the round that made it and the dataset it learned from."""
    checkpoint = session.get(tables.CheckpointRow, checkpoint_id)
    if checkpoint is None:
        return []
    steps = [wire.Ancestor(kind=wire.AncestorKind.CHECKPOINT, id=checkpoint.id, detail=_describe(checkpoint))]
    round_ = session.get(tables.RoundRow, checkpoint.round_id) if checkpoint.round_id else None
    if round_ is not None:
        detail = f"{round_.language}, recipe {round_.recipe}, {round_.status}"
        steps.append(wire.Ancestor(kind=wire.AncestorKind.ROUND, id=str(round_.id), detail=detail))
    dataset = session.get(tables.DatasetRow, checkpoint.dataset_id) if checkpoint.dataset_id else None
    if dataset is not None:
        steps.append(
            wire.Ancestor(
                kind=wire.AncestorKind.DATASET, id=str(dataset.id), detail=f"{dataset.language} {dataset.hash}"
            )
        )
    return steps


def _describe(checkpoint: tables.CheckpointRow) -> str:
    parent = f", from {checkpoint.parent_id}" if checkpoint.parent_id else ""
    return f"{checkpoint.architecture}{parent}, generation {checkpoint.generation}"
