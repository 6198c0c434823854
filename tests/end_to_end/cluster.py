"""Two ways to run the service for the whole-loop test: embedded, and on servers started apart."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from flywheel import database, keys, local
from flywheel.client import Client
from flywheel.local.ports import free_port
from flywheel.local.processes import spawn
from flywheel.local.programs import Program, argv_values

# Two threads that wait for each other on cores that others use, too, take several times as long as one.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@dataclass
class Cluster:
    """A running service: its API, and the means to hurt its workers."""

    url: str
    key: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    programs: dict[str, list[str]] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    logs: Path = Path()
    supervisor: int = 0  # of an embedded stack, its process id

    def client(self) -> Client:
        return Client(self.url, self.key)

    def start(self, name: str) -> None:
        """Start a program; it ends with this process, however that ends."""
        self.processes[name] = spawn(
            self.programs[name],
            log=self.logs / f"{name}.log",
            cwd=self.logs,
            env={**os.environ, **self.environment},
        )

    def kill_and_restart(self, *names: str) -> None:
        """SIGKILL to every process of these programs, at once, and new ones in their place."""
        for name in names:
            kill_tree(self.processes[name])
        for name in names:
            self.start(name)

    def kill_supervised(self, group: str) -> None:
        """SIGKILL to every process of a group of workers of an embedded stack, which starts another."""
        own = psutil.Process(self.supervisor).children(recursive=True)
        [worker] = [process for process in own if f"{group}@%h" in process.cmdline()]
        kill_processes(worker)
        worker.wait(10)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a process and all that came from it."""
    with suppress(psutil.NoSuchProcess):
        kill_processes(psutil.Process(process.pid))
    process.wait(10)


def kill_processes(root: psutil.Process) -> None:
    for member in [*root.children(recursive=True), root]:
        with suppress(psutil.NoSuchProcess):
            member.send_signal(signal.SIGKILL)


@contextmanager
def embedded(directory: Path) -> Iterator[Cluster]:
    """The embedded stack in a directory of its own."""
    with local.start(directory / "stack", attached=True) as stack:
        yield Cluster(stack.api_url, stack.api_key, supervisor=stack.status.pid)


@contextmanager
def separate(directory: Path, database_url: str, redis_url: str, store_url: str) -> Iterator[Cluster]:
    """The same programs, given three URLs, without a supervisor."""
    host, port = "127.0.0.1", free_port()
    work = directory / "work"
    environment = {
        "FLYWHEEL_DATABASE_URL": database_url,
        "FLYWHEEL_REDIS_URL": redis_url,
        "FLYWHEEL_STORE_URL": store_url,
        "FLYWHEEL_WORK_DIR": str(work),
        "FLYWHEEL_LEASE_SCALE": "0.06",  # a killed worker's shards are free again after 4 s
        **ONE_THREAD,
    }
    values = argv_values(str(directory), str(work), host, port)
    cluster = Cluster(
        f"http://{host}:{port}",
        keys.create_embedded_key(database_url),
        programs={program.name: program.command(values) for program in local.PROGRAMS},
        environment=environment,
        logs=directory,
    )
    try:
        for program in local.PROGRAMS:
            _start(cluster, program)
        _await_api(cluster)
        yield cluster
    finally:
        for process in cluster.processes.values():
            kill_tree(process)
        database.engine(database_url).dispose()


def _start(cluster: Cluster, program: Program) -> None:
    cluster.environment |= dict(program.env)
    cluster.start(program.name)


def _await_api(cluster: Cluster) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"{cluster.url}/healthz").raise_for_status()
            return
        except httpx.HTTPError:
            assert cluster.processes["api"].poll() is None, (cluster.logs / "api.log").read_text()[-2000:]
            assert time.monotonic() < deadline, "the API did not come up"
            time.sleep(0.1)
