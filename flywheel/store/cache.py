"""Local copies of remote blobs, least recently used out first; shared by all processes of a machine.

A reader holds a shared lock on the file it uses; the eviction only removes files
whose exclusive lock it gets, so nothing is removed under a reader.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flywheel.errors import BlobCorrupt
from flywheel.store.failures import writing
from flywheel.store.keys import VerifiedFiles

STALE_SECONDS = 24 * 3600
Fetch = Callable[[str, Path], None]


class BlobCache:
    """Files named by digest in `directory`, together at most `limit` bytes besides those in use."""

    def __init__(self, directory: Path, fetch: Fetch, limit: int) -> None:
        self._directory = directory
        self._fetch = fetch
        self._limit = limit
        self._verified = VerifiedFiles()

    @contextmanager
    def open(self, key: str) -> Iterator[Path]:
        """The blob's local file, fetched when it is not there or no longer sound."""
        path = self._directory / key.rpartition("/")[2]
        with writing(str(path)):
            handle = self._open_locked(key, path)
        try:
            yield path
        finally:
            os.close(handle)

    def _open_locked(self, key: str, path: Path) -> int:
        """A descriptor that keeps a shared lock on the sound file at `path`."""
        while True:
            handle = _lock_shared(path)
            if handle is None:
                self._directory.mkdir(parents=True, exist_ok=True)
                self._fetch(key, path)
                self._evict(besides=path)
                continue
            try:
                self._verified.check(key, path)
                _touch(handle)
            except BlobCorrupt:
                os.close(handle)
                path.unlink(missing_ok=True)  # scratch space was tampered with; the store is asked again
                continue
            except BaseException:
                os.close(handle)
                raise
            return handle

    def _evict(self, besides: Path) -> None:
        aged: list[tuple[int, int, Path]] = []
        for path in self._directory.iterdir():
            with suppress(FileNotFoundError):
                status = path.stat()
                if path.name.startswith(".") and status.st_mtime > time.time() - STALE_SECONDS:
                    continue  # on its way in
                aged.append((status.st_atime_ns, status.st_size, path))
        total = sum(size for _, size, _ in aged)
        for _, size, path in sorted(aged):
            if total <= self._limit:
                return
            if path != besides and _remove_unused(path):
                total -= size


def _lock_shared(path: Path) -> int | None:
    """A locked descriptor of the file that is at `path` now, or None when there is none."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    fcntl.flock(handle, fcntl.LOCK_SH)
    try:
        if path.stat().st_ino == os.fstat(handle).st_ino:
            return handle
    except FileNotFoundError:
        pass
    os.close(handle)  # evicted between open and lock
    return None


def _touch(handle: int) -> None:
    """Note the use: eviction goes by access times, which file systems seldom keep by themselves."""
    with suppress(PermissionError):  # another user's copy
        os.utime(handle, ns=(time.time_ns(), os.fstat(handle).st_mtime_ns))


def _remove_unused(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True
