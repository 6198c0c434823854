"""Promotion: the decision about a round's checkpoint, held against whoever reads the language."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.orm import Session

from flywheel.database import transaction
from flywheel.database.tables import RoundRow
from flywheel.loop import promotion as promotions
from flywheel.loop.decision import Decision, decide
from flywheel.loop.round_machine import enter
from flywheel.states import PromotionAction, RoundStatus
from flywheel.work import ledger
from tasks.worker.attempt import Attempt, stop_task


@stop_task("promotion")
def promotion(attempt: Attempt) -> None:
    with transaction() as session:
        ledger.guard(session, attempt.claim)
        row = session.get_one(RoundRow, attempt.claim.round_id)
        promotions.lock(session, row.language)
        reigning = promotions.champion(session, row.language)
        decision = decision_about(session, row, reigning)
        compared = row.comparison and replace(row.comparison, look=decision.look, level=decision.level)
        promotions.record(
            session,
            row.language,
            PromotionAction.PROMOTE if decision.promote else PromotionAction.REFUSE,
            row.checkpoint_id,
            reigning,
            actor=f"round {row.id}",
            detail=decision.detail,
            round_id=row.id,
            comparison=compared,
        )
        ledger.finish(session, attempt.claim)
        following = RoundStatus.RELABELLING if decision.promote else RoundStatus.REFUSED
        enter(session, row.id, following, decision.detail)
        row.comparison = compared


def decision_about(session: Session, row: RoundRow, champion: str | None) -> Decision:
    """The decision about a round's checkpoint, held against whoever reads the language now."""
    compared = row.comparison
    if compared is None:
        return Decision(False, "the checkpoint was compared with nobody: start another round")
    reads_now = promotions.reader_for(session, row.language)
    if reads_now != compared.reads_now:
        changed = f"from {compared.reads_now or 'nobody'} to {reads_now or 'nobody'}"
        return Decision(False, f"the reader changed {changed} while this round was judged: start another")
    looks = promotions.looks(session, row.language, compared.by_document)
    return decide(compared, champion=champion, looks=looks)
