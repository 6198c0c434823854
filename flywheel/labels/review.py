"""Reviews: a person accepts, rejects or corrects a page's label, and that speaks for the page from then on.

The origin of the words stays with them: a person who accepts a reading, or sends the same words as a correction,
vouches for what a reader wrote. It teaches from then on, and examines nobody.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from flywheel.database.tables import LabelRow, PageRow, ReviewRow
from flywheel.document import Kind, Label, Outcome, TextOrigin, Verdict
from flywheel.errors import BlobCorrupt, BlobMissing, Conflict, NotFound
from flywheel.labels.recording import settings_hash
from flywheel.labels.standing import current_label, follow_labels
from flywheel.labels.storage import Frame, load_label, store_labels
from flywheel.reasons import Reason
from flywheel.states import ReviewVerdict
from flywheel.store import Store
from flywheel.text.cleaning import clean


def review_page(
    session: Session,
    store: Store,
    page_id: int,
    *,
    action: ReviewVerdict,
    reviewer: str,
    label: Label | None = None,
    note: str = "",
) -> int:
    """Record a person's verdict on a page's current label, or their own `label`; returns the new label's id.

    Every review is a new label of kind human, child of the one reviewed.
    Raises NotFound without such a page, Conflict when there is nothing to accept or reject.
    """
    if session.get(PageRow, page_id) is None:
        raise NotFound(f"no page {page_id}")
    parent = current_label(session, page_id)
    if label is not None:
        label = replace(label, origin=origin_of(session, store, page_id, label, parent))
        [frame] = store_labels(store, [label])
        origin = label.origin
    elif parent is not None:
        label, frame = load_label(store, parent), Frame(parent.blob_key, parent.blob_offset, parent.blob_length)
        origin = parent.origin
    else:
        raise Conflict(f"page {page_id} has no label to {action}; send a correction")
    refused = action is ReviewVerdict.REJECT
    verdict = (
        Verdict(Outcome.REJECTED, Reason.REFUSED, note)
        if refused
        else Verdict(Outcome.ACCEPTED, Reason.CORRECTED, note)
    )
    row = _human_label(page_id, label, origin, verdict, frame, parent)
    session.add(row)
    session.flush()
    session.add(
        ReviewRow(
            page_id=page_id,
            label_id=parent.id if parent else row.id,
            new_label_id=row.id,
            action=action,
            reviewer=reviewer,
            note=note,
        )
    )
    follow_labels(session, [page_id])
    return row.id


def origin_of(session: Session, store: Store, page_id: int, label: Label, parent: LabelRow | None) -> TextOrigin:
    """Origin of the words of a person's own label: their own, unless a label of the page says the same already.
    Then it is that label's, the `parent` before the others."""
    query = select(LabelRow).where(LabelRow.page_id == page_id).order_by(LabelRow.id.desc())
    earlier = sorted(session.execute(query).scalars(), key=lambda row: parent is None or row.id != parent.id)
    said = words_of(label)
    for row in earlier:
        with suppress(BlobMissing, BlobCorrupt):
            if words_of(load_label(store, row)) == said:
                return row.origin
    return TextOrigin.PERSON


def words_of(label: Label) -> str:
    """The label's text without regard to blanks and line breaks, in NFC."""
    return clean("".join("".join(line.text.split()) for line in label.lines))


def _human_label(
    page_id: int, label: Label, origin: TextOrigin, verdict: Verdict, frame: Frame, parent: LabelRow | None
) -> LabelRow:
    return LabelRow(
        page_id=page_id,
        stop="review",
        kind=Kind.HUMAN,
        origin=origin,
        producer="human",
        settings_hash=settings_hash(),
        parent_id=parent.id if parent else None,
        generation=0,
        blob_key=frame.key,
        blob_offset=frame.offset,
        blob_length=frame.length,
        verdict=verdict.outcome,
        reason=verdict.reason.value,
        detail=verdict.detail,
        script=label.script,
        confidence=None,
        characters=sum(len(line.text) for line in label.lines),
        lines=len(label.lines),
    )
