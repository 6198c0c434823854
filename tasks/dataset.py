"""Dataset: freeze what a round learns from, and send the round to training."""

from __future__ import annotations

import json
import math

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from flywheel.database import transaction
from flywheel.database.tables import DatasetRow, RoundRow
from flywheel.encoding import from_json
from flywheel.loop import dataset as datasets
from flywheel.loop import promotion, sides
from flywheel.loop.dataset import DatasetManifest, Frozen
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
        parent = promotion.parent(session, row.language, recipe_for(row.recipe, row.overrides).architecture)
        reads_now = promotion.reader_for(session, row.language)  # whom the candidate is held against
    frozen = freeze(row, (parent, reads_now))
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
        datasets.list_documents(session, dataset_id, manifest.splits)
        session.execute(
            update(RoundRow).where(RoundRow.id == row.id).values(dataset_id=dataset_id, parent_id=parent)
        )
        enter(session, row.id, RoundStatus.TRAINING, frozen.counts.advice or None)
        ledger.finish(session, attempt.claim)


def freeze(row: RoundRow, checkpoints: tuple[str | None, ...]) -> Frozen:
    """The round's dataset, split after what these checkpoints and the language's others learned from."""
    recipe = recipe_for(row.recipe, row.overrides)
    unit = recipe.unit
    list_earlier_documents(row.language, checkpoints)
    with transaction() as session:
        found = datasets.sources(session, row.language, row.corpora, generations=recipe.generations, unit=unit)
        count = math.ceil(recipe.replay_share * sum(source.units for source in found))
        replayed = datasets.replay(session, row.language, count, unit=unit)
        past = sides.history(session, row.language, checkpoints)
        documents = {source.document for source in (*found, *replayed)}
        pages = datasets.like_pages(session, documents | past.learned | past.examined)
    return datasets.freeze(row.language, found, unit=unit, replayed=replayed, past=past, pages=pages)


def list_earlier_documents(language: str, checkpoints: tuple[str | None, ...]) -> None:
    """Write down the documents of earlier datasets whose manifest alone names them."""
    with transaction() as session:
        missing = sides.unlisted(session, sides.datasets_of_chain(session, language, checkpoints))
    for dataset_id, key in missing:
        manifest = from_json(DatasetManifest, json.loads(store().get(key)))
        with transaction() as session:
            datasets.list_documents(session, dataset_id, manifest.splits)
