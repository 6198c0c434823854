"""Promotion: hold the round's checkpoint against the champion, and write the decision down."""

from __future__ import annotations

from flywheel.database import transaction
from flywheel.database.tables import RoundRow
from flywheel.loop import promotion as promotions
from flywheel.loop import rounds
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
        rival = row.scores.get("champion", row.parent_id)
        if reigning == rival:
            decision = promotions.decide(row.scores, first=reigning is None)
        else:
            detail = f"the champion changed from {rival} to {reigning} while this round was judged: start another"
            decision = promotions.Decision(False, detail)
        promotions.record(
            session,
            row.language,
            PromotionAction.PROMOTE if decision.promote else PromotionAction.REFUSE,
            row.checkpoint_id,
            reigning,
            actor=f"round {row.id}",
            detail=decision.detail,
            round_id=row.id,
            scores=row.scores,
        )
        ledger.finish(session, attempt.claim)
        if decision.promote:
            rounds.step(session, row.id, RoundStatus.RELABELLING, "relabel", detail=decision.detail)
        else:
            ledger.end_round(session, row.id, RoundStatus.REFUSED, decision.detail)
