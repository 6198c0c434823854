"""The HTTP API: nouns under /v1, JSON in flywheel.wire's forms, work handed on as rows. `uvicorn flywheel.api:app`."""

from flywheel.api.application import app

__all__ = ["app"]
