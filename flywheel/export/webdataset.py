"""WebDataset tar shards: for each page key.jpg, key.json (label and lineage) and key.txt (plain text).

Members of one page stand next to each other, as the format asks. Headers carry no time
and no owner, so the same rows give the same bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path

from flywheel.document import encode
from flywheel.export.rows import ExportedPage
from flywheel.export.splits import split_name

SHARD_BYTES, SHARD_ROWS = 500_000_000, 10_000


def write_files(rows: Iterable[ExportedPage], directory: Path) -> None:
    """Write train-000000.tar and on, validation-000000.tar and test-000000.tar likewise; without rows, one empty
    archive."""
    with ExitStack() as stack:
        shards: dict[str, _Shards] = {}
        for row in rows:
            name = split_name(row)
            if name not in shards:
                shards[name] = stack.enter_context(closing(_Shards(directory, name)))
            shards[name].add(row)
        if not shards:
            _Shards(directory, "train").close()


class _Shards:
    """Archives of one split, one open at a time. `close` them."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = name
        self._number = 0
        self._start()

    def add(self, row: ExportedPage) -> None:
        if self._size >= SHARD_BYTES or self._count >= SHARD_ROWS:
            self.close()
            self._number += 1
            self._start()
        for ending, data in _members(row):
            member = tarfile.TarInfo(f"{row.key}.{ending}")
            member.size = len(data)
            self._archive.addfile(member, io.BytesIO(data))
            self._size += len(data)
        self._count += 1

    def close(self) -> None:
        self._archive.close()

    def _start(self) -> None:
        path = self._directory / f"{self._name}-{self._number:06d}.tar"
        self._archive = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 (closed by `close`)
        self._size = self._count = 0


def _members(row: ExportedPage) -> tuple[tuple[str, bytes], ...]:
    described = {**row.origin, "label": encode(row.label)}
    return (
        ("jpg", row.image),
        ("json", json.dumps(described, ensure_ascii=False).encode()),
        ("txt", row.label.text.encode()),
    )
