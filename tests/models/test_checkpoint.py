"""Checkpoints load whole and verified, or not at all."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path

import pytest
import torch

from flywheel.errors import Rejected
from flywheel.reasons import Reason
from models.checkpoint import MANIFEST, WEIGHTS, Manifest, check_header, load, save, sha256_of

MANIFEST_OF_TWO = Manifest(
    architecture="test", config={"a": 1}, charset=("ཀ", "་"), language="bo", scripts=("Tibt",)
)


def written(path: Path) -> Path:
    save(path, {"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)}, MANIFEST_OF_TWO)
    return path


def refused(path: Path) -> str:
    with pytest.raises(Rejected) as caught:
        load(path)
    assert caught.value.reason is Reason.UNSAFE_MODEL_FORMAT
    return caught.value.detail


def rehash(path: Path) -> None:
    """Make the manifest agree with tampered weights, so that only the weights' own form can be refused."""
    data = json.loads((path / MANIFEST).read_text())
    data["sha256"] = sha256_of(path / WEIGHTS)
    (path / MANIFEST).write_text(json.dumps(data))


def test_what_was_saved_is_loaded_with_everything_it_says(tmp_path: Path) -> None:
    checkpoint = load(written(tmp_path / "c"))
    assert torch.equal(checkpoint.weights["w"], torch.arange(6.0).reshape(2, 3))
    assert checkpoint.manifest.charset == ("ཀ", "་")
    assert checkpoint.manifest.scripts == ("Tibt",)
    assert checkpoint.id == sha256_of(tmp_path / "c" / WEIGHTS)[:16]


def test_saving_again_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    written(written(tmp_path / "c"))
    assert [p.name for p in tmp_path.iterdir()] == ["c"]
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == [MANIFEST, WEIGHTS]


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "c")
    content = bytearray((path / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (path / WEIGHTS).write_bytes(content)
    assert "sha256" in refused(path)


def test_a_pickle_is_refused_and_never_executed(tmp_path: Path) -> None:
    path = written(tmp_path / "c")
    marker = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (marker,)

    (path / WEIGHTS).write_bytes(pickle.dumps(Bomb()))
    rehash(path)
    assert "pickle" in refused(path)
    assert not marker.exists()


def test_a_torch_archive_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "c")
    torch.save({"w": torch.zeros(2)}, path / WEIGHTS)
    rehash(path)
    assert "pickle" in refused(path)


def test_a_directory_of_pickles_is_named_as_such(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(2)}, tmp_path / "model.pt")
    assert "model.pt" in refused(tmp_path)


def header(entries: object, body: bytes = b"\0" * 8, length: int | None = None) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


@pytest.mark.parametrize(
    "content",
    [
        header({}, length=1 << 60),
        header({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}}),
        header({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, body=b"\0" * 4),
        header({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, body=b"\0" * 16),
        header({"w": {"dtype": "F32", "shape": [-2], "data_offsets": [0, -8]}}),
        header({"w": {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]}}),
        header({"w": 3}),
        header([1, 2]),
        b"\x08\0\0\0\0\0\0\0not json",
        b"\0",
    ],
)
def test_a_lying_header_is_refused(content: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        check_header(content)
    assert caught.value.reason is Reason.UNSAFE_MODEL_FORMAT


def test_an_unfinished_save_is_no_checkpoint(tmp_path: Path) -> None:
    path = written(tmp_path / "c")
    (path / MANIFEST).unlink()
    assert MANIFEST in refused(path)


def test_a_manifest_of_another_format_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "c")
    data = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps({**data, "format": 99}))
    assert "format 99" in refused(path)
