"""Workers that are killed, frozen, told to stop, or out of memory, in the middle of their work."""

from __future__ import annotations

import signal

import pytest
from sqlalchemy import select

from flywheel.database import transaction
from flywheel.database.tables import LabelRow, LeaseRow, PageRow, ShardRow
from flywheel.work import broker
from tests.chaos.cluster import Cluster


def pages_of(state: str) -> list[tuple[int, str | None]]:
    """(number, reason) of the pages in a state, in order."""
    with transaction() as session:
        query = select(PageRow.number, PageRow.reason).where(PageRow.state == state).order_by(PageRow.number)
        return [(number, reason) for number, reason in session.execute(query).all()]


@pytest.mark.timeout(900)
def test_fault_1_workers_killed_again_and_again_under_load_lose_no_page(cluster: Cluster, kills: int) -> None:
    pages = cluster.books(4 * kills, 12)
    cluster.sweep()
    worker = cluster.worker()
    for _ in range(kills):
        before = cluster.labels()
        cluster.wait("work going on", lambda n=before: cluster.labels() > n + 16 and cluster.held() > 0)
        worker.kill()
        worker = cluster.worker()
    cluster.settle(60 + 5 * kills)
    lost = pages_of("quarantined")
    assert cluster.labels() + len(lost) == pages
    assert {reason for _, reason in lost} <= {"attempts_exhausted"}
    assert len(lost) <= pages // 50


def test_fault_2_a_pool_process_killed_in_the_middle_of_a_page_costs_nothing(cluster: Cluster) -> None:
    cluster.books(2, 6)
    cluster.sweep()
    worker = cluster.worker("page:3 kill 1")
    cluster.settle()
    assert worker.process.poll() is None
    assert cluster.labels() == 12
    assert pages_of("quarantined") == []


def test_fault_2_a_pdf_child_killed_in_the_middle_of_a_page_costs_nothing(cluster: Cluster) -> None:
    cluster.books(1, 6)
    cluster.sweep()
    cluster.worker("page:3 kill-child 1")
    cluster.settle()
    assert cluster.labels() == 6
    assert pages_of("quarantined") == []


@pytest.mark.parametrize(("when", "labels"), [("before", 0), ("after", 6)])
def test_faults_3_and_4_a_worker_killed_about_its_commit_leaves_all_or_nothing_and_no_label_twice(
    cluster: Cluster, when: str, labels: int
) -> None:
    """3: the labels' blob is written, the rows are not. 4: all is committed, the task has not returned."""
    cluster.books(1, 6)
    cluster.sweep()
    worker = cluster.worker(f"labels:{when} kill 1", processes=1)
    cluster.wait("the kill", lambda: "SIGKILL" in worker.says)
    assert cluster.labels() == labels
    cluster.settle()
    assert cluster.labels() == 6
    assert len(list(cluster.store.keys())) == 2  # the same labels are the same blob


@pytest.mark.chaos_long
def test_fault_11_a_worker_frozen_past_its_lease_writes_nothing_when_it_wakes(cluster: Cluster) -> None:
    cluster.books(1, 6)
    cluster.sweep()
    frozen = cluster.worker("page:3 stop 1", processes=1)
    cluster.wait("the freeze", (cluster.directory / "fault.0").exists)
    cluster.worker()
    cluster.settle()
    with transaction() as session:
        written = session.execute(select(LabelRow.id, LabelRow.created_at)).all()
    frozen.signal(signal.SIGCONT)
    cluster.wait("the sleeper's end", lambda: "lease lost" in frozen.says)
    with transaction() as session:
        assert session.execute(select(LabelRow.id, LabelRow.created_at)).all() == written
    assert pages_of("quarantined") == []


def test_fault_13_one_hint_given_to_ten_consumers_is_worked_on_once(cluster: Cluster) -> None:
    pages = cluster.books(1, 4)
    cluster.worker("page:0 trace 0", processes=10)
    for stop in ("ingest", "coarse"):
        with transaction() as session:
            ids = session.execute(select(ShardRow.id).where(ShardRow.state == "open")).scalars().all()
        broker.publish([(shard_id, stop) for shard_id in ids for _ in range(10)])
        done = ShardRow.stop == stop, ShardRow.state == "finished"
        cluster.wait("the stop's end", lambda done=done: cluster.count(ShardRow, *done) == 1)
    starts = (cluster.directory / "pages").read_text().splitlines()
    assert len({start.split()[1] for start in starts}) == 1  # one process opened pages
    assert cluster.labels() == pages


def test_fault_23_out_of_memory_in_a_task_is_recorded_and_the_worker_lives(cluster: Cluster) -> None:
    cluster.books(1, 6)
    cluster.sweep()
    worker = cluster.worker("labels:before memory 1", processes=1)
    cluster.settle()
    assert worker.process.poll() is None
    assert cluster.labels() == 6
    assert worker.says.count("out of memory") == 1


def test_fault_25_a_worker_told_to_stop_gives_its_shard_back_uncharged(cluster: Cluster) -> None:
    cluster.books(1, 6)
    sweep = cluster.sweep()
    worker = cluster.worker("page:2 terminate 1", processes=1)
    cluster.wait("the worker's end", lambda: worker.process.poll() is not None)
    assert worker.process.returncode == 0
    sweep.kill()
    assert cluster.labels() == 0
    with transaction() as session:
        lease = session.execute(select(LeaseRow)).scalar_one()
        assert (lease.worker, lease.attempts, lease.deferrals) == (None, 0, 0)
    cluster.sweep()
    cluster.worker()
    cluster.settle()
    assert cluster.labels() == 6
