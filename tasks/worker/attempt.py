"""Attempts: a function run on a claimed shard, and its errors turned into changes of the ledger.

    @stop_task("coarse")
    def coarse(attempt: Attempt) -> None: ...     the Celery task of a stop: claims the shard of a hint, then this

`attempt_shard` claims the shard, renews its lease from a thread while the function runs, and records how it
ended: finished by the function itself, given back, put off, or failed.
"""

from __future__ import annotations

import os
import socket
import threading
import traceback
import uuid
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import structlog

from flywheel.database import transaction
from flywheel.errors import (
    Cancelled,
    Conflict,
    DeviceBusy,
    LeaseLost,
    NotFound,
    Rejected,
    SetupError,
    Stopping,
    Transient,
)
from flywheel.loop.exhaustion import give_up
from flywheel.reasons import Reason
from flywheel.work import ledger
from flywheel.work.broker import app
from flywheel.work.ledger import Claim
from flywheel.work.route import ROUTE
from tasks.worker.lifecycle import is_shutting_down, worker_status

log = structlog.get_logger()

T = TypeVar("T")
RENEWALS = 4  # of a lease within its length
DEVICE_ERRORS = {"AcceleratorError", "OutOfMemoryError"}  # torch's, by name: torch is not loaded here


class AttemptOutcome(StrEnum):
    """End of an attempt at a shard."""

    UNCLAIMED = "unclaimed"  # the database was away; the sweep offers the shard again
    TAKEN = "taken"  # another worker holds it, or it is done
    FINISHED = "finished"
    LOST = "lost"  # the lease was, or the database: nothing of the attempt is recorded
    CANCELLED = "cancelled"
    RELEASED = "released"  # given back uncharged, as the worker shuts down
    DEFERRED = "deferred"  # put off uncharged: the surroundings are at fault
    REJECTED = "rejected"  # the input is at fault
    FAILED = "failed"


class Attempt:
    """One claimed shard in progress, its lease renewed by a thread of its own.

    Call `check` between pages: it raises when the work should end.
    """

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self._lost = threading.Event()
        self._ended = threading.Event()
        self._heartbeat = threading.Thread(target=self._renew_lease, name="lease heartbeat", daemon=True)

    def __enter__(self) -> Attempt:
        self._heartbeat.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._heartbeat.join(timeout=10)

    def check(self) -> None:
        """Raises LeaseLost when the shard is no longer ours, Stopping when the worker shuts down."""
        if self._lost.is_set():
            raise LeaseLost(f"shard {self.claim.shard_id} was taken or cancelled")
        if is_shutting_down():
            raise Stopping("the worker is shutting down")

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """The items one after another, with a `check` before each."""
        for item in items:
            self.check()
            yield item

    def should_stop(self) -> bool:
        """`check` as a question, for code that knows nothing of leases."""
        try:
            self.check()
        except (LeaseLost, Stopping):
            return True
        return False

    def _renew_lease(self) -> None:
        """Renew the lease again and again until the attempt ends or the lease is gone."""
        pause = ledger.lease_seconds(self.claim.stop) / RENEWALS
        while not self._ended.wait(pause):
            try:
                with transaction() as session:
                    held = ledger.renew(session, self.claim)
            except Transient as error:
                log.warning("heartbeat failed", shard=self.claim.shard_id, error=str(error))
                continue
            if not held:
                self._lost.set()
                return


StopFunction = Callable[[Attempt], None]


def stop_task(name: str) -> Callable[[StopFunction], Any]:
    """Make a function the task of the stop `name`; raises KeyError at import when there is no such stop."""
    stop = ROUTE[name]

    def decorate(function: StopFunction) -> Any:
        def hinted(shard_id: int) -> None:
            attempt_shard(function, shard_id)

        return app.task(name=stop.task, time_limit=stop.limit, ignore_result=True)(hinted)

    return decorate


def attempt_shard(function: StopFunction, shard_id: int) -> AttemptOutcome:
    """Claim a shard, run `function` on it, and record how it ended."""
    worker = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    try:
        with transaction() as session:
            claim = ledger.claim(session, shard_id, worker)
    except Transient as error:
        log.warning("claim failed; the sweep will offer the shard again", shard=shard_id, error=str(error))
        return AttemptOutcome.UNCLAIMED
    if claim is None:
        return AttemptOutcome.TAKEN
    with structlog.contextvars.bound_contextvars(stop=claim.stop, shard=shard_id, attempt=claim.attempt):
        try:
            outcome = _execute(function, claim)
        except (Transient, LeaseLost) as error:
            # The ledger itself is out of reach, or the shard is gone: the lease runs out by itself.
            log.warning("outcome not recorded", error=str(error))
            return AttemptOutcome.LOST
        if outcome is not AttemptOutcome.DEFERRED:  # what a deferred shard waits for stays in the row
            worker_status.set_activity(None)
        return outcome


def _execute(function: StopFunction, claim: Claim) -> AttemptOutcome:
    """Run the function; its errors become changes of the ledger. Raises Transient, LeaseLost of the ledger."""
    try:
        worker_status.set_activity(f"{claim.stop}, shard {claim.shard_id}")
        with Attempt(claim) as attempt:
            function(attempt)
    except LeaseLost as error:
        log.warning("lease lost", error=str(error))
        return AttemptOutcome.LOST
    except Cancelled:
        log.info("cancelled")
        return AttemptOutcome.CANCELLED
    except Stopping:
        with transaction() as session:
            ledger.release(session, claim)
        return AttemptOutcome.RELEASED
    except Transient as error:
        log.warning("deferred", error=str(error))
        return _defer(claim, error)
    except Rejected as error:
        _fail(claim, error.reason, error.detail, retry=False)
        return AttemptOutcome.REJECTED
    except SetupError as error:
        # A worker that is set up wrongly must not condemn pages; a round's own settings must fail it.
        if claim.page_ids or claim.document_id is not None:
            log.exception("this worker cannot do this")
            return _defer(claim, error)
        return _fail(claim, Reason.BAD_SETTINGS, str(error), retry=False)
    except (NotFound, Conflict) as error:
        return _fail(claim, Reason.BAD_SETTINGS, str(error), retry=False)
    except MemoryError:
        # Escaping, it would take the Celery worker's main process down (docs/faults.md, fault 23).
        log.exception("out of memory")
        return _fail(claim, Reason.PAGE_MEMORY, "out of memory in the worker", retry=True)
    except Exception as error:
        return _fail_unexpected(claim, error)
    return AttemptOutcome.FINISHED


def _defer(claim: Claim, error: Exception) -> AttemptOutcome:
    """Put the shard off; where the device is taken, the worker's row says by whom."""
    worker_status.set_activity(None)
    worker_status.set_waiting_for(str(error) if isinstance(error, DeviceBusy) else None)
    with transaction() as session:
        ledger.defer(session, claim, str(error))
    return AttemptOutcome.DEFERRED


def _fail(claim: Claim, reason: Reason, detail: str, *, retry: bool) -> AttemptOutcome:
    with transaction() as session:
        spent = ledger.fail(session, claim, reason, detail.replace("\x00", ""), retry=retry)
        if spent is not None:
            give_up(session, spent)
    return AttemptOutcome.FAILED


def _fail_unexpected(claim: Claim, error: Exception) -> AttemptOutcome:
    log.exception("unexpected error", exc_info=error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    detail = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
    outcome = _fail(claim, Reason.INTERNAL_ERROR, detail[:2000], retry=True)
    if type(error).__name__ in DEVICE_ERRORS:
        os._exit(1)  # the device's context is lost to this process; its successor gets a new one
    return outcome
