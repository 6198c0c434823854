"""Pages a second through the control plane: submit -> claim -> label stored -> gate -> done, labels given.

    python benchmarks/control_plane.py [--documents 40] [--pages 250] [--workers 2]

Real Postgres, Redis, Celery worker processes and sweep, store on disk. Prints JSON.
Compared with the paper's whole 160-GPU cluster (33M pages a day: 382 pages/s).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.cluster import cluster, wait_until_settled
from flywheel.database import transaction
from flywheel.loop import submission
from flywheel.settings import settings
from flywheel.store import open_store

PAPER_CLUSTER = 33_000_000 / 86_400  # pages a second, DeepSeek-OCR section 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=40)
    parser.add_argument("--pages", type=int, default=250, help="pages a document")
    parser.add_argument("--workers", type=int, default=2, help="Celery worker processes")
    arguments = parser.parse_args()
    with cluster("benchmarks.given_labels", arguments.workers) as directory:
        run(directory, 1, 1)  # warms the processes up: imports, connections, plans
        started = time.perf_counter()
        run(directory, arguments.documents, arguments.pages)
        seconds = time.perf_counter() - started
    pages = arguments.documents * arguments.pages
    report = {
        "pages": pages,
        "seconds": round(seconds, 2),
        "pages_per_second": round(pages / seconds, 1),
        "against_the_papers_cluster": round(pages / seconds / PAPER_CLUSTER, 2),
        "workers": arguments.workers,
        "cores": os.cpu_count(),
    }
    print(json.dumps(report, indent=2))


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
    wait_until_settled()


if __name__ == "__main__":
    main()
