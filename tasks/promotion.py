"""Promotion: the decision about a round's checkpoint, held against the champion."""

from __future__ import annotations

from flywheel.database import transaction
from flywheel.database.tables import RoundRow
from flywheel.loop import promotion as promotions
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
        decision = decide(row, reigning)
        promotions.record(
            session,
            row.language,
            PromotionAction.PROMOTE if decision.promote else PromotionAction.REFUSE,
            row.checkpoint_id,
            reigning,
            actor=f"round {row.id}",
            detail=decision.detail,
            round_id=row.id,
            comparison=row.comparison,
        )
        ledger.finish(session, attempt.claim)
        following = RoundStatus.RELABELLING if decision.promote else RoundStatus.REFUSED
        enter(session, row.id, following, decision.detail)


def decide(row: RoundRow, reigning: str | None) -> promotions.Decision:
    """The decision about a round's checkpoint, held against the champion there is now."""
    compared = row.comparison
    if compared is None:
        return promotions.Decision(False, "the checkpoint was compared with nobody: start another round")
    if reigning != compared.champion:
        changed = f"from {compared.champion} to {reigning}"
        return promotions.Decision(
            False, f"the champion changed {changed} while this round was judged: start another"
        )
    return promotions.decide(compared, first=reigning is None)
