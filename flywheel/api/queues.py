"""Queues: the open work of each stop of the loop."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from flywheel import wire
from flywheel.api.access import Reader
from flywheel.api.strict import StrictRoute
from flywheel.database import transaction
from flywheel.work.queues import queue_depths

router = APIRouter(route_class=StrictRoute)


@router.get("/queues", summary="Open work by queue and stop, in shards")
def list_queues(_: Reader) -> list[wire.QueueInfo]:
    with transaction() as session:
        return [wire.QueueInfo.model_validate(asdict(depth)) for depth in queue_depths(session)]
