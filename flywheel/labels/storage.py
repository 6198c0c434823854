"""Blobs of labels: one zstd frame of JSON a page, the frames of a shard one after another.

One frame a page, so that one page is one range request; the frames together are
one zstd stream of JSON lines, so that a whole blob is `zstd -d`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import zstandard

from flywheel.database.tables import LabelRow
from flywheel.document import Label, decode_label, encode
from flywheel.errors import BlobCorrupt
from flywheel.store import Store


@dataclass(frozen=True, slots=True)
class Frame:
    """A label's place in a blob, in bytes."""

    key: str
    offset: int
    length: int


def store_labels(store: Store, labels: Sequence[Label]) -> list[Frame]:
    """Store labels as one blob; returns the frame of each. Raises StoreUnavailable."""
    compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
    frames = [
        compressor.compress(json.dumps(encode(label), ensure_ascii=False).encode() + b"\n") for label in labels
    ]
    key = store.put(b"".join(frames))
    placed, offset = [], 0
    for frame in frames:
        placed.append(Frame(key, offset, len(frame)))
        offset += len(frame)
    return placed


def load_label(store: Store, row: LabelRow) -> Label:
    """The label a row points to. Raises BlobMissing, BlobCorrupt."""
    frame = store.get_range(row.blob_key, row.blob_offset, row.blob_length)
    try:
        return decode_label(json.loads(zstandard.ZstdDecompressor().decompress(frame)))
    except (zstandard.ZstdError, ValueError, KeyError, TypeError) as error:
        raise BlobCorrupt(f"label {row.id} in {row.blob_key}: {error}") from error
