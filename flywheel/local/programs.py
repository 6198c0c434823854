"""Programs of the embedded stack besides its two servers, as one literal."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised program.

    In `argv`, {python}, {host}, {api_port}, {data_dir} and {work_dir} are filled in. `env` is added to the
    stack's own. `grace`: seconds between SIGTERM and SIGKILL. `serves_api`: the stack is ready once
    the API's port answers.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    grace: float = 15.0
    serves_api: bool = False

    def command(self, values: Mapping[str, str]) -> list[str]:
        """`argv` with the values in place. Other braces are left alone."""
        known = re.compile("|".join("{" + name + "}" for name in values))
        return [known.sub(lambda found: values[found[0][1:-1]], part) for part in self.argv]


# Processes that may use a GPU are spawned, for CUDA does not survive a fork; a spawned process knows no task
# but those that it is told to import.
SPAWNED = ("--pool-start-method", "spawn", "--include", "tasks.app")


def worker(name: str, queues: str, processes: int, *pool: str, **env: str) -> Program:
    """A Celery worker. Health is in the database's rows, so the workers do not gossip."""
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    celery = ("{python}", "-m", "celery", "-A", "tasks.app", "worker", "--loglevel", "INFO")
    return Program(
        f"worker-{name}",
        (*celery, "--queues", queues, "--concurrency", str(processes), "--hostname", f"{name}@%h", *quiet, *pool),
        env,
    )


PROGRAMS: tuple[Program, ...] = (
    Program(
        "api",
        ("{python}", "-m", "uvicorn", "flywheel.api:app", "--host", "{host}", "--port", "{api_port}"),
        serves_api=True,
    ),
    worker("cpu", "cpu,control", 2, OMP_NUM_THREADS="1"),
    worker("gpu", "gpu", 1, *SPAWNED),
    worker("train", "train", 1, *SPAWNED),
    Program("sweep", ("{python}", "-m", "flywheel.loop.sweep")),
    Program("scheduler", ("{python}", "-m", "flywheel.loop.scheduler")),
)


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Rules for starting a program again that ended. Seconds, but for `give_up`.

    The pause doubles from `first_pause` to `longest_pause`. After `give_up` ends in a row,
    each before the program had run `healthy` seconds, it is left alone and its state says so.
    `ready` is how long the stack may take to answer.
    """

    first_pause: float = 0.5
    longest_pause: float = 30.0
    healthy: float = 10.0
    give_up: int = 12
    ready: float = 90.0


def to_json(programs: tuple[Program, ...], policy: RestartPolicy) -> dict[str, Any]:
    """JSON form, for the supervisor's process."""
    return {"programs": [asdict(program) for program in programs], "policy": asdict(policy)}


def from_json(data: Mapping[str, Any]) -> tuple[tuple[Program, ...], RestartPolicy]:
    """The inverse of `to_json`."""
    programs = tuple(Program(**{**entry, "argv": tuple(entry["argv"])}) for entry in data["programs"])
    return programs, RestartPolicy(**data["policy"])


def argv_values(data_dir: str, work_dir: str, host: str, api_port: int) -> dict[str, str]:
    """Values for the braces of `Program.argv`."""
    return {
        "python": sys.executable,
        "host": host,
        "api_port": str(api_port),
        "data_dir": data_dir,
        "work_dir": work_dir,
    }
