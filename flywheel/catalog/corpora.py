"""Corpora, their counts, and their documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from flywheel import wire
from flywheel.catalog import cursor
from flywheel.catalog.rows import columns
from flywheel.database import tables
from flywheel.errors import NotFound


def corpora(session: Session) -> list[wire.Corpus]:
    """Every corpus by name, with its numbers of documents and pages."""
    documents = (
        select(tables.DocumentRow.corpus_id, func.count().label("n"))
        .group_by(tables.DocumentRow.corpus_id)
        .subquery()
    )
    pages = (
        select(tables.DocumentRow.corpus_id, func.count().label("n"))
        .join(tables.PageRow, tables.PageRow.document_id == tables.DocumentRow.id)
        .group_by(tables.DocumentRow.corpus_id)
        .subquery()
    )
    rows = session.execute(
        select(tables.CorpusRow, func.coalesce(documents.c.n, 0), func.coalesce(pages.c.n, 0))
        .outerjoin(documents, documents.c.corpus_id == tables.CorpusRow.id)
        .outerjoin(pages, pages.c.corpus_id == tables.CorpusRow.id)
        .order_by(tables.CorpusRow.name)
    )
    return [
        wire.Corpus(name=row.name, created_at=row.created_at, documents=n_documents, pages=n_pages)
        for row, n_documents, n_pages in rows
    ]


def corpus_row(session: Session, name: str) -> tables.CorpusRow:
    """The corpus of this name. Raises NotFound."""
    row = session.execute(select(tables.CorpusRow).where(tables.CorpusRow.name == name)).scalar_one_or_none()
    if row is None:
        raise NotFound(f"no corpus is called {name!r}")
    return row


def summary(session: Session, name: str) -> wire.Summary:
    """Counts of a corpus's documents and pages by state, verdict and reason. Raises NotFound."""
    corpus = corpus_row(session, name)
    documents = session.execute(
        select(tables.DocumentRow.state, tables.DocumentRow.reason, func.count())
        .where(tables.DocumentRow.corpus_id == corpus.id)
        .group_by(tables.DocumentRow.state, tables.DocumentRow.reason)
    ).all()
    pages = session.execute(
        select(tables.PageRow.state, tables.PageRow.verdict, tables.PageRow.reason, func.count())
        .join(tables.DocumentRow, tables.DocumentRow.id == tables.PageRow.document_id)
        .where(tables.DocumentRow.corpus_id == corpus.id)
        .group_by(tables.PageRow.state, tables.PageRow.verdict, tables.PageRow.reason)
    ).all()
    by_state = _sums((state, n) for state, _, n in documents)
    page_states = _sums((state, n) for state, _, _, n in pages)
    return wire.Summary(
        corpus=name,
        documents=wire.DocumentCounts(
            submitted=sum(by_state.values()),
            by_reason=_sums((reason, n) for _, reason, n in documents),
            **by_state,
        ),
        pages=wire.PageCounts(
            submitted=sum(page_states.values()),
            by_verdict=_sums((verdict, n) for _, verdict, _, n in pages),
            by_reason=_sums((reason, n) for _, _, reason, n in pages),
            **page_states,
        ),
    )


def _sums(pairs: Iterable[tuple[Any, int]]) -> dict[str, int]:
    """Counts by key, largest first; rows without a key are left out."""
    sums: dict[str, int] = {}
    for key, n in pairs:
        if key is not None:
            sums[str(key)] = sums.get(str(key), 0) + n
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def documents(
    session: Session, corpus: str, *, state: str | None, after: str | None, limit: int
) -> wire.Documents:
    """A corpus's documents in order of submission. Raises NotFound, CursorRefused."""
    row = corpus_row(session, corpus)
    filters: dict[str, str | int | None] = {"list": "documents", "corpus": row.id, "state": state}
    query = select(tables.DocumentRow).where(tables.DocumentRow.corpus_id == row.id)
    if state is not None:
        query = query.where(tables.DocumentRow.state == state)
    if after is not None:
        query = query.where(tables.DocumentRow.id > cursor.decode(after, filters, 1)[0])
    found = session.scalars(query.order_by(tables.DocumentRow.id).limit(limit + 1)).all()
    more = len(found) > limit
    return wire.Documents(
        items=[_document(item, corpus) for item in found[:limit]],
        next=cursor.encode((found[limit - 1].id,), filters) if more else None,
    )


def document(session: Session, document_id: int) -> wire.Document:
    """One document. Raises NotFound."""
    found = session.execute(
        select(tables.DocumentRow, tables.CorpusRow.name)
        .join(tables.CorpusRow, tables.CorpusRow.id == tables.DocumentRow.corpus_id)
        .where(tables.DocumentRow.id == document_id)
    ).one_or_none()
    if found is None:
        raise NotFound(f"no document has the id {document_id}")
    return _document(found[0], found[1])


def _document(row: tables.DocumentRow, corpus: str) -> wire.Document:
    return wire.Document.model_validate({**columns(row), "corpus": corpus})
