"""Training: fine-tune on the round's dataset, judge on its held-out documents, store the checkpoint.

The last complete training checkpoint is kept in the store and named in the
round's row, so whoever gets the shard next goes on from there. It is several times
the weights' size, so the one before it goes as soon as the row names the new one,
and the last goes with the training.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import update
from sqlalchemy.orm import Session

from flywheel import ledger, rounds
from flywheel.broker import Run, stop_task
from flywheel.database import transaction
from flywheel.errors import BlobCorrupt, BlobMissing, Cancelled, Stopping, Transient
from flywheel.promotion import BUILTIN
from flywheel.scripts import expected
from flywheel.store.tree import read_manifest
from flywheel.tables import CheckpointRow, Dataset, Round
from tasks.process import checkpoint_directory, device, recogniser, scratch, store

if TYPE_CHECKING:
    from models.finetune import Progress, TrainingResult

log = structlog.get_logger()

REPORT_SECONDS = 1.0
OUTAGE_SECONDS = 10.0  # between reports while the database is away: each may wait for it for long


@stop_task("training")
def training(run: Run) -> None:
    from models import finetune

    with transaction() as session:
        row = session.get_one(Round, run.claim.round_id)
        dataset = session.get_one(Dataset, row.dataset_id)
    with scratch(f"round-{row.id}") as directory:
        manifest = materialise(dataset.manifest_key, directory / "dataset")
        resume(row, directory / "resume")
        reporter = Reporter(run, row)
        try:
            result = finetune.train(
                finetune.TrainingJob(
                    dataset=directory / "dataset",
                    out=directory / "checkpoint",
                    recipe=finetune.load_recipe(row.recipe).with_overrides(row.overrides),
                    parent=checkpoint_directory(row.parent_id) if row.parent_id else None,
                    parent_id=row.parent_id,
                    language=row.language,
                    scripts=tuple(sorted(expected(row.language))),
                    dataset_hash=dataset.hash,
                    resume=directory / "resume",
                    seed=row.id,
                    device=device(),
                ),
                progress=reporter.progress,
                saved=reporter.saved,
                should_stop=run.should_stop,
            )
        except Cancelled:
            run.check()  # says whether the shard is gone or the worker is going
            raise
        run.check()
        scores = judge(row, directory)
        tree_key = store().put_tree(directory / "checkpoint")
    run.check()
    with transaction() as session:
        ledger.guard(session, run.claim)
        crown(session, row, dataset, tree_key, scores, result, int(manifest["generation"]))
        ledger.finish(session, run.claim)
    reporter.forget()


def materialise(manifest_key: str, directory: Path) -> dict[str, Any]:
    """Lay the dataset's manifest and patch files out as the loader reads them; returns the manifest."""
    directory.mkdir(parents=True)
    data = store().get(manifest_key)
    manifest: dict[str, Any] = json.loads(data)
    for file in manifest["files"]:
        store().fetch(file["key"], directory / file["name"])
    (directory / "manifest.json").write_bytes(data)
    return manifest


def resume(row: Round, directory: Path) -> None:
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
    """Carries training's progress and checkpoints into the round's row, under the lease.

    A database or store that is away for a while costs reports, not the training: what matters is written
    again with the next one. `LeaseLost` is raised to the training, which ends with it.
    """

    def __init__(self, run: Run, row: Round) -> None:
        self._run, self._round_id = run, row.id
        self._next_report, self._points = 0.0, 0
        self._kept = [row.resume_key] if row.resume_key else []  # trees that the row names, or may name
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
            self._write(progress=progress.as_dict(), curve=list(progress.curve))
        except Transient as error:
            log.warning("training goes on unreported", error=str(error))
            pause = OUTAGE_SECONDS
        self._next_report = time.monotonic() + pause

    def saved(self, directory: Path) -> None:
        """A complete training checkpoint lies in `directory`: keep it in place of the one before.
        Raises LeaseLost, before anything is stored when it is known already."""
        with suppress(Stopping):  # the very time to keep one
            self._run.check()
        try:
            key = store().put_tree(directory)
            self._kept.append(key)
            self._write(resume_key=key, trained_seconds=self.seconds)
        except Transient as error:
            log.warning("training goes on without a new checkpoint", error=str(error))
            return
        self.forget(but=key)

    def forget(self, but: str | None = None) -> None:
        """Delete the trees kept so far but for `but`, which the row names now, and what that shares with
        them. No other tree shares theirs: they hold a random state that is seeded with the round."""
        old, self._kept = [key for key in self._kept if key != but], [but] if but else []
        for key in old:
            try:
                for blob in blobs_of(key) - (blobs_of(but) if but else set()):
                    store().delete(blob)
            except (Transient, BlobMissing, BlobCorrupt) as error:
                log.warning("an old training checkpoint stays in the store", tree=key, error=str(error))

    def _write(self, **values: Any) -> None:
        with transaction() as session:
            ledger.guard(session, self._run.claim)
            session.execute(update(Round).where(Round.id == self._round_id).values(**values))


def blobs_of(tree_key: str) -> set[str]:
    """Every blob of a tree, its manifest among them. Raises BlobMissing, BlobCorrupt, StoreUnavailable."""
    return {tree_key, *(file["key"] for file in read_manifest(tree_key, store().get(tree_key)))}


def judge(row: Round, directory: Path) -> dict[str, Any]:
    """Scores on the held-out lines of the new checkpoint, and of whoever read the language before:
    the champion, or else the built-in reader."""
    from models.finetune import compare_on

    before_id = row.parent_id or BUILTIN
    after, before, comparison = compare_on(
        directory / "checkpoint", recogniser(before_id), directory / "dataset", "heldout", device=device()
    )
    return {
        "after": after.as_dict(),
        "before": before.as_dict(),
        "before_reader": before_id,
        "difference": comparison.difference,
        "difference_low": comparison.low,
        "difference_high": comparison.high,
    }


def crown(
    session: Session,
    row: Round,
    dataset: Dataset,
    tree_key: str,
    scores: dict[str, Any],
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
        scores=scores["after"],
    )
    session.add(checkpoint)
    session.flush()
    rounds.step(
        session,
        row.id,
        "promoting",
        "promotion",
        checkpoint_id=checkpoint.id,
        scores=scores,
        curve=list(result.curve),
        progress=result.progress.as_dict(),
        trained_seconds=result.seconds,
        resume_key=None,
    )
