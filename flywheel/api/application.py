"""ASGI application of the API: one router a noun, one form of error, the OpenAPI text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from flywheel import wire
from flywheel.api import (
    audit,
    checkpoints,
    corpora,
    documents,
    exports,
    failures,
    health,
    keys,
    labels,
    pages,
    promotions,
    queues,
    rounds,
    trials,
    workers,
)
from flywheel.api.rendering import close_renderers
from flywheel.api.strict import StrictRoute

DESCRIPTION = """
Corpora of PDFs and scans go in, every page is labelled, rounds of fine-tuning make better readers,
and training sets come out.

Send the key as `Authorization: Bearer fw_...`. Every error is `{"error": {"code", "detail"}}` with a
stable code. Listings give a `next` cursor until they end. Work is done in the background: what a POST
starts, a GET follows.
"""

NOUNS = (
    corpora,
    documents,
    pages,
    labels,
    queues,
    workers,
    rounds,
    checkpoints,
    promotions,
    exports,
    trials,
    audit,
    keys,
)

FAILURES = {
    401: "No key, or one that is unknown, expired or revoked",
    403: "The key lacks the scope",
    404: "Nothing has this name or id",
    422: "The input is at fault; the code says how",
    503: "A server behind this one does not answer; try again after Retry-After seconds",
}


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    close_renderers()


def build() -> FastAPI:
    """Build an application; it reads its settings when the first request comes."""
    application = FastAPI(
        title="Flywheel", version=health.VERSION, description=DESCRIPTION, lifespan=lifespan, redoc_url=None
    )
    application.router.route_class = StrictRoute
    application.include_router(health.router)
    documented: dict[int | str, dict[str, Any]] = {
        status: {"description": text, "model": wire.FailureBody} for status, text in FAILURES.items()
    }
    for noun in NOUNS:
        name = noun.__name__.rsplit(".", 1)[-1]
        application.include_router(noun.router, prefix="/v1", tags=[name], responses=documented)
    failures.install(application)
    return application


app = build()
