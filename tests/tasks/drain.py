"""Runs the stops in this process, hint by hint, until nothing is due: Postgres and the store are real."""

from __future__ import annotations

from sqlalchemy import func, select, update

from flywheel.database import transaction
from flywheel.database.tables import LeaseRow, ShardRow
from flywheel.loop import round_machine
from flywheel.work.route import ROUTE
from tasks.app import app


def drain(*, only: str | None = None, most: int = 500) -> int:
    """Perform what is due, in order, and what follows from it; returns the number of shards performed."""
    for done in range(most):
        with transaction() as session:
            session.execute(update(LeaseRow).where(LeaseRow.worker.is_(None)).values(run_after=func.now()))
            round_machine.advance(session)
        with transaction() as session:
            query = (
                select(ShardRow.id, ShardRow.stop)
                .join(LeaseRow, LeaseRow.shard_id == ShardRow.id)
                .where(LeaseRow.worker.is_(None))
                .order_by(ShardRow.id)
            )
            if only is not None:
                query = query.where(ShardRow.stop == only)
            row = session.execute(query.limit(1)).first()
        if row is None:
            return done
        app.tasks[ROUTE[row.stop].task].run(row.id)
    raise AssertionError(f"still not done after {most} shards")
