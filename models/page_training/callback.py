"""Callback of the Trainer that validates, saves training checkpoints, ends the run, and reports progress.

One process decides, the first; the others follow, so that all take the same number of steps. A complete
training checkpoint is the Trainer's folder and `run.json`, written last: a folder without it is half a
checkpoint, and is passed over.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from flywheel.encoding import from_json, to_json
from flywheel.figures import CurvePoint, Unit
from flywheel.recipes import PageRecipe
from models.checkpoint import write_json
from models.page_training.comparison import texts_of
from models.page_training.dataset import PageSamples
from models.page_training.samples import TrainingSamples
from models.page_training.trainable import TrainableReader
from models.scores import score
from models.training.job import Progress
from models.training.schedule import EarlyEnd, early_end

RUN = "run.json"
LOSS_MEMORY = 0.95  # of the running mean that is reported
ANSWER_FACTOR = 1.25  # of the longest truth's tokens that an answer may have: beyond, it is wrong anyway


@dataclass(slots=True)
class PageTrainingState:
    """State that the Trainer does not keep: seconds of training, pages seen, the curve, the running loss."""

    job: str  # what the run is of; a checkpoint of another job is not resumed
    seconds: float = 0.0
    pages: int = 0
    curve: list[CurvePoint] = field(default_factory=list)
    loss: float | None = None
    early_end: EarlyEnd | None = None  # once the target was met


def newest_state(directory: Path, job: str) -> tuple[Path, PageTrainingState] | None:
    """The furthest complete training checkpoint of a job, in `directory` or itself `directory`; None: none."""
    found = []
    for path in (directory, *directory.glob("checkpoint-*")):
        try:
            state = from_json(PageTrainingState, json.loads((path / RUN).read_text(encoding="utf-8")))
            step = json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))["global_step"]
        except (OSError, ValueError, TypeError, KeyError):
            continue
        if state.job == job:
            found.append((step, path, state))
    if not found:
        return None
    _, path, state = max(found, key=lambda one: one[0])
    return path, state


class TrainingCallback(TrainerCallback):
    """Reports, validates, saves and ends. `first`: this process decides, the others follow."""

    def __init__(
        self,
        trainable: TrainableReader,
        recipe: PageRecipe,
        samples: TrainingSamples,
        pages: PageSamples,
        state: PageTrainingState,
        *,
        steps: int,
        target: float,
        first: bool,
        progress: Callable[[Progress], None],
        should_stop: Callable[[], bool],
        saved: Callable[[Path], None],
    ) -> None:
        self._trainable, self._recipe, self._samples, self._state = trainable, recipe, samples, state
        self._pages = pages
        self._steps, self._target, self._first = steps, target, first
        self._progress, self._should_stop, self._saved = progress, should_stop, saved
        self._since = time.monotonic() - state.seconds
        self._validated_at = self._saved_at = state.seconds
        self._saved_step = -1
        self.rate = 0.0
        self.share = 0.0
        self.cancelled = False
        self.seen = 0  # pages in a step, of all processes

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._since

    def record_loss(self, loss: torch.Tensor) -> None:
        """Add the loss of one pass to the running mean."""
        value = float(loss.detach())
        mean = self._state.loss
        self._state.loss = value if mean is None else LOSS_MEMORY * mean + (1 - LOSS_MEMORY) * value

    def on_train_begin(
        self,
        args: TrainingArguments,  # noqa: ARG002  # named so by the Trainer
        state: TrainerState,
        control: TrainerControl,
        **_: Any,
    ) -> TrainerControl:
        """A resumed run is as far as it was: the learning rate goes by it."""
        self.share = self._share_at(state.global_step)
        return control

    def on_epoch_begin(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,
        **_: Any,
    ) -> TrainerControl:
        """Samples follow from the epoch, also of a run that goes on inside of one."""
        self._samples.epoch = int(state.epoch or 0)
        return control

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002  # named so by the Trainer
        state: TrainerState,
        control: TrainerControl,
        **_: Any,
    ) -> TrainerControl:
        self._state.pages += self.seen
        validate, save, end = self._decide(state.global_step)
        if validate and self._first:
            self.validate(state)
        if self._first:
            self._progress(self.progress(state))
        control.should_save = save
        control.should_training_stop = control.should_training_stop or end
        return control

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        """The Trainer's part is complete: write the rest, and remove the checkpoints before this one."""
        if distributed.is_initialized():
            distributed.barrier()  # the others' random states are written too
        self._saved_at, self._saved_step = self.seconds, state.global_step
        if self._first:
            directory = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
            self._state.seconds = self.seconds
            (directory / "training_args.bin").unlink(missing_ok=True)  # a pickle that nobody needs
            write_json(directory / RUN, to_json(self._state))
            for other in directory.parent.glob("checkpoint-*"):
                if other != directory:
                    shutil.rmtree(other, ignore_errors=True)
            self._saved(directory)
        return control

    def _share_at(self, step: int) -> float:
        """The part of the run that is done: of its time, of its steps, or of the way to the end that its target
        set, whichever is furthest."""
        early = self._state.early_end
        shares = (self.seconds / self._recipe.seconds, step / self._steps)
        return min(1.0, max(*shares, early.share_at(step) if early else 0.0))

    def _decide(self, step: int) -> tuple[bool, bool, bool]:
        """(validate, save, end) as the first process finds; updates the share of the run that is done."""
        self.share = self._share_at(step)
        self.cancelled = self._first and self._should_stop()
        validate = self.seconds - self._validated_at >= self._recipe.evaluate_seconds
        save = self.seconds - self._saved_at >= self._recipe.checkpoint_seconds
        if distributed.is_initialized():
            told: list[Any] = [self.share, self.cancelled, validate, save]
            distributed.broadcast_object_list(told, src=0)
            self.share, self.cancelled, validate, save = told
        end = self.cancelled or self.share >= 1.0
        return validate and not self.cancelled, (save or self.cancelled) and step > self._saved_step, end

    def first_process_says(self, mine: bool) -> bool:
        """The first process's value, in every process."""
        if not distributed.is_initialized():
            return mine
        told = [mine]
        distributed.broadcast_object_list(told, src=0)
        return bool(told[0])

    def validate(self, state: TrainerState) -> None:
        """Read the validation pages, and put a point on the curve."""
        answers = [self._answer(place) for place in range(len(self._pages))]
        limit = round(ANSWER_FACTOR * max(map(self._trainable.tokens, answers), default=1)) + 8
        reader = self._trainable.reader(limit=limit, batch=len(self._pages))
        read, _ = texts_of(reader, self._pages)
        self._trainable.network.train()
        self._validated_at = self.seconds
        point = CurvePoint(
            step=state.global_step,
            seconds=round(self.seconds, 2),
            units=self._state.pages,
            loss=round(self._state.loss or 0.0, 5),
            cer=round(score(self._pages.texts, read).cer, 5),
        )
        self._state.curve.append(point)
        if self._state.early_end is None and 0 < self._target >= point.cer:
            self._state.early_end = early_end(
                state.global_step,
                self.share,
                pass_steps=len(self._samples) / max(1, self.seen),
                warm_up=self._recipe.warm_up,
            )

    def _answer(self, place: int) -> str:
        return (self._trainable.fine and self._pages.markups[place]) or self._pages.texts[place]

    def progress(self, state: TrainerState) -> Progress:
        curve = self._state.curve
        return Progress(
            unit=Unit.PAGE,
            step=state.global_step,
            epoch=int(state.epoch or 0),
            seconds=round(self.seconds, 2),
            share=self.share,
            units=self._state.pages,
            loss=self._state.loss or 0.0,
            learning_rate=self.rate,
            cer=curve[-1].cer if curve else None,
            curve=tuple(curve),
        )
