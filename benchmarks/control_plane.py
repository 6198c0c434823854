"""Pages a second through the control plane: submit -> claim -> label stored -> gate -> done, labels given.

    python benchmarks/control_plane.py [--documents 40] [--pages 250] [--workers 2]

Real Postgres, Redis, Celery worker processes and sweep, store on disk. Prints JSON.
Compared with the paper's whole 160-GPU cluster (33M pages a day: 382 pages/s).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
from sqlalchemy import func, select

from flywheel import database, submission
from flywheel.database import transaction
from flywheel.local import postgres_server, redis_server
from flywheel.settings import settings
from flywheel.store import open_store
from flywheel.tables import LabelRow, Lease, Page

PAPER_CLUSTER = 33_000_000 / 86_400  # pages a second, DeepSeek-OCR section 1
ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=40)
    parser.add_argument("--pages", type=int, default=250, help="pages a document")
    parser.add_argument("--workers", type=int, default=2, help="Celery worker processes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flywheel-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)
        with postgres_server(directory / "postgres") as postgres, redis_server(directory / "redis") as redis:
            with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
                connection.execute("CREATE DATABASE bench")
            environment = {
                "FLYWHEEL_DATABASE_URL": postgres.url("bench"),
                "FLYWHEEL_REDIS_URL": redis.url(),
                "FLYWHEEL_STORE_URL": (directory / "store").as_uri(),
                "FLYWHEEL_WORK_DIR": str(directory / "work"),
                "PYTHONPATH": str(ROOT),
            }
            os.environ.update(environment)
            database.upgrade(environment["FLYWHEEL_DATABASE_URL"])
            print(json.dumps(measure(directory, arguments), indent=2))
            database.engine().dispose()


def measure(directory: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """Submit everything, wait until every page is labelled and no lease is left; the figures."""
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.given_labels", "worker", "-Q", "cpu"]
    quiet = [
        "--concurrency",
        str(arguments.workers),
        "--without-gossip",
        "--without-mingle",
        "--loglevel",
        "WARNING",
    ]
    worker = subprocess.Popen([*command, *quiet], cwd=ROOT)
    sweep = subprocess.Popen([sys.executable, "-m", "flywheel.sweep"], cwd=ROOT)
    try:
        run(directory, 1, 1)  # warms processes up: imports, connections, plans
        started = time.perf_counter()
        run(directory, arguments.documents, arguments.pages)
        seconds = time.perf_counter() - started
    finally:
        for process in (worker, sweep):
            process.terminate()
        for process in (worker, sweep):
            process.wait(30)
    pages = arguments.documents * arguments.pages
    return {
        "pages": pages,
        "seconds": round(seconds, 2),
        "pages_per_second": round(pages / seconds, 1),
        "against_the_papers_cluster": round(pages / seconds / PAPER_CLUSTER, 2),
        "workers": arguments.workers,
        "cores": os.cpu_count(),
    }


def run(directory: Path, documents: int, pages: int) -> None:
    """Submit and wait. The name of a document says how many pages the worker shall find."""
    store = open_store(settings().store_url, settings().work_dir)
    corpus = f"bench {documents} x {pages}"
    path = directory / "document.pdf"
    for number in range(documents):
        path.write_bytes(f"{corpus} {number}".encode())
        with transaction() as session:
            submission.submit(
                session,
                store,
                corpus=corpus,
                name=str(pages),
                path=path,
                media_type="application/pdf",
                language="en",
            )
    deadline = time.monotonic() + 600
    while not settled():
        if time.monotonic() > deadline:
            raise SystemExit("not done after ten minutes")
        time.sleep(0.05)  # the measured side is in other processes: polling its rows is all there is


def settled() -> bool:
    with transaction() as session:
        leases = session.execute(select(func.count()).select_from(Lease)).scalar_one()
        if leases:
            return False
        pages = session.execute(select(func.count()).select_from(Page)).scalar_one()
        labels = session.execute(select(func.count()).select_from(LabelRow)).scalar_one()
    if pages != labels:
        raise SystemExit(f"{pages} pages but {labels} labels")
    return True


if __name__ == "__main__":
    main()
