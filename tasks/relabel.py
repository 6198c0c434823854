"""Relabel: plan what the round's new champion should read."""

from __future__ import annotations

from flywheel.database import transaction
from flywheel.database.tables import Round
from flywheel.loop import relabel as relabelling
from flywheel.work import ledger
from flywheel.work.broker import Run, stop_task


@stop_task("relabel")
def relabel(run: Run) -> None:
    with transaction() as session:
        ledger.guard(session, run.claim)
        row = session.get_one(Round, run.claim.round_id)
        row.relabelled = relabelling.plan(session, row.language, str(row.checkpoint_id), row.id)
        ledger.finish(session, run.claim)
