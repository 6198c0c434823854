"""The Celery worker of benchmarks/control_plane.py: the real stops, but pages and labels are given.

Everything is the service's own (claim, lease, gate, blob, rows, fencing token);
only opening a PDF is left out.
"""

from __future__ import annotations

from functools import lru_cache

from flywheel.database import transaction
from flywheel.database.tables import DocumentRow
from flywheel.document import Box, DocumentFacts, Kind, Label, Line, PageFacts, Region
from flywheel.gate import Gate
from flywheel.labels.recording import LabelledPage, finish_labelling
from flywheel.labels.storage import store_labels
from flywheel.loop import relabel, submission
from flywheel.pdf.coarse import RawCounts
from flywheel.settings import settings
from flywheel.store import Store, open_store
from flywheel.work import ledger
from flywheel.work.broker import app
from tasks.worker.attempt import Attempt, stop_task

__all__ = ["app"]

GATE = Gate()
LINES = 30
TEXT = "the ledger remembers what the worker forgot, line after line"


@lru_cache(maxsize=1)
def store() -> Store:
    return open_store(settings().store_url, settings().work_dir)


def given(page_id: int) -> tuple[Label, PageFacts]:
    """A page of thirty lines, no two pages alike."""
    lines = tuple(
        Line(f"{page_id} {n} {TEXT}", Box(72, 72 + 20 * n, 520, 88 + 20 * n), 0.98) for n in range(LINES)
    )
    region = Region("text", Box.around(line.box for line in lines), lines)
    label = Label(Kind.COARSE, "given", 595, 842, (region,), script="Latn", language="en")
    return label, PageFacts(0, 595, 842, 0, 0.08, True, False, LINES * len(TEXT), ("Given",), {"Latn": 1800})


@stop_task("ingest")
def ingest(attempt: Attempt) -> None:
    with transaction() as session:
        document = session.get_one(DocumentRow, attempt.claim.document_id)
        facts = DocumentFacts(int(document.name), True, False, False, "PDF 1.7")
        submission.insert_pages(session, attempt.claim, facts)
        ledger.finish(session, attempt.claim)


@stop_task("coarse")
def coarse(attempt: Attempt) -> None:
    pages = []
    for page_id in attempt.claim.page_ids:
        label, facts = given(page_id)
        verdict = GATE.judge_coarse(label, facts, RawCounts(facts.characters), "en")
        pages.append(LabelledPage(page_id, label, verdict, facts))
    frames = store_labels(store(), [page.label for page in pages])
    with transaction() as session:
        finish_labelling(session, attempt.claim, pages, frames, [], "given")
        relabel.assign_readers(session, [page.page_id for page in pages if not page.verdict.accepted])
