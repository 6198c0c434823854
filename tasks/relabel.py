"""Relabel: recognition work for every page that the round's new champion is to read again."""

from __future__ import annotations

from flywheel.database import transaction
from flywheel.database.tables import RoundRow
from flywheel.loop import relabel as relabelling
from flywheel.work import ledger
from tasks.worker.attempt import Attempt, stop_task


@stop_task("relabel")
def relabel(attempt: Attempt) -> None:
    with transaction() as session:
        ledger.guard(session, attempt.claim)
        row = session.get_one(RoundRow, attempt.claim.round_id)
        row.relabelled = relabelling.enqueue_relabelling(session, row.language, str(row.checkpoint_id), row.id)
        ledger.finish(session, attempt.claim)
