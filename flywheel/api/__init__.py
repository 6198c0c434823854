"""HTTP API: endpoints by noun under /v1, with the JSON models of flywheel.wire; work is queued as rows.

Run it with `uvicorn flywheel.api:app`.
"""

from flywheel.api.application import app

__all__ = ["app"]
