"""Dataset: freeze what a round learns from, and send the round to training."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from flywheel import dataset as datasets
from flywheel import ledger, rounds
from flywheel.broker import Run, stop_task
from flywheel.database import transaction
from flywheel.promotion import champion
from flywheel.tables import Dataset, Round
from tasks.process import store


@stop_task("dataset")
def dataset(run: Run) -> None:
    from models.finetune import load_recipe

    with transaction() as session:
        row = session.get_one(Round, run.claim.round_id)
        recipe = load_recipe(row.recipe)
        sources = datasets.sources(session, row.language, row.corpora, generations=recipe.generations)
        parent = champion(session, row.language)
    frozen = datasets.freeze(row.language, sources)
    key = store().put(frozen.data)
    with transaction() as session:
        ledger.guard(session, run.claim)
        values = {"hash": frozen.hash, "language": row.language, "manifest_key": key, "counts": frozen.counts}
        session.execute(insert(Dataset).values(values).on_conflict_do_nothing(index_elements=["hash"]))
        dataset_id = session.execute(select(Dataset.id).where(Dataset.hash == frozen.hash)).scalar_one()
        rounds.step(session, row.id, "training", "training", dataset_id=dataset_id, parent_id=parent)
        ledger.finish(session, run.claim)
