"""A worker starts in this environment, which has what every worker needs but no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
import models.readers.lines, models.paddle, tasks.app, tasks.worker.readers
assert not {"torch", "transformers", "paddleocr"} & sys.modules.keys()
"""


def test_the_programs_of_a_worker_start_without_torch_and_without_the_library(tmp_path: Path) -> None:
    values = {
        "DATABASE": "postgresql://nobody@localhost/none",
        "REDIS": "redis://localhost",
        "STORE": tmp_path.as_uri(),
    }
    environment = {f"FLYWHEEL_{name}_URL": value for name, value in values.items()}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
