"""Claims about attempts: what a stop's function raises becomes the right state of the ledger."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from flywheel.database import engine, transaction
from flywheel.database.tables import LeaseRow, PageRow, ShardRow
from flywheel.errors import (
    Cancelled,
    Conflict,
    LeaseLost,
    NotFound,
    Rejected,
    SetupError,
    Stopping,
    StoreUnavailable,
)
from flywheel.reasons import Reason
from flywheel.settings import settings
from flywheel.work import ledger
from flywheel.work.broker import app
from flywheel.work.ledger import Work
from flywheel.work.route import ROUTE
from tasks.worker.attempt import Attempt, AttemptOutcome, attempt_shard, stop_task
from tasks.worker.lifecycle import shutdown_file, worker_status
from tests.flywheel.rows import make_document

pytestmark = pytest.mark.usefixtures("environment")


def open_shard(pages: int = 1) -> int:
    """A coarse shard of a fresh document, ready to be claimed."""
    document_id, page_ids = make_document(pages)
    with transaction() as session:
        ledger.enqueue(session, [Work("coarse", document_id=document_id, page_ids=page_ids)])
        return session.execute(select(ShardRow.id)).scalar_one()


def raising(error: BaseException) -> Callable[[Attempt], None]:
    def work(run: Attempt) -> None:
        raise error

    return work


def finishing(run: Attempt) -> None:
    with transaction() as session:
        ledger.finish(session, run.claim)


def shard(shard_id: int) -> ShardRow:
    with transaction() as session:
        return session.get_one(ShardRow, shard_id)


def lease(shard_id: int) -> LeaseRow | None:
    with transaction() as session:
        return session.get(LeaseRow, shard_id)


def page() -> tuple[str, str | None, str | None]:
    with transaction() as session:
        row = session.execute(select(PageRow)).scalar_one()
        return row.state, row.reason, row.detail


def make_ready(shard_id: int) -> None:
    with transaction() as session:
        session.execute(update(LeaseRow).where(LeaseRow.shard_id == shard_id).values(run_after=func.now()))


def test_work_that_ends_well_closes_its_shard_and_leaves_no_lease() -> None:
    shard_id = open_shard()
    assert attempt_shard(finishing, shard_id) is AttemptOutcome.FINISHED
    assert shard(shard_id).state == "finished"
    assert lease(shard_id) is None


def test_a_second_hint_for_the_same_shard_does_nothing() -> None:
    shard_id = open_shard()
    assert attempt_shard(finishing, shard_id) is AttemptOutcome.FINISHED
    assert attempt_shard(raising(AssertionError("worked on twice")), shard_id) is AttemptOutcome.TAKEN


def test_of_ten_workers_with_the_same_hint_one_works() -> None:
    shard_id = open_shard()
    with ThreadPoolExecutor(10) as pool:
        said = list(pool.map(lambda _: attempt_shard(finishing, shard_id), range(10)))
    assert sorted(said) == ["finished", *["taken"] * 9]


def test_a_rejected_input_is_recorded_with_its_reason_and_not_tried_again() -> None:
    shard_id = open_shard()
    assert (
        attempt_shard(raising(Rejected(Reason.BLOB_CORRUPT, "bits\x00flipped")), shard_id)
        is AttemptOutcome.REJECTED
    )
    assert shard(shard_id).state == "failed"
    assert lease(shard_id) is None
    assert page() == ("quarantined", "blob_corrupt", "bitsflipped")


def test_a_rejected_shard_of_several_pages_is_tried_again_page_by_page() -> None:
    shard_id = open_shard(pages=3)
    assert attempt_shard(raising(Rejected(Reason.PDF_UNREADABLE)), shard_id) is AttemptOutcome.REJECTED
    assert (shard(shard_id).state, shard(shard_id).reason) == ("split", "pdf_unreadable")
    with transaction() as session:
        opened = session.execute(select(ShardRow.page_ids).where(ShardRow.state == "open").order_by(ShardRow.id))
        assert [len(ids) for ids in opened.scalars()] == [1, 1, 1]


def test_surroundings_at_fault_put_the_shard_off_uncharged() -> None:
    shard_id = open_shard()
    assert attempt_shard(raising(StoreUnavailable("no room")), shard_id) is AttemptOutcome.DEFERRED
    left = lease(shard_id)
    assert left is not None
    assert (left.worker, left.attempts, left.deferrals, left.published_at) == (None, 0, 1, None)
    assert (shard(shard_id).state, shard(shard_id).detail) == ("open", "no room")
    assert page()[0] == "pending"


def test_a_worker_told_to_stop_gives_the_shard_back_uncharged_and_at_once() -> None:
    shard_id = open_shard()
    assert attempt_shard(raising(Stopping("ending")), shard_id) is AttemptOutcome.RELEASED
    left = lease(shard_id)
    assert left is not None
    assert (left.worker, left.attempts, left.deferrals) == (None, 0, 0)
    assert attempt_shard(finishing, shard_id) is AttemptOutcome.FINISHED


@pytest.mark.parametrize("error", [LeaseLost("taken"), Cancelled("by a person")])
def test_work_that_is_no_longer_ours_is_dropped_and_nothing_is_written(error: Exception) -> None:
    shard_id = open_shard()
    before = shard(shard_id).state
    assert attempt_shard(raising(error), shard_id) in {AttemptOutcome.LOST, AttemptOutcome.CANCELLED}
    assert (shard(shard_id).state, shard(shard_id).reason) == (before, None)
    assert page()[0] == "pending"


def test_an_outcome_that_comes_after_the_lease_was_lost_changes_nothing() -> None:
    shard_id = open_shard()

    def overtaken(run: Attempt) -> None:
        with transaction() as session:
            session.execute(update(LeaseRow).values(expires_at=func.now() - text("interval '1 second'")))
        with transaction() as session:
            ledger.expire(session)
            other = ledger.claim(session, shard_id, "other")
        assert other is not None
        raise Rejected(Reason.PAGE_CRASHED)

    assert attempt_shard(overtaken, shard_id) is AttemptOutcome.LOST
    left = lease(shard_id)
    assert left is not None
    assert left.worker == "other"
    assert shard(shard_id).state == "open"
    assert page()[0] == "pending"


@pytest.mark.parametrize("error", [NotFound("no checkpoint"), Conflict("no")])
def test_work_that_cannot_be_done_as_asked_is_given_up_with_the_reason(error: Exception) -> None:
    shard_id = open_shard()
    assert attempt_shard(raising(error), shard_id) is AttemptOutcome.FAILED
    assert shard(shard_id).state == "failed"
    assert page() == ("quarantined", "bad_settings", str(error))


def test_a_worker_that_is_set_up_wrongly_leaves_the_page_to_another() -> None:
    shard_id = open_shard()
    assert attempt_shard(raising(SetupError("no model")), shard_id) is AttemptOutcome.DEFERRED
    assert shard(shard_id).detail == "no model"
    assert page()[0] == "pending"
    assert worker_status._activity is None  # it does nothing now, and says so


@pytest.mark.parametrize(
    ("error", "reason", "said"),
    [
        (MemoryError(), "page_memory", "out of memory in the worker"),
        (ValueError("what is this"), "internal_error", "ValueError: what is this (test_attempt.py:"),
    ],
)
def test_an_unexpected_error_is_tried_again_until_the_attempts_are_spent_and_then_recorded(
    error: Exception, reason: str, said: str
) -> None:
    shard_id = open_shard()
    for attempt in range(1, ROUTE["coarse"].attempts):
        assert attempt_shard(raising(error), shard_id) is AttemptOutcome.FAILED
        left = lease(shard_id)
        assert left is not None
        assert (left.worker, left.attempts) == (None, attempt)
        assert (shard(shard_id).state, shard(shard_id).reason) == ("open", reason)
        assert page()[0] == "pending"
        make_ready(shard_id)
    assert attempt_shard(raising(error), shard_id) is AttemptOutcome.FAILED
    state, why, detail = page()
    assert (state, why) == ("quarantined", reason)
    assert detail is not None
    assert detail.startswith(said)


def test_a_database_that_is_away_at_the_claim_leaves_the_shard_to_the_sweep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shard_id = open_shard()
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("FLYWHEEL_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
        settings.cache_clear()
        assert attempt_shard(finishing, shard_id) is AttemptOutcome.UNCLAIMED
        engine().dispose()
    settings.cache_clear()
    assert attempt_shard(finishing, shard_id) is AttemptOutcome.FINISHED


def test_the_heartbeat_keeps_the_lease_and_says_when_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_LEASE_SCALE", "0.01")  # 0.6 s, a heartbeat every 0.15 s
    settings.cache_clear()
    shard_id = open_shard()

    def renewed(first: Any) -> bool:
        with transaction() as session:
            return bool(session.execute(select(LeaseRow.expires_at > first)).scalar_one())

    def slow(run: Attempt) -> None:
        with transaction() as session:
            first = session.execute(select(LeaseRow.expires_at)).scalar_one()
        until(lambda: renewed(first))
        run.check()
        with transaction() as session:
            session.execute(update(LeaseRow).values(worker="other"))
        until(run.should_stop)
        run.check()

    assert attempt_shard(slow, shard_id) is AttemptOutcome.LOST
    assert shard(shard_id).state == "open"


def test_a_pool_process_sees_that_its_worker_was_told_to_stop() -> None:
    shard_id = open_shard()
    told = shutdown_file(os.getppid())  # what the main process leaves on SIGTERM
    told.parent.mkdir(parents=True, exist_ok=True)
    told.touch()
    assert attempt_shard(Attempt.check, shard_id) is AttemptOutcome.RELEASED


def test_a_loop_over_pages_ends_before_the_page_at_which_the_lease_is_gone() -> None:
    shard_id = open_shard()
    begun: list[int] = []

    def work(attempt: Attempt) -> None:
        for page_number in attempt.each(range(3)):
            begun.append(page_number)
            if page_number == 1:
                attempt._lost.set()  # as the heartbeat does

    assert attempt_shard(work, shard_id) is AttemptOutcome.LOST
    assert begun == [0, 1]


def test_every_stop_has_its_task_and_none_is_acknowledged_late() -> None:
    import tasks.app

    assert tasks.app.app is app
    assert {stop.task for stop in ROUTE.values()} <= set(app.tasks)
    assert not app.conf.task_acks_late
    assert not app.conf.task_reject_on_worker_lost
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.accept_content == ["json"]


def test_a_task_for_a_stop_that_does_not_exist_fails_at_import() -> None:
    with pytest.raises(KeyError):
        stop_task("corase")


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
