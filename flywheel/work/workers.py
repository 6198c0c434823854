"""Status rows of worker processes: activity, device, and what each waits for.

    status = WorkerStatus(device_facts); status.start(name)     in a worker's child: a row, renewed by a thread
    status.set_activity("recognition, shard 12")                written at once; None: idle
    recently_seen(session) -> rows                              of workers seen within the last half minute

The rows are for people. Nothing is decided by them: the ledger alone says who may work on a shard.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from flywheel.database import transaction
from flywheel.database.tables import WorkerRow
from flywheel.errors import Transient

log = structlog.get_logger()

STATUS_SECONDS = 5.0
LEAST_SECONDS = 0.5  # between two writes, however fast the activity changes
GONE_SECONDS = 30.0  # a worker not seen for so long is not listed
FORGOTTEN_HOURS = 24  # ... and its row is deleted


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """A device as it is now: bytes of its memory (of this process's own for "cpu"), utilisation 0..1."""

    device: str = "cpu"
    device_name: str = ""
    memory_used: int | None = None
    memory_total: int | None = None
    utilisation: float | None = None


class WorkerStatus:
    """Status row of this process, written by a thread every few seconds and at once when the activity changes."""

    def __init__(self, facts: Callable[[], DeviceFacts] = DeviceFacts) -> None:
        self.facts = facts
        self._name = ""
        self._activity: str | None = None
        self._waiting_for: str | None = None
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def id(self) -> str:
        return f"{socket.gethostname()}:{os.getpid()}"

    def start(self, name: str) -> None:
        """Start the thread. `name` of the group of workers, as Celery has it."""
        self._name = name
        self._changed, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._write_until_ended, name="worker status", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and delete the row."""
        if self._thread is None:
            return
        self._ended.set()
        self._changed.set()
        self._thread.join(timeout=10)
        self._thread = None

    def set_activity(self, activity: str | None) -> None:
        """Say what this process does now, for people; None: nothing. Clears what it waits for."""
        self._activity, self._waiting_for = activity, None
        self._changed.set()

    def set_waiting_for(self, what: str | None) -> None:
        """Say what this process waits for, for people; it stays in the row until the next activity."""
        self._waiting_for = what
        self._changed.set()

    def _write_until_ended(self) -> None:
        while not self._ended.is_set():
            self._changed.clear()
            self._commit(self._write)
            self._ended.wait(LEAST_SECONDS)
            self._changed.wait(STATUS_SECONDS)
        self._commit(self._delete)

    def _write(self, session: Session) -> None:
        write_status(session, self.id, self._name, self.facts(), self._activity, self._waiting_for)

    def _delete(self, session: Session) -> None:
        session.execute(delete(WorkerRow).where(WorkerRow.id == self.id))

    def _commit(self, change: Callable[[Session], None]) -> None:
        """Commit a change of the row; a database that is away costs the row's freshness alone."""
        try:
            with transaction() as session:
                change(session)
        except Transient as error:
            log.warning("status of the worker not written", error=str(error))


def write_status(
    session: Session, id_: str, name: str, facts: DeviceFacts, activity: str | None, waiting_for: str | None
) -> None:
    """Write or renew a worker's row."""
    values = {"name": name, **asdict(facts), "doing": activity, "waiting_for": waiting_for, "seen_at": func.now()}
    statement = insert(WorkerRow).values(id=id_, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


def recently_seen(session: Session) -> Sequence[WorkerRow]:
    """Workers seen within the last half minute, by name."""
    recent = WorkerRow.seen_at > func.now() - timedelta(seconds=GONE_SECONDS)
    return session.execute(select(WorkerRow).where(recent).order_by(WorkerRow.name, WorkerRow.id)).scalars().all()


def delete_gone(session: Session) -> None:
    """Delete the rows of workers that ended without deleting them."""
    old = WorkerRow.seen_at < func.now() - timedelta(hours=FORGOTTEN_HOURS)
    session.execute(delete(WorkerRow).where(old))
