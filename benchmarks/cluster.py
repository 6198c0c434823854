"""A cluster for the service's benchmarks: real Postgres, Redis, workers and sweep in a scratch directory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import func, select

from flywheel import database
from flywheel.database import transaction
from flywheel.database.tables import DocumentRow, LabelRow, LeaseRow, PageRow
from flywheel.local import postgres_server, redis_server

ROOT = Path(__file__).parents[1]


@contextmanager
def cluster(app: str, workers: int, **settings: str) -> Iterator[Path]:
    """`workers` processes of a Celery app on the cpu queue, and a sweep; yields a scratch directory.

    This process's environment names the servers from then on; `settings` are added to it.
    """
    with tempfile.TemporaryDirectory(prefix="flywheel-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)
        with postgres_server(directory / "postgres") as postgres, redis_server(directory / "redis") as redis:
            with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
                connection.execute("CREATE DATABASE bench")
            os.environ.update(
                FLYWHEEL_DATABASE_URL=postgres.url("bench"),
                FLYWHEEL_REDIS_URL=redis.url(),
                FLYWHEEL_STORE_URL=(directory / "store").as_uri(),
                FLYWHEEL_WORK_DIR=str(directory / "work"),
                PYTHONPATH=str(ROOT),
                OMP_NUM_THREADS="1",
                **settings,
            )
            database.upgrade(os.environ["FLYWHEEL_DATABASE_URL"])
            with _processes(app, workers):
                yield directory
            database.engine().dispose()


@contextmanager
def _processes(app: str, workers: int) -> Iterator[None]:
    celery = [sys.executable, "-m", "celery", "-A", app, "worker", "-Q", "cpu", "--concurrency", str(workers)]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
    started = [
        subprocess.Popen([*celery, *quiet], cwd=ROOT, stdout=sys.stderr),
        subprocess.Popen([sys.executable, "-m", "flywheel.loop.sweep"], cwd=ROOT, stdout=sys.stderr),
    ]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


def wait_until_settled(seconds: float = 600.0) -> None:
    """Until nothing is left in the cpu queue; raises SystemExit when a page is then neither labelled nor
    quarantined. Other queues have no worker here."""
    deadline = time.monotonic() + seconds
    while _open_leases():
        if time.monotonic() > deadline:
            raise SystemExit(f"not done after {seconds:.0f} seconds")
        time.sleep(0.05)  # the measured side is in other processes: looking at its rows is all there is
    with transaction() as session:
        pages = session.execute(select(func.count()).select_from(PageRow)).scalar_one()
        labels = session.execute(select(func.count(func.distinct(LabelRow.page_id)))).scalar_one()
        lost = session.execute(select(func.count()).where(PageRow.state == "quarantined")).scalar_one()
        unread = session.execute(select(func.count()).where(DocumentRow.state != "ready")).scalar_one()
    if pages != labels + lost or unread:
        raise SystemExit(f"{pages} pages but {labels} labels, {lost} quarantined; {unread} documents unread")


def _open_leases() -> int:
    with transaction() as session:
        return session.execute(select(func.count()).where(LeaseRow.queue == "cpu")).scalar_one()
