"""Workers: the processes with their devices and their present work."""

from __future__ import annotations

from fastapi import APIRouter

from flywheel import wire
from flywheel.api.access import Reader
from flywheel.api.strict import StrictRoute
from flywheel.catalog.rows import columns
from flywheel.database import transaction
from flywheel.work import workers

router = APIRouter(route_class=StrictRoute)


@router.get("/workers", summary="Worker processes seen within the last half minute")
def list_workers(_: Reader) -> list[wire.Worker]:
    with transaction() as session:
        return [wire.Worker.model_validate(columns(row)) for row in workers.recently_seen(session)]
