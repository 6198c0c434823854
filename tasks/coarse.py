"""Coarse: labels of a shard's pages from their text layer, each with the gate's verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import structlog

from flywheel.database import transaction
from flywheel.database.tables import DocumentRow, PageRow
from flywheel.errors import Rejected
from flywheel.gate import Gate
from flywheel.labels.recording import LabelledPage, finish_labelling, settings_hash
from flywheel.labels.standing import UnreadablePage
from flywheel.labels.storage import store_labels
from flywheel.loop import relabel
from flywheel.pdf import PageFailure, PageText, arranged
from flywheel.pdf.coarse import label as coarse_label
from flywheel.settings import settings
from tasks.worker.attempt import Attempt, stop_task
from tasks.worker.process import document_file, sandbox, store, subject
from tasks.worker.verification import verified

log = structlog.get_logger()

GATE = Gate()


@stop_task("coarse")
def coarse(attempt: Attempt) -> None:
    with transaction() as session:
        document, pages = subject(session, attempt.claim)
    with document_file(document) as path:
        labelled, unreadable = label_pages(attempt, document, pages, path)
    frames = store_labels(store(), [page.label for page in labelled])
    key = settings_hash(layout=settings().coarse_layout, verified=settings().verify_layers)
    with transaction() as session:
        finish_labelling(session, attempt.claim, labelled, frames, unreadable, key)
        relabel.assign_readers(session, [page.page_id for page in labelled if not page.verdict.accepted])


def label_pages(
    attempt: Attempt, document: DocumentRow, pages: list[PageRow], path: Path
) -> tuple[list[LabelledPage], list[UnreadablePage]]:
    """Label every page of the shard; returns those that cannot be opened beside them."""
    labelled: dict[int, LabelledPage] = {}
    unreadable: list[UnreadablePage] = []
    unarranged: dict[int, PageText] = {}
    ids = {page.number: page.id for page in pages}
    for page in sandbox().text(path, list(ids), layout=False):
        attempt.check()
        if isinstance(page, PageFailure):
            unreadable.append(UnreadablePage(ids[page.number], page.reason, page.detail))
            continue
        number = page.facts.number
        label, counts = coarse_label(page, document.language)
        verdict = GATE.judge_coarse(label, page.facts, counts, document.language)
        labelled[number] = LabelledPage(ids[number], label, verdict, page.facts)
        if verdict.accepted and page.needs_layout:
            unarranged[number] = page
    for number, verdict in verified(document, labelled, path).items():
        labelled[number] = replace(labelled[number], verdict=verdict)
        if not verdict.accepted:
            unarranged.pop(number, None)
    attempt.check()
    if settings().coarse_layout and unarranged:
        labelled |= arrange(attempt, document, {n: (page, labelled[n]) for n, page in unarranged.items()}, path)
    return list(labelled.values()), unreadable


def arrange(
    attempt: Attempt, document: DocumentRow, pages: dict[int, tuple[PageText, LabelledPage]], path: Path
) -> dict[int, LabelledPage]:
    """Page number -> labelled page with its lines in the regions that the layout model found.

    The model takes ten times as long as the text (13-60 ms against 1-2 ms a page, 2026-11-21), so it
    visits only pages whose text layer was found sound, and only those that are more than plain print.
    It adds regions to a label that stands without them: a page on which it fails is left as it was.
    """
    arranged_pages = {}
    try:
        for found in sandbox().layout(path, list(pages)):
            attempt.check()
            if isinstance(found, PageFailure):
                log.warning("no layout for a page", page=found.number, reason=found.reason, detail=found.detail)
                continue
            page, labelled = pages[found.number]
            label, _ = coarse_label(arranged(page, found), document.language)
            arranged_pages[found.number] = replace(labelled, label=label)
    except Rejected as error:
        log.warning("no layout for a document", document=document.id, reason=error.reason, detail=error.detail)
    return arranged_pages
