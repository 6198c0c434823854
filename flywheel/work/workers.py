"""Worker processes: what each is doing, on what device, and for whom it waits.

    pulse = Pulse(device_facts); pulse.start(name)     in a worker's child: a row, kept fresh by a thread
    pulse.doing("recognition, shard 12")               what the next beat says; None: nothing
    alive(session) -> rows                             of workers seen lately

The rows are for people. Nothing is decided by them: who may work on what is the ledger's affair.
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
LEAST_SECONDS = 0.5  # between beats, however fast what is done changes
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
    """Writes this process's row every few seconds, and at once when what it does changes."""

    def __init__(self, facts: Callable[[], DeviceFacts] = DeviceFacts) -> None:
        self.facts = facts
        self._name = ""
        self._doing: str | None = None
        self._waiting_for: str | None = None
        self._changed = threading.Event()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def id(self) -> str:
        return f"{socket.gethostname()}:{os.getpid()}"

    def start(self, name: str) -> None:
        """Begin to beat. `name` of the group of workers, as Celery has it."""
        self._name = name
        self._changed, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, and take the row away."""
        if self._thread is None:
            return
        self._ending.set()
        self._changed.set()
        self._thread.join(timeout=10)
        self._thread = None

    def doing(self, what: str | None) -> None:
        self._doing, self._waiting_for = what, None
        self._changed.set()

    def waits(self, for_what: str | None) -> None:
        """Say for whom this process waits; it stays said until `doing` is called."""
        self._waiting_for = for_what
        self._changed.set()

    def _run(self) -> None:
        while not self._ending.is_set():
            self._changed.clear()
            self._quietly(self._beat)
            self._ending.wait(LEAST_SECONDS)
            self._changed.wait(STATUS_SECONDS)
        self._quietly(self._forget)

    def _beat(self, session: Session) -> None:
        write_status(session, self.id, self._name, self.facts(), self._doing, self._waiting_for)

    def _forget(self, session: Session) -> None:
        session.execute(delete(WorkerRow).where(WorkerRow.id == self.id))

    def _quietly(self, write: Callable[[Session], None]) -> None:
        try:
            with transaction() as session:
                write(session)
        except Transient as error:
            log.warning("heartbeat of the worker failed", error=str(error))


def write_status(
    session: Session, id_: str, name: str, facts: DeviceFacts, doing: str | None, waiting_for: str | None
) -> None:
    """Write or renew a worker's row."""
    values = {"name": name, **asdict(facts), "doing": doing, "waiting_for": waiting_for, "seen_at": func.now()}
    statement = insert(WorkerRow).values(id=id_, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


def alive(session: Session) -> Sequence[WorkerRow]:
    """Workers seen within the last half minute, by name."""
    recent = WorkerRow.seen_at > func.now() - timedelta(seconds=GONE_SECONDS)
    return session.execute(select(WorkerRow).where(recent).order_by(WorkerRow.name, WorkerRow.id)).scalars().all()


def forget_gone(session: Session) -> None:
    """Delete the rows of workers that ended without a word."""
    old = WorkerRow.seen_at < func.now() - timedelta(hours=FORGOTTEN_HOURS)
    session.execute(delete(WorkerRow).where(old))
