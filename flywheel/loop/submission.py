"""Submission of files: a blob, a document row, and a shard for the ingest stop; then the document's pages.

Nothing is opened here. The bytes are hashed on their way into the store, so a
file that the corpus holds already is reported and not stored twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from flywheel.database.tables import CorpusRow, DocumentRow, PageRow, ShardRow
from flywheel.document import DocumentFacts
from flywheel.reasons import Reason
from flywheel.settings import settings
from flywheel.states import DocumentState
from flywheel.store import Store
from flywheel.text.tags import canonical
from flywheel.work import ledger
from flywheel.work.ledger import Claim, Work


@dataclass(frozen=True, slots=True)
class Submitted:
    """The document a file became; `duplicate` when the corpus held the same bytes already."""

    document_id: int
    duplicate: bool


def submit(
    session: Session,
    store: Store,
    *,
    corpus: str,
    name: str,
    path: Path,
    media_type: str,
    language: str | None = None,
    rights: str | None = None,
) -> Submitted:
    """Take one file into a corpus (made when new). Raises StoreUnavailable before any row is written.

    A file that the corpus holds keeps its rights, and gets these where none were stated before.
    """
    key = store.put_file(path)
    corpus_id = ensure_corpus(session, corpus)
    sha256 = key.rsplit("/", 1)[-1]
    row = {
        "corpus_id": corpus_id,
        "name": name,
        "sha256": sha256,
        "blob_key": key,
        "size": path.stat().st_size,
        "media_type": media_type,
        "language": canonical(language) if language else None,
        "rights": rights or None,
    }
    statement = insert(DocumentRow).values(row).on_conflict_do_nothing(index_elements=["corpus_id", "sha256"])
    document_id = session.execute(statement.returning(DocumentRow.id)).scalar_one_or_none()
    if document_id is not None:
        ledger.enqueue(session, [Work("ingest", document_id=document_id)])
        return Submitted(document_id, duplicate=False)
    same = (DocumentRow.corpus_id == corpus_id) & (DocumentRow.sha256 == sha256)
    known = session.execute(select(DocumentRow).where(same).with_for_update()).scalar_one()
    known.rights = known.rights or rights or None
    if known.state is DocumentState.QUARANTINED:
        _try_again(session, known)
    return Submitted(known.id, duplicate=True)


def _try_again(session: Session, document: DocumentRow) -> None:
    """Ingest a quarantined document anew: its file was sent again, and the fault may have been ours."""
    tries = session.execute(
        select(func.count()).where(ShardRow.document_id == document.id, ShardRow.stop == "ingest")
    ).scalar_one()
    document.state, document.reason, document.detail = DocumentState.PENDING, None, None
    session.flush()
    ledger.enqueue(session, [Work("ingest", document_id=document.id, salt=f"try {tries + 1}")])


def ensure_corpus(session: Session, name: str) -> int:
    """The id of the corpus of this name, made when it is new."""
    statement = insert(CorpusRow).values(name=name).on_conflict_do_nothing(index_elements=["name"])
    new = session.execute(statement.returning(CorpusRow.id)).scalar_one_or_none()
    if new is not None:
        return new
    return session.execute(select(CorpusRow.id).where(CorpusRow.name == name)).scalar_one()


def insert_pages(session: Session, held: Claim, facts: DocumentFacts) -> None:
    """Insert the pages of a document that could be opened, and send them to the coarse stop. Raises LeaseLost."""
    ledger.guard(session, held)
    session.execute(
        text(
            "INSERT INTO pages (document_id, number) SELECT :id, n FROM generate_series(0, :last) AS n "
            "ON CONFLICT (document_id, number) DO NOTHING"
        ),
        {"id": held.document_id, "last": facts.pages - 1},
    )
    ids = session.execute(
        select(PageRow.id).where(PageRow.document_id == held.document_id).order_by(PageRow.number)
    ).scalars()
    parts = shards(list(ids), settings().shard_pages)
    ledger.enqueue(session, [Work("coarse", document_id=held.document_id, page_ids=part) for part in parts])
    session.execute(
        update(DocumentRow)
        .where(DocumentRow.id == held.document_id)
        .values(state=DocumentState.READY, page_count=facts.pages, facts=facts, reason=None, detail=None)
    )


def quarantine_document(session: Session, document_id: int, reason: Reason, detail: str) -> None:
    """Give up a document of which no page can be had."""
    session.execute(
        update(DocumentRow)
        .where(DocumentRow.id == document_id)
        .values(state=DocumentState.QUARANTINED, reason=reason.value, detail=detail)
    )


def shards(page_ids: Sequence[int], size: int) -> list[tuple[int, ...]]:
    """Page ids in shards of at most `size`, in order."""
    return [tuple(page_ids[i : i + size]) for i in range(0, len(page_ids), size)]
