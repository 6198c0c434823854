"""Content hashes as keys, the hashing of streams, and the memory of files already found sound."""

from __future__ import annotations

import hashlib
import os
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from flywheel.errors import BlobCorrupt, BlobMissing

CHUNK = 1 << 20  # bytes read at a time
KEY = re.compile(r"sha256/([0-9a-f]{2})/([0-9a-f]{2})/(\1\2[0-9a-f]{60})")


def key_of(data: bytes) -> str:
    """The key under which `data` is stored."""
    return key_from(hashlib.sha256(data).hexdigest())


def key_from(digest: str) -> str:
    """The key for 64 lower-case hex digits."""
    return f"sha256/{digest[:2]}/{digest[2:4]}/{digest}"


def check_key(key: str) -> str:
    """`key` itself; raises BlobMissing for anything no store ever returned, so a key is never a path."""
    if not KEY.fullmatch(key):
        raise BlobMissing(f"{key[:120]!r} is not a blob key")
    return key


def check_data(key: str, data: bytes) -> bytes:
    """`data` itself; raises BlobCorrupt when it does not hash to `key`."""
    if key_of(data) != key:
        raise BlobCorrupt(f"{key}: {len(data)} bytes that hash to {key_of(data)}")
    return data


def copy_checked(key: str, chunks: Iterable[bytes], target: IO[bytes]) -> None:
    """Write `chunks` to `target`; raises BlobCorrupt at the end when they do not hash to `key`."""
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        target.write(chunk)
    if key_from(digest.hexdigest()) != key:
        raise BlobCorrupt(f"{key}: {size} bytes that hash to {digest.hexdigest()}")


def read_chunks(source: IO[bytes]) -> Iterator[bytes]:
    """The rest of a file, CHUNK bytes at a time."""
    while chunk := source.read(CHUNK):
        yield chunk


class VerifiedFiles:
    """Files that hashed to their key in this process, so that a hot one is hashed once.

    A file counts as the same while its size, modification time and inode are.
    """

    def __init__(self, limit: int = 65536) -> None:
        self._seen: OrderedDict[str, tuple[int, int, int]] = OrderedDict()
        self._limit = limit

    def check(self, key: str, path: Path) -> None:
        """Check that the file hashes to `key`. Raises BlobCorrupt, and OSError when it cannot be read."""
        with path.open("rb") as source:
            status = os.fstat(source.fileno())
            mark = (status.st_size, status.st_mtime_ns, status.st_ino)
            if self._seen.get(key) == mark:
                self._seen.move_to_end(key)
                return
            digest = hashlib.file_digest(source, "sha256").hexdigest()
        if key_from(digest) != key:
            raise BlobCorrupt(f"{key}: {status.st_size} bytes that hash to {digest}")
        self._seen[key] = mark
        while len(self._seen) > self._limit:
            self._seen.popitem(last=False)
