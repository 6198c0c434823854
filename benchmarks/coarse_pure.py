"""The coarse stop without store and database: sandbox, label and gate against bare MuPDF loops.

    python benchmarks/coarse_pure.py [FILE.pdf] [--pages N]

Without a file, 200 pages of Latin text are drawn. Every loop reads the same pages; JSON
goes to standard output. `cpu_ms` is processor time a page of all processes involved,
which other work on the machine does not distort; `pages_per_second` is wall time.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fpdf import FPDF

from flywheel.gate import Gate
from flywheel.pdf import PageFailure, PageText, Sandbox, coarse

WORDS = "the wheel turns and every page comes back with a label that somebody can check against its ink".split()
REPEATS = 3


def draw(path: Path, pages: int) -> None:
    """About 4,500 characters a page, as in the figures the project aims at."""
    rng = random.Random(1)
    book = FPDF(unit="pt", format="A4")
    book.set_auto_page_break(False)
    book.set_font("Helvetica", size=10)
    for _ in range(pages):
        book.add_page()
        for row in range(54):
            book.text(50, 40 + row * 14, " ".join(rng.choices(WORDS, k=17)))
    book.output(str(path))


def cpu_seconds() -> float:
    """Of this process and its ended children."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        total += used.ru_utime + used.ru_stime
    return total


def measured(loop: Callable[[], int]) -> dict[str, float]:
    """Median wall rate and processor time over the repeats; the first, cold run is not counted."""
    loop()
    walls, cpus, pages = [], [], 1
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), cpu_seconds()
        pages = loop()
        walls.append(time.perf_counter() - wall)
        cpus.append(cpu_seconds() - cpu)
    return {
        "pages_per_second": round(pages / statistics.median(walls), 1),
        "cpu_ms": round(statistics.median(cpus) / pages * 1000, 3),
    }


def bare(path: Path, pages: int, visit: Callable[[Any], object]) -> Callable[[], int]:
    def loop() -> int:
        import pymupdf

        with pymupdf.open(path) as document:
            for number in range(pages):
                visit(document[number])
        return pages

    return loop


def sandboxed(path: Path, pages: int, *, layout: bool, label: bool) -> dict[str, float]:
    """The sandbox is warm. The child's processor time is what its /proc entry says it used."""
    gate = Gate()
    with Sandbox() as sandbox:

        def loop() -> int:
            for page in sandbox.text(path, range(pages), layout=layout):
                if label and isinstance(page, PageText):
                    made, counts = coarse.label(page, "en")
                    gate.judge_coarse(made, page.facts, counts, "en")
                elif isinstance(page, PageFailure):
                    raise SystemExit(f"page {page.number}: {page.reason}")
            return pages

        loop()
        before = child_seconds(sandbox.pid)
        figures = measured(loop)
        child = (child_seconds(sandbox.pid) - before) / (pages * (REPEATS + 1)) * 1000
    figures["child_cpu_ms"] = round(child, 3)
    figures["cpu_ms"] = round(figures["cpu_ms"] + child, 3)
    return figures


def child_seconds(pid: int | None) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100  # clock ticks, of which Linux has 100 a second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--pages", type=int, default=200)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = asked.file or Path(directory) / "drawn.pdf"
        if asked.file is None:
            draw(path, asked.pages)
        print(json.dumps(compare(path, asked.pages), indent=2))


def compare(path: Path, pages: int) -> dict[str, Any]:
    with_layout = max(1, pages // 5)
    figures = {
        "sandbox": sandboxed(path, pages, layout=False, label=False),
        "sandbox_label_gate": sandboxed(path, pages, layout=False, label=True),
        "sandbox_layout": sandboxed(path, with_layout, layout=True, label=False),
        "bare_dict": measured(bare(path, pages, lambda page: page.get_text("dict"))),
        "bare_dict_layout": measured(
            bare(path, with_layout, lambda page: (page.get_text("dict"), page.get_layout()))
        ),
    }

    def ratio(one: str, other: str, figure: str) -> float:
        pair = figures[one][figure], figures[other][figure]
        return round(pair[0] / pair[1] if figure == "pages_per_second" else pair[1] / pair[0], 3)

    return {
        "pages": pages,
        "python": sys.version.split()[0],
        **figures,
        "ratio_wall": ratio("sandbox_label_gate", "bare_dict", "pages_per_second"),
        "ratio_cpu": ratio("sandbox_label_gate", "bare_dict", "cpu_ms"),
        "ratio_layout_wall": ratio("sandbox_layout", "bare_dict_layout", "pages_per_second"),
        "ratio_layout_cpu": ratio("sandbox_layout", "bare_dict_layout", "cpu_ms"),
    }


if __name__ == "__main__":
    main()
