"""The Celery application with every stop's task: `celery -A tasks.app worker -Q cpu`."""

from __future__ import annotations

from flywheel.work.broker import app, pulse
from tasks import coarse, dataset, export, ingest, patches, planning, promotion, recognition, relabel, training
from tasks import trial as reading
from tasks.worker import device

pulse.facts = device.facts

__all__ = [
    "app",
    "coarse",
    "dataset",
    "export",
    "ingest",
    "patches",
    "planning",
    "promotion",
    "reading",
    "recognition",
    "relabel",
    "training",
]
