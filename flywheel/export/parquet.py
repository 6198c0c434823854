"""Parquet shards that `datasets.load_dataset("parquet", data_files=...)` opens with images decoded.

The image column is the struct {bytes, path} that the Hugging Face Image feature stores, and
the schema's `huggingface` metadata names it as such. A shard closes at 500 MB or 10,000
rows; row groups are small, since a reader that wants one image must read its group whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, get_type_hints, is_typeddict

import pyarrow as pa
import pyarrow.parquet as pq

from flywheel.export.rows import ExportedPage, Origin
from flywheel.export.splits import split_name
from flywheel.markup import grounded

SHARD_BYTES, SHARD_ROWS, GROUP_ROWS = 500_000_000, 10_000, 100

_BOX = pa.list_(pa.float32())  # x0, y0, x1, y1 in points
_LINE = pa.struct([("text", pa.string()), ("box", _BOX), ("confidence", pa.float32())])
_REGION = pa.struct([("category", pa.string()), ("box", _BOX), ("lines", pa.list_(_LINE))])


def _columns(record: type) -> list[tuple[str, pa.DataType]]:
    """Column names and types of a TypedDict of integers, strings and other such records."""
    kinds = get_type_hints(record)
    return [
        (name, pa.struct(_columns(kind)) if is_typeddict(kind) else pa.int32() if kind is int else pa.string())
        for name, kind in kinds.items()
    ]


SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("text", pa.string()),
        ("markup", pa.string()),
        ("regions", pa.list_(_REGION)),
        ("width", pa.float32()),
        ("height", pa.float32()),
        ("language", pa.string()),
        ("script", pa.string()),
        *_columns(Origin),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}}}})},
)


def write_files(rows: Iterable[ExportedPage], directory: Path) -> None:
    """Write train-00000-of-0000N.parquet, validation-... and test-...; without rows, one file with the columns and
    no row."""
    with ExitStack() as stack:
        shards: dict[str, _Shards] = {}
        for row in rows:
            name = split_name(row)
            if name not in shards:
                shards[name] = stack.enter_context(closing(_Shards(directory, name)))
            shards[name].add(_record(row))
        if not shards:
            stack.enter_context(closing(_Shards(directory, "train")))


class _Shards:
    """Files of one split, one open at a time, with the rows of its unfinished group. `close` them: the number of
    files is part of their names."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = name
        self._number = 0
        self._start()

    def add(self, record: dict[str, Any]) -> None:
        if not self._group and (self._size >= SHARD_BYTES or self._count >= SHARD_ROWS):
            self._writer.close()
            self._number += 1
            self._start()
        self._group.append(record)
        if len(self._group) == GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        if self._group:
            self._flush()
        self._writer.close()
        for number in range(self._number + 1):
            name = f"{self._name}-{number:05d}-of-{self._number + 1:05d}.parquet"
            self._path(number).rename(self._directory / name)

    def _start(self) -> None:
        self._writer = pq.ParquetWriter(self._path(self._number), SCHEMA, compression="zstd")
        self._group: list[dict[str, Any]] = []
        self._size = self._count = 0

    def _path(self, number: int) -> Path:
        return self._directory / f"{self._name}.{number}"

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._group, schema=SCHEMA))
        self._size += sum(len(record["image"]["bytes"]) for record in self._group)
        self._count += len(self._group)
        self._group = []


def _record(row: ExportedPage) -> dict[str, Any]:
    label = row.label
    return {
        "key": row.key,
        "image": {"bytes": row.image, "path": f"{row.key}.jpg"},
        "text": label.text,
        "markup": grounded(label),  # None where the label does not know where things stand
        "regions": [
            {
                "category": region.category,
                "box": _box(region.box),
                "lines": [
                    {"text": line.text, "box": _box(line.box), "confidence": line.confidence}
                    for line in region.lines
                ],
            }
            for region in label.regions
        ],
        "width": label.width,
        "height": label.height,
        "language": label.language,
        "script": label.script,
        **row.origin,
    }


def _box(box: Any) -> list[float]:
    return [box.x0, box.y0, box.x1, box.y1]
