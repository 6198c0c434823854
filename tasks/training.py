"""Training: fine-tune on the round's dataset, judge on its held-out documents, store the checkpoint.

Until it is judged the training has the device to itself, where that is one that labelling wants, too.
The last complete training checkpoint is kept in the store and named in the
round's row, so whoever gets the shard next goes on from there. It is several times
the weights' size, so the one before it goes as soon as the row names the new one,
and the last goes with the training.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from flywheel.database import transaction
from flywheel.database.tables import CheckpointRow, DatasetRow, RoundRow
from flywheel.encoding import from_json
from flywheel.errors import BlobCorrupt, BlobMissing, Cancelled, Stopping, Transient
from flywheel.figures import Comparison, TrainingProgress
from flywheel.loop.dataset import DatasetManifest
from flywheel.loop.recipes import recipe_for
from flywheel.loop.round_machine import enter
from flywheel.recipes import PageRecipe, Recipe
from flywheel.states import RoundStatus, TrainingPhase
from flywheel.store.tree import read_manifest
from flywheel.text.scripts import expected
from flywheel.work import ledger
from tasks.worker.attempt import Attempt, stop_task
from tasks.worker.checkpoints import find_checkpoint, published_weights
from tasks.worker.device import hold_device
from tasks.worker.judging import judge
from tasks.worker.process import device, devices, scratch, store
from tasks.worker.readers import release

if TYPE_CHECKING:
    from models.training.job import Progress, TrainingResult

log = structlog.get_logger()

REPORT_SECONDS = 1.0
OUTAGE_SECONDS = 10.0  # between reports while the database is away: each may wait for it for long


@stop_task("training")
def training(attempt: Attempt) -> None:
    with transaction() as session:
        row = session.get_one(RoundRow, attempt.claim.round_id)
        dataset = session.get_one(DatasetRow, row.dataset_id)
    with scratch(f"round-{row.id}") as directory:
        manifest = materialise(dataset.manifest_key, directory / "dataset")
        fetch_resume(row, directory / "resume")
        with hold_device(attempt, device(), f"training of round {row.id}", training=True):
            reporter = Reporter(attempt, row)
            result, comparison = learn(attempt, row, dataset.hash, directory, reporter)
        tree_key = store().put_tree(directory / "checkpoint")
    attempt.check()
    with transaction() as session:
        ledger.guard(session, attempt.claim)
        record_checkpoint(session, row, dataset, tree_key, comparison, result, manifest.generation)
        ledger.finish(session, attempt.claim)
    reporter.delete_checkpoints()


def learn(
    attempt: Attempt, row: RoundRow, dataset_hash: str, directory: Path, reporter: Reporter
) -> tuple[TrainingResult, Comparison]:
    """Train on `directory`/dataset into `directory`/checkpoint, and judge what came of it."""
    from models.trainers import train
    from models.training.job import TrainingJob

    recipe = recipe_for(row.recipe, row.overrides)
    parent, base = beginnings(row, recipe)
    release()  # what an earlier round was judged by
    try:
        result = train(
            TrainingJob(
                dataset=directory / "dataset",
                out=directory / "checkpoint",
                recipe=recipe,
                parent=parent,
                parent_id=row.parent_id,
                base=base,
                language=row.language,
                scripts=tuple(sorted(expected(row.language))),
                dataset_hash=dataset_hash,
                resume=directory / "resume",
                seed=row.id,
                device=device(),
                processes=devices(),
            ),
            progress=reporter.progress,
            saved=reporter.saved,
            should_stop=attempt.should_stop,
        )
    except Cancelled:
        attempt.check()  # says whether the shard is gone or the worker is going
        raise
    attempt.check()
    reporter.judging(result.progress)
    comparison = judge(row, recipe, directory)
    release()
    return result, comparison


def beginnings(row: RoundRow, recipe: Recipe) -> tuple[Path | None, Path | None]:
    """The files a training begins with: its parent's checkpoint, or else the published weights of a page reader.
    Raises SetupError where they are not to be had."""
    parent = find_checkpoint(row.parent_id) if row.parent_id else None
    if parent is not None and parent.tree_key is not None:
        return parent.directory(), None
    return None, published_weights(recipe.architecture) if isinstance(recipe, PageRecipe) else None


def materialise(manifest_key: str, directory: Path) -> DatasetManifest:
    """Lay the dataset's manifest and patch files out as the loader reads them; returns the manifest."""
    directory.mkdir(parents=True)
    data = store().get(manifest_key)
    manifest = from_json(DatasetManifest, json.loads(data))
    for file in manifest.files:
        store().fetch(file.key, directory / file.name)
    (directory / "manifest.json").write_bytes(data)
    return manifest


def fetch_resume(row: RoundRow, directory: Path) -> None:
    """Bring the last complete training checkpoint back, if there is one."""
    if row.resume_key is None:
        directory.mkdir(parents=True)
        return
    try:
        store().fetch_tree(row.resume_key, directory)
    except (BlobMissing, BlobCorrupt) as error:
        log.warning("training starts over: its checkpoint is gone", error=str(error))
        directory.mkdir(parents=True, exist_ok=True)


class Reporter:
    """Writer of a training's progress and checkpoints into the round's row, under the lease.

    A database or store that is away for a while costs reports, not the training: what matters is written
    again with the next one. `LeaseLost` is raised to the training, which ends with it.
    """

    def __init__(self, attempt: Attempt, row: RoundRow) -> None:
        self._attempt, self._round_id = attempt, row.id
        self._next_report, self._points = 0.0, 0
        self._stored = [row.resume_key] if row.resume_key else []  # trees that the row names, or may name
        self._seconds, self._since = row.trained_seconds or 0.0, time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of training, earlier attempts included."""
        return self._seconds + time.monotonic() - self._since

    def progress(self, progress: Progress) -> None:
        """Called every step; writes at most once a second, and each time the curve grew."""
        if len(progress.curve) == self._points and time.monotonic() < self._next_report:
            return
        self._points = len(progress.curve)
        pause = REPORT_SECONDS
        try:
            self._write(progress=progress.figures, curve=progress.curve)
        except Transient as error:
            log.warning("training goes on unreported", error=str(error))
            pause = OUTAGE_SECONDS
        self._next_report = time.monotonic() + pause

    def judging(self, progress: Progress) -> None:
        """Report that the training is over and the judging begins."""
        try:
            self._write(progress=judging_progress(progress), curve=progress.curve)
        except Transient as error:
            log.warning("judging goes on unreported", error=str(error))

    def saved(self, directory: Path) -> None:
        """Store the complete training checkpoint in `directory`, in place of the one before.
        Raises LeaseLost, before anything is stored when it is known already."""
        with suppress(Stopping):  # the very time to keep one
            self._attempt.check()
        try:
            key = store().put_tree(directory)
            self._stored.append(key)
            self._write(resume_key=key, trained_seconds=self.seconds)
        except Transient as error:
            log.warning("training goes on without a new checkpoint", error=str(error))
            return
        self.delete_checkpoints(but=key)

    def delete_checkpoints(self, but: str | None = None) -> None:
        """Delete the trees kept so far but for `but`, which the row names now, and what others share with them:
        the files around the weights are alike in all trainings of a kind."""
        old, self._stored = [key for key in self._stored if key != but], [but] if but else []
        for key in old:
            try:
                for blob in blobs_of(key) - self._needed(but, key):
                    store().delete(blob)
            except (Transient, BlobMissing, BlobCorrupt) as error:
                log.warning("an old training checkpoint stays in the store", tree=key, error=str(error))

    def _needed(self, but: str | None, old: str) -> set[str]:
        """The blobs of all checkpoints, and of what other rounds go on from."""
        with transaction() as session:
            checkpoints = session.execute(select(CheckpointRow.tree_key)).scalars().all()
            others = (
                session.execute(select(RoundRow.resume_key).where(RoundRow.id != self._round_id)).scalars().all()
            )
        keys = {key for key in (*checkpoints, *others, but) if key is not None and key != old}
        return set().union(*map(blobs_of, keys))

    def _write(self, **values: Any) -> None:
        with transaction() as session:
            ledger.guard(session, self._attempt.claim)
            session.execute(update(RoundRow).where(RoundRow.id == self._round_id).values(**values))


def judging_progress(progress: Progress) -> TrainingProgress:
    """The progress of a training that is over, while its checkpoint is judged."""
    return replace(progress.figures, phase=TrainingPhase.JUDGING)


def blobs_of(tree_key: str) -> set[str]:
    """Every blob of a tree, its manifest among them. Raises BlobMissing, BlobCorrupt, StoreUnavailable."""
    return {tree_key, *(file["key"] for file in read_manifest(tree_key, store().get(tree_key)))}


def record_checkpoint(
    session: Session,
    row: RoundRow,
    dataset: DatasetRow,
    tree_key: str,
    comparison: Comparison,
    result: TrainingResult,
    generation: int,
) -> None:
    """Record the checkpoint and send the round to its decision. `generation`: the highest it learned from."""
    checkpoint = CheckpointRow(
        id=f"{row.recipe}-{row.language}-{row.id}",
        architecture=result.architecture,
        language=row.language,
        scripts=sorted(expected(row.language)),
        tree_key=tree_key,
        parent_id=row.parent_id,
        round_id=row.id,
        dataset_id=dataset.id,
        generation=1 + generation,
        scores=comparison.candidate,
        reading=result.manifest.reading,
    )
    session.add(checkpoint)
    session.flush()
    session.execute(
        update(RoundRow)
        .where(RoundRow.id == row.id)
        .values(
            checkpoint_id=checkpoint.id,
            comparison=comparison,
            curve=result.curve,
            progress=judging_progress(result.progress),
            trained_seconds=result.seconds,
            resume_key=None,
        )
    )
    enter(session, row.id, RoundStatus.PROMOTING)
