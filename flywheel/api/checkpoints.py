"""Checkpoints with their scores and the languages they are champion of."""

from __future__ import annotations

from fastapi import APIRouter

from flywheel import wire
from flywheel.api.access import CheckpointPath, LanguageQuery, Reader
from flywheel.api.strict import StrictRoute
from flywheel.catalog import rounds as catalog
from flywheel.database import transaction

router = APIRouter(route_class=StrictRoute)


@router.get("/checkpoints", summary="Checkpoints with their scores, newest first")
def list_checkpoints(_: Reader, language: LanguageQuery = None) -> list[wire.Checkpoint]:
    with transaction() as session:
        return catalog.checkpoints(session, language=language)


@router.get("/checkpoints/{checkpoint_id}", summary="One checkpoint")
def show_checkpoint(_: Reader, checkpoint_id: CheckpointPath) -> wire.Checkpoint:
    with transaction() as session:
        return catalog.checkpoint(session, checkpoint_id)
