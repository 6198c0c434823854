"""One PDF child from its parent's side: started, asked under a deadline, killed.

The child is a fresh interpreter (`python -m flywheel.pdf.child`) on a socket pair, so
it can be started from a daemonic Celery process, inherits no secrets from the
environment, and shares no memory with anyone. It sets its own resource limits before
it touches a file, and asks the kernel to be killed with the thread that started it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flywheel.errors import SetupError
from flywheel.pdf.limits import Limits
from flywheel.pdf.messages import ConnectionLost, Message, receive, send

AHEAD_BYTES = 1 << 20  # the child may be some pages ahead of its reader
START_SECONDS = 60.0  # a cold disk may need long to import MuPDF


class PdfChild:
    """A running child. Not for use by two threads at once."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.documents: set[str] = set()
        self._wire, theirs = socket.socketpair()
        with theirs:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, AHEAD_BYTES)
            self._process = subprocess.Popen(
                _command(theirs.fileno(), limits),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                close_fds=True,
            )
        try:
            self.receive(START_SECONDS)
        except (ConnectionLost, TimeoutError) as error:
            self.kill()
            raise SetupError(f"the PDF child does not start ({self.ending}); is pymupdf installed?") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ending(self) -> str:
        """The child's exit status in words: "killed by SIGSEGV", "exit status 3"."""
        code = self._process.returncode
        if code is None:
            return "still running"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"killed by {signal.Signals(-code).name}"
        return f"exit status {code}"

    @property
    def resident_bytes(self) -> int:
        """Memory held now, by the kernel's count; 0 where the kernel does not tell."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def send(self, head: dict[str, Any]) -> None:
        """Hand over one request. Raises ConnectionLost when the child is gone."""
        self._wire.settimeout(self._limits.page_seconds)
        try:
            send(self._wire, head)
        except OSError as error:
            raise ConnectionLost("the child no longer listens") from error

    def receive(self, seconds: float) -> Message:
        """The next message, waiting at most `seconds`. Raises TimeoutError or ConnectionLost."""
        return receive(self._wire, time.monotonic() + seconds, self._limits.message_bytes)

    def kill(self) -> None:
        """End the child at once and reap it; safe to call again."""
        self._wire.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def reap(self) -> str:
        """Reap a child that ended by itself; returns its `ending`."""
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self.kill()
        return self.ending


def _command(wire: int, limits: Limits) -> list[str]:
    arguments = [str(wire), str(os.getpid()), json.dumps(asdict(limits))]
    return [sys.executable, "-P", "-m", "flywheel.pdf.child", *arguments]


def _environment() -> dict[str, str]:
    """The child's environment, without URLs or keys: import paths, and one thread for every library."""
    return {
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
