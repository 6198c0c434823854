"""Patches come back from disk as they were written, on the side their document was put on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from flywheel.errors import Rejected
from flywheel.reasons import Reason
from models.line_training.dataset import SCHEMA, LineDataset, LineSample, write_patches
from models.training.manifest import write_manifest
from tests.models.drawing import draw_line, make_dataset


def row(document: str, number: int, **more: Any) -> LineSample:
    return LineSample(document, number, 0, f"text {number}", draw_line("ཀ་ཁ་"), **more)


def test_a_patch_comes_back_as_it_was_written(tmp_path: Path) -> None:
    image = draw_line("བོད་ཡིག་")
    write_patches(tmp_path / "a.parquet", [LineSample("d", 3, 7, "བོད་ཡིག་", image, 0, 12, "pymupdf")])
    write_manifest(tmp_path, splits={"d": "train"}, language="bo")
    lines = LineDataset.open(tmp_path).lines("train")
    assert lines.texts == ["བོད་ཡིག་"]
    assert lines.sizes == [(image.shape[1], image.shape[0])]
    assert np.array_equal(lines.image(0), image)


def test_the_file_holds_the_columns_that_were_agreed(tmp_path: Path) -> None:
    count, digest = write_patches(tmp_path / "a.parquet", [row("d", 1)])
    assert (count, len(digest)) == (1, 64)
    assert pq.read_schema(tmp_path / "a.parquet").names == SCHEMA.names


def test_a_shard_without_patches_is_a_file_without_rows(tmp_path: Path) -> None:
    assert write_patches(tmp_path / "a.parquet", [])[0] == 0
    write_manifest(tmp_path, splits={}, language="bo")
    assert len(LineDataset.open(tmp_path).lines("train")) == 0


def test_the_lines_of_a_document_stand_on_one_side_only(tmp_path: Path) -> None:
    make_dataset(tmp_path, lines=16)
    dataset = LineDataset.open(tmp_path)
    sides = [set(dataset.lines(split).documents) for split in ("train", "validation", "heldout")]
    assert sides == [{"a", "b"}, {"c"}, {"d"}]


def test_documents_and_labels_that_the_manifest_does_not_name_are_left_out(tmp_path: Path) -> None:
    rows = [row("in", 1, label=1), row("in", 2, label=2), row("out", 3, label=1)]
    write_patches(tmp_path / "a.parquet", rows)
    write_manifest(tmp_path, splits={"in": "train"}, language="bo")
    data = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**data, "labels": [1]}))
    assert LineDataset.open(tmp_path).lines("train").texts == ["text 1"]


def test_pseudo_labels_beyond_the_cap_are_left_out(tmp_path: Path) -> None:
    write_patches(tmp_path / "a.parquet", [row("d", n, generation=n) for n in range(3)])
    write_manifest(tmp_path, splits={"d": "train"}, language="bo")
    assert len(LineDataset.open(tmp_path).lines("train", most_generation=1)) == 2


def test_an_exam_holds_the_labels_that_may_examine_and_no_other_of_generation_0(tmp_path: Path) -> None:
    rows = [row(document, n, label=n) for n, document in enumerate("aabb")]
    write_patches(tmp_path / "a.parquet", rows)
    write_manifest(tmp_path, splits={"a": "heldout", "b": "train"}, language="bo")
    assert len(LineDataset.open(tmp_path).lines("heldout", exam=True)) == 2
    data = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**data, "exam_labels": [1, 3], "groups": {"a": "b"}}))
    opened = LineDataset.open(tmp_path)
    assert opened.groups == {"a": "b"}
    assert opened.lines("heldout", exam=True).texts == ["text 1"]
    lines, watched = opened.training_lines(generations=1)
    assert (lines.texts, watched.texts) == (["text 2", "text 3"], ["text 3"])


@pytest.mark.parametrize("wrong", ["\ufffd", "\ue000", "\U0010abcd", "\u0378"])
def test_lines_of_an_older_cutter_that_hold_no_character_are_left_out(tmp_path: Path, wrong: str) -> None:
    texts = ["whole", f"bro{wrong}ken", "soft\u00ad hy\u00adphen\ufeff"]
    rows = [LineSample("d", n, 0, text, draw_line("ཀ་ཁ་")) for n, text in enumerate(texts)]
    write_patches(tmp_path / "a.parquet", rows)
    write_manifest(tmp_path, splits={"d": "train"}, language="bo")
    dataset = LineDataset.open(tmp_path)
    assert dataset.lines("train").texts == ["whole", "soft hyphen"]
    assert dataset.training_lines(0)[0].texts == ["whole", "soft hyphen"]


def test_only_readings_that_were_sure_enough_of_a_line_teach(tmp_path: Path) -> None:
    rows = [row("d", n, generation=1, confidence=n / 10) for n in (5, 8, 9)] + [row("d", 1), row("e", 2)]
    write_patches(tmp_path / "a.parquet", rows)
    write_manifest(tmp_path, splits={"d": "train", "e": "validation"}, language="bo")
    dataset = LineDataset.open(tmp_path)
    assert dataset.training_lines(1, 0.75)[0].texts == ["text 8", "text 9", "text 1"]
    assert len(dataset.training_lines(1)[0]) == 4


def test_files_from_before_lines_had_a_confidence_are_read(tmp_path: Path) -> None:
    write_patches(tmp_path / "a.parquet", [row("d", 1)])
    table = pq.read_table(tmp_path / "a.parquet").drop_columns("confidence")
    pq.write_table(table, tmp_path / "a.parquet")
    write_manifest(tmp_path, splits={"d": "train"}, language="bo")
    assert LineDataset.open(tmp_path).training_lines(0, 0.9)[0].texts == ["text 1"]


def test_the_same_dataset_has_the_same_hash_and_another_another(tmp_path: Path) -> None:
    one, same = make_dataset(tmp_path / "1", lines=8), make_dataset(tmp_path / "2", lines=8)
    assert one == same
    assert make_dataset(tmp_path / "3", lines=8, seed=5) != one


def test_a_changed_file_is_refused_as_corrupt_and_a_lost_one_as_missing(tmp_path: Path) -> None:
    make_dataset(tmp_path, lines=8)
    path = tmp_path / "lines.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(Rejected) as corrupt:
        LineDataset.open(tmp_path)
    path.unlink()
    with pytest.raises(Rejected) as missing:
        LineDataset.open(tmp_path)
    assert [corrupt.value.reason, missing.value.reason] == [Reason.BLOB_CORRUPT, Reason.BLOB_MISSING]


@pytest.mark.parametrize("content", ["{", "[]", '{"files": [], "splits": {"d": "somewhere"}}'])
def test_a_manifest_that_makes_no_sense_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(Rejected) as caught:
        LineDataset.open(tmp_path)
    assert caught.value.reason is Reason.BLOB_CORRUPT


def test_bytes_that_are_no_image_are_refused_when_they_are_looked_at(tmp_path: Path) -> None:
    make_dataset(tmp_path, lines=8)
    table = pq.read_table(tmp_path / "lines.parquet")
    broken = table.set_column(table.column_names.index("image"), SCHEMA.field("image"), [[b"no image"] * 8])
    pq.write_table(broken, tmp_path / "lines.parquet")
    write_manifest(tmp_path, splits={"a": "train"}, language="bo")
    with pytest.raises(Rejected) as caught:
        LineDataset.open(tmp_path).lines("train").image(0)
    assert caught.value.reason is Reason.IMAGE_UNREADABLE
