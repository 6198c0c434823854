"""Models of the service itself: health, open work, workers, API keys and errors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from flywheel.scopes import Scope
from flywheel.wire.forms import Request, Response


class Health(Response):
    status: Literal["ok"]
    version: str


class QueueInfo(Response):
    """Open work of one stop, in shards; `pages` in all of them."""

    queue: str
    stop: str
    ready: int
    running: int
    delayed: int
    oldest_seconds: float
    pages: int = 0


class Worker(Response):
    """Worker process by its last report. Memory in bytes; utilisation a share of 1."""

    id: str
    name: str
    device: str
    device_name: str
    memory_used: int | None
    memory_total: int | None
    utilisation: float | None
    doing: str | None
    waiting_for: str | None
    started_at: datetime
    seen_at: datetime


class KeyRequest(Request):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    scopes: Annotated[list[Scope], Field(min_length=1)]
    expires_at: datetime | None = None


class KeyInfo(Response):
    id: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKey(Response):
    id: str
    key: str = Field(description="shown here and never again")


class Failure(Response):
    """Error of a request, in the body {"error": Failure}."""

    code: str
    detail: str


class FailureBody(Response):
    error: Failure
