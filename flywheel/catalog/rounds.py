"""Rounds, the checkpoints they made, and the decisions about them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from flywheel import wire
from flywheel.catalog.rows import columns, row_by_id
from flywheel.database import tables
from flywheel.loop import promotion
from flywheel.states import RoundStatus


def rounds(
    session: Session, *, language: str | None = None, status: RoundStatus | None = None, limit: int = 100
) -> list[wire.Round]:
    """Rounds, newest first."""
    query = select(tables.RoundRow).order_by(tables.RoundRow.id.desc()).limit(limit)
    if language is not None:
        query = query.where(tables.RoundRow.language == language)
    if status is not None:
        query = query.where(tables.RoundRow.status == status)
    return [wire.Round.model_validate(_without_documents(row)) for row in session.scalars(query)]


def round_(session: Session, round_id: int) -> wire.RoundDetail:
    """One round with its curve, dataset and decisions. Raises NotFound."""
    row = row_by_id(session, tables.RoundRow, round_id, "round")
    dataset = session.get(tables.DatasetRow, row.dataset_id) if row.dataset_id is not None else None
    decisions = session.scalars(
        select(tables.PromotionRow)
        .where(tables.PromotionRow.round_id == round_id)
        .order_by(tables.PromotionRow.id)
    )
    return wire.RoundDetail.model_validate(
        {
            **columns(row),
            "dataset": columns(dataset) if dataset else None,
            "decisions": [_without_documents(decision) for decision in decisions],
        }
    )


def _without_documents(row: tables.RoundRow | tables.PromotionRow) -> dict[str, Any]:
    """The columns of a row of a list: the edits by document are told of one round at a time."""
    compared = row.comparison and replace(row.comparison, by_document=())
    return {**columns(row), "comparison": compared}


def checkpoints(session: Session, *, language: str | None = None) -> list[wire.Checkpoint]:
    """Checkpoints, newest first; those that come inside a package last."""
    query = select(tables.CheckpointRow).order_by(
        tables.CheckpointRow.round_id.desc().nulls_last(), tables.CheckpointRow.id
    )
    if language is not None:
        query = query.where(tables.CheckpointRow.language == language)
    champions = promotion.champions(session)
    return [_checkpoint(row, champions) for row in session.scalars(query)]


def checkpoint(session: Session, checkpoint_id: str) -> wire.Checkpoint:
    """One checkpoint. Raises NotFound."""
    row = row_by_id(session, tables.CheckpointRow, checkpoint_id, "checkpoint")
    return _checkpoint(row, promotion.champions(session))


def _checkpoint(row: tables.CheckpointRow, champions: dict[str, str]) -> wire.Checkpoint:
    languages = [language for language, checkpoint_id in champions.items() if checkpoint_id == row.id]
    return wire.Checkpoint.model_validate({**columns(row), "champion_of": languages})


def champions(session: Session) -> list[wire.Champion]:
    """The champion of every language that has one, by language."""
    return [
        wire.Champion(language=language, checkpoint_id=checkpoint_id)
        for language, checkpoint_id in promotion.champions(session).items()
    ]


def promotions(session: Session, *, language: str | None = None, limit: int = 100) -> list[wire.PromotionInfo]:
    """Decisions, newest first."""
    query = select(tables.PromotionRow).order_by(tables.PromotionRow.id.desc()).limit(limit)
    if language is not None:
        query = query.where(tables.PromotionRow.language == language)
    return [wire.PromotionInfo.model_validate(_without_documents(row)) for row in session.scalars(query)]
