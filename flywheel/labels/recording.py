"""Labels of a shard written down: rows beside their blob, under the shard's lease, never over another label."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from flywheel.database import rows_of
from flywheel.database.tables import LabelRow
from flywheel.document import Label, PageFacts, Verdict
from flywheel.labels.standing import UnreadablePage, follow_labels, quarantine_pages, return_unread
from flywheel.labels.storage import Frame
from flywheel.work import ledger
from flywheel.work.ledger import Claim


@dataclass(frozen=True, slots=True)
class LabelledPage:
    """A page's label as a labelling stop made it, with the gate's verdict; `facts` where the stop learned them."""

    page_id: int
    label: Label
    verdict: Verdict
    facts: PageFacts | None = None
    parent_id: int | None = None
    generation: int = 0


def settings_hash(**settings: str | float | None) -> str:
    """Short hash of the settings that a stop was run with."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def finish_labelling(
    session: Session,
    claim: Claim,
    pages: Sequence[LabelledPage],
    frames: Sequence[Frame],
    unreadable: Sequence[UnreadablePage],
    settings_key: str,
) -> None:
    """End a labelling shard: its labels are recorded, its unreadable pages quarantined. Raises LeaseLost."""
    record_labels(session, claim, pages, frames, settings_key)
    quarantine_pages(session, unreadable)
    ledger.finish(session, claim)


def record_labels(
    session: Session, claim: Claim, pages: Sequence[LabelledPage], frames: Sequence[Frame], settings_key: str
) -> None:
    """Write labels and let their pages follow, under the claim's token. Raises LeaseLost.

    A label that is there already (same page, stop and checkpoint) stays, and so does what its page shows.
    """
    ledger.guard(session, claim)
    if not pages:
        return
    rows = [_row(claim, page, frame, settings_key) for page, frame in zip(pages, frames, strict=True)]
    added = _insert(session, rows)
    facts = {page.page_id: page.facts for page in pages if page.facts is not None and page.page_id in added}
    follow_labels(session, sorted(facts), facts)
    follow_labels(session, sorted(added - set(facts)))
    # Nothing new to show, but a page that was sent to be read must not wait for a label that is there.
    return_unread(session, [page.page_id for page in pages if page.page_id not in added])


def _insert(session: Session, rows: Sequence[Mapping[str, Any]]) -> set[int]:
    """Insert rows of labels that are not there yet; returns the pages of those that are new."""
    given = rows_of(rows, {name: LabelRow.__table__.c[name].type for name in rows[0]})
    statement = insert(LabelRow).from_select(list(rows[0]), select(given))
    return set(session.execute(statement.on_conflict_do_nothing().returning(LabelRow.page_id)).scalars())


def _row(claim: Claim, page: LabelledPage, frame: Frame, settings_key: str) -> dict[str, Any]:
    label, verdict, lines = page.label, page.verdict, page.label.lines
    return {
        "page_id": page.page_id,
        "stop": claim.stop,
        "kind": label.kind,
        "origin": label.origin,
        "producer": label.producer,
        "checkpoint_id": label.checkpoint,
        "settings_hash": settings_key,
        "parent_id": page.parent_id,
        "generation": page.generation,
        "blob_key": frame.key,
        "blob_offset": frame.offset,
        "blob_length": frame.length,
        "verdict": verdict.outcome,
        "reason": verdict.reason.value,
        "detail": verdict.detail,
        "script": label.script,
        "confidence": label.confidence,
        "characters": sum(len(line.text) for line in lines),
        "lines": len(lines),
        "shard_id": claim.shard_id,
    }
