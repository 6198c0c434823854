"""The loop, as one literal: stop -> task, queue, what may follow.

    PDF -> pages -> coarse label -> recognition -> patches -> dataset -> training
                        ^                                                  |
                        +------ relabel <------ promotion <----------------+
                                                                  -> export

Each stop has one noun, alike for its module in tasks/, its Celery task, the
`stop` column of its shards, its queue metric and its test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Queue = Literal["cpu", "gpu", "train", "control"]
QUEUES: tuple[Queue, ...] = get_args(Queue)


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop of the loop.

    `lease` is how long, in seconds, a claim lasts without a heartbeat; `attempts` how often
    a shard may be claimed before it is split or fails; `limit` the longest one attempt may take.
    """

    name: str
    queue: Queue
    follows: tuple[str, ...]
    lease: int = 60
    attempts: int = 3
    limit: int = 3600

    @property
    def task(self) -> str:
        return f"tasks.{self.name}"


ROUTE: dict[str, Stop] = {
    stop.name: stop
    for stop in (
        Stop("ingest", "cpu", follows=("coarse",)),
        Stop("coarse", "cpu", follows=("recognition",)),
        Stop("recognition", "gpu", follows=()),
        Stop("patches", "cpu", follows=("dataset",)),
        Stop("dataset", "cpu", follows=("training",)),
        Stop("training", "train", follows=("promotion",), attempts=10, limit=14 * 24 * 3600),
        Stop("promotion", "control", follows=("relabel",)),
        Stop("relabel", "control", follows=("recognition",)),
        Stop("trial", "gpu", follows=()),
        Stop("planning", "gpu", follows=()),
        Stop("export", "cpu", follows=(), limit=24 * 3600),
    )
}
