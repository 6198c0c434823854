"""Rounds of fine-tuning: started, planned, followed and cancelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query

from flywheel import wire
from flywheel.api.access import Id, LanguageQuery, Limit, Reader, Trainer
from flywheel.api.strict import StrictRoute
from flywheel.catalog import rounds as catalog
from flywheel.database import transaction
from flywheel.loop import planning, rounds
from flywheel.states import RoundStatus

router = APIRouter(route_class=StrictRoute)

Status = Annotated[RoundStatus | None, Query()]


@router.post("/rounds", status_code=201, summary="Start a round; 409 while one runs for the language")
def start_round(_: Trainer, body: wire.RoundRequest) -> wire.RoundDetail:
    return _begin(rounds.start, body)


@router.post("/rounds/plan", status_code=201, summary="Plan a round, start none; GET it until it is planned")
def plan_round(_: Trainer, body: wire.RoundRequest) -> wire.RoundDetail:
    return _begin(planning.ask, body)


def _begin(begin: Callable[..., int], body: wire.RoundRequest) -> wire.RoundDetail:
    with transaction() as session:
        round_id = begin(
            session,
            language=body.language,
            corpora=list(body.corpora),
            recipe=body.recipe,
            overrides=dict(body.overrides),
        )
        return catalog.round_(session, round_id)


@router.get("/rounds", summary="Rounds, newest first")
def list_rounds(
    _: Reader, language: LanguageQuery = None, status: Status = None, limit: Limit = 100
) -> list[wire.Round]:
    with transaction() as session:
        return catalog.rounds(session, language=language, status=status, limit=limit)


@router.get("/rounds/{round_id}", summary="A round's progress, learning curve, scores and decisions")
def show_round(_: Reader, round_id: Id) -> wire.RoundDetail:
    with transaction() as session:
        return catalog.round_(session, round_id)


@router.post("/rounds/{round_id}/cancel", summary="Stop a round; what it has made so far is kept")
def cancel_round(_: Trainer, round_id: Id) -> wire.RoundDetail:
    with transaction() as session:
        rounds.cancel(session, round_id)
        session.expire_all()
        return catalog.round_(session, round_id)
