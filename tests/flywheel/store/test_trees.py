"""Directories kept as trees: whole under a key of their content, never fetched in part."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from flywheel.errors import BlobCorrupt, BlobMissing
from flywheel.store import Store, key_of
from tests.flywheel.store.damage import damage


def plant(directory: Path) -> dict[str, bytes]:
    files = {"a.json": b"{}", "deep/er/weights": os.urandom(200_000), "deep/empty": b""}
    for name, data in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(data)
    return files


def contents(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_a_tree_comes_back_whole_under_a_key_of_its_content(store: Store, tmp_path: Path) -> None:
    files = plant(tmp_path / "tree")
    key = store.put_tree(tmp_path / "tree")
    assert store.put_tree(tmp_path / "tree") == key
    store.fetch_tree(key, tmp_path / "copies" / "first")
    assert contents(tmp_path / "copies" / "first") == files
    assert [p.name for p in (tmp_path / "copies").iterdir()] == ["first"]


def test_fetching_a_tree_again_repairs_what_is_missing(store: Store, tmp_path: Path) -> None:
    files = plant(tmp_path / "tree")
    key = store.put_tree(tmp_path / "tree")
    store.fetch_tree(key, tmp_path / "copy")
    (tmp_path / "copy" / "a.json").unlink()
    store.fetch_tree(key, tmp_path / "copy")
    assert contents(tmp_path / "copy") == files


def test_a_tree_with_a_damaged_or_missing_file_is_not_fetched_in_part(store: Store, tmp_path: Path) -> None:
    files = plant(tmp_path / "tree")
    key = store.put_tree(tmp_path / "tree")
    damage(store, key_of(files["deep/er/weights"]), b"x")
    with pytest.raises(BlobCorrupt):
        store.fetch_tree(key, tmp_path / "copies" / "one")
    store.delete(key_of(files["deep/er/weights"]))
    with pytest.raises(BlobMissing):
        store.fetch_tree(key, tmp_path / "copies" / "one")
    assert list((tmp_path / "copies").iterdir()) == []


@pytest.mark.parametrize("path", ["/etc/cron.d/x", "../x", "a/../../x", ""])
def test_a_manifest_cannot_write_outside_its_tree(store: Store, tmp_path: Path, path: str) -> None:
    inner = store.put(b"payload")
    key = store.put(json.dumps({"files": [{"path": path, "key": inner, "size": 7}]}).encode())
    with pytest.raises(BlobCorrupt):
        store.fetch_tree(key, tmp_path / "tree")


def test_a_blob_that_is_no_manifest_is_no_tree(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BlobCorrupt):
        store.fetch_tree(store.put(b"\xff not json"), tmp_path / "tree")


def test_an_empty_directory_is_no_tree(store: Store, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no file"):
        store.put_tree(tmp_path / "empty")
