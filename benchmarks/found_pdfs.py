"""Verdicts on the pages of PDFs that are at hand, one line a page.

    python benchmarks/found_pdfs.py FILE_OR_FOLDER ... [--pages 5] [--every 1] [--language bo] [--out rows.jsonl]
    python benchmarks/found_pdfs.py FILE_OR_FOLDER ... --read

All go through what the coarse stop does: text, label, gate, and the sample that is held against the page's
image, read by the built-in reader. Of a folder all *.pdf below it. A line tells file, page, verdict, reason,
detail, number of fonts and the label's beginning: sort by reason, and look. With --read the built-in reader reads
each page besides, as if it had no text layer; its reading is judged, and where the layer is accepted the two are
compared: the share of pairs of letters within words that only one of them has. Prints the summary as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from rich.console import Console
from rich.progress import track

from benchmarks.planted_lies import SERVICE
from flywheel.database.tables import DocumentRow
from flywheel.errors import Rejected
from flywheel.gate import Gate
from flywheel.labels.recording import LabelledPage
from flywheel.pdf import PageFailure, Sandbox
from flywheel.pdf.coarse import label as coarse_label
from flywheel.settings import settings
from models.readers.ink import with_ink
from models.readers.protocol import PageInput, PageReader
from models.recognition.ppocr import CHECKPOINT, SCRIPTS, PpocrRecogniser
from tasks.worker.architectures import reader_by_lines
from tasks.worker.verification import builtin_reader, judge_layers

SHOWN = 160  # characters of a label


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--pages", type=int, default=5, help="of a file, spread over it")
    parser.add_argument("--every", type=int, default=1, help="take each Nth file")
    parser.add_argument("--language", help="BCP 47, of all of them; none: unknown")
    parser.add_argument("--read", action="store_true", help="read the pages' images too (seconds a page)")
    parser.add_argument("--out", type=Path, help="JSON lines")
    arguments = parser.parse_args()
    files = found(arguments.paths)[:: arguments.every]
    reasons: Counter[str] = Counter()
    readings: Counter[str] = Counter()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch, Sandbox() as sandbox:
        for (
            name,
            value,
        ) in SERVICE.items():  # nothing of it is asked, but the worker's parts want to know where it is
            os.environ.setdefault(name, value.format(directory=scratch))
        out = arguments.out.open("w") if arguments.out else None
        for file in track(files, "files", console=Console(stderr=True)):
            for row in judged(sandbox, file, arguments.pages, arguments.language, read=arguments.read):
                reasons[row["reason"]] += 1
                if "reading" in row:
                    readings[row["reading"]] += 1
                if out:
                    print(json.dumps(row, ensure_ascii=False), file=out, flush=True)
    seconds = round(time.perf_counter() - started, 1)
    pages = reasons.total()
    summary = {"files": len(files), "pages": pages, "seconds": seconds, "reasons": reasons, "readings": readings}
    print(json.dumps(summary, indent=2))


def found(paths: list[Path]) -> list[Path]:
    """Files in an order that is always the same."""
    return sorted(file for path in paths for file in ([path] if path.is_file() else path.rglob("*.pdf")))


def judged(
    sandbox: Sandbox, file: Path, pages: int, language: str | None, *, read: bool
) -> Iterator[dict[str, Any]]:
    """A row for each page looked at, or one for a file that cannot be had."""
    try:
        count = sandbox.inspect(file).pages
        numbers = sorted({k * count // pages for k in range(pages)}) if count > pages else list(range(count))
        labelled, failed = {}, []
        for page in sandbox.text(file, numbers, layout=False):
            if isinstance(page, PageFailure):
                failed.append(page)
                continue
            label, counts = coarse_label(page, language)
            verdict = Gate().judge_coarse(label, page.facts, counts, language)
            labelled[page.facts.number] = LabelledPage(page.facts.number, label, verdict, page.facts)
        document = DocumentRow(id=0, language=language)
        lying = judge_layers(document, labelled, file, lambda _language, _script: builtin_reader())
    except Rejected as error:
        yield {"file": str(file), "reason": error.reason.value, "detail": error.detail}
        return
    for failure in failed:
        yield {"file": str(file), "page": failure.number, "reason": failure.reason.value, "detail": failure.detail}
    for number, one in labelled.items():
        verdict = lying.get(number, one.verdict)
        row = {
            "file": str(file),
            "page": number,
            "reason": "accepted" if verdict.accepted else verdict.reason.value,
            "detail": verdict.detail,
            "origin": one.label.origin.value,
            "fonts": len(one.facts.fonts) if one.facts else 0,
            "text": one.label.text[:SHOWN],
        }
        yield row | (reading_of(sandbox, file, one, language) if read and one.facts else {})


@lru_cache(maxsize=1)
def builtin() -> PageReader:
    """The reader that comes with the service, of whole pages."""
    return reader_by_lines(PpocrRecogniser(), CHECKPOINT)


def reading_of(sandbox: Sandbox, file: Path, one: LabelledPage, language: str | None) -> dict[str, Any]:
    """Verdict on what the built-in reader makes of a page's image, and how far it is from the layer (0..1)."""
    assert one.facts is not None
    image = next(iter(sandbox.render(file, [one.facts.number], settings().render_dpi)))
    if isinstance(image, PageFailure):
        return {"reading": image.reason.value}
    page = PageInput(image.image, image.dpi, image.width, image.height, language)
    [reading] = builtin().read_many([page])
    verdict = Gate().judge_reading(with_ink(page, reading), one.facts, language, SCRIPTS)
    text = reading.label.text
    return {
        "reading": "accepted" if verdict.accepted else verdict.reason.value,
        "reading_detail": verdict.detail,
        "reading_text": text[:SHOWN],
        "apart": round(apart(text, one.label.text), 3),
    }


def apart(one: str, other: str) -> float:
    """Share of the pairs of letters within words that only one of two texts has (1 - Dice), 0..1: of the order of
    words nothing is asked."""
    mine, theirs = (
        Counter(
            pair for word in re.findall(r"\w+", unicodedata.normalize("NFKC", text)) for pair in pairwise(word)
        )
        for text in (one, other)
    )
    return 1 - 2 * (mine & theirs).total() / max(1, mine.total() + theirs.total())


if __name__ == "__main__":
    main()
