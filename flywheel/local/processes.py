"""Child processes: started in a session of their own, signalled when their parent dies, ended with all below them.

Start children from a process without threads: the death signal is set between
fork and exec, and Linux sends it when the starting *thread* ends.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import psutil

from flywheel.errors import SetupError

T = TypeVar("T")
PR_SET_PDEATHSIG = 1
LOG_BYTES = 16 << 20  # a log larger than this is set aside when its process starts
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the machine that a child runs as."""

    name: str
    uid: int
    gid: int

    @classmethod
    def of(cls, uid: int) -> Account:
        entry = pwd.getpwuid(uid)
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    account: Account | None = None,
    death_signal: int = signal.SIGTERM,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start `argv` in its own session, its output appended to `log`; raises SetupError when it cannot start.

    The child gets `death_signal` when this process dies, however it dies (Linux).
    """
    parent = os.getpid()

    def before_exec() -> None:
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, int(death_signal))
            if os.getppid() != parent:  # it died before the call above
                os._exit(1)

    try:
        with log.open("ab") as output:
            return subprocess.Popen(
                argv,
                cwd=cwd,
                env=env,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=before_exec,  # noqa: PLW1509  # see above: no threads
                **as_account(account),
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(f"{argv[0]} cannot be started: {error}") from error


def as_account(account: Account | None) -> dict[str, Any]:
    """The arguments of subprocess.Popen that start a child as `account`."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": [], "umask": 0o077}


def rotate(log: Path) -> None:
    """Set a long log aside as NAME.log.1, in place of the one before."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES:
            log.replace(log.with_name(log.name + ".1"))


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, indented, for error messages."""
    try:
        with log.open("rb") as source:
            source.seek(max(0, source.seek(0, os.SEEK_END) - 8192))
            text = source.read().decode(errors="replace")
    except FileNotFoundError:
        text = ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (the log is empty)"


def wait_for(what: str, probe: Callable[[], T | None], seconds: float, log: Path | None = None) -> T:
    """Wait until `probe` returns something and return it; raises SetupError, quoting `log`, after `seconds`."""
    deadline = time.monotonic() + seconds
    while (found := probe()) is None:
        if time.monotonic() > deadline:
            quoted = f"; the end of {log}:\n{tail(log)}" if log else ""
            raise SetupError(f"{what} did not happen within {seconds:.0f} s{quoted}")
        time.sleep(0.03)
    return found


def same_process(pid: int, created: float) -> psutil.Process | None:
    """The live process with this id and creation time; ids are used again, the pair is not."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if abs(process.create_time() - created) < 1 and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def matching(wanted: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    """Other live processes for which `wanted` holds; those we may not look at do not count."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE and wanted(process):
                found.append(process)
    return found


def end_all(processes: Iterable[psutil.Process], seconds: float, first: signal.Signals = signal.SIGTERM) -> None:
    """Send `first` to each, and SIGKILL to those still there after `seconds`."""
    alive = list(processes)
    for process in alive:
        with suppress(psutil.Error):
            process.send_signal(first)
    alive = _still_there(alive, seconds)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    _still_there(alive, 5)


def _still_there(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that have not ended after `seconds`. A zombie has: its parent may reap it later."""
    deadline = time.monotonic() + seconds
    while processes and time.monotonic() < deadline:
        processes = [process for process in processes if not _has_ended(process)]
        time.sleep(0.02 if processes else 0)
    return processes


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
