"""Datasets of pages: what is written is read, whole documents stand on one side, others are learned again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flywheel.errors import Rejected
from flywheel.recipes import PageRecipe
from models.page_training.dataset import PageDataset, write_pages
from models.page_training.samples import TrainingSamples, validation_pages
from models.training import manifest
from tests.models.page_training.datasets import dataset, row


def test_pages_are_read_as_they_were_written(tmp_path: Path) -> None:
    made = row(3, "a", markup="<|ref|>text<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\nབཀྲ་ཤིས།")
    pages = PageDataset.open(dataset(tmp_path / "d", [made], {"a": "heldout"})).pages("heldout")
    assert (pages.texts, pages.markups, pages.documents) == ([made.text], [made.markup], ["a"])
    page = pages.input(0)
    assert (page.dpi, page.language) == (150.0, "bo")
    assert (page.width, page.height) == pytest.approx((28.8, 43.2))
    assert np.abs(page.image.astype(int) - made.image.astype(int)).mean() < 4  # JPEG


def test_the_same_rows_make_the_same_bytes(tmp_path: Path) -> None:
    rows = [row(n, "a") for n in range(3)]
    assert write_pages(tmp_path / "1", rows) == write_pages(tmp_path / "2", rows)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_a_page_without_text_generations_beyond_the_cap_and_labels_not_listed_are_left_out(tmp_path: Path) -> None:
    rows = [row(0, "a"), row(1, "a", text=""), row(2, "a", generation=2), row(3, "a")]
    directory = dataset(tmp_path / "d", rows, {"a": "train"}, labels=[0, 1, 2])
    opened = PageDataset.open(directory)
    assert len(opened.pages("train")) == 2
    assert len(opened.pages("train", most_generation=1)) == 1
    assert len(opened.pages("validation")) == 0


def test_an_exam_holds_the_pages_that_may_examine_and_no_other_of_generation_0(tmp_path: Path) -> None:
    rows = [row(n, document) for n, document in enumerate("aabb")]
    splits = {"a": "heldout", "b": "train"}
    opened = PageDataset.open(dataset(tmp_path / "d", rows, splits, exam_labels=[1, 3]))
    assert (len(opened.pages("heldout")), opened.pages("heldout", exam=True).labels) == (2, [1])
    pages = opened.training_pages(generations=1)
    assert (pages.own.labels, pages.validation.labels) == ([2, 3], [3])


def test_pages_of_other_languages_are_learned_again_up_to_the_share_and_never_judged_by(tmp_path: Path) -> None:
    rows = [row(n, "a") for n in range(4)] + [row(10 + n, "zh", text="中文") for n in range(4)]
    directory = dataset(tmp_path / "d", rows, {"a": "train", "zh": "train"}, replay={"zh": "zh"})
    opened = PageDataset.open(directory)
    assert set(opened.pages("train").texts) == {"བཀྲ་ཤིས།"}
    assert opened.pages("train", replay=True).texts == ["中文"] * 4
    samples = TrainingSamples(opened.training_pages(1), PageRecipe(replay_share=0.5, degrade=0.0), seed=1)
    assert [samples[place].answer for place in range(len(samples))] == ["བཀྲ་ཤིས།"] * 4 + ["中文"] * 2
    assert validation_pages(opened.training_pages(1), most=2).texts == ["བཀྲ་ཤིས།"] * 2


def test_a_sample_follows_from_seed_epoch_and_place_alone(tmp_path: Path) -> None:
    rows = [row(n, "a", markup="markup") for n in range(8)]
    opened = PageDataset.open(dataset(tmp_path / "d", rows, {"a": "train"}))
    recipe = PageRecipe(fine_share=0.5, degrade=1.0)
    one, other = (
        TrainingSamples(opened.training_pages(1), recipe, seed=1),
        TrainingSamples(opened.training_pages(1), recipe, seed=1),
    )
    assert [one[n].fine for n in range(8)] == [other[n].fine for n in range(8)]
    assert np.array_equal(one[5].image, other[5].image)
    assert {one[n].fine for n in range(8)} == {True, False}
    assert all((one[n].answer == "markup") == one[n].fine for n in range(8))
    other.epoch = 1
    assert not np.array_equal(one[5].image, other[5].image)


def test_a_page_with_boxes_to_learn_is_not_moved(tmp_path: Path) -> None:
    rows = [row(n, "a", markup="markup") for n in range(6)]
    opened = PageDataset.open(dataset(tmp_path / "d", rows, {"a": "train"}))
    ink = [opened.pages("train").image(n) < 128 for n in range(6)]
    still = TrainingSamples(opened.training_pages(1), PageRecipe(fine_share=1.0, degrade=1.0), seed=1)
    moved = TrainingSamples(opened.training_pages(1), PageRecipe(fine_share=0.0, degrade=1.0), seed=1)

    def shift(samples: TrainingSamples, n: int) -> float:
        """Distance that the darkest pixels' middle went, in pixels."""
        image = samples[n].image.astype(float)
        found = np.argwhere(image < np.percentile(image, 100 * ink[n].mean()))
        return float(np.abs(found.mean(axis=0) - np.argwhere(ink[n]).mean(axis=0)).max())

    assert max(shift(still, n) for n in range(6)) < 0.5 < max(shift(moved, n) for n in range(6))


def test_no_page_to_learn_from_is_a_rejection(tmp_path: Path) -> None:
    opened = PageDataset.open(dataset(tmp_path / "d", [row(0, "a")], {"a": "heldout"}))
    with pytest.raises(Rejected, match="no page to train on"):
        TrainingSamples(opened.training_pages(1), PageRecipe(), seed=1)


def test_the_files_are_read_once_for_all_that_a_training_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = {"a": "train", "b": "validation", "c": "heldout", "zh": "train"}
    rows = [row(n, document) for n, document in enumerate(["a", "b", "c", "zh", "a"])]
    opened = PageDataset.open(dataset(tmp_path / "d", rows, sides, replay={"zh": "zh"}))
    read: list[str] = []
    whole = manifest.pads.dataset
    monkeypatch.setattr(
        manifest.pads, "dataset", lambda path, **rest: read.append(path.name) or whole(path, **rest)
    )
    pages = opened.training_pages(1)
    assert read == ["pages.parquet"]
    assert [p.documents for p in (pages.own, pages.replay, pages.validation)] == [["a", "a"], ["zh"], ["b"]]


def test_without_validation_pages_the_true_training_pages_are_watched_and_else_whatever_is_learned(
    tmp_path: Path,
) -> None:
    rows = [row(0, "a", generation=1), row(1, "a")]
    opened = PageDataset.open(dataset(tmp_path / "d", rows, {"a": "train"}))
    assert opened.training_pages(1).validation.generations == [0]
    only = PageDataset.open(dataset(tmp_path / "e", rows[:1], {"a": "train"}))
    assert only.training_pages(1).validation.generations == [1]
