"""The Celery application with every stop's task: `celery -A tasks.app worker -Q cpu`."""

from __future__ import annotations

from flywheel.work.broker import app
from tasks import (
    coarse,
    dataset,
    export,
    ingest,
    patches,
    planning,
    promotion,
    recognition,
    relabel,
    training,
    trial,
)
from tasks.worker import device
from tasks.worker.lifecycle import worker_status

worker_status.facts = device.device_facts

__all__ = [
    "app",
    "coarse",
    "dataset",
    "export",
    "ingest",
    "patches",
    "planning",
    "promotion",
    "recognition",
    "relabel",
    "training",
    "trial",
]
