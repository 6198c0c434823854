"""One supervised program: started, watched, started again after growing pauses, left alone when that is no use."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from flywheel.errors import SetupError
from flywheel.local.processes import rotate, tail
from flywheel.local.programs import RestartPolicy
from flywheel.local.record import ProgramStatus
from flywheel.states import ProgramState

log = logging.getLogger(__name__)


class SupervisedProcess:
    """A process that is started again by `policy` when it ends. No method waits, but for `kill`."""

    def __init__(
        self,
        name: str,
        start: Callable[[], subprocess.Popen[bytes]],
        log_file: Path,
        policy: RestartPolicy,
        grace: float,
        stop_signal: int,
    ) -> None:
        self.name = name
        self.log_file = log_file
        self.grace = grace
        self.state = ProgramState.STOPPED
        self.process: subprocess.Popen[bytes] | None = None
        self.restart_at = 0.0  # time.monotonic, while restarting
        self._start = start
        self._policy = policy
        self._stop_signal = stop_signal
        self._started_at = 0.0
        self._restarts = 0
        self._quick_ends = 0  # in a row
        self._since = time.time()
        self._exit_code: int | None = None

    def start(self) -> None:
        """Start the process; a program that cannot start counts as one that ended at once."""
        rotate(self.log_file)
        self._started_at = time.monotonic()
        try:
            self.process = self._start()
        except SetupError as error:
            with self.log_file.open("a") as target:
                target.write(f"{error}\n")
            self.process = None
            self._note_end(exit_code=127)
            return
        self._enter(ProgramState.RUNNING)

    def update(self) -> bool:
        """Note that the process ended, or start it again when its pause is over; True when anything changed."""
        if self.state is ProgramState.RUNNING and self.process is not None and self.process.poll() is not None:
            self._note_end(self.process.returncode)
            return True
        if self.state is ProgramState.RESTARTING and time.monotonic() >= self.restart_at:
            self._restarts += 1
            self.start()
            return True
        return False

    def _note_end(self, exit_code: int) -> None:
        self._exit_code = exit_code
        if self.process is not None:
            # Pool processes of a worker that was killed would go on beside those of the next one.
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        lived = time.monotonic() - self._started_at
        self._quick_ends = self._quick_ends + 1 if lived < self._policy.healthy else 1
        if self._quick_ends >= self._policy.give_up:
            self._enter(ProgramState.FAILED)
            log.error("%s", self.failure)
            return
        pause = min(self._policy.longest_pause, self._policy.first_pause * 2 ** (self._quick_ends - 1))
        self.restart_at = time.monotonic() + pause
        self._enter(ProgramState.RESTARTING)
        log.warning("%s ended with code %d after %.1f s; again in %.1f s", self.name, exit_code, lived, pause)

    @property
    def failure(self) -> str:
        """Message for people: how often it ended, the last exit code, the end of its log."""
        return (
            f"{self.name} ended {self._quick_ends} times in a row, last with code {self._exit_code}, "
            f"and is given up; the end of {self.log_file}:\n{tail(self.log_file)}"
        )

    def request_stop(self) -> None:
        """Send the stop signal to the process itself, which ends its own children."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self._stop_signal)
        elif self.state is ProgramState.RESTARTING:
            self._enter(ProgramState.STOPPED)

    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def kill(self) -> None:
        """Send SIGKILL to the process and everything below it, and reap it."""
        if self.process is None or self.process.poll() is not None:
            return
        with suppress(psutil.Error):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    process.kill()
        self.process.kill()
        self.process.wait()

    def mark_stopped(self) -> None:
        """Note that it ended on purpose; a failed one stays failed."""
        if self.state is not ProgramState.FAILED:
            self._enter(ProgramState.STOPPED)

    def _enter(self, state: ProgramState) -> None:
        self.state, self._since = state, time.time()

    def status(self) -> ProgramStatus:
        pid = self.process.pid if self.process is not None and self.state is ProgramState.RUNNING else None
        return ProgramStatus(
            self.name, pid, self.state, self._restarts, self._since, str(self.log_file), self._exit_code
        )
