"""Rounds, the checkpoints they made, and the decisions about them."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from flywheel import wire
from flywheel.catalog.corpora import columns
from flywheel.database import tables
from flywheel.errors import NotFound
from flywheel.loop import promotion


def rounds(
    session: Session, *, language: str | None = None, status: str | None = None, limit: int = 100
) -> list[wire.Round]:
    """Rounds, newest first."""
    query = select(tables.RoundRow).order_by(tables.RoundRow.id.desc()).limit(limit)
    if language is not None:
        query = query.where(tables.RoundRow.language == language)
    if status is not None:
        query = query.where(tables.RoundRow.status == status)
    return [wire.Round.model_validate(columns(row)) for row in session.scalars(query)]


def round_(session: Session, round_id: int) -> wire.RoundDetail:
    """One round with its curve, dataset and decisions. Raises NotFound."""
    row = session.get(tables.RoundRow, round_id)
    if row is None:
        raise NotFound(f"no round has the id {round_id}")
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
            "decisions": [columns(decision) for decision in decisions],
        }
    )


def checkpoints(session: Session, *, language: str | None = None) -> list[wire.Checkpoint]:
    """Checkpoints, newest first; those that come inside a package last."""
    query = select(tables.CheckpointRow).order_by(
        tables.CheckpointRow.round_id.desc().nulls_last(), tables.CheckpointRow.id
    )
    if language is not None:
        query = query.where(tables.CheckpointRow.language == language)
    reigns = champions(session)
    return [_checkpoint(row, reigns) for row in session.scalars(query)]


def checkpoint(session: Session, checkpoint_id: str) -> wire.Checkpoint:
    """Raises NotFound."""
    row = session.get(tables.CheckpointRow, checkpoint_id)
    if row is None:
        raise NotFound(f"no checkpoint has the id {checkpoint_id!r}")
    return _checkpoint(row, champions(session))


def _checkpoint(row: tables.CheckpointRow, reigns: list[wire.Champion]) -> wire.Checkpoint:
    languages = [reign.language for reign in reigns if reign.checkpoint_id == row.id]
    return wire.Checkpoint.model_validate({**columns(row), "champion_of": languages})


def champions(session: Session) -> list[wire.Champion]:
    """The checkpoint that reads each language now, by language."""
    found = promotion.champions(session)
    return [wire.Champion(language=language, checkpoint_id=id_) for language, id_ in sorted(found.items())]


def promotions(session: Session, *, language: str | None = None, limit: int = 100) -> list[wire.PromotionInfo]:
    """Decisions, newest first."""
    query = select(tables.PromotionRow).order_by(tables.PromotionRow.id.desc()).limit(limit)
    if language is not None:
        query = query.where(tables.PromotionRow.language == language)
    return [wire.PromotionInfo.model_validate(columns(row)) for row in session.scalars(query)]
