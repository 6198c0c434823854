"""A database or broker server as a child process: started, awaited, stopped at the end of a block."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

from flywheel.errors import SetupError
from flywheel.local.processes import tail, wait_for

READY_SECONDS = 60
STOP_SECONDS = 20


class Server(Protocol):
    """A server that is prepared to be started: its data in `directory`, its output in `log`."""

    @property
    def name(self) -> str: ...
    @property
    def directory(self) -> Path: ...
    @property
    def log(self) -> Path: ...
    @property
    def stop_signal(self) -> int: ...
    def spawn(self) -> subprocess.Popen[bytes]: ...
    def ready(self) -> bool: ...


S = TypeVar("S", bound=Server)


@contextmanager
def running(server: S, end_leftover: Callable[[Path], None]) -> Iterator[S]:
    """Run the server for the length of the block. Raises SetupError, quoting its log, when it does not start.

    `end_leftover` ends whatever of it still runs in its directory afterwards.
    """
    child = server.spawn()
    try:
        wait_for(f"{server.name}'s first answer", lambda: _first_answer(server, child), READY_SECONDS, server.log)
        yield server
    finally:
        child.send_signal(server.stop_signal)
        with suppress(subprocess.TimeoutExpired):
            child.wait(STOP_SECONDS)
        end_leftover(server.directory)


def _first_answer(server: Server, child: subprocess.Popen[bytes]) -> bool | None:
    if child.poll() is not None:
        raise SetupError(f"{server.name} ended with code {child.returncode}:\n{tail(server.log)}")
    return server.ready() or None
