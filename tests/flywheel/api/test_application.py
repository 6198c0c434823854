"""The application as a whole: its start and its description."""

from __future__ import annotations

import subprocess
import sys

from flywheel import keys


def test_the_api_needs_neither_tensors_nor_a_broker_to_start() -> None:
    program = (
        "import flywheel.api, sys; "
        "print([m for m in ('torch', 'celery', 'pymupdf', 'redis', 'models', 'tasks') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_openapi_describes_every_noun() -> None:
    from flywheel.api import app

    operations = [operation for path in app.openapi()["paths"].values() for operation in path.values()]
    assert all(operation["summary"] for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert keys.PREFIX in app.openapi()["components"]["securitySchemes"]["HTTPBearer"]["description"]
