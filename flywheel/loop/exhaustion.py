"""Consequences of a shard that was given up, for the pages, document, round, export or trial it was about.

The ledger closes the shard and returns it; here its subject is given up too, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from sqlalchemy import func, update
from sqlalchemy.orm import Session

from flywheel.database.tables import ExportRow, TrialRow
from flywheel.errors import Conflict
from flywheel.labels.standing import UnreadablePage, quarantine_pages
from flywheel.loop.round_machine import enter
from flywheel.loop.submission import quarantine_document
from flywheel.states import RequestStatus, RoundStatus
from flywheel.work.ledger import SpentShard

log = structlog.get_logger()


def give_up(session: Session, shard: SpentShard) -> None:
    """Record on the shard's subject that its work was given up, with the reason."""
    CONSEQUENCES[shard.stop](session, shard)


def _quarantine_pages(session: Session, shard: SpentShard) -> None:
    pages = [UnreadablePage(page_id, shard.reason, shard.detail) for page_id in shard.page_ids]
    quarantine_pages(session, pages)


def _quarantine_document(session: Session, shard: SpentShard) -> None:
    if shard.document_id is not None:
        quarantine_document(session, shard.document_id, shard.reason, shard.detail)


def _do_without(_: Session, shard: SpentShard) -> None:
    """The pages' labels stand; the round learns from the others."""
    log.warning("a round learns nothing from some pages", round=shard.round_id, pages=shard.page_ids)


def _fail_round(session: Session, shard: SpentShard) -> None:
    if shard.round_id is None:
        return
    detail = f"{shard.stop}: {shard.reason.value}: {shard.detail}"
    try:
        enter(session, shard.round_id, RoundStatus.FAILED, detail)
    except Conflict as error:  # it was cancelled meanwhile
        log.warning("the round of a failed shard has ended", error=str(error))


def _fail_export(session: Session, shard: SpentShard) -> None:
    session.execute(
        update(ExportRow)
        .where(ExportRow.id == shard.export_id)
        .values(status=RequestStatus.FAILED, detail=shard.detail, finished_at=func.now())
    )


def _fail_trial(session: Session, shard: SpentShard) -> None:
    session.execute(
        update(TrialRow)
        .where(TrialRow.id == shard.trial_id)
        .values(
            status=RequestStatus.FAILED, reason=shard.reason.value, detail=shard.detail, finished_at=func.now()
        )
    )


CONSEQUENCES: dict[str, Callable[[Session, SpentShard], None]] = {
    "ingest": _quarantine_document,
    "coarse": _quarantine_pages,
    "recognition": _quarantine_pages,
    "patches": _do_without,
    "dataset": _fail_round,
    "training": _fail_round,
    "promotion": _fail_round,
    "relabel": _fail_round,
    "planning": _fail_round,
    "export": _fail_export,
    "trial": _fail_trial,
}
