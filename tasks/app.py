"""The Celery application with every stop's task: `celery -A tasks.app worker -Q cpu`."""

from __future__ import annotations

from flywheel.broker import app, pulse
from tasks import (
    coarse,
    dataset,
    device,
    export,
    ingest,
    patches,
    planning,
    promotion,
    reading,
    recognition,
    relabel,
    training,
)

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
