"""One entry to all training: hands a job to the trainer of its recipe's unit.

    train(job, progress=..., should_stop=..., saved=...) -> TrainingResult

Lines are trained by models/line_training, pages by models/page_training.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from flywheel.recipes import PageRecipe
from models.training.job import Progress, TrainingJob, TrainingResult


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
    Cancelled when `should_stop` says so (asked before every step), and Rejected(NO_LINES) when the
    dataset has nothing to train on.
    """
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    if isinstance(job.recipe, PageRecipe):
        from models.page_training.launch import train_pages

        return train_pages(job, progress=progress, should_stop=should_stop, saved=saved)
    from models.line_training.training import train_lines

    return train_lines(job, progress=progress, should_stop=should_stop, saved=saved)
