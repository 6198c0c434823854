"""A directory as blobs: every file under its hash, then a manifest that names them, written last.

The manifest is canonical JSON, so the same files give the same key.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import Protocol, TypedDict

from flywheel.errors import BlobCorrupt
from flywheel.store.failures import writing


class TreeFile(TypedDict):
    """One file of a tree: POSIX path relative to its root, blob key, size in bytes."""

    path: str
    key: str
    size: int


class Blobs(Protocol):
    """The verbs of a Store that trees are made of."""

    def put(self, data: bytes) -> str: ...
    def put_file(self, path: Path) -> str: ...
    def get(self, key: str) -> bytes: ...
    def fetch(self, key: str, path: Path) -> None: ...


def put_tree(store: Blobs, directory: Path) -> str:
    """Store the regular files under `directory`; raises ValueError when there is none."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    if not paths:
        raise ValueError(f"{directory} holds no file")
    files: list[TreeFile] = [
        {
            "path": path.relative_to(directory).as_posix(),
            "key": store.put_file(path),
            "size": path.stat().st_size,
        }
        for path in paths
    ]
    return store.put(json.dumps({"files": files}, sort_keys=True, separators=(",", ":")).encode())


def fetch_tree(store: Blobs, key: str, directory: Path) -> None:
    """Build the tree beside `directory` and rename it into place; a complete one is left alone."""
    files = read_manifest(key, store.get(key))
    if _complete(files, directory):
        return
    with writing(str(directory)):
        directory.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}-"))
        try:
            for file in files:
                target = building / file["path"]
                target.parent.mkdir(parents=True, exist_ok=True)
                store.fetch(file["key"], target)
            building.chmod(0o755)
            _move_into_place(building, directory, files)
        finally:
            shutil.rmtree(building, ignore_errors=True)


def read_manifest(key: str, data: bytes) -> list[TreeFile]:
    """The files that a manifest names; raises BlobCorrupt when it is none, or a path leaves the tree."""
    try:
        files = [
            TreeFile(path=str(entry["path"]), key=str(entry["key"]), size=int(entry["size"]))
            for entry in json.loads(data)["files"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise BlobCorrupt(f"{key}: not a tree's manifest") from error
    for file in files:
        path = PurePosixPath(file["path"])
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise BlobCorrupt(f"{key}: {file['path']!r} leaves the tree")
    return files


def _complete(files: list[TreeFile], directory: Path) -> bool:
    """Every file in its size. The rename was atomic; this notices a cleaner of scratch space since."""
    return all(
        (path := directory / file["path"]).is_file() and path.stat().st_size == file["size"] for file in files
    )


def _move_into_place(building: Path, directory: Path, files: list[TreeFile]) -> None:
    if directory.exists():
        aside = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}-"))
        directory.rename(aside / "old")
        shutil.rmtree(aside, ignore_errors=True)
    try:
        building.rename(directory)
    except OSError:
        if not _complete(files, directory):  # another process was first with the same tree
            raise
