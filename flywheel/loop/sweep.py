"""The sweep: a loop in a process of its own that keeps everything moving.

It frees leases that ran out, publishes hints for shards that are ready (never more than a
queue can use soon), moves rounds on, and sends waiting pages to readers that have arrived.
Work that was just committed wakes it by NOTIFY; otherwise it looks every few
seconds. Any number may run at once, and any may be killed.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field

import psycopg
import structlog
from redis import Redis

from flywheel.database import CHANNEL, transaction
from flywheel.errors import BrokerUnavailable, Transient
from flywheel.loop import exhaustion, relabel, round_machine
from flywheel.settings import settings
from flywheel.work import broker, ledger, queues, workers
from flywheel.work.route import QUEUES, Queue

log = structlog.get_logger()

STALE_SECONDS = 60.0  # a hint unanswered this long is sent again
IDLE_STALE_SECONDS = 3.0  # ... or this long, when the broker's queue is empty: it was lost
EXPIRE_SECONDS = 0.5
ADVANCE_SECONDS = 0.3
HOUSEKEEPING_SECONDS = 10.0


@dataclass
class Sweep:
    """One sweeper."""

    redis: Redis = field(default_factory=broker.redis_client)
    _done_at: dict[str, float] = field(default_factory=dict)

    def sweep_once(self) -> int:
        """Do everything there is to do; returns how many things that was. Raises DatabaseUnavailable.

        Every commit of work wakes a sweep; what need not answer at once is done now and then.
        """
        done = 0
        if self._is_time_to("expire", EXPIRE_SECONDS):
            with transaction() as session:
                expired = ledger.expire(session)
                for shard in expired.spent:
                    exhaustion.give_up(session, shard)
                done += expired.leases
        if self._is_time_to("advance", ADVANCE_SECONDS):
            with transaction() as session:
                done += round_machine.advance(session)
        if self._is_time_to("waiting", HOUSEKEEPING_SECONDS):
            with transaction() as session:
                relabel.wake_waiting(session)
                workers.delete_gone(session)
        return done + sum(self.dispatch(queue) for queue in QUEUES)

    def _is_time_to(self, what: str, pause: float) -> bool:
        """True once in `pause` seconds, for each `what`."""
        now = time.monotonic()
        if now - self._done_at.get(what, -pause) < pause:
            return False
        self._done_at[what] = now
        return True

    def dispatch(self, queue: Queue) -> int:
        """Fill a queue up to its slots; returns the number of hints sent.

        They are marked as sent first: while that transaction is open its shards are locked, and a
        worker quick enough to take a hint then would find the shard taken and drop the hint. Hints
        that were marked and never sent are stale soon, and sent again.
        """
        try:
            waiting = broker.backlog(self.redis, queue)
            room = settings().slots - waiting
            if room <= 0:
                return 0
            with transaction() as session:
                hints = queues.take_hints(session, queue, room, STALE_SECONDS if waiting else IDLE_STALE_SECONDS)
            if hints:
                broker.publish(hints)
        except BrokerUnavailable as error:
            log.warning("broker unavailable; hints wait in the database", queue=queue, error=str(error))
            return 0
        return len(hints)


def main() -> None:
    """Sweep until SIGTERM or SIGINT."""
    ending: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda n, _: ending.append(n))
    sweep = Sweep()
    listener: psycopg.Connection | None = None
    while not ending:
        try:
            if listener is None or listener.closed:
                listener = psycopg.connect(settings().database_url, autocommit=True, connect_timeout=5)
                listener.execute(f"LISTEN {CHANNEL}")
            if sweep.sweep_once() == 0:
                wait(listener)
        except (Transient, psycopg.Error) as error:
            log.warning("database unavailable", error=str(error))
            listener = None
            time.sleep(settings().sweep_seconds)  # nothing to wait on: the server is away


def wait(listener: psycopg.Connection) -> None:
    """Return when someone commits work, or when it is time to sweep anyway."""
    for _ in listener.notifies(timeout=settings().sweep_seconds, stop_after=1):
        pass


if __name__ == "__main__":
    main()
