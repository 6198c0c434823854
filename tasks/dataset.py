"""Dataset: freeze what a round learns from, and send the round to training."""

from __future__ import annotations

import math

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from flywheel.database import transaction
from flywheel.database.tables import DatasetRow, RoundRow
from flywheel.loop import dataset as datasets
from flywheel.loop import promotion
from flywheel.loop.recipes import recipe_for
from flywheel.loop.round_machine import enter
from flywheel.states import RoundStatus
from flywheel.work import ledger
from tasks.worker.attempt import Attempt, stop_task
from tasks.worker.process import store


@stop_task("dataset")
def dataset(attempt: Attempt) -> None:
    with transaction() as session:
        row = session.get_one(RoundRow, attempt.claim.round_id)
        recipe = recipe_for(row.recipe, row.overrides)
        unit = recipe.unit
        sources = datasets.sources(session, row.language, row.corpora, generations=recipe.generations, unit=unit)
        count = math.ceil(recipe.replay_share * sum(source.units for source in sources))
        replayed = datasets.replay(session, row.language, count, unit=unit)
        parent = promotion.parent(session, row.language, recipe.architecture)
    frozen = datasets.freeze(row.language, sources, unit=unit, replayed=replayed)
    manifest = frozen.manifest
    key = store().put(manifest.data)
    with transaction() as session:
        ledger.guard(session, attempt.claim)
        values = {
            "hash": manifest.hash,
            "language": row.language,
            "manifest_key": key,
            "counts": frozen.counts,
        }
        session.execute(insert(DatasetRow).values(values).on_conflict_do_nothing(index_elements=["hash"]))
        dataset_id = session.execute(select(DatasetRow.id).where(DatasetRow.hash == manifest.hash)).scalar_one()
        session.execute(
            update(RoundRow).where(RoundRow.id == row.id).values(dataset_id=dataset_id, parent_id=parent)
        )
        enter(session, row.id, RoundStatus.TRAINING)
        ledger.finish(session, attempt.claim)
