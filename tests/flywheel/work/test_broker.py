"""Claims about hints."""

from __future__ import annotations

import pytest

from flywheel.work import broker


@pytest.mark.usefixtures("environment")
def test_a_hint_goes_to_the_queue_of_its_stop_and_to_no_other() -> None:
    broker.publish([(1, "coarse"), (2, "recognition"), (3, "training"), (4, "promotion"), (5, "ingest")])
    client = broker.redis_client()
    assert {queue: broker.backlog(client, queue) for queue in ("cpu", "gpu", "train", "control")} == {
        "cpu": 2,
        "gpu": 1,
        "train": 1,
        "control": 1,
    }
    client.close()
