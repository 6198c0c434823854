"""Training of a line recogniser: a dataset of lines and a recipe in, a checkpoint out.

    train_lines(job, progress=..., should_stop=..., saved=...) -> TrainingResult

From scratch, or from a parent checkpoint whose output layer grows when new symbols appear. AdamW
under a warm-up and a cosine decay, CTC loss; lines are degraded on the fly, some are drawn anew in
other faces. The run keeps its curve, reads degraded validation lines as it goes, keeps the best
weights it has seen, anneals and stops when a target is met or its time is up, and goes on from its last complete
training checkpoint after a kill. Network, batches and validation are on the job's device; what is
kept and written comes from copies on the CPU, so any device goes on with it.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional

from flywheel.errors import Cancelled, Rejected, SetupError
from flywheel.figures import CurvePoint, ReadingSettings, Unit
from flywheel.reasons import Reason
from flywheel.recipes import LineRecipe
from models.checkpoint import Manifest, load, save
from models.line_training.batches import LineBatch, TrainingLines, ValidationLines, target_text
from models.line_training.dataset import LineDataset
from models.line_training.resume import LineTrainingState, newest_state, restore_random, save_state
from models.recognition.line import BLANK, LineRecogniser, network_of
from models.recognition.network import ARCHITECTURE, LineNetwork, grow_output
from models.training.job import Progress, TrainingJob, TrainingResult
from models.training.schedule import early_end, effective_target, schedule

LOSS_MEMORY = 0.95  # of the running mean that is reported


def train_lines(
    job: TrainingJob,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    saved: Callable[[Path], None] = lambda _: None,
) -> TrainingResult:
    """Train in this process; see `models.trainers.train` for the callbacks and for what is raised."""
    if not isinstance(job.recipe, LineRecipe):
        raise SetupError(f"recipe {job.recipe.name} is not of lines")
    trainer = LineTrainer(job, job.recipe, LineDataset.open(job.dataset))
    trainer.train(progress, should_stop, saved)
    return trainer.write_result()


class LineTrainer:
    """One training run: its network, optimiser and place in the data."""

    def __init__(self, job: TrainingJob, recipe: LineRecipe, dataset: LineDataset) -> None:
        self.job, self.recipe = job, recipe
        lines, watched = dataset.training_lines(recipe.generations, recipe.least_confidence)
        if not len(lines):
            raise Rejected(Reason.NO_LINES, "the dataset has no line to train on")
        self.dpi = statistics.mode(lines.dpis)  # of most of the lines
        self.dataset_hash = job.dataset_hash or dataset.hash
        torch.manual_seed(job.seed)
        name = fingerprint(job, recipe, self.dataset_hash)
        state = newest_state(job.resume, name)
        self.charset, self.network = _network(
            job, recipe, sorted(set("".join(map(target_text, lines.texts)))), state
        )
        self.network.to(job.device)  # before the optimiser is made: its moments lie beside the weights
        height = self.network.config.height
        self.lines = TrainingLines(lines, self.charset, self.recipe, height, job.seed)
        if not len(self.lines):
            raise Rejected(Reason.NO_LINES, f"none of {len(lines)} lines is wide enough for its text")
        self.validation = ValidationLines(watched, self.recipe.validation_lines, job.seed)
        self.peak = self.recipe.fine_tune_rate if job.parent else self.recipe.learning_rate
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=self.peak, weight_decay=self.recipe.weight_decay, betas=(0.9, 0.99)
        )
        self.target = effective_target(recipe.target_cer, job.parent)
        self.steps = planned_steps(self.recipe, self.lines.steps_per_epoch)
        self.state = state or LineTrainingState(self.charset, {}, {}, job=name)
        if state is not None:
            self.optimiser.load_state_dict(state.optimiser)
        self.validated_at = self.saved_at = self.state.seconds
        self.saved_step = self.state.step
        self.since = time.monotonic() - self.state.seconds
        if state is not None:  # last of all: what is made above draws numbers
            restore_random(state, job.device)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.since

    @property
    def share(self) -> float:
        """The part of the run that is done, 0..1: of its time, of its steps, or of the way to the end that its
        target set, whichever is furthest."""
        early = self.state.early_end
        shares = (self.seconds / self.recipe.seconds, self.state.step / self.steps)
        return min(1.0, max(*shares, early.share_at(self.state.step) if early else 0.0))

    def is_finished(self) -> bool:
        return self.share >= 1.0

    def train(
        self,
        progress: Callable[[Progress], None],
        should_stop: Callable[[], bool],
        saved: Callable[[Path], None],
    ) -> None:
        """Step until the end, validating and saving as often as the recipe asks."""
        self.network.train()
        while not self.is_finished():
            for batch in self.lines.epoch(self.state.epoch, self.state.position):
                if should_stop():
                    if self.state.step > self.saved_step:
                        saved(self.save_checkpoint())
                    raise Cancelled(f"training stopped at step {self.state.step}")
                self.step(batch)
                self.state.position += 1
                if self.seconds - self.validated_at >= self.recipe.evaluate_seconds:
                    self.validate()
                if self.seconds - self.saved_at >= self.recipe.checkpoint_seconds:
                    saved(self.save_checkpoint())
                progress(self.progress())
                if self.is_finished():
                    break
            else:
                self.state.epoch, self.state.position = self.state.epoch + 1, 0
        self.validate()
        progress(self.progress())

    def step(self, batch: LineBatch) -> None:
        """One gradient step; the loss is nats a character, averaged over lines."""
        rate = self.peak * schedule(self.share, self.recipe.warm_up)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        device = self.job.device
        log_probabilities = self.network(
            batch.images.to(device, non_blocking=True), batch.widths.to(device, non_blocking=True)
        )
        loss = functional.ctc_loss(
            log_probabilities.transpose(0, 1),
            batch.targets.to(device, non_blocking=True),
            batch.frames,  # both lengths stay on the CPU, where the loss reads them
            batch.lengths,
            blank=BLANK,
            zero_infinity=True,
        )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimiser.step()
        value = float(loss.detach())
        mean = self.state.loss
        self.state.loss = value if mean is None else LOSS_MEMORY * mean + (1 - LOSS_MEMORY) * value
        self.state.step += 1
        self.state.lines += len(batch.lengths)

    def validate(self) -> None:
        """Read the validation lines, put a point on the curve, keep the weights when they are the best."""
        clean, degraded = self.validation.read(self.recogniser())
        self.network.train()
        self.validated_at = self.seconds
        point = CurvePoint(
            step=self.state.step,
            seconds=round(self.seconds, 2),
            units=self.state.lines,
            loss=round(self.state.loss or 0.0, 5),
            cer=round(degraded.cer, 5),
            cer_clean=round(clean.cer, 5),
        )
        self.state.curve.append(point)
        if self.state.best_cer is None or degraded.cer <= self.state.best_cer:
            self.state.best_cer = degraded.cer
            self.state.best = on_cpu(self.network)
        if self.state.early_end is None and 0 < self.target >= degraded.cer:
            self.state.early_end = early_end(
                self.state.step,
                self.share,
                pass_steps=self.lines.steps_per_epoch,
                warm_up=self.recipe.warm_up,
            )

    def save_checkpoint(self) -> Path:
        """Save a complete training checkpoint."""
        self.saved_at, self.saved_step = self.seconds, self.state.step
        self.state.seconds = self.seconds
        self.state.network = on_cpu(self.network)
        self.state.optimiser = self.optimiser.state_dict()
        return save_state(self.job.resume, self.state)

    def recogniser(self) -> LineRecogniser:
        return LineRecogniser(
            self.network,
            self.charset,
            checkpoint="in training",
            scripts=self.job.scripts,
            device=self.job.device,
        )

    def progress(self) -> Progress:
        return Progress(
            unit=Unit.LINE,
            step=self.state.step,
            epoch=self.state.epoch,
            seconds=round(self.seconds, 2),
            share=self.share,
            units=self.state.lines,
            loss=self.state.loss or 0.0,
            learning_rate=self.optimiser.param_groups[0]["lr"],
            cer=self.state.curve[-1].cer if self.state.curve else None,
            curve=tuple(self.state.curve),
        )

    def write_result(self) -> TrainingResult:
        """Write the best weights as a checkpoint."""
        best = self.state.best or on_cpu(self.network)
        manifest = Manifest(
            architecture=ARCHITECTURE,
            config=self.network.config.as_dict(),
            charset=self.charset,
            language=self.job.language,
            scripts=self.job.scripts,
            dataset_hash=self.dataset_hash,
            parent=self.job.parent_id or (load(self.job.parent).id if self.job.parent else None),
            recipe=self.recipe.name,
            reading=ReadingSettings(dpi=self.dpi),
            scores={"validation_cer": self.state.best_cer, "steps": self.state.step, "seconds": self.seconds},
        )
        written = save(self.job.out, best, manifest)
        progress = self.progress()
        return TrainingResult(self.job.out, written, ARCHITECTURE, progress)


def on_cpu(network: LineNetwork) -> dict[str, torch.Tensor]:
    """The network's weights as they are now, copied to the CPU."""
    return {name: weights.detach().to("cpu", copy=True) for name, weights in network.state_dict().items()}


def fingerprint(job: TrainingJob, recipe: LineRecipe, dataset_hash: str) -> str:
    """Names a run: a state of other data, parent, seed or shape is not resumed. Being given more time,
    or being watched more closely, does not make it another run."""
    shape = [recipe.network.as_dict(), recipe.batch_pixels, recipe.generations]
    parent = job.parent_id or (load(job.parent).id if job.parent else None)
    return hashlib.sha256(json.dumps([dataset_hash, parent, job.language, job.seed, shape]).encode()).hexdigest()


def planned_steps(recipe: LineRecipe, steps_per_epoch: float) -> int:
    """Number of steps of a run that neither its time nor its target ends."""
    if not recipe.epochs:
        return recipe.steps
    return min(recipe.steps, max(recipe.least_steps, math.ceil(recipe.epochs * steps_per_epoch)))


def _network(
    job: TrainingJob, recipe: LineRecipe, symbols: list[str], state: LineTrainingState | None
) -> tuple[tuple[str, ...], LineNetwork]:
    """The charset and the network to start with: of a saved state, of the parent, or new."""
    if job.parent is not None:
        parent = load(job.parent)
        charset = parent.manifest.charset
        network = network_of(parent)
        charset = charset + tuple(s for s in symbols if s not in set(charset))
        grow_output(network, len(charset) + 1)
    else:
        charset = tuple(symbols)
        network = LineNetwork(recipe.network, len(charset) + 1)
    if state is not None:
        charset = state.charset
        network.load_state_dict(state.network)
    return charset, network
