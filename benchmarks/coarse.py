"""Pages a second through ingest and coarse stop, against a bare fitz loop over the same files and cores.

    python benchmarks/coarse.py [--files F ...] [--workers 2] [--no-layout]

The service's side is everything: submission, store, sandbox, labels, gate, rows. The bare
side is `get_text("dict")` on every page, one process a core, nothing kept. Without --files a
400-page corpus is drawn. Prints JSON; the ratio is service / bare.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
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

WORDS = "a ledger keeps what the river took and the binder counts each folded sheet by lamplight again".split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=Path, nargs="*", default=[])
    parser.add_argument("--workers", type=int, default=2, help="processes, on either side")
    parser.add_argument("--no-layout", action="store_true", help="leave the layout model out")
    arguments = parser.parse_args()
    layout = "false" if arguments.no_layout else "true"
    with cluster("tasks.app", arguments.workers, FLYWHEEL_COARSE_LAYOUT=layout) as directory:
        files = arguments.files or [draw(directory / f"drawn-{n}.pdf", n) for n in range(8)]
        submit(draw(directory / "warm.pdf", 99, pages=2))
        submit(draw(directory / "warmer.pdf", 98, pages=2))
        wait_until_settled()
        started = time.perf_counter()
        for file in files:
            submit(file)
        wait_until_settled()
        ours = time.perf_counter() - started
        pages, bare = bare_loop(files, arguments.workers)
    report = {
        "files": len(files),
        "pages": pages,
        "layout": not arguments.no_layout,
        "service_pages_per_second": round(pages / ours, 1),
        "bare_fitz_pages_per_second": round(pages / bare, 1),
        "ratio": round(bare / ours, 3),
        "workers": arguments.workers,
        "cores": os.cpu_count(),
    }
    print(json.dumps(report, indent=2))


def submit(file: Path) -> None:
    with transaction() as session:
        submission.submit(
            session,
            open_store(settings().store_url, settings().work_dir),
            corpus="bench",
            name=file.name,
            path=file,
            media_type="application/pdf",
        )


def draw(path: Path, seed: int, pages: int = 50) -> Path:
    """Pages of about 3,300 characters in 45 lines."""
    from fpdf import FPDF

    pdf = FPDF()
    pdf.set_font("Helvetica", size=11)
    for page in range(pages):
        pdf.add_page()
        for line in range(45):
            start = seed * 31 + page * 7 + line
            words = [WORDS[(start + n * (1 + start % 5)) % len(WORDS)] for n in range(14)]
            pdf.text(15, 20 + 5.8 * line, " ".join(words))
    pdf.output(str(path))
    return path


def bare_loop(files: list[Path], workers: int) -> tuple[int, float]:
    """Pages and seconds of `get_text("dict")` over the files, shared out by pages among processes."""
    parts = [(str(file), part, workers) for file in files for part in range(workers)]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        pool.map(_read, parts[:workers])  # imports and first pages
        started = time.perf_counter()
        pages = sum(pool.map(_read, parts, chunksize=1))
        return pages, time.perf_counter() - started


def _read(part: tuple[str, int, int]) -> int:
    import pymupdf

    name, first, step = part
    with pymupdf.open(name) as document:
        numbers = range(first, document.page_count, step)
        for number in numbers:
            document[number].get_text("dict")
    return len(numbers)


if __name__ == "__main__":
    main()
