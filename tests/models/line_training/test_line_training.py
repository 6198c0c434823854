"""Training learns, stops when told, goes on after a kill, and builds on a parent."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from flywheel.encoding import from_json, to_json
from flywheel.errors import Cancelled, LeaseLost, Rejected
from flywheel.figures import ReadingSettings, TrainingProgress, Unit
from flywheel.reasons import Reason
from flywheel.recipes import load_recipe
from models.checkpoint import load
from models.line_training.comparison import compare_lines, evaluate
from models.line_training.dataset import LineSample, write_patches
from models.line_training.resume import newest_state
from models.line_training.training import planned_steps
from models.recognition.line import LineRecogniser
from models.recognition.ppocr import PpocrRecogniser
from models.trainers import train
from models.training.job import Progress, TrainingJob
from models.training.manifest import write_manifest
from models.training.schedule import schedule
from tests.models.drawing import draw_line, make_dataset, syllables

SMALL: dict[str, Any] = {
    "network": {"height": 32, "widths": [8, 16, 24, 48], "dimension": 64, "dilations": [1, 1], "dropout": 0.0},
    "learning_rate": 6e-3,
    "batch_pixels": 2000,
    "degrade": 0.2,
    "drawn_share": 0.0,
    "evaluate_seconds": 1000.0,
    "checkpoint_seconds": 1000.0,
    "seconds": 120.0,
}


def job(tmp_path: Path, **overrides: Any) -> TrainingJob:
    parent = overrides.pop("parent", None)
    return TrainingJob(
        dataset=tmp_path / "data",
        out=tmp_path / "checkpoint",
        recipe=load_recipe("line").with_overrides({**SMALL, **overrides}),
        language="bo",
        scripts=("Tibt",),
        resume=tmp_path / "resume",
        parent=parent,
        seed=1,
    )


def rows_of(split: str, lines: int, words: int) -> list[LineSample]:
    texts = [syllables(words, i) for i in range(lines)]
    return [LineSample(split, i, 0, text, draw_line(text)) for i, text in enumerate(texts)]


def test_training_on_a_hundred_lines_learns_them_by_heart(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_patches(tmp_path / "data" / "a.parquet", rows_of("d", 100, 3))
    write_manifest(tmp_path / "data", splits={"d": "train"}, language="bo")
    losses: list[float] = []
    result = train(job(tmp_path, steps=420), progress=lambda p: losses.append(p.loss))
    assert losses[-1] < 0.1 * losses[0]
    assert evaluate(result.directory, tmp_path / "data", "train").cer < 0.05
    assert result.progress.step == 420
    assert result.curve[-1].cer == pytest.approx(result.manifest.scores["validation_cer"], abs=1e-4)


def test_a_checkpoint_says_where_it_comes_from(tmp_path: Path) -> None:
    digest = make_dataset(tmp_path / "data", lines=16)
    result = train(job(tmp_path, steps=2))
    manifest = load(result.directory).manifest
    assert (manifest.dataset_hash, manifest.language, manifest.recipe) == (digest, "bo", "line")
    assert manifest.scripts == ("Tibt",)
    assert manifest.parent is None
    assert manifest.reading == ReadingSettings(dpi=150.0)
    assert set(manifest.charset) >= {"་"}


def test_training_is_cancelled_between_steps_and_leaves_no_checkpoint(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", lines=16)
    asked = iter([False, False, True])
    with pytest.raises(Cancelled, match="step 2"):
        train(job(tmp_path), should_stop=lambda: next(asked))
    assert not (tmp_path / "checkpoint").exists()


def test_a_run_that_is_stopped_keeps_its_last_step(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", lines=16)
    asked, kept = iter([False, False, False, True]), []
    with pytest.raises(Cancelled, match="step 3"):
        train(job(tmp_path), should_stop=lambda: next(asked), saved=kept.append)
    assert [path.name for path in kept] == ["step-00000003"]
    steps: list[int] = []
    train(job(tmp_path, steps=5), progress=lambda p: steps.append(p.step))
    assert steps[0] == 4


def test_a_run_that_is_stopped_before_it_learned_anything_new_keeps_nothing(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", lines=16)
    kept: list[Path] = []
    with pytest.raises(Cancelled):
        train(job(tmp_path), should_stop=lambda: True, saved=kept.append)
    assert kept == []


def test_what_saved_raises_ends_the_run(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", lines=16)
    asked = iter([False, True])

    def lost(_: Path) -> None:
        raise LeaseLost("taken")

    with pytest.raises(LeaseLost):
        train(job(tmp_path), should_stop=lambda: next(asked), saved=lost)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_training_on_a_gpu_leaves_what_a_machine_without_one_goes_on_with(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", lines=24, words=2)
    on_gpu = dataclasses.replace(job(tmp_path, steps=3, checkpoint_seconds=0.0), device="cuda")
    result = train(on_gpu)
    assert result.progress.step == 3
    state = newest_state(tmp_path / "resume")
    assert state is not None
    assert {t.device.type for t in [*state.network.values(), *state.best.values()]} <= {"cpu"}
    line = draw_line(syllables(2, 0))
    [here] = LineRecogniser.load(result.directory).read([line])
    [there] = LineRecogniser.load(result.directory, "cuda").read([line])
    assert there.confidence == pytest.approx(here.confidence, abs=1e-2)
    assert evaluate(result.directory, tmp_path / "data", "heldout", device="cuda").units == 3
    assert train(job(tmp_path, steps=6)).progress.step == 6
    assert train(dataclasses.replace(job(tmp_path, steps=9), device="cuda")).progress.step == 9


def test_a_time_budget_ends_the_run(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", lines=16)
    result = train(job(tmp_path, seconds=1.0, steps=10_000))
    assert 1.0 <= result.seconds < 20
    assert result.progress.step < 10_000
    assert result.progress.share == 1.0


def test_a_target_counts_after_a_pass_and_the_warm_up_and_the_rate_falls_before_the_end(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", lines=64)
    seen: list[Progress] = []
    asked = job(tmp_path, target_cer=1.0, evaluate_seconds=0.0, steps=200, warm_up=0.1)
    result = train(asked, progress=seen.append)
    passed = next(p.step for p in seen if p.epoch == 1)
    assert max(20, passed) < result.progress.step < 60
    rates = [p.learning_rate for p in seen]
    assert max(rates) == pytest.approx(SMALL["learning_rate"], rel=0.01)
    assert seen[-1].learning_rate < 0.2 * max(rates)
    assert result.progress.share == 1.0


def test_a_fine_tuning_has_no_target_for_its_parent_may_meet_it_at_the_first_look(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", lines=16)
    parent = train(job(tmp_path, steps=2))
    asked = job(tmp_path, target_cer=1.0, evaluate_seconds=0.0, steps=30, parent=parent.directory)
    result = train(dataclasses.replace(asked, out=tmp_path / "child", resume=tmp_path / "fresh"))
    assert result.curve[0].cer <= 1.0
    assert result.progress.step == 30


def test_a_run_on_its_way_to_an_early_end_goes_on_with_it(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", lines=16)
    asked = job(tmp_path, target_cer=1.0, evaluate_seconds=0.0, steps=200, warm_up=0.1)
    steps: list[int] = []
    with pytest.raises(Cancelled):
        train(asked, progress=lambda p: steps.append(p.step), should_stop=lambda: len(steps) == 22)
    state = newest_state(asked.resume)
    assert state is not None
    assert state.early_end is not None
    end = state.early_end.end
    assert train(asked).progress.step == end


def test_progress_tells_how_far_and_how_fast(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", lines=16)
    seen: list[Progress] = []
    train(job(tmp_path, steps=4, evaluate_seconds=0.01), progress=seen.append)
    assert [p.step for p in seen][:4] == [1, 2, 3, 4]
    last = seen[-1]
    assert (last.share, last.unit, last.remaining_seconds) == (1.0, Unit.LINE, 0.0)
    assert last.units_per_second == pytest.approx(last.units / last.seconds)
    assert last.curve[-1].cer == last.cer
    assert from_json(TrainingProgress, json.loads(json.dumps(to_json(last)))) == last.figures


def test_a_parent_is_built_upon_and_its_output_grows_with_new_symbols(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", lines=24, words=2)
    parent = train(job(tmp_path, steps=60))
    child_dir = tmp_path / "child"
    make_dataset(child_dir / "data", lines=16, words=2, extra="༼ཿ༽")
    child = train(job(child_dir, steps=1, parent=parent.directory))
    before, after = parent.manifest.charset, child.manifest.charset
    assert after[: len(before)] == before
    assert {"༼", "ཿ", "༽"} <= set(after)
    assert child.manifest.parent == load(parent.directory).id
    line = draw_line(syllables(2, 0))
    readings = [LineRecogniser.load(d).read([line])[0].text for d in (parent.directory, child.directory)]
    assert readings[0]
    assert readings[1]


def test_a_dataset_without_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_manifest(tmp_path / "data", splits={}, language="bo")
    with pytest.raises(Rejected) as caught:
        train(job(tmp_path))
    assert caught.value.reason is Reason.NO_LINES


def test_lines_too_narrow_for_their_text_are_refused_rather_than_looped_over(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    narrow = LineSample("d", 0, 0, syllables(40, 0), draw_line("ཀ་"))
    write_patches(tmp_path / "data" / "a.parquet", [narrow])
    write_manifest(tmp_path / "data", splits={"d": "train"}, language="bo")
    with pytest.raises(Rejected) as caught:
        train(job(tmp_path))
    assert caught.value.reason is Reason.NO_LINES


def test_two_readers_are_compared_on_the_same_held_out_lines(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", lines=24, words=2)
    result = train(job(tmp_path, steps=150))
    found = compare_lines(
        result.directory, PpocrRecogniser(), tmp_path / "data", "heldout", reader="ppocr", reads_now="ppocr"
    )
    after, before = found.candidate, found.baseline
    assert (found.baseline_reader, found.reads_now) == ("ppocr", "ppocr")
    assert after.units == before.units == 3
    assert before.cer > after.cer
    assert found.clean is not None
    assert found.clean.cer == pytest.approx(after.cer - before.cer)


def test_readings_of_a_checkpoint_are_never_the_truth_that_others_are_judged_by(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    line = draw_line(syllables(2, 0))
    rows = [LineSample("h", page, 0, "ཀ", line, generation=page) for page in (0, 1, 2)]
    write_patches(data / "a.parquet", rows)
    write_manifest(data, splits={"h": "heldout"}, language="bo")
    reader = PpocrRecogniser()
    assert evaluate(reader, data, "heldout").units == 1
    found = compare_lines(reader, reader, data, "heldout", reader="ppocr")
    assert (found.candidate.units, found.baseline.units) == (1, 1)
    assert (found.difference.cer, found.difference.p) == (0, 1)


def test_the_rate_warms_up_and_decays() -> None:
    rates = [schedule(share / 100, 0.1) for share in range(101)]
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) == 10
    assert rates[0] < 0.05
    assert rates[-1] < 0.01


PROGRAM = """
import sys, json
from pathlib import Path
import torch
torch.set_num_threads(1)
from models.trainers import train
from models.training.job import TrainingJob
from flywheel.recipes import load_recipe
root, overrides = Path(sys.argv[1]), json.loads(sys.argv[2])
job = TrainingJob(dataset=root / "data", out=root / "checkpoint", resume=root / "resume", language="bo",
                  recipe=load_recipe("line").with_overrides(overrides), scripts=("Tibt",), seed=1)
train(job, saved=lambda directory: print("saved", directory.name, flush=True))
"""


def test_a_killed_run_goes_on_from_its_last_complete_checkpoint(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", lines=24, words=2)
    overrides = {**SMALL, "steps": 60, "checkpoint_seconds": 0.2}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), json.dumps(overrides)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        saved = 0
        for line in process.stdout:
            saved += line.startswith("saved")
            if saved == 2:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "checkpoint").exists()
    begun = max(int(p.name.removeprefix("step-")) for p in (tmp_path / "resume").glob("step-*"))
    steps: list[int] = []
    since = time.monotonic()
    result = train(job(tmp_path, steps=60), progress=lambda p: steps.append(p.step))
    assert 0 < begun < 60
    assert steps[0] == begun + 1
    assert result.progress.step == 60
    assert result.seconds > time.monotonic() - since - 5  # the killed run's seconds count
    assert load(result.directory).manifest.scores["steps"] == 60


@pytest.mark.parametrize(
    ("epochs", "steps_per_epoch", "expected"),
    [(0, 85.0, 1000), (10, 85.0, 850), (1, 85.0, 300), (100, 85.0, 1000), (0.5, 999.0, 500)],
)
def test_epochs_decide_how_long_a_run_is_within_its_bounds(
    epochs: float, steps_per_epoch: float, expected: int
) -> None:
    recipe = load_recipe("line").with_overrides({"epochs": epochs, "least_steps": 300, "steps": 1000})
    assert planned_steps(recipe, steps_per_epoch) == expected


def test_an_interrupted_run_ends_with_the_weights_of_an_unbroken_one_dropout_and_all(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", lines=24, words=2)
    shaky = {**SMALL["network"], "dropout": 0.3}
    asked = job(tmp_path, steps=6, network=shaky, degrade=0.5)
    taken = iter([False, False, False, True])
    with pytest.raises(Cancelled, match="step 3"):
        train(asked, should_stop=lambda: next(taken))
    resumed = train(asked)
    unbroken = train(dataclasses.replace(asked, out=tmp_path / "unbroken", resume=tmp_path / "fresh"))
    assert resumed.progress.step == unbroken.progress.step == 6
    assert resumed.progress.loss == unbroken.progress.loss
    ours, theirs = load(resumed.directory).weights, load(unbroken.directory).weights
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
