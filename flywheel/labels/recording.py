"""Labels of a shard written down: rows beside their blob, under the shard's lease, never over another label."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from flywheel.database import array_of
from flywheel.database.tables import LabelRow
from flywheel.document import Label, PageFacts, Verdict
from flywheel.encoding import to_json
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
    session.execute(insert(LabelRow).on_conflict_do_nothing(), rows)
    added = _labelled_by(session, claim, [page.page_id for page in pages])
    follow_labels(session, sorted(added))
    _write_facts(session, [page for page in pages if page.page_id in added])
    # Nothing new to show, but a page that was sent to be read must not wait for a label that is there.
    return_unread(session, [page.page_id for page in pages if page.page_id not in added])


def _labelled_by(session: Session, claim: Claim, page_ids: Sequence[int]) -> set[int]:
    """The pages among these whose label is of this shard.

    Asked afterwards: an insert of many rows that returns something is one long statement, which psycopg parses
    anew each time (2 ms of CPU more for 64 pages, of 8 for the whole transaction, 2026-11-24).
    """
    mine = (LabelRow.page_id == func.any(array_of(page_ids))) & (LabelRow.shard_id == claim.shard_id)
    return set(session.execute(select(LabelRow.page_id).where(mine)).scalars())


def _row(claim: Claim, page: LabelledPage, frame: Frame, settings_key: str) -> dict[str, Any]:
    label, verdict = page.label, page.verdict
    return {
        "page_id": page.page_id,
        "stop": claim.stop,
        "kind": label.kind,
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
        "characters": sum(len(line.text) for line in label.lines),
        "lines": len(label.lines),
        "shard_id": claim.shard_id,
    }


_WRITE_FACTS = text(
    """
    UPDATE pages SET width = new.width, height = new.height, ink = new.ink, facts = new.facts
    FROM unnest(CAST(:ids AS bigint[]), CAST(:widths AS float[]), CAST(:heights AS float[]),
                CAST(:inks AS float[]), CAST(:facts AS jsonb[])) AS new(id, width, height, ink, facts)
    WHERE pages.id = new.id
    """
)


def _write_facts(session: Session, pages: Sequence[LabelledPage]) -> None:
    known = [(page.page_id, page.facts) for page in pages if page.facts is not None]
    if not known:
        return
    session.execute(
        _WRITE_FACTS,
        {
            "ids": [page_id for page_id, _ in known],
            "widths": [facts.width for _, facts in known],
            "heights": [facts.height for _, facts in known],
            "inks": [facts.ink for _, facts in known],
            "facts": [json.dumps(to_json(facts)) for _, facts in known],
        },
    )
