"""Relabel: plan what the round's new champion should read."""

from __future__ import annotations

from flywheel import ledger
from flywheel import relabel as relabelling
from flywheel.broker import Run, stop_task
from flywheel.database import transaction
from flywheel.tables import Round


@stop_task("relabel")
def relabel(run: Run) -> None:
    with transaction() as session:
        ledger.guard(session, run.claim)
        row = session.get_one(Round, run.claim.round_id)
        row.relabelled = relabelling.plan(session, row.language, str(row.checkpoint_id), row.id)
        ledger.finish(session, run.claim)
