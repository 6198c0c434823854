"""Coarse: the text layer of a shard's pages becomes labels, each with the gate's verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import structlog

from flywheel import labels
from flywheel.database import transaction
from flywheel.database.tables import DocumentRow, PageRow
from flywheel.errors import Rejected
from flywheel.gate import Gate
from flywheel.labels import Result
from flywheel.loop import relabel
from flywheel.pdf import PageFailure, PageText, arranged
from flywheel.pdf.coarse import label as coarse_label
from flywheel.reasons import Reason
from flywheel.settings import settings
from flywheel.work import ledger
from tasks.worker.attempt import Attempt, stop_task
from tasks.worker.process import document_file, sandbox, store, subject

log = structlog.get_logger()

GATE = Gate()
Failures = list[tuple[int, Reason, str]]


@stop_task("coarse")
def coarse(attempt: Attempt) -> None:
    with transaction() as session:
        document, pages = subject(session, attempt.claim)
    with document_file(document) as path:
        results, failures = read(attempt, document, pages, path)
    packed = labels.keep(store(), [r.label for r in results])
    with transaction() as session:
        labels.record(
            session, attempt.claim, results, packed, labels.settings_hash(layout=settings().coarse_layout)
        )
        ledger.quarantine(session, failures)
        relabel.assign_readers(session, [r.page_id for r in results if not r.verdict.accepted])
        ledger.finish(session, attempt.claim)


def read(
    attempt: Attempt, document: DocumentRow, pages: list[PageRow], path: Path
) -> tuple[list[Result], Failures]:
    """Label every page of the shard; those that cannot be opened come back as failures."""
    results: dict[int, Result] = {}
    failures: Failures = []
    waiting: dict[int, PageText] = {}
    ids = {page.number: page.id for page in pages}
    for page in sandbox().text(path, list(ids), layout=False):
        attempt.check()
        if isinstance(page, PageFailure):
            failures.append((ids[page.number], page.reason, page.detail))
            continue
        number = page.facts.number
        label, counts = coarse_label(page, document.language)
        verdict = GATE.judge_coarse(label, page.facts, counts, document.language)
        results[number] = Result(ids[number], label, verdict, page.facts)
        if verdict.accepted and page.needs_layout:
            waiting[number] = page
    if settings().coarse_layout and waiting:
        results |= arrange(attempt, document, {n: (page, results[n]) for n, page in waiting.items()}, path)
    return list(results.values()), failures


def arrange(
    attempt: Attempt, document: DocumentRow, waiting: dict[int, tuple[PageText, Result]], path: Path
) -> dict[int, Result]:
    """Page number -> result with its lines in the regions that the layout model found.

    The model takes ten times as long as the text (13-60 ms against 1-2 ms a page, 2026-11-21), so it
    visits only pages whose text layer was found sound, and only those that are more than plain print.
    It adds regions to a label that stands without them: a page on which it fails is left as it was.
    """
    results = {}
    try:
        for found in sandbox().layout(path, list(waiting)):
            attempt.check()
            if isinstance(found, PageFailure):
                log.warning("no layout for a page", page=found.number, reason=found.reason, detail=found.detail)
                continue
            page, result = waiting[found.number]
            label, _ = coarse_label(arranged(page, found), document.language)
            results[found.number] = replace(result, label=label)
    except Rejected as error:
        log.warning("no layout for a document", document=document.id, reason=error.reason, detail=error.detail)
    return results
