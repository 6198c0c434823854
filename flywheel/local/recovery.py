"""Clear away the processes that a stack left: after its end, after a kill, before the next start."""

from __future__ import annotations

from pathlib import Path

import psutil

from flywheel.local import postgres, redis
from flywheel.local.processes import end_all, matching
from flywheel.local.record import MARK

PATIENCE = 4.0  # seconds between SIGTERM and SIGKILL for processes without a supervisor


def clear_away(data_dir: Path, seconds: float = PATIENCE) -> list[int]:
    """End every process of a stack in `data_dir`; returns their ids. Hold the directory's lock."""
    left = matching(lambda process: belongs(process, data_dir))
    end_all(left, seconds)
    late = matching(lambda process: belongs(process, data_dir))  # what they started meanwhile
    end_all(late, 0)
    redis.end_leftover(data_dir / "redis")
    postgres.end_leftover(data_dir / "postgres")
    return [process.pid for process in (*left, *late)]


def belongs(process: psutil.Process, data_dir: Path) -> bool:
    """True when a stack in `data_dir` started this process, or one of its ancestors."""
    return bool(process.environ().get(MARK, "").endswith(f":{data_dir}"))
