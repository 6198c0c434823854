"""One supervised child: started, watched, started again with growing pauses, given up."""

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
from flywheel.local.record import ProgramState, ProgramStatus

log = logging.getLogger(__name__)


class SupervisedProcess:
    """A process under `policy`. `tend` moves it on; it never waits."""

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
        self.state: ProgramState = "stopped"
        self.process: subprocess.Popen[bytes] | None = None
        self.due = 0.0  # time.monotonic of the next start, while restarting
        self._start = start
        self._policy = policy
        self._stop_signal = stop_signal
        self._born = 0.0
        self._restarts = 0
        self._fast_deaths = 0
        self._since = time.time()
        self._exit_code: int | None = None

    def start(self) -> None:
        rotate(self.log_file)
        self._born = time.monotonic()
        try:
            self.process = self._start()
        except SetupError as error:
            with self.log_file.open("a") as target:
                target.write(f"{error}\n")
            self.process = None
            self._died(exit_code=127)
            return
        self._become("running")

    def tend(self) -> bool:
        """Notices a death, starts again what is due. Whether anything changed."""
        if self.state == "running" and self.process is not None and self.process.poll() is not None:
            self._died(self.process.returncode)
            return True
        if self.state == "restarting" and time.monotonic() >= self.due:
            self._restarts += 1
            self.start()
            return True
        return False

    def _died(self, exit_code: int) -> None:
        self._exit_code = exit_code
        if self.process is not None:
            # Pool processes of a worker that was killed would go on beside those of the next one.
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        lived = time.monotonic() - self._born
        self._fast_deaths = self._fast_deaths + 1 if lived < self._policy.healthy else 1
        if self._fast_deaths >= self._policy.give_up:
            self._become("failed")
            log.error("%s", self.obituary())
            return
        pause = min(self._policy.longest_pause, self._policy.first_pause * 2 ** (self._fast_deaths - 1))
        self.due = time.monotonic() + pause
        self._become("restarting")
        log.warning("%s ended with code %d after %.1f s; again in %.1f s", self.name, exit_code, lived, pause)

    def obituary(self) -> str:
        return (
            f"{self.name} ended {self._fast_deaths} times in a row, last with code {self._exit_code}, "
            f"and is given up; the end of {self.log_file}:\n{tail(self.log_file)}"
        )

    def ask_to_end(self) -> None:
        """Sends the stop signal to the child itself; its own children are its to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self._stop_signal)
        elif self.state == "restarting":
            self._become("stopped")

    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def kill(self) -> None:
        """SIGKILL for the child and everything below it."""
        if self.process is None or self.process.poll() is not None:
            return
        with suppress(psutil.Error):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    process.kill()
        self.process.kill()
        self.process.wait()

    def buried(self) -> None:
        """Notes that it was stopped on purpose."""
        if self.state != "failed":
            self._become("stopped")

    def _become(self, state: ProgramState) -> None:
        self.state, self._since = state, time.time()

    def status(self) -> ProgramStatus:
        pid = self.process.pid if self.process is not None and self.state == "running" else None
        return ProgramStatus(
            self.name, pid, self.state, self._restarts, self._since, str(self.log_file), self._exit_code
        )
