"""Promotions: decisions on the champion of a language, each with the person who took it."""

from __future__ import annotations

from fastapi import APIRouter

from flywheel import wire
from flywheel.api.access import LanguageQuery, Limit, Reader, Trainer
from flywheel.api.strict import StrictRoute
from flywheel.catalog import rounds as catalog
from flywheel.database import transaction
from flywheel.loop import promotion, relabel
from flywheel.text.tags import canonical

router = APIRouter(route_class=StrictRoute)


@router.get("/promotions", summary="Decisions, newest first")
def list_promotions(_: Reader, language: LanguageQuery = None, limit: Limit = 100) -> list[wire.PromotionInfo]:
    with transaction() as session:
        return catalog.promotions(session, language=language, limit=limit)


@router.get("/promotions/champions", summary="Who reads each language now")
def list_champions(_: Reader) -> list[wire.Champion]:
    with transaction() as session:
        return catalog.champions(session)


@router.post(
    "/promotions",
    status_code=201,
    summary="Make a checkpoint the champion; it reads what waits",
)
def promote(holder: Trainer, body: wire.PromotionRequest) -> wire.PromotionInfo:
    with transaction() as session:
        promotion.promote(
            session, body.checkpoint_id, language=body.language, actor=holder.name, detail=body.detail
        )
        language = canonical(body.language or catalog.checkpoint(session, body.checkpoint_id).language or "")
        relabel.enqueue_relabelling(session, language, body.checkpoint_id)
        return catalog.promotions(session, language=language, limit=1)[0]


@router.post("/promotions/rollback", status_code=201, summary="Go back to the champion before the present one")
def roll_back(holder: Trainer, body: wire.RollbackRequest) -> wire.PromotionInfo:
    with transaction() as session:
        promotion.rollback(session, body.language, actor=holder.name)
        return catalog.promotions(session, language=canonical(body.language), limit=1)[0]
