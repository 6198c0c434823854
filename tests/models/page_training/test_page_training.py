"""Page readers are fine-tuned: what is frozen stays, adapters are merged, killed runs go on, the result opens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from flywheel.errors import Cancelled, Rejected, SetupError
from flywheel.figures import ReadingSettings
from flywheel.recipes import PageRecipe, load_recipe
from flywheel.recipes.page import PARTS
from models.checkpoint import read_manifest
from models.page_training.callback import RUN, newest_state
from models.page_training.dataset import PageDataset
from models.page_training.launch import from_json, to_json
from models.page_training.samples import TrainingSample
from models.page_training.trainable import MASKED, TRAINABLE_READERS, trainable_reader
from models.page_training.training import blinded
from models.readers.deepseek_ocr import weights
from models.readers.deepseek_ocr.reader import DeepseekOcrReader
from models.readers.got_ocr2 import GotOcr2Reader
from models.trainers import train
from models.training.job import Progress
from models.training.schedule import schedule
from tests.models.page_training.datasets import dataset
from tests.models.page_training.jobs import SPLITS, job, pages
from tests.models.tiny import tiny_deepseek_ocr
from tests.models.tiny_transformers import tiny_got_ocr2


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_deepseek_ocr(tmp_path_factory.mktemp("base") / "tiny", hidden=32, layers=2)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return dataset(tmp_path / "data", pages(), SPLITS)


def changed(before: Path, after: Path) -> set[str]:
    """Names of the parts of a network that differ in some bit."""
    old, new = weights.load(before).parts(), weights.load(after).parts()
    return {
        name
        for name in old
        if any(not torch.equal(a, b) for a, b in zip(old[name].parameters(), new[name].parameters(), strict=True))
    }


def test_sam_and_the_compressor_stay_and_the_rest_learns_and_the_result_is_a_published_layout(
    tmp_path: Path, data: Path, base: Path
) -> None:
    told: list[Progress] = []
    result = train(job(tmp_path, data, base, fine_share=1.0), progress=told.append)
    assert changed(base, result.directory) == {"clip", "projector", "decoder", "head"}
    files = {path.name for path in result.directory.iterdir()}
    assert {"config.json", "tokenizer.json", "model.safetensors.index.json", "checkpoint.json"} <= files
    assert not {name for name in files if name.endswith((".bin", ".pt", ".pth", ".py"))}
    published = {
        path.name: json.loads(path.read_text())
        for path in (base / "config.json", result.directory / "config.json")
    }
    assert len(published) == 1
    assert json.loads((base / "config.json").read_text()) == published["config.json"]
    assert (result.architecture, result.manifest.recipe, result.progress.step) == (
        "deepseek-ocr",
        "deepseek-ocr-full",
        3,
    )
    assert set(result.manifest.files) == {"model-00001-of-000001.safetensors"}
    assert [progress.step for progress in told] == [1, 2, 3, 3]
    assert result.curve[-1].cer >= 0
    reader = DeepseekOcrReader.load(result.directory, checkpoint="x", mode="tiny", limit=4)
    page = PageDataset.open(data).pages("heldout").input(0)
    assert reader.read_many([page])[0].vision_tokens == 64


def test_a_checkpoint_carries_the_settings_it_was_watched_by_and_opens_with_them(
    tmp_path: Path, data: Path, base: Path
) -> None:
    def made(name: str, pages_in: Path, **overrides: object) -> tuple[ReadingSettings, Path]:
        asked = job(tmp_path, pages_in, base, steps=1, **overrides)
        result = train(replace(asked, out=tmp_path / name, resume=tmp_path / f"{name}-r"))
        found = read_manifest(result.directory).reading
        assert found is not None
        assert found == result.manifest.reading
        return found, result.directory

    fine, directory = made("fine", data, fine_share=0.5)
    assert fine == ReadingSettings(dpi=150.0, mode="tiny", grounded=True, guard_size=30, guard_window=90)
    opened = DeepseekOcrReader.load(directory, checkpoint="x", reading=fine)
    assert opened.reading == replace(fine, dpi=None)
    assert made("coarse", data, fine_share=0.0)[0].grounded is False
    bare = dataset(tmp_path / "bare", [replace(page, markup="") for page in pages()], SPLITS)
    assert made("bare", bare, fine_share=0.5)[0].grounded is False  # there was no grounding to learn


def test_adapters_are_merged_into_a_plain_checkpoint(tmp_path: Path, data: Path, base: Path) -> None:
    asked = job(tmp_path, data, base, "deepseek-ocr-lora", learning_rate=1e-2, gradient_checkpointing=True)
    result = train(asked)
    again = train(replace(asked, out=tmp_path / "again", resume=tmp_path / "fresh"))
    assert again.manifest.sha256 == result.manifest.sha256  # the seed decides, adapters too
    assert changed(base, result.directory) == {"decoder"}
    old, new = weights.load(base).state_dict(), weights.load(result.directory).state_dict()
    assert old.keys() == new.keys()
    moved = {name for name in old if not torch.equal(old[name], new[name])}
    assert moved
    assert all(name.split(".")[-2] in load_recipe("deepseek-ocr-lora").lora.targets for name in moved)


def test_weights_published_in_half_precision_are_saved_so(tmp_path: Path, data: Path) -> None:
    half = tiny_deepseek_ocr(tmp_path / "half", hidden=32, layers=2, dtype=torch.bfloat16)
    result = train(job(tmp_path, data, half, steps=1))
    assert weights.load(result.directory).dtype == torch.bfloat16
    assert changed(half, result.directory) >= {"decoder"}


def test_got_ocr2_learns_plain_text_and_opens_again(tmp_path: Path, data: Path) -> None:
    got = tiny_got_ocr2(tmp_path / "got")
    result = train(replace(job(tmp_path, data, got, "got-ocr2-full"), base=got))
    assert result.architecture == "got-ocr2"
    reader = GotOcr2Reader.load(result.directory, checkpoint="x", limit=4)
    assert len(reader.read_many([PageDataset.open(data).pages("heldout").input(0)])) == 1


def test_a_parent_is_gone_on_from_instead_of_the_published_weights(tmp_path: Path, data: Path, base: Path) -> None:
    first = train(job(tmp_path, data, base, steps=1))
    again = replace(
        job(tmp_path, data, base, steps=1, learning_rate=1e-12),
        parent=first.directory,
        parent_id="deepseek-ocr-full-en-1",
        out=tmp_path / "again",
        resume=tmp_path / "other",
    )
    second = train(again)
    assert second.manifest.parent == "deepseek-ocr-full-en-1"
    ours, theirs = weights.load(second.directory).state_dict(), weights.load(first.directory).state_dict()
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in ours)


def test_a_stopped_run_keeps_a_complete_checkpoint_and_goes_on_from_it(
    tmp_path: Path, data: Path, base: Path
) -> None:
    # Two epochs, and some; whatever is drawn at random is drawn.
    settings = {"degrade": 0.5, "fine_share": 0.5, "blind": 0.3, "lora": {"dropout": 0.3}, "learning_rate": 1e-2}
    asked = job(tmp_path, data, base, "deepseek-ocr-lora", batch=1, steps=7, **settings)
    kept: list[Path] = []
    steps: list[int] = []
    with pytest.raises(Cancelled, match="step 5"):
        train(
            asked, progress=lambda p: steps.append(p.step), should_stop=lambda: len(steps) > 3, saved=kept.append
        )
    assert [path.name for path in kept] == ["checkpoint-5"]
    assert not list(kept[0].glob("*.bin"))
    assert (kept[0] / RUN).is_file()
    steps.clear()
    result = train(asked, progress=lambda p: steps.append(p.step))
    assert steps[0] == 6
    assert result.progress.step == 7
    whole = train(replace(asked, out=tmp_path / "whole", resume=tmp_path / "fresh"))
    ours, theirs = weights.load(result.directory).state_dict(), weights.load(whole.directory).state_dict()
    # The rate follows the share of steps or of time: by steps here, so both took the same way.
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert result.progress.loss == whole.progress.loss


def test_half_a_checkpoint_and_one_of_another_job_are_passed_over(tmp_path: Path) -> None:
    for name, job_name in (("checkpoint-1", "mine"), ("checkpoint-2", "mine"), ("checkpoint-3", "other")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trainer_state.json").write_text(json.dumps({"global_step": int(name[-1])}))
        (tmp_path / name / RUN).write_text(json.dumps({"job": job_name, "seconds": 1.0, "pages": 2, "curve": []}))
    (tmp_path / "checkpoint-2" / RUN).unlink()  # written last: the kill came before
    found = newest_state(tmp_path, "mine")
    assert found is not None
    assert found[0].name == "checkpoint-1"
    assert newest_state(tmp_path / "checkpoint-3", "other") is not None  # as a store hands one back
    assert newest_state(tmp_path, "nobody") is None


def test_a_killed_training_goes_on_from_its_last_complete_checkpoint(
    tmp_path: Path, data: Path, base: Path
) -> None:
    asked = job(tmp_path, data, base, steps=400, checkpoint_seconds=0.0)
    path = tmp_path / "job.json"
    path.write_text(json.dumps(to_json(asked)))
    command = [sys.executable, "-m", "models.page_training", str(path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        assert process.stdout is not None
        saved = 0
        for line in process.stdout:
            saved += line.startswith(b'{"saved"')
            if saved == 2:
                break
        process.send_signal(signal.SIGKILL)
    steps: list[int] = []
    ended = replace(asked, recipe=asked.recipe.with_overrides({"steps": 5}))
    result = train(ended, progress=lambda p: steps.append(p.step))
    assert steps[0] > 2
    assert result.progress.step == max(5, steps[0])


def test_a_run_ends_at_its_target_and_at_its_time(tmp_path: Path, data: Path, base: Path) -> None:
    reached = train(job(tmp_path, data, base, steps=50, evaluate_seconds=0.0, target_cer=1.0, learning_rate=1e-2))
    assert reached.progress.step < 50
    late = replace(
        job(tmp_path, data, base, steps=50, seconds=0.001), out=tmp_path / "late", resume=tmp_path / "r"
    )
    assert train(late).progress.step == 1


def test_only_the_answer_is_learned_and_prompts_tell_fine_from_coarse(base: Path) -> None:
    trainable = trainable_reader(PageRecipe(mode="tiny"), base)
    image = np.full((50, 50), 255, np.uint8)
    batch = trainable.batch(
        [TrainingSample(image, "abc", fine=False), TrainingSample(image, "abc", fine=True)], 512
    )
    for row, (ids, labels) in enumerate(zip(batch["input_ids"], batch["labels"], strict=True)):
        learned = labels != MASKED
        assert learned.sum() == 4  # three letters and the end
        assert torch.equal(ids[learned], labels[learned])
        assert bool(batch["attention_mask"][row][learned].all())
    assert int(batch["attention_mask"][0].sum()) != int(batch["attention_mask"][1].sum())  # the prompts differ


def test_a_blinded_answer_is_hidden_from_the_decoder_and_still_to_be_said(base: Path) -> None:
    trainable = trainable_reader(PageRecipe(mode="tiny"), base)
    plain = trainable.batch([TrainingSample(np.full((50, 50), 255, np.uint8), "abcdefgh", fine=False)], 512)
    blind = blinded({name: tensor.clone() for name, tensor in plain.items()}, 1.0, [0])
    learned = plain["labels"] != MASKED
    assert bool((blind["input_ids"][learned] == plain["input_ids"][0, 0]).all())
    assert torch.equal(blind["input_ids"][~learned], plain["input_ids"][~learned])
    assert torch.equal(blind["labels"], plain["labels"])


def test_a_page_that_says_what_only_the_tokenizer_means_is_learned_as_words(base: Path, tmp_path: Path) -> None:
    image = np.full((50, 50), 255, np.uint8)
    text = "see <image> and <imgpad><|im_end|> and <｜end▁of▁sentence｜> here"
    for recipe, directory in (
        (PageRecipe(mode="tiny"), base),
        (load_recipe("got-ocr2-full"), tiny_got_ocr2(tmp_path / "g")),
    ):
        trainable = trainable_reader(recipe, directory)
        batch = trainable.batch([TrainingSample(image, text, fine=False)], 512)
        assert trainable.network(**batch).loss > 0  # as many places for images as images
        learned = batch["labels"][0][batch["labels"][0] != MASKED]
        tokenizer = trainable._processor.tokenizer
        assert tokenizer.decode(learned[:-1], clean_up_tokenization_spaces=False) == text
        assert learned.tolist().count(int(learned[-1])) == 1  # one end, its own


def test_the_rate_warms_up_and_falls() -> None:
    assert schedule(0.0, 0.1) == pytest.approx(0.02)
    assert schedule(0.05, 0.1) == pytest.approx(0.5)
    assert schedule(0.1, 0.1) == pytest.approx(1.0)
    assert schedule(1.0, 0.1) == pytest.approx(0.002)


@pytest.mark.parametrize("recipe", ["deepseek-ocr-full", "got-ocr2-full"])
def test_the_parts_that_recipes_may_freeze_are_the_parts_the_networks_have(tmp_path: Path, recipe: str) -> None:
    asked = load_recipe(recipe)
    assert isinstance(asked, PageRecipe)
    made = tiny_deepseek_ocr if asked.architecture == "deepseek-ocr" else tiny_got_ocr2
    assert tuple(trainable_reader(asked, made(tmp_path / "tiny")).parts()) == PARTS[asked.architecture]


def test_whatever_recipes_may_train_can_be_trained() -> None:
    assert set(TRAINABLE_READERS) == set(PARTS)


def test_no_weights_and_no_pages_are_said(tmp_path: Path, data: Path, base: Path) -> None:
    with pytest.raises(SetupError, match="neither a parent nor published weights"):
        train(replace(job(tmp_path, data, base), base=None))
    empty = dataset(tmp_path / "empty", [], {})
    with pytest.raises(Rejected, match="no page to train on"):
        train(replace(job(tmp_path, data, base), dataset=empty))


def test_a_job_survives_its_json_form(tmp_path: Path, data: Path, base: Path) -> None:
    asked = job(tmp_path, data, base, "deepseek-ocr-lora")
    assert from_json(json.loads(json.dumps(to_json(asked)))) == asked
