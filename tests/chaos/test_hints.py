"""Hints that are lost, sent twice or not at all, and the sweep and the scheduler that send them."""

from __future__ import annotations

import signal
import sys

import pytest
import redis

from flywheel.database.tables import LeaseRow, RoundRow, TickRow
from flywheel.document import Outcome
from flywheel.local.ports import free_port
from flywheel.local.redis import RedisServer, prepare_redis
from flywheel.settings import settings
from tests.chaos.cluster import Cluster
from tests.flywheel.rows import give_labels, make_document

ONE_TICK = """
from datetime import UTC, datetime
from flywheel.loop.scheduler import start_rounds
print("[1 round]" if len(start_rounds(datetime(2030, 1, 1, tzinfo=UTC))) == 1 else "[]")
"""


def waiting(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.llen("cpu"))


def test_a_hint_that_is_taken_before_the_sweep_is_done_sending_is_not_lost(cluster: Cluster) -> None:
    cluster.books(3, 2)
    sweep = cluster.sweep("hints:sent stop 1")
    cluster.wait("the sweep to freeze", (cluster.directory / "fault.0").exists)
    cluster.worker(processes=1)
    cluster.wait("the first hint to be followed", lambda: cluster.count(LeaseRow) < 3 or cluster.held())
    sweep.signal(signal.SIGCONT)
    cluster.settle()
    assert cluster.labels() == 6


def test_fault_6_a_sweep_killed_between_mark_and_send_is_made_good_by_the_next(cluster: Cluster) -> None:
    cluster.books(3, 2)
    killed = cluster.sweep("hints:after kill 1")
    cluster.wait("the kill", lambda: killed.process.poll() == -signal.SIGKILL)
    assert cluster.count(LeaseRow, LeaseRow.published_at.is_not(None)) == 3
    assert waiting(settings().redis_url) == 0
    cluster.sweep()
    cluster.worker(processes=1)
    cluster.settle()
    assert cluster.labels() == 6


def test_faults_7_and_27_redis_emptied_with_a_backlog_and_one_of_two_sweeps_killed_lose_nothing(
    cluster: Cluster,
) -> None:
    pages = cluster.books(12, 3)
    sweeps = [cluster.sweep(), cluster.sweep()]
    cluster.wait("a backlog", lambda: waiting(settings().redis_url) >= settings().slots)
    sweeps[0].kill()
    with redis.Redis.from_url(settings().redis_url) as client:
        client.flushall()
    cluster.worker()
    cluster.wait("half of the work", lambda: cluster.labels() > pages // 2)
    with redis.Redis.from_url(settings().redis_url) as client:
        client.flushall()
    cluster.settle()
    assert cluster.labels() == pages


@pytest.fixture
def own_redis(cluster: Cluster) -> RedisServer:
    """A Redis of this cluster alone, not started yet."""
    server = prepare_redis(cluster.directory / "redis", cluster.directory / "redis.log", free_port())
    cluster.environment["FLYWHEEL_REDIS_URL"] = server.url()
    return server


@pytest.mark.chaos_long
def test_fault_8_submissions_while_redis_is_down_are_accepted_and_worked_on_when_it_returns(
    cluster: Cluster, own_redis: RedisServer
) -> None:
    first = own_redis.spawn()
    cluster.wait("Redis", own_redis.ready)
    cluster.sweep()
    worker = cluster.worker()
    pages = cluster.books(4, 4)
    cluster.wait("some work", lambda: cluster.labels() > 0)
    first.kill()
    first.wait(10)
    pages += cluster.books(6, 5)
    cluster.wait("the worker to notice", lambda: "Connection" in worker.says.partition("ready.")[2])
    second = own_redis.spawn()
    try:
        cluster.wait("Redis", own_redis.ready)
        cluster.settle(150)
    finally:
        second.kill()
        second.wait(10)
    assert worker.process.poll() is None
    assert cluster.labels() == pages


@pytest.mark.chaos_long
def test_fault_10_a_full_redis_pauses_the_work_and_it_goes_on_when_there_is_room(
    cluster: Cluster, own_redis: RedisServer
) -> None:
    """kombu notes what it took in Redis, too, and a worker whose note is refused ends: its supervisor's case."""
    server = own_redis.spawn()
    cluster.wait("Redis", own_redis.ready)
    try:
        sweep, worker = cluster.sweep(), cluster.worker()
        pages = cluster.books(4, 4)
        cluster.wait("some work", lambda: cluster.labels() > 0)
        with redis.Redis.from_url(own_redis.url()) as client:
            client.config_set("maxmemory", 1)
            pages += cluster.books(6, 5)
            cluster.wait("the refusal", lambda: "broker unavailable" in sweep.says)
            client.config_set("maxmemory", 0)
        worker.terminate()
        cluster.worker()
        cluster.settle()
    finally:
        server.kill()
        server.wait(10)
    assert sweep.process.poll() is None
    assert cluster.labels() == pages


def test_fault_24_of_two_schedulers_one_killed_across_a_tick_one_round_starts(programs: Cluster) -> None:
    _, pages = make_document(2, language="en")
    give_labels(pages, Outcome.ACCEPTED, lines=3)
    rules = {"FLYWHEEL_ROUNDS_AUTOMATIC": "1", "FLYWHEEL_ROUND_MIN_LINES": "1"}
    lost = programs.program("flywheel.loop.scheduler", fault="ticks:before kill 1", **rules)
    assert lost.process.wait(60) == -signal.SIGKILL
    assert programs.count(TickRow) == programs.count(RoundRow) == 0
    schedulers = [programs.start("scheduler", [sys.executable, "-c", ONE_TICK], **rules) for _ in range(2)]
    assert [scheduler.process.wait(60) for scheduler in schedulers] == [0, 0]
    assert sorted(scheduler.says.splitlines()[-1] for scheduler in schedulers) == ["[1 round]", "[]"]
    assert programs.count(TickRow) == programs.count(RoundRow) == 1
