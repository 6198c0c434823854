"""A training's job, its progress and its result: the same for lines and for pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.checkpoint import Manifest
from models.training.recipe import PageRecipe, Recipe


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """One training: its dataset, recipe and output. `resume` is the directory of complete training checkpoints.

    `parent` is a checkpoint directory, `parent_id` its name for the records; `base` holds the published weights
    that a page reader without a parent begins with. Scripts are ISO 15924. `threads` for torch, or None to leave
    them as they are; `device` as torch names it ("cpu", "cuda"); `processes` train side by side, one a device.
    """

    dataset: Path
    out: Path
    recipe: Recipe | PageRecipe
    language: str
    scripts: tuple[str, ...]
    resume: Path
    parent: Path | None = None
    parent_id: str | None = None
    dataset_hash: str = ""
    seed: int = 0
    threads: int | None = None
    device: str = "cpu"
    base: Path | None = None
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a run. Seconds are of training; `cer` is of the last validation."""

    step: int
    epoch: int
    seconds: float
    share: float  # of the run that is done, 0..1
    lines: int  # seen so far; pages where the recipe's unit is the page
    loss: float  # running mean, nats a character
    learning_rate: float
    cer: float | None = None
    curve: tuple[dict[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON form, without the curve."""
        names = ("step", "epoch", "seconds", "share", "lines", "loss", "learning_rate", "cer")
        values = {name: getattr(self, name) for name in names}
        rate = self.lines / self.seconds if self.seconds > 0 else 0.0
        remaining = self.seconds * (1 - self.share) / self.share if self.share > 0 else None
        return {**values, "lines_per_second": rate, "remaining_seconds": remaining}


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """A finished run: its checkpoint's directory and manifest, its curve, and where it ended."""

    directory: Path
    manifest: Manifest
    architecture: str
    progress: Progress
    curve: tuple[dict[str, Any], ...] = field(default=())

    @property
    def seconds(self) -> float:
        return self.progress.seconds
