"""Training: fine-tune on the round's dataset, judge on its held-out documents, store the checkpoint.

The last complete training checkpoint is kept in the store and named in the
round's row, so whoever gets the shard next goes on from there.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import func, update
from sqlalchemy.orm import Session

from flywheel import ledger, rounds
from flywheel.broker import Run, stop_task
from flywheel.database import transaction
from flywheel.document import Kind
from flywheel.errors import BlobMissing
from flywheel.promotion import BUILTIN
from flywheel.scripts import expected_scripts
from flywheel.tables import CheckpointRow, Dataset, Round
from tasks.process import checkpoint_directory, recogniser, scratch, store

if TYPE_CHECKING:
    from models.finetune import Progress, TrainingResult
    from models.scores import Scores

log = structlog.get_logger()

REPORT_SECONDS = 1.0


@stop_task("training")
def training(run: Run) -> None:
    from models import finetune

    with transaction() as session:
        row = session.get_one(Round, run.claim.round_id)
        dataset = session.get_one(Dataset, row.dataset_id)
    with scratch(f"round-{row.id}") as directory:
        materialise(dataset.manifest_key, directory / "dataset")
        resume(row, directory / "resume")
        reporter = Reporter(run, row, directory / "resume")
        result = finetune.train(
            finetune.TrainingJob(
                dataset=directory / "dataset",
                out=directory / "checkpoint",
                recipe=finetune.load_recipe(row.recipe).with_overrides(row.overrides),
                parent=checkpoint_directory(row.parent_id) if row.parent_id else None,
                parent_id=row.parent_id,
                language=row.language,
                scripts=tuple(sorted(expected_scripts(row.language))),
                dataset_hash=dataset.hash,
                resume=directory / "resume",
                seed=row.id,
            ),
            progress=reporter.progress,
            saved=reporter.saved,
            should_stop=run.should_stop,
        )
        run.check()
        scores = judge(row, directory)
        tree_key = store().put_tree(directory / "checkpoint")
    run.check()
    with transaction() as session:
        ledger.guard(session, run.claim)
        crown(session, row, dataset, tree_key, scores, result)
        ledger.finish(session, run.claim)
"""
"""
