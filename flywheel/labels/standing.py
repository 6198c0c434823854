"""Standing of pages: the label that speaks for a page, and what the page's row shows of it.

A person's label speaks before a machine's, the newest of a person's; among machines' an accepted one before one
under review before a rejected one, then the newest. The page's row repeats verdict, reason, detail and script of
that label, and only the functions here write them, one for each event:

    follow_labels     labels were added                     -> labelled, as the label that speaks says
    quarantine_pages  no stop can work on the page          -> quarantined, unless a label is worth keeping
    send_to_reader    a reader is to read the page          -> pending   } but an accepted page, or one that a
    leave_waiting     nobody reads its script yet           -> waiting   } person labelled, keeps its standing
    return_unread     a reader will not read it after all   -> labelled or waiting, as before it was sent

Functions take a session and never commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Float, Select, TableValuedAlias, case, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, distinct_on
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from flywheel.database import array_of, rows_of
from flywheel.database.tables import DocumentRow, LabelRow, PageRow
from flywheel.document import Kind, Outcome, PageFacts
from flywheel.encoding import to_json
from flywheel.reasons import Reason
from flywheel.states import SETTLED_PAGES, PageState

BY_A_PERSON = LabelRow.kind == Kind.HUMAN
# Columns of a page that its facts fill.
FACTS: dict[str, TypeEngine[Any]] = {
    "id": BigInteger(),
    "width": Float(),
    "height": Float(),
    "ink": Float(),
    "facts": JSONB(),
}
PRECEDENCE = (Outcome.ACCEPTED, Outcome.REVIEW, Outcome.REJECTED)  # among machines' labels


@dataclass(frozen=True, slots=True)
class UnreadablePage:
    """A page that cannot be opened, rendered or read, with the reason."""

    page_id: int
    reason: Reason
    detail: str


def current_labels(*, quarantined: bool = False, generations: int | None = None) -> Select[LabelRow]:
    """The label that speaks for each page. Add `.where(...)` on PageRow or DocumentRow; both are joined.

    Quarantined pages have none unless `quarantined`. With `generations`, labels of later generations are
    passed over, and an earlier one speaks.
    """
    statement = (
        select(LabelRow)
        .join(PageRow, PageRow.id == LabelRow.page_id)
        .join(DocumentRow, DocumentRow.id == PageRow.document_id)
        .ext(distinct_on(LabelRow.page_id))
        .order_by(LabelRow.page_id, *_first_speaks())
    )
    if generations is not None:
        statement = statement.where(LabelRow.generation <= generations)
    return statement if quarantined else statement.where(PageRow.state != PageState.QUARANTINED)


def current_label(session: Session, page_id: int) -> LabelRow | None:
    """The label that speaks for a page, quarantined or not; None when it has none."""
    statement = current_labels(quarantined=True).where(LabelRow.page_id == page_id)
    return session.execute(statement).scalar_one_or_none()


def _first_speaks() -> tuple[ColumnElement[int], ColumnElement[int]]:
    """Order of a page's labels: the first one speaks for it."""
    rank = case(
        (BY_A_PERSON, 0),
        *((LabelRow.verdict == verdict, place) for place, verdict in enumerate(PRECEDENCE, 1)),
    )
    return rank, LabelRow.id.desc()


def follow_labels(session: Session, page_ids: Sequence[int], facts: Mapping[int, PageFacts] | None = None) -> None:
    """Labels were added to these pages: each shows the label that speaks for it now.

    `facts` of all of them, where their stop learned them, are written along: a second update of the same rows
    would cost as much as the first.
    """
    if not page_ids:
        return
    _lock(session, page_ids)
    speaking = (
        select(LabelRow.page_id, LabelRow.verdict, LabelRow.reason, LabelRow.detail, LabelRow.script)
        .where(LabelRow.page_id == func.any(array_of(page_ids)))
        .ext(distinct_on(LabelRow.page_id))
        .order_by(LabelRow.page_id, *_first_speaks())
        .subquery()
    )
    statement = (
        update(PageRow)
        .where(PageRow.id == speaking.c.page_id)
        .values(
            state=PageState.LABELLED,
            verdict=speaking.c.verdict,
            reason=speaking.c.reason,
            detail=speaking.c.detail,
            script=speaking.c.script,
            updated_at=func.now(),
        )
    )
    if facts is not None:
        given = _rows_of_facts(facts)
        columns = {name: given.c[name] for name in FACTS if name != "id"}
        statement = statement.where(PageRow.id == given.c.id).values(columns)
    session.execute(statement, execution_options={"synchronize_session": False})


def _rows_of_facts(facts: Mapping[int, PageFacts]) -> TableValuedAlias:
    rows = [
        {"id": page_id, "width": known.width, "height": known.height, "ink": known.ink, "facts": to_json(known)}
        for page_id, known in facts.items()
    ]
    return rows_of(rows, FACTS)


def quarantine_pages(session: Session, pages: Sequence[UnreadablePage]) -> None:
    """No stop can work on these pages. One with an accepted label, one under review or a person's keeps its
    standing: a failed reading takes nothing away."""
    if not pages:
        return
    _lock(session, [page.page_id for page in pages])
    for page in pages:
        quarantined = session.execute(
            update(PageRow)
            .where(PageRow.id == page.page_id, ~_has_label_worth_keeping())
            .values(
                state=PageState.QUARANTINED,
                verdict=None,
                reason=page.reason.value,
                detail=page.detail,
                updated_at=func.now(),
            )
            .returning(PageRow.id)
        )
        if quarantined.first() is None:
            follow_labels(session, [page.page_id])


def send_to_reader(session: Session, page_ids: Sequence[int]) -> list[int]:
    """A reader is to read these pages: those not accepted are pending; returns them, in order."""
    return _move_unsettled(session, page_ids, PageState.PENDING)


def leave_waiting(session: Session, page_ids: Sequence[int]) -> None:
    """Nobody reads the script of these pages yet: those not accepted wait."""
    _move_unsettled(session, page_ids, PageState.WAITING)


def return_unread(session: Session, page_ids: Sequence[int]) -> None:
    """Pages that a reader will not read after all: labelled when accepted or read before, else waiting."""
    if not page_ids:
        return
    _lock(session, page_ids)
    accepted = PageRow.verdict == Outcome.ACCEPTED
    session.execute(
        update(PageRow)
        .where(PageRow.id == func.any(array_of(page_ids)), PageRow.state == PageState.PENDING)
        .values(
            state=case(
                (accepted | _has_label(LabelRow.kind != Kind.COARSE), PageState.LABELLED), else_=PageState.WAITING
            )
        )
    )


def _lock(session: Session, page_ids: Sequence[int]) -> None:
    """Lock the rows of pages until the transaction ends, in order, not against labels that name them.

    A statement decides by the labels that were committed when it began. Were it to wait for a row itself, the
    label that the other transaction adds meanwhile would go unheard; so rows are locked before it begins.
    """
    session.execute(
        select(PageRow.id)
        .where(PageRow.id == func.any(array_of(page_ids)))
        .order_by(PageRow.id)
        .with_for_update(key_share=True)
    )


def worth_reading_again() -> ColumnElement[bool]:
    """Condition on PageRow: a new champion may read it, as it waits, is not accepted, or was read by an earlier
    checkpoint; and no person labelled it."""
    unaccepted = PageRow.verdict.is_distinct_from(Outcome.ACCEPTED)
    read_before = _has_label(LabelRow.kind == Kind.FINE)
    return PageRow.state.in_(SETTLED_PAGES) & (unaccepted | read_before) & ~person_spoke()


def person_spoke() -> ColumnElement[bool]:
    """Condition on PageRow: a person accepted, refused or corrected its label."""
    return _has_label(BY_A_PERSON)


def _has_label_worth_keeping() -> ColumnElement[bool]:
    return _has_label(BY_A_PERSON | LabelRow.verdict.in_((Outcome.ACCEPTED, Outcome.REVIEW)))


def _has_label(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Condition on PageRow, whatever else the query is about."""
    return select(LabelRow.id).where(LabelRow.page_id == PageRow.id, condition).correlate(PageRow).exists()


def _move_unsettled(session: Session, page_ids: Sequence[int], state: PageState) -> list[int]:
    """Move the pages that are not accepted and that no person labelled; returns them, in order."""
    if not page_ids:
        return []
    _lock(session, page_ids)
    moved = session.execute(
        update(PageRow)
        .where(
            PageRow.id == func.any(array_of(page_ids)),
            PageRow.verdict.is_distinct_from(Outcome.ACCEPTED),
            ~person_spoke(),
        )
        .values(state=state, updated_at=func.now())
        .returning(PageRow.id)
    )
    return sorted(moved.scalars())
