"""The lock between training and labelling on a device, and workers' reports of themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from flywheel.database import transaction
from flywheel.errors import DeviceBusy, Stopping
from flywheel.settings import settings
from flywheel.work.workers import DeviceFacts, WorkerStatus, recently_seen
from tasks.worker.device import device_facts, hold_device
from tasks.worker.lifecycle import worker_status

GPU = "cuda:0"


class StandInAttempt:
    """Stands for a claimed shard: `check` raises once the worker is told to stop."""

    def __init__(self) -> None:
        self.stopping = threading.Event()

    def check(self) -> None:
        if self.stopping.is_set():
            raise Stopping("the worker is shutting down")


@pytest.fixture
def attempt(environment: None) -> StandInAttempt:
    return StandInAttempt()


def until(true: Callable[[], bool]) -> None:
    """Wait for another thread."""
    waited = threading.Event()
    for _ in range(500):
        if true():
            return
        waited.wait(0.02)
    raise AssertionError("it did not come about")


def test_labelling_gives_way_to_a_training_and_is_told_to_which(attempt: StandInAttempt) -> None:
    refused = pytest.raises(DeviceBusy, match="training of round 7 has cuda:0")
    with (
        hold_device(attempt, GPU, "training of round 7", training=True),
        refused,
        hold_device(attempt, GPU, "", training=False),
    ):
        pass
    with hold_device(attempt, GPU, "", training=False):
        pass


def test_shards_that_read_share_the_device_and_another_device_is_another_matter(attempt: StandInAttempt) -> None:
    together = []
    with hold_device(attempt, GPU, "", training=False), hold_device(attempt, GPU, "", training=False):
        together.append("two shards")
    with (
        hold_device(attempt, GPU, "a training", training=True),
        hold_device(attempt, "cuda:1", "", training=False),
    ):
        together.append("a training and a shard")
    assert together == ["two shards", "a training and a shard"]


def test_a_training_waits_for_the_shards_being_read_and_nobody_begins_another(attempt: StandInAttempt) -> None:
    began = threading.Event()

    def train() -> None:
        with hold_device(attempt, GPU, "training of round 8", training=True):
            began.set()

    with hold_device(attempt, GPU, "", training=False):
        trainer = threading.Thread(target=train)
        trainer.start()
        until(lambda: worker_status._waiting_for == "labelling on cuda:0 to end its shard")
        with pytest.raises(DeviceBusy, match="round 8"), hold_device(attempt, GPU, "", training=False):
            pass
        assert not began.is_set()
    trainer.join(10)
    assert began.is_set()


def test_a_training_that_waits_can_be_stopped(attempt: StandInAttempt) -> None:
    with hold_device(attempt, GPU, "", training=False):
        attempt.stopping.set()
        with pytest.raises(Stopping), hold_device(attempt, GPU, "a training", training=True):
            pass


def test_a_cpu_and_a_shared_device_know_no_rule(attempt: StandInAttempt, monkeypatch: pytest.MonkeyPatch) -> None:
    with hold_device(attempt, "cpu", "a training", training=True), hold_device(attempt, "cpu", "", training=False):
        pass
    monkeypatch.setenv("FLYWHEEL_DEVICE_RULE", "together")
    settings.cache_clear()
    with hold_device(attempt, GPU, "a training", training=True), hold_device(attempt, GPU, "", training=False):
        pass
    assert not (Path(settings().work_dir) / "devices").exists()


def test_a_worker_says_what_it_does_for_whom_it_waits_and_when_it_goes(environment: None) -> None:
    mine = WorkerStatus(lambda: DeviceFacts("cuda:0", "a card", 5, 10, 0.5))

    def rows() -> list[tuple[str, str | None, str | None, float | None]]:
        with transaction() as session:
            return [(row.name, row.doing, row.waiting_for, row.utilisation) for row in recently_seen(session)]

    mine.start("gpu@here")
    try:
        mine.set_activity("recognition, shard 3")
        until(lambda: rows() == [("gpu@here", "recognition, shard 3", None, 0.5)])
        mine.set_activity(None)
        mine.set_waiting_for("training of round 7 has cuda:0")
        until(lambda: rows() == [("gpu@here", None, "training of round 7 has cuda:0", 0.5)])
    finally:
        mine.stop()
    assert rows() == []


def test_a_process_knows_its_device() -> None:
    here = device_facts()
    assert here.device.split(":")[0] in ("cpu", "cuda")
    assert here.memory_used
    assert here.memory_total
    assert here.memory_used < here.memory_total
