"""Parquet shards that `datasets.load_dataset("parquet", data_files=...)` opens with images decoded.

The image column is the struct {bytes, path} that the Hugging Face Image feature stores, and
the schema's `huggingface` metadata names it as such. A shard closes at 500 MB or 10,000
rows; row groups are small, since a reader that wants one image must read its group whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_type_hints, is_typeddict

import pyarrow as pa
import pyarrow.parquet as pq

from flywheel.export.rows import ExportedPage, Origin
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
    """Write train-00000-of-0000N.parquet; without rows, one file with the columns and no row."""
    groups = _groups(rows)
    shards, group = 0, next(groups, [])
    while group or not shards:
        group = _shard(directory / f"{shards}.parquet", group, groups)
        shards += 1
    for number in range(shards):
        (directory / f"{number}.parquet").rename(directory / f"train-{number:05d}-of-{shards:05d}.parquet")


def _shard(
    path: Path, group: list[dict[str, Any]], groups: Iterator[list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Fill one shard, beginning with `group`; return the group that begins the next, empty at the end."""
    size = count = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        while group and size < SHARD_BYTES and count < SHARD_ROWS:
            writer.write_table(pa.Table.from_pylist(group, schema=SCHEMA))
            size += sum(len(row["image"]["bytes"]) for row in group)
            count += len(group)
            group = next(groups, [])
    return group


def _groups(rows: Iterable[ExportedPage]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    for row in rows:
        group.append(_record(row))
        if len(group) == GROUP_ROWS:
            yield group
            group = []
    if group:
        yield group


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
