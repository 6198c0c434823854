"""Recognition work: pages for the reader of their language, and pages for a new champion to read again.

Pages that the coarse stop could not accept go to the reader of their language
(`assign_readers`); where there is none they wait. After a promotion the new champion
reads every page of its language that waits, or whose label is not accepted, or
that an earlier checkpoint read (`enqueue_relabelling`). A person's label is left alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from flywheel.database import array_of
from flywheel.database.tables import DocumentRow, LabelRow, PageRow, RoundRow
from flywheel.labels import standing
from flywheel.loop import promotion
from flywheel.loop.languages import in_language
from flywheel.loop.submission import shards
from flywheel.states import PageState, RoundStatus
from flywheel.text.tags import covers
from flywheel.work import ledger
from flywheel.work.ledger import Work
from flywheel.work.route import ROUTE


def assign_readers(session: Session, page_ids: Sequence[int]) -> None:
    """Send pages without an accepted label to the reader of their language, or let them wait.

    Pages that a person has spoken about meanwhile stay as they are.
    """
    for (document_id, language, script), pages in _by_document(session, page_ids).items():
        reader = promotion.reader_for(session, language, script)
        if reader is None:
            standing.leave_waiting(session, pages)
        else:
            sent = standing.send_to_reader(session, pages)
            ledger.enqueue(session, recognition_works(document_id, sent, reader))


def recognition_works(
    document_id: int, page_ids: Sequence[int], checkpoint: str, round_id: int | None = None
) -> list[Work]:
    """Recognition work for pages of one document."""
    return [
        Work(
            "recognition",
            document_id=document_id,
            page_ids=part,
            checkpoint_id=checkpoint,
            round_id=round_id,
        )
        for part in shards(page_ids, ROUTE["recognition"].pages)
    ]


def enqueue_relabelling(session: Session, language: str, checkpoint: str, round_id: int | None = None) -> int:
    """Enqueue what a new champion should read; returns the number of pages."""
    return _enqueue(session, wanted(language) & _unread_by(checkpoint), checkpoint, round_id)


def wake_waiting(session: Session) -> int:
    """Send waiting pages to a reader that their language has by now; returns their number.

    A promotion and a page's arrival can cross. Languages whose round is about to do so itself are left to it.
    """
    kinds = session.execute(
        select(DocumentRow.language, PageRow.script)
        .join(PageRow, PageRow.document_id == DocumentRow.id)
        .where(PageRow.state == PageState.WAITING)
        .distinct()
    ).all()
    soon = RoundRow.status.in_((RoundStatus.PROMOTING, RoundStatus.RELABELLING))
    relabelled = set(session.execute(select(RoundRow.language).where(soon)).scalars())
    moved = 0
    for language, script in kinds:
        reader = promotion.reader_for(session, language, script)
        if reader is None or any(covers(busy, language) for busy in relabelled):
            continue
        same = DocumentRow.language.is_not_distinct_from(language) & PageRow.script.is_not_distinct_from(script)
        moved += _enqueue(session, (PageRow.state == PageState.WAITING) & same & _unread_by(reader), reader, None)
    return moved


def count(session: Session, language: str) -> int:
    """Number of pages that a new champion of a language would read."""
    query = select(func.count()).select_from(PageRow).join(DocumentRow, DocumentRow.id == PageRow.document_id)
    return session.execute(query.where(wanted(language))).scalar_one()


def wanted(language: str) -> ColumnElement[bool]:
    """Condition on PageRow and DocumentRow: a new champion of a language reads the page."""
    return in_language(language) & standing.worth_reading_again()


def _unread_by(checkpoint: str) -> ColumnElement[bool]:
    read = select(LabelRow.id).where(LabelRow.page_id == PageRow.id, LabelRow.checkpoint_id == checkpoint)
    return ~read.exists()


def _enqueue(session: Session, which: ColumnElement[bool], checkpoint: str, round_id: int | None) -> int:
    rows = session.execute(
        select(PageRow.document_id, func.array_agg(PageRow.id))
        .join(DocumentRow, DocumentRow.id == PageRow.document_id)
        .where(which)
        .group_by(PageRow.document_id)
        .order_by(PageRow.document_id)
    ).all()
    works = [
        w for document_id, ids in rows for w in recognition_works(document_id, sorted(ids), checkpoint, round_id)
    ]
    ledger.enqueue(session, works)
    standing.send_to_reader(session, [page_id for _, ids in rows for page_id in ids])
    return sum(len(ids) for _, ids in rows)


def _by_document(session: Session, page_ids: Sequence[int]) -> dict[tuple[int, str | None, str | None], list[int]]:
    rows = session.execute(
        select(PageRow.id, PageRow.document_id, DocumentRow.language, PageRow.script)
        .join(DocumentRow, DocumentRow.id == PageRow.document_id)
        .where(PageRow.id == func.any(array_of(page_ids)))
        .order_by(PageRow.document_id, PageRow.number)
    ).all()
    grouped: dict[tuple[int, str | None, str | None], list[int]] = defaultdict(list)
    for page_id, document_id, language, script in rows:
        grouped[document_id, language, script].append(page_id)
    return grouped
