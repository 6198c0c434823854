"""Everything killed at random: the order is the seed's, the moments are the machine's."""

from __future__ import annotations

import random
import time

import pytest

from tests.chaos.cluster import Cluster, Member

SECONDS = 60.0


@pytest.mark.chaos_long
@pytest.mark.timeout(600)
def test_fault_28_random_kills_of_everything_lose_no_page(cluster: Cluster) -> None:
    rng = random.Random(28)
    start = {"sweep": cluster.sweep, "worker": lambda: cluster.worker(processes=1)}
    running: list[tuple[str, Member]] = [(kind, start[kind]()) for kind in ("sweep", "sweep", "worker", "worker")]
    pages, kills, lot = 0, 0, 0
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        pages += cluster.books(2, rng.randrange(1, 20), lot=lot)
        lot += 1
        before = cluster.labels()
        enough = min(before + rng.randrange(1, 20), pages)
        cluster.wait("work going on", lambda n=enough: cluster.labels() >= n)
        place = rng.randrange(len(running))
        kind, member = running[place]
        member.kill()
        running[place] = (kind, start[kind]())
        kills += 1
    cluster.settle(150)
    assert kills > 5
    assert cluster.labels() >= 0.98 * pages
