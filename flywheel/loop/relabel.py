"""Which pages are read again, and by whom.

Pages that the coarse stop could not accept go to the reader of their language
(`assign`); where there is none they wait. After a promotion the new champion
reads every page of its language that waits, or whose label is not accepted, or
that an earlier checkpoint read (`plan`). A person's label is left alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from flywheel.database.tables import DocumentRow, LabelRow, PageRow, RoundRow
from flywheel.document import Kind, Outcome
from flywheel.loop import promotion
from flywheel.loop.submission import shards
from flywheel.reasons import Reason
from flywheel.states import SETTLED_PAGES, PageState, RoundStatus
from flywheel.work import ledger
from flywheel.work.ledger import Work

SHARD_PAGES = 16  # reading takes about a second a page on a CPU: short enough to lose, long enough to batch


def assign_readers(session: Session, page_ids: Sequence[int]) -> None:
    """Send pages without an accepted label to the reader of their language, or let them wait.

    Pages that a person has spoken about meanwhile stay as they are.
    """
    for (document_id, language, script), pages in _by_document(session, page_ids).items():
        reader = promotion.reader_for(session, language, script)
        moved = _set_state(session, pages, PageState.WAITING if reader is None else PageState.PENDING)
        if reader is not None:
            ledger.enqueue(session, recognition_works(document_id, moved, reader))


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
        for part in shards(page_ids, SHARD_PAGES)
    ]


def enqueue_relabelling(session: Session, language: str, checkpoint: str, round_id: int | None = None) -> int:
    """Enqueue what a new champion should read; returns the number of pages."""
    return _enqueue(session, wanted(language) & _unread_by(checkpoint), checkpoint, round_id)


def wake_waiting(session: Session) -> int:
    """Send waiting pages on whose language has a reader by now (a promotion and a page's arrival can
    cross); returns their number. Languages whose round is about to do so itself are left to it."""
    kinds = session.execute(
        select(DocumentRow.language, PageRow.script)
        .join(PageRow, PageRow.document_id == DocumentRow.id)
        .where(PageRow.state == PageState.WAITING)
        .distinct()
    ).all()
    busy = select(RoundRow.language).where(RoundRow.status.in_((RoundStatus.PROMOTING, RoundStatus.RELABELLING)))
    taken = set(session.execute(busy).scalars())
    moved = 0
    for language, script in kinds:
        reader = promotion.reader_for(session, language, script)
        if reader is None or (language or "").split("-")[0] in taken or language in taken:
            continue
        same = DocumentRow.language.is_not_distinct_from(language) & PageRow.script.is_not_distinct_from(script)
        moved += _enqueue(session, (PageRow.state == PageState.WAITING) & same & _unread_by(reader), reader, None)
    return moved


def count(session: Session, language: str) -> int:
    """How many pages a new champion of a language would read."""
    query = select(func.count()).select_from(PageRow).join(DocumentRow, DocumentRow.id == PageRow.document_id)
    return session.execute(query.where(wanted(language))).scalar_one()


def wanted(language: str) -> ColumnElement[bool]:
    """Which pages a new champion of a language reads: those that wait, those whose label is not accepted, and
    those that an earlier checkpoint read; not those that a person labelled."""
    base = or_(DocumentRow.language == language, DocumentRow.language.like(f"{language}-%"))
    mine = (
        select(LabelRow.id).where(LabelRow.page_id == PageRow.id).correlate(PageRow)
    )  # whatever the query is about
    older = mine.where(LabelRow.kind == Kind.FINE).exists()
    unaccepted = PageRow.verdict.is_distinct_from(Outcome.ACCEPTED)
    human = mine.where(LabelRow.kind == Kind.HUMAN).exists()
    settled = PageRow.state.in_(SETTLED_PAGES)
    return base & settled & (unaccepted | older) & ~human


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
    _set_state(session, [page_id for _, ids in rows for page_id in ids], PageState.PENDING)
    return sum(len(ids) for _, ids in rows)


def _by_document(session: Session, page_ids: Sequence[int]) -> dict[tuple[int, str | None, str | None], list[int]]:
    rows = session.execute(
        select(PageRow.id, PageRow.document_id, DocumentRow.language, PageRow.script)
        .join(DocumentRow, DocumentRow.id == PageRow.document_id)
        .where(PageRow.id == func.any(ledger.array_of(page_ids)))
        .order_by(PageRow.document_id, PageRow.number)
    ).all()
    grouped: dict[tuple[int, str | None, str | None], list[int]] = defaultdict(list)
    for page_id, document_id, language, script in rows:
        grouped[document_id, language, script].append(page_id)
    return grouped


def _set_state(session: Session, page_ids: Iterable[int], state: PageState) -> list[int]:
    """Move pages; returns those that moved. Not those with an accepted label, nor those a person judged:
    they keep their standing while they are read again."""
    rows = session.execute(
        update(PageRow)
        .where(
            PageRow.id == func.any(ledger.array_of(list(page_ids))),
            PageRow.verdict.is_distinct_from(Outcome.ACCEPTED),
            PageRow.reason.is_distinct_from(Reason.REFUSED.value),
        )
        .values(state=state, updated_at=func.now())
        .returning(PageRow.id)
    )
    return sorted(rows.scalars())
