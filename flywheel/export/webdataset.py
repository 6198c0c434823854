"""WebDataset tar shards: for each page key.jpg, key.json (label and lineage) and key.txt (plain text).

Members of one page stand next to each other, as the format asks. Headers carry no time
and no owner, so the same rows give the same bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from flywheel.document import encode
from flywheel.export.rows import ExportedPage

SHARD_BYTES, SHARD_ROWS = 500_000_000, 10_000


def write_files(rows: Iterable[ExportedPage], directory: Path) -> None:
    """Write train-000000.tar and on; without rows, one empty archive."""
    pending, number = iter(rows), 0
    row = next(pending, None)
    while row or not number:
        row = _shard(directory / f"train-{number:06d}.tar", row, pending)
        number += 1


def _shard(path: Path, row: ExportedPage | None, rows: Iterator[ExportedPage]) -> ExportedPage | None:
    """Fill one shard, beginning with `row`; return the row that begins the next, None at the end."""
    size = count = 0
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        while row and size < SHARD_BYTES and count < SHARD_ROWS:
            for ending, data in _members(row):
                member = tarfile.TarInfo(f"{row.key}.{ending}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
                size += len(data)
            count += 1
            row = next(rows, None)
    return row


def _members(row: ExportedPage) -> tuple[tuple[str, bytes], ...]:
    described = {**row.origin, "label": encode(row.label)}
    return (
        ("jpg", row.image),
        ("json", json.dumps(described, ensure_ascii=False).encode()),
        ("txt", row.label.text.encode()),
    )
