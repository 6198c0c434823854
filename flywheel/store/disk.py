"""Blobs in a directory: written beside, flushed, renamed, and the directory flushed.

    ROOT/sha256/ab/cd/<64 hex digits>     a complete blob
    ROOT/incoming/                        blobs being written; a crash leaves its rest here

`incoming` is one directory of the same file system, so the rename is atomic and a
file's key need not be known before it was read; what a crash left is removed a day later.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from flywheel.errors import BlobCorrupt, SetupError
from flywheel.store.failures import reading, writing
from flywheel.store.keys import (
    KEY,
    VerifiedFiles,
    check_data,
    check_key,
    copy_checked,
    key_from,
    key_of,
    read_chunks,
)
from flywheel.store.tree import fetch_tree, put_tree

STALE_SECONDS = 24 * 3600


class DiskStore:
    """A Store in a local or shared directory; any number of processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self._verified = VerifiedFiles()
        try:
            self._incoming.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(f"the store directory {root} cannot be used: {error}") from error
        self._sweep_incoming()

    def put(self, data: bytes) -> str:
        key = key_of(data)
        with writing(key):
            if not self._has(key, data):
                self._write([data], lambda _digest: self._path(key))
        return key

    def put_file(self, path: Path) -> str:
        with path.open("rb") as source, writing(str(path)):
            written = self._write(read_chunks(source), lambda digest: self._path(key_from(digest)))
        return str(written.relative_to(self.root))

    def get(self, key: str) -> bytes:
        with reading(key):
            return check_data(key, self._path(key).read_bytes())

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        with reading(key), self._path(key).open("rb") as source:
            source.seek(offset)
            data = source.read(length)
        if len(data) != length:
            raise BlobCorrupt(f"{key}: ends at byte {offset + len(data)}, {offset + length} were asked for")
        return data

    def fetch(self, key: str, path: Path) -> None:
        with reading(key):
            source = self._path(key).open("rb")
        with source, writing(str(path)):
            replace_file(path, lambda target: copy_checked(key, read_chunks(source), target))

    @contextmanager
    def open_local(self, key: str) -> Iterator[Path]:
        path = self._path(key)
        with reading(key):
            self._verified.check(key, path)
        yield path

    def exists(self, key: str) -> bool:
        with reading(key):
            return self._path(key).is_file()

    def delete(self, key: str) -> None:
        with writing(key):
            self._path(key).unlink(missing_ok=True)

    def keys(self) -> Iterator[str]:
        with reading("keys"):
            for first in _children(self.root / "sha256"):
                for second in _children(first):
                    names = (str(path.relative_to(self.root)) for path in _children(second))
                    yield from filter(KEY.fullmatch, names)

    def put_tree(self, directory: Path) -> str:
        return put_tree(self, directory)

    def fetch_tree(self, key: str, directory: Path) -> None:
        fetch_tree(self, key, directory)

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _has(self, key: str, data: bytes) -> bool:
        """True when the very bytes are there; a damaged blob is written anew instead."""
        path = self._path(key)
        return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data

    def _write(self, chunks: Iterable[bytes], place: Callable[[str], Path]) -> Path:
        """Write a blob to where `place` puts its digest, durably, and return that path."""
        digest = hashlib.sha256()
        handle, name = tempfile.mkstemp(dir=self._incoming)
        try:
            with os.fdopen(handle, "wb") as target:
                for chunk in chunks:
                    digest.update(chunk)
                    target.write(chunk)
                os.fchmod(target.fileno(), 0o644)
                target.flush()
                os.fsync(target.fileno())
            path = place(digest.hexdigest())
            self._make_directory(path.parent)
            Path(name).replace(path)
            sync_directory(path.parent)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return path

    def _make_directory(self, directory: Path) -> None:
        """`mkdir -p` below the root, each new entry flushed in its parent."""
        if directory.is_dir():
            return
        self._make_directory(directory.parent)
        directory.mkdir(exist_ok=True)
        sync_directory(directory.parent)

    def _sweep_incoming(self) -> None:
        oldest = time.time() - STALE_SECONDS
        for path in _children(self._incoming):
            with suppress(FileNotFoundError):  # another process sweeps, too
                if path.stat().st_mtime < oldest:
                    path.unlink()


def replace_file(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Put all that `write` writes at `path`, or leave that as it was.

    Not flushed to the disk: for files that can be had again.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".incoming-")
    try:
        with os.fdopen(handle, "wb") as target:
            write(target)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def sync_directory(directory: Path) -> None:
    """Make the names in a directory survive a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _children(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except FileNotFoundError:
        return []
