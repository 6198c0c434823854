"""The HTTP API: nouns under /v1, JSON in flywheel.wire's forms, work handed on as rows.

Run it with `uvicorn flywheel.api:app`.
"""

from flywheel.api.application import app

__all__ = ["app"]
