"""Interface of every store. Each one runs through the contract in tests/flywheel/store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class Store(Protocol):
    """Blobs by content hash.

    Keys are `sha256/ab/cd/<64 hex digits>`. Every verb raises StoreUnavailable when the
    store does not answer or has no room; reads raise BlobMissing and BlobCorrupt.
    """

    def put(self, data: bytes) -> str:
        """Store `data` durably and return its key; storing the same bytes again is harmless."""

    def put_file(self, path: Path) -> str:
        """Store a file of any size, streamed. Raises OSError when `path` cannot be read."""

    def get(self, key: str) -> bytes:
        """The blob, checked against its key."""

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`, unchecked; BlobCorrupt when the blob ends before."""

    def fetch(self, key: str, path: Path) -> None:
        """Write the blob, checked, to `path`; a failure leaves nothing there."""

    def open_local(self, key: str) -> AbstractContextManager[Path]:
        """A local file with the blob's bytes, to read and not to write, until the block ends."""

    def exists(self, key: str) -> bool:
        """True when the blob is there; its bytes are not looked at."""

    def delete(self, key: str) -> None:
        """Remove the blob; removing what is not there is harmless."""

    def keys(self) -> Iterator[str]:
        """Every stored key, in order."""

    def put_tree(self, directory: Path) -> str:
        """Store every file under `directory`, then a manifest of them; returns the manifest's key."""

    def fetch_tree(self, key: str, directory: Path) -> None:
        """Make `directory` hold exactly the tree under `key`: whole and checked, or not at all."""
