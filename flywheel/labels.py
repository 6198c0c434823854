"""Labels as they are kept: zstd frames in one blob a shard, a row a page, append-only.

One frame a page, so that one page is one range request; the frames together are
one zstd stream of JSON lines, so that a whole blob is `zstd -d`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import zstandard
from sqlalchemy import func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from flywheel.database.tables import LabelRow, PageRow, ReviewRow
from flywheel.document import Kind, Label, Outcome, PageFacts, Verdict, decode_label, encode
from flywheel.errors import BlobCorrupt, Conflict, NotFound
from flywheel.reasons import Reason
from flywheel.states import PageState, ReviewVerdict
from flywheel.store import Store
from flywheel.work.ledger import Claim, current_labels, guard


@dataclass(frozen=True, slots=True)
class Result:
    """What a labelling stop found out about one page."""

    page_id: int
    label: Label
    verdict: Verdict
    facts: PageFacts | None = None
    parent_id: int | None = None
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Packed:
    """Labels in a blob: its key and, label by label, offset and length in bytes."""

    key: str
    spans: tuple[tuple[int, int], ...]


def pack(labels: Sequence[Label]) -> tuple[bytes, tuple[tuple[int, int], ...]]:
    """Frames one after another, and where each lies."""
    compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
    frames = [
        compressor.compress(json.dumps(encode(label), ensure_ascii=False).encode() + b"\n") for label in labels
    ]
    spans, offset = [], 0
    for frame in frames:
        spans.append((offset, len(frame)))
        offset += len(frame)
    return b"".join(frames), tuple(spans)


def keep(store: Store, labels: Sequence[Label]) -> Packed:
    """Store labels as one blob."""
    data, spans = pack(labels)
    return Packed(store.put(data), spans)


def load(store: Store, row: LabelRow) -> Label:
    """The label a row points to. Raises BlobMissing, BlobCorrupt."""
    frame = store.get_range(row.blob_key, row.blob_offset, row.blob_length)
    try:
        return decode_label(json.loads(zstandard.ZstdDecompressor().decompress(frame)))
    except (zstandard.ZstdError, ValueError, KeyError, TypeError) as error:
        raise BlobCorrupt(f"label {row.id} in {row.blob_key}: {error}") from error


def settings_hash(**settings: Any) -> str:
    """Short hash of what a stop was run with."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def record(session: Session, held: Claim, results: Sequence[Result], packed: Packed, settings_key: str) -> None:
    """Write a shard's labels and move its pages on, under the claim's token. Raises LeaseLost.

    A label that is there already (same page, stop and checkpoint) stays. A page keeps its
    standing when a person has spoken, or when it was accepted and this label is not.
    """
    guard(session, held)
    if not results:
        return
    rows = [_row(held, r, packed.key, span, settings_key) for r, span in zip(results, packed.spans, strict=True)]
    session.execute(insert(LabelRow).on_conflict_do_nothing(), rows)
    stand(session, results)


def _row(held: Claim, result: Result, key: str, span: tuple[int, int], settings_key: str) -> dict[str, Any]:
    label, verdict = result.label, result.verdict
    return {
        "page_id": result.page_id,
        "stop": held.stop,
        "kind": label.kind.value,
        "producer": label.producer,
        "checkpoint_id": label.checkpoint,
        "settings_hash": settings_key,
        "parent_id": result.parent_id,
        "generation": result.generation,
        "blob_key": key,
        "blob_offset": span[0],
        "blob_length": span[1],
        "verdict": verdict.outcome.value,
        "reason": verdict.reason.value,
        "detail": verdict.detail,
        "script": label.script,
        "confidence": label.confidence,
        "characters": sum(len(line.text) for line in label.lines),
        "lines": len(label.lines),
        "shard_id": held.shard_id,
    }


_STAND = text(
    """
    UPDATE pages SET state = 'labelled', verdict = new.verdict, reason = new.reason, detail = new.detail,
        script = new.script, updated_at = now()
    FROM unnest(CAST(:ids AS bigint[]), CAST(:verdicts AS text[]), CAST(:reasons AS text[]),
                CAST(:details AS text[]), CAST(:scripts AS text[])) AS new(id, verdict, reason, detail, script)
    WHERE pages.id = new.id
      AND pages.reason IS DISTINCT FROM 'corrected' AND pages.reason IS DISTINCT FROM 'refused'
      AND NOT (pages.verdict IS NOT DISTINCT FROM 'accepted' AND new.verdict <> 'accepted')
    """
)
_FACTS = text(
    """
    UPDATE pages SET width = new.width, height = new.height, ink = new.ink, facts = new.facts
    FROM unnest(CAST(:ids AS bigint[]), CAST(:widths AS float[]), CAST(:heights AS float[]),
                CAST(:inks AS float[]), CAST(:facts AS jsonb[])) AS new(id, width, height, ink, facts)
    WHERE pages.id = new.id
    """
)


def stand(session: Session, results: Sequence[Result]) -> None:
    """Where the pages stand after these labels."""
    session.execute(
        _STAND,
        {
            "ids": [r.page_id for r in results],
            "verdicts": [r.verdict.outcome.value for r in results],
            "reasons": [r.verdict.reason.value for r in results],
            "details": [r.verdict.detail for r in results],
            "scripts": [r.label.script for r in results],
        },
    )
    known = [(r.page_id, r.facts) for r in results if r.facts is not None]
    if known:
        session.execute(
            _FACTS,
            {
                "ids": [page_id for page_id, _ in known],
                "widths": [facts.width for _, facts in known],
                "heights": [facts.height for _, facts in known],
                "inks": [facts.ink for _, facts in known],
                "facts": [json.dumps(facts_json(facts)) for _, facts in known],
            },
        )


def facts_json(facts: PageFacts) -> dict[str, Any]:
    """The facts of a page that have no column of their own."""
    return {
        "rotation": facts.rotation,
        "has_text": facts.has_text,
        "image_only": facts.image_only,
        "characters": facts.characters,
        "fonts": list(facts.fonts),
        "scripts": facts.scripts,
    }


def current(session: Session, page_id: int) -> LabelRow | None:
    """The label that speaks for a page, or None."""
    statement = current_labels(alive=False).where(LabelRow.page_id == page_id)
    return session.execute(statement).scalar_one_or_none()


def review(
    session: Session,
    store: Store,
    page_id: int,
    *,
    action: ReviewVerdict,
    reviewer: str,
    label: Label | None = None,
    note: str = "",
) -> int:
    """A person accepts, rejects or corrects (`label`) the page's current label; returns the new label's id.

    Every review is a new label of kind human, child of the one reviewed, and stands from then on.
    Raises NotFound without such a page, Conflict when there is nothing to accept or reject.
    """
    page = session.get(PageRow, page_id)
    if page is None:
        raise NotFound(f"no page {page_id}")
    parent = current(session, page_id)
    if label is None:
        if parent is None:
            raise Conflict(f"page {page_id} has no label to {action}; send a correction")
        span = Packed(parent.blob_key, ((parent.blob_offset, parent.blob_length),))
        label = load(store, parent)
    else:
        span = keep(store, [label])
    verdict = (
        Verdict(Outcome.REJECTED, Reason.REFUSED, note)
        if action is ReviewVerdict.REJECT
        else Verdict(Outcome.ACCEPTED, Reason.CORRECTED, note)
    )
    new_id = _write_human(session, page_id, label, verdict, span, parent)
    session.add(
        ReviewRow(
            page_id=page_id,
            label_id=parent.id if parent else new_id,
            new_label_id=new_id,
            action=action,
            reviewer=reviewer,
            note=note,
        )
    )
    session.execute(
        update(PageRow)
        .where(PageRow.id == page_id)
        .values(
            state=PageState.LABELLED,
            verdict=verdict.outcome.value,
            reason=verdict.reason.value,
            detail=note,
            updated_at=func.now(),
        )
    )
    return new_id


def _write_human(
    session: Session, page_id: int, label: Label, verdict: Verdict, span: Packed, parent: LabelRow | None
) -> int:
    row = LabelRow(
        page_id=page_id,
        stop="review",
        kind=Kind.HUMAN.value,
        producer="human",
        settings_hash=settings_hash(),
        parent_id=parent.id if parent else None,
        generation=0,
        blob_key=span.key,
        blob_offset=span.spans[0][0],
        blob_length=span.spans[0][1],
        verdict=verdict.outcome.value,
        reason=verdict.reason.value,
        detail=verdict.detail,
        script=label.script,
        confidence=None,
        characters=sum(len(line.text) for line in label.lines),
        lines=len(label.lines),
    )
    session.add(row)
    session.flush()
    return row.id
