"""The work ledger: who may work on what, and what became of it.

A shard is enqueued once (its work id is a hash of what it is), claimed under a
lease on the database's clock, and finished, given back, or failed. Attempts
count at claim, so a worker that dies has spent one. Every result write runs
under `guard`, which locks the lease row and checks its token: a worker that was
presumed dead writes nothing.

    ready --claim--> leased --finish--> finished
      ^                 |--release (asked to stop: attempt not charged)--> ready
      |                 |--defer (surroundings at fault: not charged)--> ready, later
      `--expire/fail----'--attempts spent--> split into pages, or exhausted with a reason

Functions take a session and never commit. Times are the database's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Select, bindparam, case, func, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from flywheel.database import CHANNEL
from flywheel.database.tables import (
    DocumentRow,
    ExportRow,
    LabelRow,
    LeaseRow,
    PageRow,
    RoundRow,
    ShardRow,
    TrialRow,
)
from flywheel.document import Kind, Outcome
from flywheel.errors import LeaseLost
from flywheel.reasons import Reason
from flywheel.settings import settings
from flywheel.states import DocumentState, PageState, RequestStatus, RoundStatus, ShardState
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
    priority: int = 0
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
    """A shard in this worker's hands, and the token that proves it."""

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
class QueueDepth:
    """How much of a stop is ready, running and put off, and how long the oldest ready shard has waited."""

    queue: str
    stop: str
    ready: int
    running: int
    delayed: int
    oldest_seconds: float
    pages: int


def enqueue(session: Session, works: Iterable[Work]) -> int:
    """Open shards for works not known yet; returns how many were new. Wakes the sweep at commit."""
    rows = [
        {
            "work_id": w.work_id,
            "stop": w.stop,
            "document_id": w.document_id,
            "round_id": w.round_id,
            "export_id": w.export_id,
            "trial_id": w.trial_id,
            "checkpoint_id": w.checkpoint_id,
            "page_ids": list(w.page_ids),
        }
        for w in works_by_id(works)
    ]
    if not rows:
        return 0
    priorities = {w.work_id: w.priority for w in works_by_id(works)}
    statement = insert(ShardRow).on_conflict_do_nothing(index_elements=["work_id"])
    new = session.execute(statement.returning(ShardRow.id, ShardRow.stop, ShardRow.work_id), rows).all()
    if new:
        session.execute(
            insert(LeaseRow),
            [
                {"shard_id": id_, "queue": ROUTE[stop].queue, "priority": priorities[work_id]}
                for id_, stop, work_id in new
            ],
        )
        wake(session)
    return len(new)


def works_by_id(works: Iterable[Work]) -> list[Work]:
    """`works` without repeats."""
    return list({w.work_id: w for w in works}.values())


def wake(session: Session) -> None:
    """Tell the sweep, at commit, that there is something to publish."""
    session.execute(text(f"NOTIFY {CHANNEL}"))


def claim(session: Session, shard_id: int, worker: str) -> Claim | None:
    """Take the shard if it is to be had; None when another holds it or it is done."""
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
    """How long a claim of this stop lasts without a heartbeat."""
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
        raise LeaseLost(f"shard {held.shard_id} ({held.stop}) is no longer held with token {held.token}")


def finish(session: Session, held: Claim) -> None:
    """The shard is done. Raises LeaseLost; the caller's results then roll back with it."""
    guard(session, held)
    _close(session, held.shard_id, ShardState.FINISHED)


def _close(
    session: Session, shard_id: int, state: ShardState, reason: str | None = None, detail: str = ""
) -> None:
    session.execute(
        update(ShardRow)
        .where(ShardRow.id == shard_id)
        .values(state=state, reason=reason, detail=detail or None, finished_at=func.now())
    )
    session.execute(LeaseRow.__table__.delete().where(LeaseRow.shard_id == shard_id))  # type: ignore[attr-defined]
    wake(session)


def release(session: Session, held: Claim) -> None:
    """Give the shard back uncharged: this worker was asked to stop."""
    _free(session, held, attempts=LeaseRow.attempts - 1)
    wake(session)


def defer(session: Session, held: Claim, detail: str) -> None:
    """Give the shard back uncharged, to be had again after a growing pause."""
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


def fail(session: Session, held: Claim, reason: Reason, detail: str, *, retry: bool) -> None:
    """The attempt failed. With `retry` the shard comes back until its attempts are spent."""
    guard(session, held)
    if retry and held.attempt < ROUTE[held.stop].attempts:
        _free(session, held, run_after=func.now() + text("interval '1 second'"))
        session.execute(
            update(ShardRow).where(ShardRow.id == held.shard_id).values(reason=reason.value, detail=detail)
        )
        return
    exhaust(session, held.shard_id, reason, detail)


def expire(session: Session, limit: int = 500) -> int:
    """Free every lease that ran out, exhausting those without attempts left; returns how many."""
    rows = session.execute(
        select(LeaseRow, ShardRow.stop)
        .join(ShardRow, ShardRow.id == LeaseRow.shard_id)
        .where(LeaseRow.worker.is_not(None), LeaseRow.expires_at < func.now())
        .limit(limit)
        .with_for_update(of=LeaseRow, skip_locked=True)
    ).all()
    for lease, stop in rows:
        if lease.attempts >= ROUTE[stop].attempts:
            detail = f"the worker was lost {lease.attempts} times; last {lease.worker}"
            exhaust(session, lease.shard_id, Reason.ATTEMPTS_EXHAUSTED, detail)
        else:
            lease.worker = lease.expires_at = lease.published_at = None
    session.flush()
    if rows:
        wake(session)
    return len(rows)


def exhaust(session: Session, shard_id: int, reason: Reason, detail: str) -> None:
    """Attempts are spent: split the shard into its pages, or give its subject up with the reason."""
    shard = session.get_one(ShardRow, shard_id)
    if len(shard.page_ids) > 1:
        enqueue(session, _split(shard))
        _close(session, shard_id, ShardState.SPLIT, reason.value, detail)
        return
    _close(session, shard_id, ShardState.FAILED, reason.value, detail)
    if shard.stop in {"coarse", "recognition"}:
        quarantine(session, [(page_id, reason, detail) for page_id in shard.page_ids])
    elif shard.stop == "ingest" and shard.document_id is not None:
        quarantine_document(session, shard.document_id, reason, detail)
    elif shard.stop == "patches":
        return  # the page's label stands; the round learns from the others
    elif shard.round_id is not None:
        end_round(session, shard.round_id, RoundStatus.FAILED, f"{shard.stop}: {reason.value}: {detail}")
    elif shard.export_id is not None:
        _set(
            session, ExportRow, shard.export_id, status=RequestStatus.FAILED, detail=detail, finished_at=func.now()
        )
    elif shard.trial_id is not None:
        _set(
            session,
            TrialRow,
            shard.trial_id,
            status=RequestStatus.FAILED,
            reason=reason.value,
            detail=detail,
            finished_at=func.now(),
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


def _set(session: Session, table: type[Any], row_id: int, **values: Any) -> None:
    session.execute(update(table).where(table.id == row_id).values(**values))


def quarantine(session: Session, pages: Sequence[tuple[int, Reason, str]]) -> None:
    """Pages that no stop can work on, each with its reason. A page that has an accepted label, one under
    review or a person's keeps its standing: a failed relabel takes nothing away."""
    worth = (LabelRow.kind == Kind.HUMAN) | LabelRow.verdict.in_((Outcome.ACCEPTED, Outcome.REVIEW))
    labelled = select(LabelRow.id).where(LabelRow.page_id == PageRow.id, worth).exists()
    for page_id, reason, detail in pages:
        settled = session.execute(
            update(PageRow)
            .where(PageRow.id == page_id, ~labelled)
            .values(
                state=PageState.QUARANTINED,
                reason=reason.value,
                detail=detail,
                verdict=None,
                updated_at=func.now(),
            )
            .returning(PageRow.id)
        )
        if settled.first() is None:
            session.execute(update(PageRow).where(PageRow.id == page_id).values(state=PageState.LABELLED))


def quarantine_document(session: Session, document_id: int, reason: Reason, detail: str) -> None:
    """A document of which no page can be had."""
    _set(session, DocumentRow, document_id, state=DocumentState.QUARANTINED, reason=reason.value, detail=detail)


def end_round(session: Session, round_id: int, status: RoundStatus, detail: str) -> None:
    """Close a round and whatever of it is still open; pages it meant to read go back to where they stood.

    Leases go first, as every stop locks its lease before the round's row.
    """
    open_shards = (ShardRow.round_id == round_id) & (ShardRow.state == ShardState.OPEN)
    _drop_leases(session, session.execute(select(ShardRow.id).where(open_shards)).scalars().all())
    closed = session.execute(
        update(ShardRow)
        .where(open_shards)
        .values(state=ShardState.CANCELLED, detail=detail, finished_at=func.now())
        .returning(ShardRow.id, ShardRow.stop, ShardRow.page_ids)
    ).all()
    # Once more: a stop that was just finishing may have opened the next one's shard meanwhile.
    _drop_leases(session, [row.id for row in closed])
    _give_back(session, [page for row in closed if row.stop == "recognition" for page in row.page_ids])
    session.execute(
        update(RoundRow)
        .where(RoundRow.id == round_id)
        .values(status=status, detail=detail, finished_at=func.now())
    )


def _drop_leases(session: Session, shard_ids: Sequence[int]) -> None:
    session.execute(
        LeaseRow.__table__.delete().where(LeaseRow.shard_id == func.any(array_of(shard_ids)))  # type: ignore[attr-defined]
    )


def _give_back(session: Session, page_ids: Sequence[int]) -> None:
    """Pages that will not be read after all: labelled when someone read them before, else waiting."""
    read = select(LabelRow.id).where(LabelRow.page_id == PageRow.id, LabelRow.kind != Kind.COARSE).exists()
    session.execute(
        update(PageRow)
        .where(PageRow.id == func.any(array_of(page_ids)), PageRow.state == PageState.PENDING)
        .values(
            state=case(((PageRow.verdict == Outcome.ACCEPTED) | read, PageState.LABELLED), else_=PageState.WAITING)
        )
    )


def array_of(ids: Sequence[int]) -> ColumnElement[Any]:
    """Any number of ids as one bound array: an IN list ends at 65,535 parameters."""
    return bindparam(None, list(ids), type_=ARRAY(BigInteger), unique=True)


def current_labels(*, alive: bool = True, generations: int | None = None) -> Select[LabelRow]:
    """The label that speaks for each page: the newest of a person's; without one, a machine's, accepted
    before review before rejected, then the newest. Add `.where(...)` on Page or Document; both are joined.

    With `generations`, labels of later generations are passed over, and an earlier one speaks.
    """
    human = LabelRow.kind == Kind.HUMAN
    rank = case(
        (human, 0),
        else_=func.array_position(text("ARRAY['accepted', 'review', 'rejected']"), LabelRow.verdict),
    )
    statement = (
        select(LabelRow)
        .join(PageRow, PageRow.id == LabelRow.page_id)
        .join(DocumentRow, DocumentRow.id == PageRow.document_id)
        .ext(distinct_on(LabelRow.page_id))
        .order_by(LabelRow.page_id, human.desc(), rank, LabelRow.id.desc())
    )
    if generations is not None:
        statement = statement.where(LabelRow.generation <= generations)
    return statement.where(PageRow.state != PageState.QUARANTINED) if alive else statement


def queue_depths(session: Session) -> list[QueueDepth]:
    """Open work by queue and stop, for people and for the dispatcher."""
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


def take_due_hints(session: Session, queue: str, limit: int, stale_seconds: float) -> list[tuple[int, str]]:
    """Shards of a queue whose hint was never sent or was sent longer than `stale_seconds` ago; marks
    them sent. Returns (shard id, stop), most urgent first. Locks them until the transaction ends."""
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
        session.execute(update(LeaseRow).where(LeaseRow.shard_id.in_(ids)).values(published_at=func.now()))
    return [(int(shard_id), str(stop)) for shard_id, stop in rows]
