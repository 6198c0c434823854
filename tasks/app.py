"""The Celery application with every stop's task: `celery -A tasks.app worker -Q cpu`."""

from __future__ import annotations

from flywheel.broker import app
from tasks import coarse, dataset, export, ingest, patches, promotion, reading, recognition, relabel, training

__all__ = [
    "app",
    "coarse",
    "dataset",
    "export",
    "ingest",
    "patches",
    "promotion",
    "reading",
    "recognition",
    "relabel",
    "training",
]
