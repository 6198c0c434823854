"""One entry for all training: a dataset and a recipe in, a checkpoint out.

    train(job, progress=..., should_stop=...) -> TrainingResult
    evaluate(reader, dataset, split) -> Scores          compare_on(...) -> candidate against champion

Page recipes are trained by models/page_training; what follows is of lines.

From scratch, or from a parent checkpoint whose output layer grows when new symbols appear. AdamW
under a warm-up and a cosine decay, CTC loss; lines are degraded on the fly, some are drawn anew in
other faces. The run keeps its curve, looks at degraded validation lines as it goes, keeps the best
weights it has seen, stops at a target or when its time is up, and goes on from its last complete
training checkpoint after a kill. Network, batches and the looks at validation lines are on the job's
device; what is kept and written comes from copies on the CPU, so any device goes on with it.

Whoever is judged is judged on lines of generation 0 alone, whose text comes from text layers and
people: held against a champion's own readings, that champion would be without fault.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional

from flywheel.errors import Cancelled, Rejected
from flywheel.reasons import Reason
from models.checkpoint import Manifest, load, save
from models.line_training.batches import Batch, TrainingLines, ValidationLines
from models.line_training.dataset import Dataset, Lines, Split
from models.page_training.comparison import compare_pages, recogniser_of
from models.recognition.line import BLANK, LineRecogniser, network_of
from models.recognition.network import ARCHITECTURE, LineNetwork, grow_output
from models.recognition.protocol import Recogniser
from models.scores import Comparison, Scores, compare, normalise, score
from models.training.job import Progress, TrainingJob, TrainingResult
from models.training.recipe import PageRecipe, Recipe, load_recipe, recipes
from models.training.resume import State, newest_state, save_state
from models.training.schedule import schedule

__all__ = [
    "PageRecipe",
    "Progress",
    "Recipe",
    "TrainingJob",
    "TrainingResult",
    "compare_on",
    "compare_pages",
    "evaluate",
    "load_recipe",
    "recipes",
    "recogniser_of",
    "train",
]

LOSS_MEMORY = 0.95  # of the running mean that is reported
EVALUATION_LINES = 64  # images decoded at once


def train(
    job: TrainingJob,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    saved: Callable[[Path], None] = lambda _: None,
) -> TrainingResult:
    """Train to the end of the recipe's time, steps or target, and write the checkpoint to `job.out`.

    `progress` is called after every step, `saved` with the directory of each complete training
    checkpoint, also before an end that `should_stop` asks for; what `saved` raises ends the run. Raises
    Cancelled when `should_stop` says so (asked before every step), and
    Rejected(NO_LINES) when the dataset has no line to train on.
    """
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    if isinstance(job.recipe, PageRecipe):
        from models.page_training.launch import train_pages

        return train_pages(job, progress=progress, should_stop=should_stop, saved=saved)
    dataset = Dataset.open(job.dataset)
    run = LineTraining(job, job.recipe, dataset)
    run.go(progress, should_stop, saved)
    return run.finish()


class LineTraining:
    """One training run: its network, optimiser and place in the data."""

    def __init__(self, job: TrainingJob, recipe: Recipe, dataset: Dataset) -> None:
        self.job, self.recipe = job, recipe
        lines = dataset.lines("train", most_generation=self.recipe.generations)
        if not len(lines):
            raise Rejected(Reason.NO_LINES, "the dataset has no line to train on")
        self.dataset_hash = job.dataset_hash or dataset.hash
        torch.manual_seed(job.seed)
        name = fingerprint(job, recipe, self.dataset_hash)
        state = newest_state(job.resume, name)
        self.charset, self.network = _network(
            job, recipe, sorted(set("".join(map(normalise, lines.texts)))), state
        )
        self.network.to(job.device)  # before the optimiser is made: its moments lie beside the weights
        height = self.network.config.height
        self.lines = TrainingLines(lines, self.charset, self.recipe, height, job.seed)
        if not len(self.lines):
            raise Rejected(Reason.NO_LINES, f"none of {len(lines)} lines is wide enough for its text")
        self.validation = ValidationLines(_watched(dataset, lines), self.recipe.validation_lines, job.seed)
        self.peak = self.recipe.fine_tune_rate if job.parent else self.recipe.learning_rate
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=self.peak, weight_decay=self.recipe.weight_decay, betas=(0.9, 0.99)
        )
        self.steps = planned_steps(self.recipe, self.lines.steps_per_epoch)
        self.state = state or State(self.charset, {}, {}, job=name)
        if state is not None:
            self.optimiser.load_state_dict(state.optimiser)
        self.loss: float | None = None
        self.looked = self.kept = self.state.seconds
        self.kept_step = self.state.step
        self.since = time.monotonic() - self.state.seconds

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.since

    @property
    def share(self) -> float:
        return min(1.0, max(self.seconds / self.recipe.seconds, self.state.step / self.steps))

    def go(
        self,
        progress: Callable[[Progress], None],
        should_stop: Callable[[], bool],
        saved: Callable[[Path], None],
    ) -> None:
        """Step until the end, looking and saving as the recipe asks."""
        self.network.train()
        while self.share < 1.0:
            for batch in self.lines.epoch(self.state.epoch, self.state.position):
                if should_stop():
                    if self.state.step > self.kept_step:
                        saved(self.keep())
                    raise Cancelled(f"training stopped at step {self.state.step}")
                self.step(batch)
                self.state.position += 1
                if self.seconds - self.looked >= self.recipe.evaluate_seconds:
                    self.look()
                if self.seconds - self.kept >= self.recipe.checkpoint_seconds:
                    saved(self.keep())
                progress(self.progress())
                if self.share >= 1.0 or self.reached_target():
                    break
            else:
                self.state.epoch, self.state.position = self.state.epoch + 1, 0
                continue
            break
        self.look()
        progress(self.progress())

    def step(self, batch: Batch) -> None:
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
        self.loss = value if self.loss is None else LOSS_MEMORY * self.loss + (1 - LOSS_MEMORY) * value
        self.state.step += 1
        self.state.lines += len(batch.lengths)

    def look(self) -> None:
        """Read the validation lines, put a point on the curve, keep the weights when they are the best."""
        clean, degraded = self.validation.read(self.reader())
        self.network.train()
        self.looked = self.seconds
        point = {
            "step": self.state.step,
            "seconds": round(self.seconds, 2),
            "lines": self.state.lines,
            "loss": round(self.loss or 0.0, 5),
            "cer": round(degraded.cer, 5),
            "cer_clean": round(clean.cer, 5),
        }
        self.state.curve.append(point)
        if self.state.best_cer is None or degraded.cer <= self.state.best_cer:
            self.state.best_cer = degraded.cer
            self.state.best = on_cpu(self.network)

    def reached_target(self) -> bool:
        best = self.state.best_cer
        return best is not None and self.recipe.target_cer > 0 and best <= self.recipe.target_cer

    def keep(self) -> Path:
        """Save a complete training checkpoint."""
        self.kept, self.kept_step = self.seconds, self.state.step
        self.state.seconds = self.seconds
        self.state.network = on_cpu(self.network)
        self.state.optimiser = self.optimiser.state_dict()
        return save_state(self.job.resume, self.state)

    def reader(self) -> LineRecogniser:
        return LineRecogniser(
            self.network,
            self.charset,
            checkpoint="in training",
            scripts=self.job.scripts,
            device=self.job.device,
        )

    def progress(self) -> Progress:
        return Progress(
            step=self.state.step,
            epoch=self.state.epoch,
            seconds=round(self.seconds, 2),
            share=self.share,
            lines=self.state.lines,
            loss=self.loss or 0.0,
            learning_rate=self.optimiser.param_groups[0]["lr"],
            cer=self.state.curve[-1]["cer"] if self.state.curve else None,
            curve=tuple(self.state.curve),
        )

    def finish(self) -> TrainingResult:
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
            scores={"validation_cer": self.state.best_cer, "steps": self.state.step, "seconds": self.seconds},
        )
        written = save(self.job.out, best, manifest)
        progress = self.progress()
        return TrainingResult(self.job.out, written, ARCHITECTURE, progress, progress.curve)


def on_cpu(network: LineNetwork) -> dict[str, torch.Tensor]:
    """The network's weights as they are now, copied to the CPU."""
    return {name: weights.detach().to("cpu", copy=True) for name, weights in network.state_dict().items()}


def fingerprint(job: TrainingJob, recipe: Recipe, dataset_hash: str) -> str:
    """Names a run: a state of other data, parent, seed or shape is not resumed. Being given more time,
    or being watched more closely, does not make it another run."""
    shape = [recipe.network.as_dict(), recipe.batch_pixels, recipe.generations]
    parent = job.parent_id or (load(job.parent).id if job.parent else None)
    return hashlib.sha256(json.dumps([dataset_hash, parent, job.language, job.seed, shape]).encode()).hexdigest()


def planned_steps(recipe: Recipe, steps_per_epoch: float) -> int:
    """How many steps a run takes if neither its time nor its target ends it."""
    if not recipe.epochs:
        return recipe.steps
    return min(recipe.steps, max(recipe.least_steps, math.ceil(recipe.epochs * steps_per_epoch)))


def evaluate(reader: Recogniser | Path, dataset: Path, split: Split, *, device: str = "cpu") -> Scores:
    """Scores of a recogniser, or of a checkpoint directory, on the true lines of a split as they are.

    Readings of other checkpoints are not taken for truth. `device` is where a directory is loaded to.
    """
    readings, truths, documents, confidences = _read_split(reader, dataset, split, device)
    return score(truths, readings, documents, confidences)


def compare_on(
    candidate: Recogniser | Path,
    champion: Recogniser | Path,
    dataset: Path,
    split: Split,
    *,
    device: str = "cpu",
) -> tuple[Scores, Scores, Comparison]:
    """Scores of two readers on the same true lines, and their difference under a paired bootstrap."""
    ours, truths, documents, our_confidences = _read_split(candidate, dataset, split, device)
    theirs, _, _, their_confidences = _read_split(champion, dataset, split, device)
    return (
        score(truths, ours, documents, our_confidences),
        score(truths, theirs, documents, their_confidences),
        compare(ours, theirs, truths, documents),
    )


def _read_split(
    reader: Recogniser | Path, directory: Path, split: Split, device: str
) -> tuple[list[str], list[str], list[str], list[float]]:
    recogniser = LineRecogniser.load(reader, device) if isinstance(reader, Path) else reader
    lines = Dataset.open(directory).lines(split, most_generation=0)
    readings = []
    for start in range(0, len(lines), EVALUATION_LINES):
        indices = range(start, min(len(lines), start + EVALUATION_LINES))
        readings += recogniser.read([lines.image(i) for i in indices])
    return [r.text for r in readings], lines.texts, lines.documents, [r.confidence for r in readings]


def _watched(dataset: Dataset, lines: Lines) -> Lines:
    """What a run is watched on: true validation lines, else true training lines, else what it learns from."""
    true = (dataset.lines(split, most_generation=0) for split in ("validation", "train"))
    return next((found for found in true if len(found)), lines)


def _network(
    job: TrainingJob, recipe: Recipe, symbols: list[str], state: State | None
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
