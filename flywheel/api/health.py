"""Health check, the one endpoint that needs no key."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter
from sqlalchemy import text

from flywheel import wire
from flywheel.database import transaction


def _version() -> str:
    try:
        return version("flywheel-ocr")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"


VERSION = _version()
router = APIRouter()


@router.get("/healthz", summary="Whether this process answers and reaches its database", tags=["health"])
def healthz() -> wire.Health:
    with transaction() as session:
        session.execute(text("SELECT 1"))
    return wire.Health(status="ok", version=VERSION)
