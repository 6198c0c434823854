"""Signals of a worker's processes: the status row begun and ended, and the file that tells children of a shutdown.

SIGTERM reaches the main process of a Celery worker only. It leaves a file in the work directory, named after its
process id, and its children look for that file between two pages.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery import signals

from flywheel.settings import settings
from flywheel.work.workers import WorkerStatus

worker_status = WorkerStatus()  # of this process, once Celery has made it a worker's child


def shutdown_file(main_process_id: int) -> Path:
    """The file that says that the worker with this main process shuts down."""
    return settings().work_dir / f"stopping.{main_process_id}"


def is_shutting_down() -> bool:
    """True in a child of a worker that was told to end."""
    return shutdown_file(os.getppid()).exists()


def _announce_shutdown(**_: Any) -> None:
    path = shutdown_file(os.getpid())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def _remove_announcement(**_: Any) -> None:
    shutdown_file(os.getpid()).unlink(missing_ok=True)


def _export_name(sender: str, **_: Any) -> None:
    """Put the worker's name where its children inherit it, forked or spawned."""
    os.environ["FLYWHEEL_WORKER"] = sender


def _start_status(**_: Any) -> None:
    worker_status.start(os.environ.get("FLYWHEEL_WORKER", "worker"))


def _stop_status(**_: Any) -> None:
    worker_status.stop()


signals.celeryd_after_setup.connect(_export_name)
signals.worker_process_init.connect(_start_status)
signals.worker_process_shutdown.connect(_stop_status)
signals.worker_shutting_down.connect(_announce_shutdown)
signals.worker_init.connect(_remove_announcement)
signals.worker_shutdown.connect(_remove_announcement)
