"""Claims about queues: hints are offered once, the most urgent first, and depths count what is open."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, text, update

from flywheel.database import transaction
from flywheel.database.tables import LeaseRow, ShardRow
from flywheel.work import ledger
from flywheel.work.ledger import Work
from flywheel.work.queues import queue_depths, take_hints

pytestmark = pytest.mark.usefixtures("environment")


def test_work_that_people_wait_for_is_offered_before_the_shards_of_corpora() -> None:
    with transaction() as session:
        ledger.enqueue(session, [Work("recognition", page_ids=(n,)) for n in range(3)])
        ledger.enqueue(session, [Work("trial"), Work("planning")])
    with transaction() as session:
        stops = [stop for _, stop in take_hints(session, "gpu", 5, 60)]
    assert stops == ["trial", "planning", *["recognition"] * 3]


def test_two_sweeps_never_offer_the_same_shard_and_a_lost_hint_is_offered_again() -> None:
    with transaction() as session:
        ledger.enqueue(session, [Work("coarse", page_ids=(n,)) for n in range(20)])
    with transaction() as one, transaction() as two:
        first = take_hints(one, "cpu", 12, 60)
        second = take_hints(two, "cpu", 12, 60)
    assert len(first) + len(second) == 20
    assert not set(first) & set(second)
    with transaction() as session:
        assert take_hints(session, "cpu", 12, 60) == []
    with transaction() as session:
        session.execute(update(LeaseRow).values(published_at=func.now() - text("interval '61 seconds'")))
        assert len(take_hints(session, "cpu", 50, 60)) == 20


def test_depths_count_ready_running_and_delayed() -> None:
    with transaction() as session:
        ledger.enqueue(session, [Work("coarse", page_ids=(n, n + 100)) for n in range(3)])
        ids = session.execute(select(ShardRow.id).order_by(ShardRow.id)).scalars().all()
        session.execute(
            update(LeaseRow)
            .where(LeaseRow.shard_id == ids[2])
            .values(run_after=func.now() + text("interval '1 hour'"))
        )
    with transaction() as session:
        assert ledger.claim(session, ids[0], "w") is not None
    with transaction() as session:
        [depth] = queue_depths(session)
    assert (depth.stop, depth.ready, depth.running, depth.delayed, depth.pages) == ("coarse", 1, 1, 1, 6)
