"""Start, find and stop embedded stacks, from any process of the same user."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from flywheel.errors import Conflict, SetupError
from flywheel.local.processes import rotate, same_process, tail
from flywheel.local.programs import PROGRAMS, Program, RestartPolicy, to_json
from flywheel.local.record import IN_USE, StackStatus, locked, read_record, refuse_live
from flywheel.local.recovery import clear_away
from flywheel.states import StackState

Progress = Callable[[str], None]
_started: dict[int, subprocess.Popen[bytes]] = {}  # supervisors that are our children: to be reaped


class Stack:
    """A running stack. As a context manager it is stopped at the end."""

    def __init__(self, status: StackStatus) -> None:
        self.status = status
        self.data_dir = Path(status.data_dir)

    @property
    def api_url(self) -> str:
        return self.status.api_url

    @property
    def api_key(self) -> str:
        return Path(self.status.key_file).read_text().strip()

    def environment(self) -> dict[str, str]:
        """The variables that make a program of this machine part of the stack, or its client."""
        return {
            "FLYWHEEL_DATABASE_URL": self.status.database_url,
            "FLYWHEEL_REDIS_URL": self.status.redis_url,
            "FLYWHEEL_STORE_URL": self.status.store_url,
            "FLYWHEEL_WORK_DIR": self.status.work_dir,
            "FLYWHEEL_API_URL": self.status.api_url,
            "FLYWHEEL_API_KEY": self.api_key,
        }

    def wait(self) -> StackStatus:
        """Wait until the stack ends by itself or by `stop`; returns its last status."""
        if process := same_process(self.status.pid, self.status.created):
            process.wait()
        return status(self.data_dir)

    def stop(self) -> None:
        stop(self.data_dir)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(
    data_dir: Path,
    *,
    programs: tuple[Program, ...] = PROGRAMS,
    policy: RestartPolicy | None = None,
    attached: bool = False,
    on_progress: Progress = lambda _message: None,
) -> Stack:
    """Start a stack and return when it is ready.

    Detached, it lives until `stop`; attached, no longer than this process. Raises Conflict when one
    runs there already, SetupError, with the end of the log concerned, when it does not come up.
    """
    data_dir = _own_directory(data_dir)
    refuse_live(data_dir)
    run = uuid.uuid4().hex
    log = data_dir / "logs" / "supervisor.log"
    child = _spawn_supervisor(data_dir, run, to_json(programs, policy or RestartPolicy()), log, attached)
    try:
        return Stack(_await_ready(data_dir, run, child, log, on_progress))
    except BaseException:
        # Also on Ctrl-C: what was started for this call ends with it.
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        _reap(child)
        raise


def stop(data_dir: Path, seconds: float = 90.0) -> bool:
    """Stop the stack in `data_dir` and whatever a killed one left; True when anything ran.

    A supervisor that takes longer than `seconds` is killed.
    """
    data_dir = data_dir.resolve()
    found = read_record(data_dir)
    if found is None:
        return False
    supervisor = same_process(found.pid, found.created)
    if supervisor is not None:
        with suppress(psutil.NoSuchProcess):
            supervisor.send_signal(signal.SIGTERM)
            _wait_until_ended(supervisor, seconds)
    with locked(data_dir):
        left = clear_away(data_dir)
    return supervisor is not None or bool(left)


def status(data_dir: Path) -> StackStatus:
    """Status of the stack in `data_dir`; stopped where there never was one."""
    data_dir = data_dir.resolve()
    return read_record(data_dir) or StackStatus(StackState.STOPPED, "never started", str(data_dir))


def find(data_dir: Path) -> Stack | None:
    """The stack that is ready in `data_dir`, or None."""
    found = status(data_dir)
    return Stack(found) if found.state is StackState.READY else None


def _own_directory(data_dir: Path) -> Path:
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        (data_dir / "logs").mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise SetupError(f"{data_dir} cannot hold a stack: {error}") from error
    if data_dir.stat().st_uid != os.geteuid():
        raise SetupError(f"{data_dir} belongs to another user; a stack lives in a directory of its own user")
    return data_dir.resolve()


def _spawn_supervisor(
    data_dir: Path, run: str, programs: dict[str, object], log: Path, attached: bool
) -> subprocess.Popen[bytes]:
    options = ["--run", run, "--programs", json.dumps(programs)]
    command = [sys.executable, "-m", "flywheel.local", str(data_dir), *options]
    rotate(log)
    with log.open("ab") as output:
        child = subprocess.Popen(
            command + (["--attached"] if attached else []),
            cwd=log.parent,
            stdin=subprocess.PIPE if attached else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _started[child.pid] = child  # keeps the pipe of an attached one open, too
    return child


def _await_ready(
    data_dir: Path, run: str, child: subprocess.Popen[bytes], log: Path, on_progress: Progress
) -> StackStatus:
    told = ""
    while True:
        ended = child.poll() is not None
        found = read_record(data_dir)
        if found is not None and found.run == run:
            if found.message != told and found.state in (StackState.STARTING, StackState.READY):
                on_progress(told := found.message)
            if found.state is StackState.READY:
                return found
        if ended:
            _raise_failure(found if found and found.run == run else None, child, data_dir, log)
        with suppress(subprocess.TimeoutExpired):
            child.wait(0.05)


def _raise_failure(found: StackStatus | None, child: subprocess.Popen[bytes], data_dir: Path, log: Path) -> None:
    """Raise the error that fits the end of a supervisor that never was ready."""
    if child.returncode == IN_USE:
        refuse_live(data_dir)
        raise Conflict(f"another stack holds {data_dir}")
    if found is not None and found.state is StackState.FAILED:
        raise SetupError(found.message)
    raise SetupError(f"the supervisor ended with code {child.returncode}; the end of {log}:\n{tail(log)}")


def _wait_until_ended(supervisor: psutil.Process, seconds: float) -> None:
    child = _started.get(supervisor.pid)
    try:
        if child is not None:
            child.wait(seconds)
        else:
            supervisor.wait(seconds)
    except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
        supervisor.kill()
    if child is not None:
        _reap(child)


def _reap(child: subprocess.Popen[bytes]) -> None:
    child.wait()
    if child.stdin is not None:
        child.stdin.close()
    _started.pop(child.pid, None)
