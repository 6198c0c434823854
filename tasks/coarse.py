"""Coarse: the text layer of a shard's pages becomes labels, each with the gate's verdict."""

from __future__ import annotations

from pathlib import Path

from flywheel import labels, ledger, relabel
from flywheel.broker import Run, stop_task
from flywheel.coarse import label as coarse_label
from flywheel.database import transaction
from flywheel.gate import Gate
from flywheel.labels import Result
from flywheel.pdf import PageFailure
from flywheel.reasons import Reason
from flywheel.settings import settings
from flywheel.tables import Document, Page
from tasks.process import document_file, sandbox, store, subject

GATE = Gate()
Failures = list[tuple[int, Reason, str]]


@stop_task("coarse")
def coarse(run: Run) -> None:
    with transaction() as session:
        document, pages = subject(session, run.claim)
    with document_file(document) as path:
        results, failures = read(run, document, pages, path)
    packed = labels.keep(store(), [r.label for r in results])
    with transaction() as session:
        labels.record(session, run.claim, results, packed, labels.settings_hash(layout=settings().coarse_layout))
        ledger.quarantine(session, failures)
        relabel.assign(session, [r.page_id for r in results if not r.verdict.accepted])
        ledger.finish(session, run.claim)


def read(run: Run, document: Document, pages: list[Page], path: Path) -> tuple[list[Result], Failures]:
    """Label every page of the shard; those that cannot be opened come back as failures.

    The layout model takes ten times as long as the text (15-65 ms against 2-4 ms a page, 2026-11-21),
    so it visits only the pages whose text layer was found sound without it.
    """
    ids = {page.number: page.id for page in pages}
    judged, failures = visit(run, document, ids, path, layout=False)
    sound = {n: ids[n] for n, result in judged.items() if result.verdict.accepted and result.label.lines}
    if settings().coarse_layout and sound:
        arranged, failed = visit(run, document, sound, path, layout=True)
        judged |= arranged
        failures += failed
    broken = {page_id for page_id, _, _ in failures}
    return [result for result in judged.values() if result.page_id not in broken], failures


def visit(
    run: Run, document: Document, ids: dict[int, int], path: Path, *, layout: bool
) -> tuple[dict[int, Result], Failures]:
    """Page number -> result for pages given as number -> id, and the failures."""
    results: dict[int, Result] = {}
    failures: Failures = []
    for page in sandbox().text(path, list(ids), layout=layout):
        run.check()
        if isinstance(page, PageFailure):
            failures.append((ids[page.number], page.reason, page.detail))
            continue
        label, counts = coarse_label(page, document.language)
        verdict = GATE.judge_coarse(label, page.facts, counts, document.language)
        results[page.facts.number] = Result(ids[page.facts.number], label, verdict, page.facts)
    return results, failures
