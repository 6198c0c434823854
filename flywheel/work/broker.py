"""Celery, and what turns a function into a stop of the loop.

Messages carry a shard's id and nothing else: they are hints. The database
redelivers, so acknowledgement is early and nothing is retried here
(RELIABILITY: with late acknowledgement, killed workers lost tasks for good).
`stop_task` claims the shard, keeps its lease alive while the function runs, and
turns what the function raises into a change in the ledger.
"""

from __future__ import annotations

import os
import socket
import threading
import traceback
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog
from celery import Celery, signals
from kombu.entity import Queue
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from flywheel.database import transaction
from flywheel.errors import (
    BrokerUnavailable,
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
from flywheel.reasons import Reason
from flywheel.settings import settings
from flywheel.work import ledger
from flywheel.work.ledger import Claim
from flywheel.work.route import QUEUES, ROUTE
from flywheel.work.workers import WorkerStatus

log = structlog.get_logger()

app = Celery("flywheel", broker=os.environ.get("FLYWHEEL_REDIS_URL", "redis://"), include=[])
app.conf.update(
    task_acks_late=False,
    task_reject_on_worker_lost=False,
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    task_serializer="json",
    accept_content=["json"],
    task_queues=[Queue(name, routing_key=name) for name in QUEUES],
    task_routes={stop.task: {"queue": stop.queue} for stop in ROUTE.values()},
    task_default_queue="control",
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 25,
        "visibility_timeout": 3600,
    },
)

DEVICE_ERRORS = {"AcceleratorError", "OutOfMemoryError"}  # torch's, by name: torch is not loaded here
WORKER = f"{socket.gethostname()}:{os.getpid()}"
worker_status = WorkerStatus()  # of this process, once Celery has made it a worker's child


class Attempt:
    """One claimed shard in progress. Call `check` between pages: it raises when the work should end."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self._lost = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Attempt:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(timeout=10)

    def check(self) -> None:
        """Raises LeaseLost when the shard is no longer ours, Stopping when the worker shuts down."""
        if self._lost.is_set():
            raise LeaseLost(f"shard {self.claim.shard_id} was taken or cancelled")
        if _stop_file(os.getppid()).exists():
            raise Stopping("the worker is shutting down")

    def should_stop(self) -> bool:
        """`check` as a question, for code that knows nothing of leases."""
        try:
            self.check()
        except (LeaseLost, Stopping):
            return True
        return False

    def _beat(self) -> None:
        pause = ledger.lease_seconds(self.claim.stop) / 4
        while not self._done.wait(pause):
            try:
                with transaction() as session:
                    held = ledger.renew(session, self.claim)
            except Transient as error:
                log.warning("heartbeat failed", shard=self.claim.shard_id, error=str(error))
                continue
            if not held:
                self._lost.set()
                return


def stop_task(name: str) -> Callable[[Callable[[Attempt], None]], Any]:
    """Make a function the task of the stop `name`; raises KeyError at import when there is no such stop."""
    stop = ROUTE[name]

    def decorate(function: Callable[[Attempt], None]) -> Any:
        def hinted(shard_id: int) -> None:
            perform(function, shard_id)

        return app.task(name=stop.task, time_limit=stop.limit, ignore_result=True)(hinted)

    return decorate


def perform(function: Callable[[Attempt], None], shard_id: int) -> str:
    """Claim `shard_id`, run `function` on it, record how it went. Returns what happened, in one word."""
    worker = f"{WORKER}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    try:
        with transaction() as session:
            claim = ledger.claim(session, shard_id, worker)
    except Transient as error:
        log.warning("claim failed; the sweep will offer the shard again", shard=shard_id, error=str(error))
        return "unclaimed"
    if claim is None:
        return "taken"
    with structlog.contextvars.bound_contextvars(stop=claim.stop, shard=shard_id, attempt=claim.attempt):
        try:
            outcome = _attempt(function, claim)
            if outcome != "deferred":  # what it waits for stays said
                worker_status.doing(None)
            return outcome
        except (Transient, LeaseLost) as error:
            # The ledger itself is out of reach, or the shard is gone: the lease runs out by itself.
            log.warning("outcome not recorded", error=str(error))
            return "lost"


def _attempt(function: Callable[[Attempt], None], claim: Claim) -> str:
    try:
        worker_status.doing(f"{claim.stop}, shard {claim.shard_id}")
        with Attempt(claim) as run:
            function(run)
    except LeaseLost as error:
        log.warning("lease lost", error=str(error))
        return "lost"
    except Cancelled:
        log.info("cancelled")
        return "cancelled"
    except Stopping:
        with transaction() as session:
            ledger.release(session, claim)
        return "released"
    except Transient as error:
        log.warning("deferred", error=str(error))
        worker_status.doing(None)
        worker_status.waits(str(error) if isinstance(error, DeviceBusy) else None)
        with transaction() as session:
            ledger.defer(session, claim, str(error))
        return "deferred"
    except Rejected as error:
        _fail(claim, error.reason, error.detail, retry=False)
        return "rejected"
    except SetupError as error:
        # A worker that is set up wrongly must not condemn pages; a round's own settings must fail it.
        if claim.page_ids or claim.document_id is not None:
            log.exception("this worker cannot do this")
            with transaction() as session:
                ledger.defer(session, claim, str(error))
            return "deferred"
        _fail(claim, Reason.BAD_SETTINGS, str(error), retry=False)
        return "failed"
    except (NotFound, Conflict) as error:
        _fail(claim, Reason.BAD_SETTINGS, str(error), retry=False)
        return "failed"
    except MemoryError:
        # Escaping, it would take the Celery worker's main process down (RELIABILITY, fault 23).
        log.exception("out of memory")
        _fail(claim, Reason.PAGE_MEMORY, "out of memory in the worker", retry=True)
        return "failed"
    except Exception as error:
        log.exception("unexpected error")
        where = traceback.extract_tb(error.__traceback__)[-1]
        detail = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        _fail(claim, Reason.INTERNAL_ERROR, detail[:2000], retry=True)
        if type(error).__name__ in DEVICE_ERRORS:
            os._exit(1)  # the device's context is lost to this process; its successor gets a new one
        return "failed"
    return "finished"


def _fail(claim: Claim, reason: Reason, detail: str, *, retry: bool) -> None:
    with transaction() as session:
        ledger.fail(session, claim, reason, detail.replace("\x00", ""), retry=retry)


def publish(hints: Sequence[tuple[int, str]]) -> None:
    """Send one hint for each (shard id, stop). Raises BrokerUnavailable when Redis refuses."""
    try:
        with app.connection_for_write(url=settings().redis_url) as connection:
            producer = app.amqp.Producer(connection)
            for shard_id, stop in hints:
                app.send_task(
                    ROUTE[stop].task,
                    args=[shard_id],
                    queue=ROUTE[stop].queue,
                    producer=producer,
                    retry=False,
                )
    except (OperationalError, RedisError, OSError) as error:
        raise BrokerUnavailable(str(error)) from error


def redis() -> Redis:
    """A client of the broker, to look at it."""
    url = settings().redis_url.replace("redis+socket://", "unix://")
    return Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)


def backlog(client: Redis, queue: str) -> int:
    """Hints waiting in a queue. Raises BrokerUnavailable."""
    try:
        return int(client.llen(queue))
    except (RedisError, OSError) as error:
        raise BrokerUnavailable(str(error)) from error


def _stop_file(main_pid: int) -> Path:
    return settings().work_dir / f"stopping.{main_pid}"


def _tell_children(**_: Any) -> None:
    """SIGTERM reaches the main process only; its children see this file between two pages."""
    path = _stop_file(os.getpid())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def _forget(**_: Any) -> None:
    _stop_file(os.getpid()).unlink(missing_ok=True)


def _name_children(sender: str, **_: Any) -> None:
    """The group's name, for its children to inherit, forked or spawned."""
    os.environ["FLYWHEEL_WORKER"] = sender


def _begin_pulse(**_: Any) -> None:
    worker_status.start(os.environ.get("FLYWHEEL_WORKER", "worker"))


def _end_pulse(**_: Any) -> None:
    worker_status.stop()


signals.celeryd_after_setup.connect(_name_children)
signals.worker_process_init.connect(_begin_pulse)
signals.worker_process_shutdown.connect(_end_pulse)
signals.worker_shutting_down.connect(_tell_children)
signals.worker_init.connect(_forget)
signals.worker_shutdown.connect(_forget)
