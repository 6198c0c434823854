"""A training's job, its progress and its result: the same for lines and for pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flywheel.encoding import field_types
from flywheel.figures import CurvePoint, TrainingProgress
from flywheel.recipes import Recipe
from models.checkpoint import Manifest


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """One training: its dataset, recipe and output. `resume` is the directory of complete training checkpoints.

    `parent` is a checkpoint directory, `parent_id` its name for the records; `base` holds the published weights
    that a page reader without a parent begins with. Scripts are ISO 15924. `threads` for torch, or None to leave
    them as they are; `device` as torch names it ("cpu", "cuda"); `processes` train side by side, one a device.
    """

    dataset: Path
    out: Path
    recipe: Recipe
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
class Progress(TrainingProgress):
    """Progress of a run, with its learning curve so far."""

    curve: tuple[CurvePoint, ...] = ()

    @property
    def figures(self) -> TrainingProgress:
        """The same without the curve."""
        return TrainingProgress(**{name: getattr(self, name) for name in field_types(TrainingProgress)})


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """A finished run: its checkpoint's directory and manifest, and where it ended."""

    directory: Path
    manifest: Manifest
    architecture: str
    progress: Progress

    @property
    def curve(self) -> tuple[CurvePoint, ...]:
        return self.progress.curve

    @property
    def seconds(self) -> float:
        return self.progress.seconds
