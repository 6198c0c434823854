"""Writing of an export in any format: hidden names first, final names when whole, the manifest last."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flywheel.errors import Conflict
from flywheel.export.formats import ExportFormat
from flywheel.export.rows import ExportedPage, ExportReport

MANIFEST = "manifest.json"
PARTIAL = ".partial"
REPLACED = ".replaced.json"  # the old manifest while its files give way, so that a kill loses none of them


def write(
    format: ExportFormat,
    rows: Iterable[ExportedPage],
    to: Path,
    *,
    progress: Callable[[int], None] | None = None,
) -> ExportReport:
    """Write an export into `to`; an export that was there before is replaced, other files are left.

    `progress` is called with the number of rows taken so far. Raises Conflict when `to` holds
    files that are not an export's.
    """
    partial = _prepare(to)
    tally = _Tally(progress)
    format.write_files(tally.count(rows), partial)
    files = sorted(path.relative_to(partial) for path in partial.rglob("*") if path.is_file())
    manifest = {**tally.summary(format), "files": [_entry(partial, name) for name in files]}
    _publish(partial, to, files, manifest)
    paths = (*(to / name for name in files), to / MANIFEST)
    return ExportReport(format, to, paths, tally.rows, sum(path.stat().st_size for path in paths))


def read_manifest(directory: Path) -> dict[str, Any]:
    """Read the manifest of a finished export. Raises FileNotFoundError when there is none."""
    loaded: dict[str, Any] = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    return loaded


@dataclass(slots=True)
class _Tally:
    """Count of rows, made as the writer takes them, for the manifest and the progress bar."""

    progress: Callable[[int], None] | None
    rows: int = 0
    seen: dict[str, Counter[str]] = field(default_factory=dict)

    def count(self, rows: Iterable[ExportedPage]) -> Iterator[ExportedPage]:
        for row in rows:
            yield row
            self.rows += 1
            for name, value in (
                ("corpora", row.corpus),
                ("splits", row.split.value),
                ("rights", row.rights),
                ("kinds", row.label.kind.value),
                ("text_origins", row.text_origin.value),
                ("checkpoints", row.lineage["checkpoint"]),
                ("generations", str(row.lineage["generation"])),
            ):
                if value is not None:
                    self.seen.setdefault(name, Counter())[value] += 1
            if self.progress:
                self.progress(self.rows)

    def summary(self, format: ExportFormat) -> dict[str, Any]:
        return {
            "format": format.value,
            "rows": self.rows,
            **{name: dict(sorted(c.items())) for name, c in self.seen.items()},
        }


def _prepare(to: Path) -> Path:
    """Make an empty directory for unfinished files; the files of a killed export are removed."""
    to.mkdir(parents=True, exist_ok=True)
    partial = to / PARTIAL
    ours = any((to / name).exists() for name in (MANIFEST, PARTIAL, REPLACED))
    if not ours and any(to.iterdir()):
        raise Conflict(f"{to} holds files that are not an export's; name an empty directory")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    return partial


def _entry(directory: Path, name: Path) -> dict[str, Any]:
    path = directory / name
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return {"name": name.as_posix(), "bytes": path.stat().st_size, "sha256": digest}


def _publish(partial: Path, to: Path, files: list[Path], manifest: dict[str, Any]) -> None:
    """Take the old manifest away, move the files in, drop the old export's others, write the manifest."""
    if (to / MANIFEST).exists():
        (to / MANIFEST).replace(to / REPLACED)
    if (to / REPLACED).exists():
        _drop(to, {name.as_posix() for name in files})
    for name in files:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (partial / name).replace(to / name)
    waiting = partial / MANIFEST
    with waiting.open("w", encoding="utf-8") as file:
        json.dump(manifest, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    waiting.replace(to / MANIFEST)
    (to / REPLACED).unlink(missing_ok=True)
    shutil.rmtree(partial)


def _drop(to: Path, kept: set[str]) -> None:
    """Remove the replaced export's files, but for those that will be overwritten."""
    for entry in json.loads((to / REPLACED).read_text(encoding="utf-8"))["files"]:
        path = to / entry["name"]
        if entry["name"] not in kept and path.resolve().is_relative_to(to.resolve()):
            path.unlink(missing_ok=True)
