"""Queues of ready shards: their depths, for people, and the hints that the sweep sends about them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from flywheel.database import array_of
from flywheel.database.tables import LeaseRow, ShardRow


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Shards of a stop that are ready, running and put off, and how long the oldest ready one has waited."""

    queue: str
    stop: str
    ready: int
    running: int
    delayed: int
    oldest_seconds: float
    pages: int


def queue_depths(session: Session) -> list[QueueDepth]:
    """Open work by queue and stop."""
    ready = (LeaseRow.worker.is_(None)) & (LeaseRow.run_after <= func.now())
    rows = session.execute(
        select(
            LeaseRow.queue,
            ShardRow.stop,
            func.count().filter(ready),
            func.count().filter(LeaseRow.worker.is_not(None)),
            func.count().filter(LeaseRow.worker.is_(None) & (LeaseRow.run_after > func.now())),
            func.coalesce(func.extract("epoch", func.now() - func.min(LeaseRow.run_after).filter(ready)), 0.0),
            func.coalesce(func.sum(func.cardinality(ShardRow.page_ids)), 0),
        )
        .join(ShardRow, ShardRow.id == LeaseRow.shard_id)
        .group_by(LeaseRow.queue, ShardRow.stop)
        .order_by(LeaseRow.queue, ShardRow.stop)
    ).all()
    return [QueueDepth(str(q), str(s), int(a), int(b), int(c), float(d), int(e)) for q, s, a, b, c, d, e in rows]


def take_hints(session: Session, queue: str, limit: int, stale_seconds: float) -> list[tuple[int, str]]:
    """Mark as sent the hints of a queue that were never sent, or longer than `stale_seconds` ago.

    Returns (shard id, stop), most urgent first. Locks them until the transaction ends.
    """
    stale = LeaseRow.published_at < func.now() - text(f"interval '{stale_seconds:.3f} seconds'")
    rows = session.execute(
        select(LeaseRow.shard_id, ShardRow.stop)
        .join(ShardRow, ShardRow.id == LeaseRow.shard_id)
        .where(
            LeaseRow.queue == queue,
            LeaseRow.worker.is_(None),
            LeaseRow.run_after <= func.now(),
            LeaseRow.published_at.is_(None) | stale,
        )
        .order_by(LeaseRow.priority, LeaseRow.shard_id)
        .limit(limit)
        .with_for_update(of=LeaseRow, skip_locked=True)
    ).all()
    if rows:
        ids = [shard_id for shard_id, _ in rows]
        sent = LeaseRow.shard_id == func.any(array_of(ids))
        session.execute(update(LeaseRow).where(sent).values(published_at=func.now()))
    return [(int(shard_id), str(stop)) for shard_id, stop in rows]
