"""Small programs for an embedded stack, fresh directories for it, and looks at its processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from flywheel.local import (
    Program,
    RestartPolicy,
    StackStatus,
    stop,
)
from flywheel.local.processes import matching
from flywheel.local.recovery import belongs

API = Program("api", ("{python}", "-m", "http.server", "--bind", "{host}", "{api_port}"), grace=5, serves_api=True)
# Starts a grandchild in a session of its own, notes both ids, and refuses to end when asked.
STUBBORN = Program(
    "stubborn",
    (
        "{python}",
        "-c",
        "import os, pathlib, signal, subprocess, sys, time\n"
        "code = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)'\n"
        "child = subprocess.Popen([sys.executable, '-c', code], start_new_session=True)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "pathlib.Path('building').write_text(f'{os.getpid()} {child.pid}')\n"
        "os.replace('building', 'pids')\n"
        "time.sleep(1000)",
    ),
    grace=0.3,
)
SLEEPER = Program("sleeper", ("sleep", "1000"), grace=5)
SHOWS = Program(
    "shows",
    (
        "{python}",
        "-c",
        "import json, os, time\n"
        "json.dump(dict(os.environ), open('building', 'w'))\n"
        "os.replace('building', 'environment')\n"
        "time.sleep(1000)",
    ),
    env={"EXTRA": "1"},
    grace=5,
)
POOL = Program(
    "pool",
    (
        "{python}",
        "-c",
        "import os, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        "open('pool-building', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "os.replace('pool-building', 'pool')\n"
        "time.sleep(1000)",
    ),
    grace=5,
)
DYING = Program("dying", ("{python}", "-c", "raise SystemExit('no hope')"))
QUICK = RestartPolicy(first_pause=0.05, longest_pause=0.2, healthy=60, give_up=4, ready=30)


@contextmanager
def fresh_directory() -> Iterator[Path]:
    """As deep as real ones are; a Unix socket's path would not fit. Nothing may be left running in it."""
    parent = Path(tempfile.mkdtemp(prefix="flywheel-stack-"))
    directory = parent / ("deep-" * 12) / ("down-" * 12)
    try:
        yield directory
        assert remaining(directory) == []
    finally:
        stop(directory)
        shutil.rmtree(parent)


def remaining(directory: Path) -> list[psutil.Process]:
    """Processes that the stack started, that work inside its directory, or that name it."""

    def of_stack(process: psutil.Process) -> bool:
        inside = process.cwd().startswith(str(directory)) or str(directory) in " ".join(process.cmdline())
        return inside or belongs(process, directory)

    return matching(of_stack)


def eventually(what: str, probe: Callable[[], object], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.02)


def program(found: StackStatus, name: str) -> tuple[str, int | None, int]:
    entry = next(entry for entry in found.programs if entry.name == name)
    return entry.state, entry.pid, entry.restarts


def stubborn_pids(data_dir: Path) -> list[int]:
    written = data_dir / "work" / "pids"
    eventually("the stubborn program is up", written.exists)
    return [int(pid) for pid in written.read_text().split()]


def gone(pids: list[int]) -> bool:
    return all(not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie" for pid in pids)


@contextmanager
def starter_of(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another Python that runs `code`; it is killed in the end, if it lives."""
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as starter:
        try:
            yield starter
        finally:
            starter.kill()
