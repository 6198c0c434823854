"""Claims about one pass of the sweep: what ran out is freed or given up, what is ready is offered."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, text, update

from flywheel.database import transaction
from flywheel.database.tables import LeaseRow, PageRow, RoundRow, ShardRow
from flywheel.loop.round_machine import open_round
from flywheel.loop.sweep import Sweep
from flywheel.states import RoundStatus
from flywheel.work import broker, ledger
from flywheel.work.ledger import Work
from flywheel.work.route import ROUTE
from tests.flywheel.rows import make_document

pytestmark = pytest.mark.usefixtures("environment")


def sweep_once() -> int:
    sweep = Sweep()
    try:
        return sweep.sweep_once()
    finally:
        sweep.redis.close()


def lose(work: Work, attempts: int) -> int:
    """A shard whose worker was lost at its `attempts`th attempt; its id."""
    with transaction() as session:
        ledger.enqueue(session, [work])
        shard_id = session.execute(select(ShardRow.id).where(ShardRow.work_id == work.work_id)).scalar_one()
        assert ledger.claim(session, shard_id, "lost") is not None
        ran_out = func.now() - text("interval '1 second'")
        session.execute(
            update(LeaseRow).where(LeaseRow.shard_id == shard_id).values(attempts=attempts, expires_at=ran_out)
        )
    return shard_id


def test_a_page_whose_worker_was_lost_every_time_is_quarantined_and_others_are_offered_again() -> None:
    document_id, pages = make_document(2)
    most = ROUTE["coarse"].attempts
    lose(Work("coarse", document_id=document_id, page_ids=pages[:1]), most)
    again = lose(Work("coarse", document_id=document_id, page_ids=pages[1:]), most - 1)
    assert sweep_once() == 3  # two leases and a hint
    with transaction() as session:
        states = session.execute(select(PageRow.state, PageRow.reason).order_by(PageRow.id)).all()
        lease = session.execute(select(LeaseRow)).scalar_one()
    assert [tuple(row) for row in states] == [("quarantined", "attempts_exhausted"), ("pending", None)]
    assert (lease.shard_id, lease.worker) == (again, None)
    assert lease.published_at is not None
    client = broker.redis_client()
    assert broker.backlog(client, "cpu") == 1
    client.close()


def test_a_round_that_fails_takes_its_other_shards_along_though_their_leases_ran_out_in_the_same_pass() -> None:
    with transaction() as session:
        row = open_round(session, RoundStatus.PATCHING, language="bo", corpora=[], recipe="line", overrides={})
    document_id, pages = make_document(1)
    lose(Work("training", round_id=row.id), ROUTE["training"].attempts)
    lose(Work("patches", document_id=document_id, round_id=row.id, page_ids=pages), 1)
    assert sweep_once() == 2
    with transaction() as session:
        found = session.get_one(RoundRow, row.id)
        assert (found.status, found.detail) == (
            "failed",
            f"training: attempts_exhausted: the worker was lost {ROUTE['training'].attempts} times; last lost",
        )
        states = session.execute(select(ShardRow.state).order_by(ShardRow.id)).scalars().all()
        assert states == ["failed", "cancelled"]
        assert session.execute(select(func.count()).select_from(LeaseRow)).scalar_one() == 0
