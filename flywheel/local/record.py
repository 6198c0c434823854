"""DIR/stack.json: state, address and processes of a stack; written by its supervisor, read by everyone else."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from flywheel.errors import Conflict
from flywheel.local.processes import same_process, wait_for
from flywheel.states import LIVE_STACKS, ProgramState, StackState

IN_USE = 75  # exit status (EX_TEMPFAIL) of a supervisor whose directory has one
MARK = "FLYWHEEL_STACK"  # environment variable of every child: RUN:DIR


@dataclass(frozen=True, slots=True)
class ProgramStatus:
    """Status of one program. `since`: Unix time of the last change of state; `exit_code`: of its last end."""

    name: str
    pid: int | None
    state: ProgramState
    restarts: int
    since: float
    log: str
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class StackStatus:
    """Status of a whole stack, and what a client needs to reach it."""

    state: StackState
    message: str
    data_dir: str
    run: str = ""
    pid: int = 0
    created: float = 0.0
    database_url: str = ""
    redis_url: str = ""
    store_url: str = ""
    api_url: str = ""
    work_dir: str = ""
    key_file: str = ""
    ports: tuple[tuple[str, int], ...] = ()
    programs: tuple[ProgramStatus, ...] = ()

    @property
    def alive(self) -> bool:
        """True while the supervisor that wrote this runs."""
        return bool(self.pid) and same_process(self.pid, self.created) is not None

    def port(self, name: str) -> int | None:
        return dict(self.ports).get(name)


def write_record(status: StackStatus) -> None:
    """Replace DIR/stack.json in one step; only its owner may read it, for it holds passwords."""
    path = record_file(Path(status.data_dir))
    building = path.with_name(f".stack.{secrets.token_hex(4)}")
    handle = os.open(building, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as target:
        json.dump(asdict(status), target, indent=1)
    building.replace(path)


def read_record(data_dir: Path) -> StackStatus | None:
    """Read the last supervisor's record and check it against the processes that live; None when none ever ran."""
    try:
        raw: dict[str, Any] = json.loads(record_file(data_dir).read_text())
    except FileNotFoundError:
        return None
    status = _from_json(raw)
    if status.state in LIVE_STACKS and not status.alive:
        programs = tuple(replace(program, state=ProgramState.STOPPED, pid=None) for program in status.programs)
        return replace(status, state=StackState.KILLED, message="the supervisor was killed", programs=programs)
    return status


def _from_json(raw: dict[str, Any]) -> StackStatus:
    programs = tuple(
        ProgramStatus(**{**entry, "state": ProgramState(entry["state"])}) for entry in raw["programs"]
    )
    ports = tuple((name, port) for name, port in raw["ports"])
    return StackStatus(**{**raw, "state": StackState(raw["state"]), "programs": programs, "ports": ports})


@contextmanager
def locked(data_dir: Path, seconds: float = 20.0, dying: str = "") -> Iterator[None]:
    """Hold the directory for exclusive use, until the block or the process ends.

    Waits while the rest of a killed stack is cleared away. Raises Conflict when a live one holds it,
    unless that is the run `dying`, whose supervisor is about to end.
    """
    handle = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        wait_for("the lock", lambda: _try_lock(handle, data_dir, dying), seconds)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int, data_dir: Path, dying: str) -> bool | None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        refuse_live(data_dir, dying)
        return None
    return True


def refuse_live(data_dir: Path, dying: str = "") -> None:
    """Raise Conflict when another process supervises a stack in this directory, in a run other than `dying`."""
    found = read_record(data_dir)
    if (
        found is not None
        and found.run != dying
        and found.alive
        and found.pid != os.getpid()
        and found.state is not StackState.STOPPED
    ):
        raise Conflict(f"a stack is {found.state} in {data_dir} already (process {found.pid})")


def record_file(data_dir: Path) -> Path:
    return data_dir / "stack.json"


def mark_of(run: str, data_dir: Path) -> str:
    """The value of MARK for the children of one run."""
    return f"{run}:{data_dir}"
