"""Two processes under torchrun, with gloo on the CPU, train as one with twice the batch does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from flywheel.errors import Cancelled, Rejected, SetupError
from models.page_training.callback import RUN
from models.page_training.launch import error_of, main, to_json
from models.readers.deepseek_ocr import weights
from models.trainers import train
from models.training.job import TrainingJob
from tests.models.page_training.datasets import dataset
from tests.models.page_training.jobs import SPLITS, job, pages
from tests.models.tiny import tiny_deepseek_ocr

ALIKE = {"steps": 3, "degrade": 0.5, "fine_share": 0.5, "learning_rate": 1e-3, "gradient_checkpointing": True}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny_deepseek_ocr(tmp_path / "base", hidden=32, layers=2)


def test_two_processes_learn_what_one_with_twice_the_batch_learns(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    data = dataset(tmp_path / "data", pages(), SPLITS)
    alone = train(job(tmp_path, data, base, batch=4, **ALIKE))
    steps: list[int] = []
    two = replace(
        job(tmp_path, data, base, batch=2, **ALIKE), processes=2, out=tmp_path / "two", resume=tmp_path / "both"
    )
    together = train(two, progress=lambda p: steps.append(p.step))
    assert steps[:3] == [1, 2, 3]
    assert together.progress.units == alone.progress.units == 12
    ours, theirs = weights.load(together.directory).state_dict(), weights.load(alone.directory).state_dict()
    moved = weights.load(base).state_dict()
    assert any(not torch.equal(ours[name], moved[name]) for name in ours)
    worst = max(float((ours[name] - theirs[name]).abs().max()) for name in ours)
    assert worst < 1e-4


def test_two_processes_stop_together(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    data = dataset(tmp_path / "data", pages(), SPLITS)
    two = replace(job(tmp_path, data, base, steps=500, checkpoint_seconds=0.0), processes=2)
    kept: list[bool] = []
    with pytest.raises(Cancelled):
        train(two, should_stop=lambda: len(kept) > 1, saved=lambda path: kept.append((path / RUN).is_file()))
    assert kept
    assert all(kept)  # each is still there when it is handed over


def test_an_error_of_a_process_comes_home(tmp_path: Path, base: Path) -> None:
    data = dataset(tmp_path / "data", pages(), SPLITS)
    wrong, idle = replace(job(tmp_path, data, base), base=None), empty_job(tmp_path, base)
    wrong.resume.mkdir()
    for asked, kind in ((wrong, SetupError), (idle, Rejected)):
        path = tmp_path / "job.json"
        path.write_text(json.dumps(to_json(asked)))
        with pytest.raises(SystemExit):
            main(path)
        assert isinstance(error_of(json.loads((asked.resume / "error-0.json").read_text())), kind)


def empty_job(tmp_path: Path, base: Path) -> TrainingJob:
    return job(tmp_path, dataset(tmp_path / "empty", [], {}), base)
