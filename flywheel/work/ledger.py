"""The work ledger: shards of work, and the leases of the workers that hold them.

A shard is enqueued once (its work id is a hash of what it is), claimed under a
lease on the database's clock, and finished, given back, or failed. Attempts
count at claim, so a worker that dies has spent one. Every result write runs
under `guard`, which locks the lease row and checks its token: a worker that was
presumed dead writes nothing.

    ready --claim--> leased --finish--> finished
      ^                 |--release (asked to stop: attempt not charged)--> ready
      |                 |--defer (surroundings at fault: not charged)--> ready, later
      `--expire/fail----'--attempts spent--> split into pages, or failed and handed to the caller

Nothing is known here of what a shard is about: pages, documents, rounds are numbers. A failed shard is returned
(`SpentShard`) to a caller who knows what that means for them (flywheel/loop/exhaustion.py).
Functions take a session and never commit. Times are the database's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from flywheel.database import CHANNEL, array_of
from flywheel.database.tables import LeaseRow, ShardRow
from flywheel.errors import LeaseLost
from flywheel.reasons import Reason
from flywheel.settings import settings
from flywheel.states import ShardState
from flywheel.work.route import ROUTE

DEFER_SECONDS = 60  # longest pause between tries while the surroundings are at fault


@dataclass(frozen=True, slots=True)
class Work:
    """A unit of work to enqueue: one stop and its subject. `salt` tells apart what is otherwise alike."""

    stop: str
    document_id: int | None = None
    round_id: int | None = None
    export_id: int | None = None
    trial_id: int | None = None
    checkpoint_id: str | None = None
    page_ids: tuple[int, ...] = ()
    salt: str = ""

    @property
    def work_id(self) -> str:
        """Stable across runs: the same work is never enqueued twice."""
        parts = [
            self.stop,
            self.document_id,
            self.round_id,
            self.export_id,
            self.trial_id,
            self.checkpoint_id,
            list(self.page_ids),
            self.salt,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Claim:
    """A shard that a worker holds, and the token that proves it."""

    shard_id: int
    stop: str
    token: int
    worker: str
    attempt: int
    document_id: int | None = None
    round_id: int | None = None
    export_id: int | None = None
    trial_id: int | None = None
    checkpoint_id: str | None = None
    page_ids: tuple[int, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class SpentShard:
    """A shard that was given up, with the reason: its attempts are spent, or another would end alike."""

    shard_id: int
    stop: str
    reason: Reason
    detail: str
    document_id: int | None = None
    round_id: int | None = None
    export_id: int | None = None
    trial_id: int | None = None
    page_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Expired:
    """The leases that ran out, in number, and the shards that are given up for it."""

    leases: int
    spent: tuple[SpentShard, ...]


def enqueue(session: Session, works: Iterable[Work]) -> int:
    """Open shards for works not known yet; returns how many were new. Wakes the sweep at commit."""
    rows = [
        {
            "work_id": work_id,
            "stop": work.stop,
            "document_id": work.document_id,
            "round_id": work.round_id,
            "export_id": work.export_id,
            "trial_id": work.trial_id,
            "checkpoint_id": work.checkpoint_id,
            "page_ids": list(work.page_ids),
        }
        for work_id, work in {work.work_id: work for work in works}.items()
    ]
    if not rows:
        return 0
    statement = insert(ShardRow).on_conflict_do_nothing(index_elements=["work_id"])
    new = session.execute(statement.returning(ShardRow.id, ShardRow.stop), rows).all()
    if new:
        session.execute(
            insert(LeaseRow),
            [
                {"shard_id": shard_id, "queue": ROUTE[stop].queue, "priority": ROUTE[stop].priority}
                for shard_id, stop in new
            ],
        )
        wake(session)
    return len(new)


def wake(session: Session) -> None:
    """Notify the sweep, at commit, that there is something to publish."""
    session.execute(text(f"NOTIFY {CHANNEL}"))


def claim(session: Session, shard_id: int, worker: str) -> Claim | None:
    """Take the shard if it is free; None when another holds it, it is put off, or it is done."""
    free = (
        select(LeaseRow.shard_id)
        .where(LeaseRow.shard_id == shard_id, LeaseRow.worker.is_(None), LeaseRow.run_after <= func.now())
        .with_for_update(skip_locked=True)
    )
    shard = session.execute(
        select(ShardRow).where(ShardRow.id == free.scalar_subquery(), ShardRow.state == ShardState.OPEN)
    ).scalar_one_or_none()
    if shard is None:
        return None
    lease = session.execute(
        update(LeaseRow)
        .where(LeaseRow.shard_id == shard_id, LeaseRow.worker.is_(None))
        .values(
            worker=worker,
            token=LeaseRow.token + 1,
            attempts=LeaseRow.attempts + 1,
            expires_at=_lease_end(shard.stop),
        )
        .returning(LeaseRow.token, LeaseRow.attempts)
    ).one_or_none()
    if lease is None:
        return None
    return Claim(
        shard_id=shard.id,
        stop=shard.stop,
        token=lease.token,
        worker=worker,
        attempt=lease.attempts,
        document_id=shard.document_id,
        round_id=shard.round_id,
        export_id=shard.export_id,
        trial_id=shard.trial_id,
        checkpoint_id=shard.checkpoint_id,
        page_ids=tuple(shard.page_ids),
    )


def lease_seconds(stop: str) -> float:
    """Length of a claim of this stop without a heartbeat, in seconds."""
    return ROUTE[stop].lease * settings().lease_scale


def _lease_end(stop: str) -> ColumnElement[datetime]:
    return func.now() + text(f"interval '{lease_seconds(stop):.3f} seconds'")


def _held(held: Claim) -> list[Any]:
    return [LeaseRow.shard_id == held.shard_id, LeaseRow.token == held.token, LeaseRow.worker == held.worker]


def renew(session: Session, held: Claim) -> bool:
    """Push the lease's end out; False when it is no longer ours."""
    done = session.execute(
        update(LeaseRow).where(*_held(held)).values(expires_at=_lease_end(held.stop)).returning(LeaseRow.shard_id)
    )
    return done.first() is not None


def guard(session: Session, held: Claim) -> None:
    """Lock the lease row for this transaction; raises LeaseLost when the token is stale."""
    row = session.execute(select(LeaseRow.shard_id).where(*_held(held)).with_for_update()).first()
    if row is None:
        raise _lost(held)


def _lost(held: Claim) -> LeaseLost:
    return LeaseLost(f"shard {held.shard_id} ({held.stop}) is no longer held with token {held.token}")


def finish(session: Session, held: Claim) -> None:
    """The shard is done. Raises LeaseLost; the caller's results then roll back with it."""
    dropped = session.execute(
        delete(LeaseRow).where(*_held(held)).returning(LeaseRow.shard_id),
        execution_options={"synchronize_session": False},
    )
    if dropped.first() is None:
        raise _lost(held)
    _set_ended(session, held.shard_id, ShardState.FINISHED)


def _close(
    session: Session, shard_id: int, state: ShardState, reason: str | None = None, detail: str = ""
) -> None:
    _set_ended(session, shard_id, state, reason, detail)
    _drop_leases(session, [shard_id])


def _set_ended(
    session: Session, shard_id: int, state: ShardState, reason: str | None = None, detail: str = ""
) -> None:
    session.execute(
        update(ShardRow)
        .where(ShardRow.id == shard_id)
        .values(state=state, reason=reason, detail=detail or None, finished_at=func.now()),
        execution_options={"synchronize_session": False},
    )
    wake(session)


def _drop_leases(session: Session, shard_ids: Sequence[int]) -> None:
    statement = delete(LeaseRow).where(LeaseRow.shard_id == func.any(array_of(shard_ids)))
    session.execute(statement, execution_options={"synchronize_session": False})


def release(session: Session, held: Claim) -> None:
    """Give the shard back uncharged: this worker was asked to stop."""
    _free(session, held, attempts=LeaseRow.attempts - 1)
    wake(session)


def defer(session: Session, held: Claim, detail: str) -> None:
    """Give the shard back uncharged, free again after a growing pause."""
    pause = func.least(DEFER_SECONDS, func.power(2, func.least(LeaseRow.deferrals, 10)))
    freed = _free(
        session,
        held,
        attempts=LeaseRow.attempts - 1,
        deferrals=LeaseRow.deferrals + 1,
        run_after=func.now() + pause * text("interval '1 second'"),
    )
    if freed:
        session.execute(update(ShardRow).where(ShardRow.id == held.shard_id).values(detail=detail))


def _free(session: Session, held: Claim, **values: Any) -> bool:
    """Let go of the lease; False when it was not ours any more."""
    done = session.execute(
        update(LeaseRow)
        .where(*_held(held))
        .values(worker=None, expires_at=None, published_at=None, **values)
        .returning(LeaseRow.shard_id)
    )
    return done.first() is not None


def fail(session: Session, held: Claim, reason: Reason, detail: str, *, retry: bool) -> SpentShard | None:
    """The attempt failed. With `retry` the shard comes back until its attempts are spent.

    Returns the shard when it is given up; None when it comes back, whole or page by page. Raises LeaseLost.
    """
    guard(session, held)
    if retry and held.attempt < ROUTE[held.stop].attempts:
        _free(session, held, run_after=func.now() + text("interval '1 second'"))
        session.execute(
            update(ShardRow).where(ShardRow.id == held.shard_id).values(reason=reason.value, detail=detail)
        )
        return None
    return _exhaust(session, held.shard_id, reason, detail)


def expire(session: Session, limit: int = 500) -> Expired:
    """Free every lease that ran out, and give up the shards without attempts left."""
    rows = session.execute(
        select(LeaseRow.shard_id, LeaseRow.worker, LeaseRow.attempts, ShardRow.stop)
        .join(ShardRow, ShardRow.id == LeaseRow.shard_id)
        .where(LeaseRow.worker.is_not(None), LeaseRow.expires_at < func.now())
        .limit(limit)
        .with_for_update(of=LeaseRow, skip_locked=True)
    ).all()
    if not rows:
        return Expired(0, ())
    lost = [row for row in rows if row.attempts >= ROUTE[row.stop].attempts]
    freed = [row.shard_id for row in rows if row.attempts < ROUTE[row.stop].attempts]
    if freed:
        session.execute(
            update(LeaseRow)
            .where(LeaseRow.shard_id == func.any(array_of(freed)))
            .values(worker=None, expires_at=None, published_at=None)
        )
    spent = [
        _exhaust(
            session,
            row.shard_id,
            Reason.ATTEMPTS_EXHAUSTED,
            f"the worker was lost {row.attempts} times; last {row.worker}",
        )
        for row in lost
    ]
    wake(session)
    return Expired(len(rows), tuple(shard for shard in spent if shard is not None))


def _exhaust(session: Session, shard_id: int, reason: Reason, detail: str) -> SpentShard | None:
    """Attempts are spent: a shard of many pages is split and None returned, any other fails and is returned."""
    shard = session.get_one(ShardRow, shard_id)
    if len(shard.page_ids) > 1:
        enqueue(session, _split(shard))
        _close(session, shard_id, ShardState.SPLIT, reason.value, detail)
        return None
    _close(session, shard_id, ShardState.FAILED, reason.value, detail)
    return SpentShard(
        shard_id=shard.id,
        stop=shard.stop,
        reason=reason,
        detail=detail,
        document_id=shard.document_id,
        round_id=shard.round_id,
        export_id=shard.export_id,
        trial_id=shard.trial_id,
        page_ids=tuple(shard.page_ids),
    )


def _split(shard: ShardRow) -> list[Work]:
    return [
        Work(
            stop=shard.stop,
            document_id=shard.document_id,
            round_id=shard.round_id,
            checkpoint_id=shard.checkpoint_id,
            page_ids=(page_id,),
            salt=f"split of {shard.id}",
        )
        for page_id in shard.page_ids
    ]


def cancel_shards(session: Session, round_id: int, detail: str) -> dict[str, list[int]]:
    """Close every open shard of a round; returns the pages they were about, by stop.

    Leases go first, as every stop locks its lease before anything else.
    """
    still_open = (ShardRow.round_id == round_id) & (ShardRow.state == ShardState.OPEN)
    _drop_leases(session, session.execute(select(ShardRow.id).where(still_open)).scalars().all())
    closed = session.execute(
        update(ShardRow)
        .where(still_open)
        .values(state=ShardState.CANCELLED, detail=detail, finished_at=func.now())
        .returning(ShardRow.id, ShardRow.stop, ShardRow.page_ids)
    ).all()
    # Once more: a stop that was just finishing may have opened the next one's shard meanwhile.
    _drop_leases(session, [row.id for row in closed])
    pages: dict[str, list[int]] = {}
    for row in closed:
        pages.setdefault(row.stop, []).extend(row.page_ids)
    return pages
