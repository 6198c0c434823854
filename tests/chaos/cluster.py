"""A small cluster to break: the service's own programs as subprocesses, each in a session of its own.

    cluster = Cluster(environment, directory)
    cluster.submit(path)                    # as a client does: noted in `acknowledged` once it is committed
    worker = cluster.worker(fault="page:3 kill 1")
    sweep = cluster.sweep()
    worker.kill() / worker.signal(SIGSTOP) / worker.process.terminate()
    cluster.settle()                        # until no work is open

`fault` is what tests/chaos/sabotage.py does in that process. Leases last `LEASE_SECONDS`
(the setting FLYWHEEL_LEASE_SCALE), so that a lost worker is noticed soon.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlalchemy import ColumnElement, func, select

from flywheel.database import transaction
from flywheel.database.root import Row
from flywheel.database.tables import LabelRow, LeaseRow, PageRow, ShardRow
from flywheel.local.processes import spawn, tail
from flywheel.loop import submission
from flywheel.settings import settings
from flywheel.store import Store, open_store
from flywheel.work.route import ROUTE
from tests.flywheel import draw

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
LEASE_SECONDS = 3.0
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO")


@dataclass(frozen=True, slots=True)
class Member:
    """One program of the cluster, leader of its process group."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """SIGKILL the whole group at once: the program, its pool, their PDF children."""
        self.signal(signal.SIGKILL)
        self.process.wait(10)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def terminate(self, seconds: float = 20) -> int:
        """SIGTERM to the program alone, as a supervisor does; returns its exit status."""
        self.process.terminate()
        return self.process.wait(seconds)

    @property
    def says(self) -> str:
        return self.log.read_text(errors="replace")


class Cluster:
    """The programs, a client's log, and bounded waits on the database's rows."""

    def __init__(self, environment: Mapping[str, str], directory: Path) -> None:
        self.environment = {
            **os.environ,
            **environment,
            "FLYWHEEL_LEASE_SCALE": str(LEASE_SECONDS / ROUTE["coarse"].lease),
            "FLYWHEEL_SWEEP_SECONDS": "0.2",
            "FLYWHEEL_SHARD_PAGES": "8",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
        }
        self.directory = directory
        self.members: list[Member] = []
        self.acknowledged: list[tuple[int, str]] = []  # document id, sha256: all that a client was promised

    @property
    def store(self) -> Store:
        return open_store(settings().store_url, settings().work_dir)

    def start(self, name: str, argv: Sequence[str], **more: str) -> Member:
        """A program of the service; `more` is added to its environment."""
        name = f"{name}-{len(self.members)}"
        log = self.directory / f"{name}.log"
        process = spawn(argv, log=log, cwd=ROOT, env={**self.environment, **more}, death_signal=signal.SIGKILL)
        self.members.append(Member(name, process, log))
        return self.members[-1]

    def worker(self, fault: str = "", *, queues: str = "cpu,control", processes: int = 2, **more: str) -> Member:
        """A Celery worker. Not up yet when this returns: work waits for it."""
        app = "tests.chaos.sabotage" if fault else "tasks.app"
        name = f"w{len(self.members)}@%h"
        argv = [sys.executable, "-m", "celery", "-A", app, "worker", "-Q", queues, "-n", name]
        return self.start("worker", [*argv, "-c", str(processes), *QUIET], **self._fault(fault), **more)

    def sweep(self, fault: str = "") -> Member:
        return self.program("flywheel.loop.sweep", fault=fault)

    def program(self, module: str, *arguments: str, fault: str = "", **more: str) -> Member:
        """Any `python -m module arguments`."""
        runner = ["tests.chaos.sabotage"] if fault else []
        argv = [sys.executable, "-m", *runner, module, *arguments]
        return self.start(module.rsplit(".", maxsplit=1)[-1], argv, **self._fault(fault), **more)

    def _fault(self, fault: str) -> dict[str, str]:
        return {"CHAOS_FAULT": fault, "CHAOS_DIR": str(self.directory)} if fault else {}

    def submit(self, path: Path, language: str | None = "en", corpus: str = "chaos") -> int:
        """Submit as the API does; the document's id, noted down once the database has it."""
        with transaction() as session:
            done = submission.submit(
                session,
                self.store,
                corpus=corpus,
                name=path.name,
                path=path,
                media_type="application/pdf",
                language=language,
            )
        self.note(done.document_id, submission_hash(path))
        return done.document_id

    def note(self, document_id: int, sha256: str) -> None:
        """The client was told that this document is in."""
        self.acknowledged.append((document_id, sha256))

    def books(self, count: int, pages: int, lines: int = 3, lot: int = 0) -> int:
        """Submit `count` sound documents, no two alike (in lots of the same size); returns the pages' number."""
        for number in range(count):
            path = self.directory / f"book-{pages}-{lines}-{lot}-{number}.pdf"
            draw.latin_pdf(path, pages, lines=lines, seed=random.Random(path.name).randrange(1 << 30))
            self.submit(path)
        return count * pages

    def count(self, table: type[Row], *where: ColumnElement[bool]) -> int:
        with transaction() as session:
            return session.execute(select(func.count()).select_from(table).where(*where)).scalar_one()

    def labels(self) -> int:
        return self.count(LabelRow)

    def held(self) -> int:
        """Shards in a worker's hands."""
        return self.count(LeaseRow, LeaseRow.worker.is_not(None))

    def wait(self, what: str, probe: Callable[[], T], seconds: float = 60) -> T:
        """The first true answer of `probe`; fails with the programs' logs when there is none in time."""
        deadline = time.monotonic() + seconds
        while not (answer := probe()):
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s\n{self.report()}"
            time.sleep(0.02)  # the rows of other processes: polling them is all there is
        return answer

    def settle(self, seconds: float = 90) -> None:
        """Until no work is open."""
        self.wait("no open work", lambda: self.count(LeaseRow) == 0, seconds)

    def report(self) -> str:
        """For a failed wait: what is open, and the ends of the logs."""
        with transaction() as session:
            rows = session.execute(
                select(LeaseRow, ShardRow).join(ShardRow, ShardRow.id == LeaseRow.shard_id).limit(20)
            ).all()
            leases = [
                f"{shard.stop} {shard.id}: worker {lease.worker} attempts {lease.attempts} {shard.detail}"
                for lease, shard in rows
            ]
        logs = [f"{member.name} (exit {member.process.poll()}):\n{tail(member.log)}" for member in self.members]
        return "\n".join([f"pages {self.count(PageRow)} labels {self.labels()}", *leases, *logs])

    def end(self) -> None:
        """Kill whatever still runs."""
        for member in self.members:
            member.signal(signal.SIGCONT)
            member.kill()


def submission_hash(path: Path) -> str:
    """The sha256 that a client computes of the file it sent."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
