"""Route of the work, as one literal: each stop with its queue, its limits, and the stops that follow it.

    ingest -> coarse -> recognition -> patches -> dataset -> training -> promotion -> relabel
                            ^                                                            |
                            +------------------------------------------------------------+

Trials, plans and exports are asked for by people and lead nowhere. Each stop has one noun, alike for its module
in tasks/, its Celery task, the `stop` column of its shards, its queue metric and its test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Queue = Literal["cpu", "gpu", "train", "control"]
QUEUES: tuple[Queue, ...] = get_args(Queue)

HOUR = 3600
URGENT = -10  # before the shards of corpora: someone is looking at the screen


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop of the route.

    `follows`: the stops that take up what this one leaves, by its own hand or when a round starts; for people, and
    held by tests to what the stops and the statuses of rounds do.
    `lease` is how long, in seconds, a claim lasts without a heartbeat; `attempts` how often
    a shard may be claimed before it is split or fails; `limit` the longest one attempt may take, in seconds;
    `priority` the place of its shards in their queue, the lowest first; `pages` the most in one shard
    (those of the coarse stop are a setting).
    """

    name: str
    queue: Queue
    follows: tuple[str, ...] = ()
    lease: int = 60
    attempts: int = 3
    limit: int = HOUR
    priority: int = 0
    pages: int = 1

    @property
    def task(self) -> str:
        return f"tasks.{self.name}"


ROUTE: dict[str, Stop] = {
    stop.name: stop
    for stop in (
        Stop("ingest", "cpu", follows=("coarse",)),
        Stop("coarse", "cpu", follows=("recognition", "patches")),
        # Reading takes about a second a page on a CPU: short enough to lose, long enough to batch.
        Stop("recognition", "gpu", follows=("patches",), pages=16),
        Stop("patches", "cpu", follows=("dataset",), pages=8),
        Stop("dataset", "cpu", follows=("training",)),
        Stop("training", "train", follows=("promotion",), attempts=10, limit=14 * 24 * HOUR),
        Stop("promotion", "control", follows=("relabel",)),
        Stop("relabel", "control", follows=("recognition",)),
        Stop("trial", "gpu", priority=URGENT),
        Stop("planning", "gpu", priority=URGENT),
        Stop("export", "cpu", limit=24 * HOUR),
    )
}
