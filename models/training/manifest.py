"""Manifest that freezes a dataset: Parquet files by their hash, and the split of every document.

    write_manifest(directory, splits, ...) -> hash      document -> split, files with hashes
    FrozenDataset.open(directory)                       verified; .tables(schema, selections) -> rows of each

A directory holds `manifest.json` and its Parquet files. The manifest maps each document to one split
("train", "validation" or "heldout"), so a document's rows never stand on both sides. Rows of
documents it does not name are left out, and rows of other labels when it lists labels: a file may
hold more than a dataset wants. It lists the labels that may examine, too: those whose words no reader wrote.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args

import pyarrow as pa
import pyarrow.dataset as pads

from flywheel.errors import Rejected
from flywheel.reasons import Reason
from models.checkpoint import sha256_of, write_json

Split = Literal["train", "validation", "heldout"]
MANIFEST = "manifest.json"
ROWS_AT_ONCE = 64  # of a file in memory beside what is kept


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of a dataset: of these documents, without pseudo-labels beyond `most_generation`; for an `exam` only
    those that may examine; and where `filled` names a column of text, only those that have one."""

    documents: Set[str]
    most_generation: int | None = None
    filled: str | None = None
    exam: bool = False


@dataclass(frozen=True, slots=True)
class FrozenDataset:
    """A verified dataset directory; subclasses read its rows as lines or as pages."""

    directory: Path
    hash: str
    language: str
    splits: dict[str, Split]
    files: tuple[str, ...]
    labels: frozenset[int] | None = None  # None: whatever the files hold
    replay: frozenset[str] = frozenset()  # documents of other languages, to be learned again
    groups: dict[str, str] = field(default_factory=dict)  # document -> cluster of near-equal ones, if in one
    exam_labels: frozenset[int] | None = None  # may examine; None: those of generation 0

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Read the manifest and check every file's sha256.

        Raises Rejected(BLOB_MISSING) or Rejected(BLOB_CORRUPT).
        """
        path = directory / MANIFEST
        if not path.is_file():
            raise Rejected(Reason.BLOB_MISSING, f"no {MANIFEST} in {directory.name}")
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            files = [(Path(f["name"]).name, str(f["sha256"])) for f in data["files"]]
            dataset = cls(
                directory,
                hash=str(data["hash"]),
                language=str(data["language"]),
                splits={str(k): _split(v) for k, v in data["splits"].items()},
                files=tuple(name for name, _ in files),
                labels=_ids(data.get("labels")),
                replay=frozenset(map(str, data.get("replay", {}))),
                groups={str(k): str(v) for k, v in data.get("groups", {}).items()},
                exam_labels=_ids(data.get("exam_labels")),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Rejected(Reason.BLOB_CORRUPT, f"{MANIFEST}: {error}") from error
        for name, expected in files:
            _verify(directory / name, expected)
        return dataset

    def documents(self, split: Split) -> set[str]:
        """The documents of a split."""
        return {document for document, side in self.splits.items() if side == split}

    def examines(self, label: int, generation: int) -> bool:
        """True for a label whose text may examine a reader."""
        return generation == 0 if self.exam_labels is None else label in self.exam_labels

    def tables(self, schema: pa.Schema, selections: Sequence[Selection]) -> list[pa.Table]:
        """The rows with a listed label of each selection.

        The files are read once for all of them, a few rows at a time: images are most of what they hold, and
        what no selection wants is never held.
        """
        found: list[list[pa.RecordBatch]] = [[] for _ in selections]
        for name in self.files:
            for batch in pads.dataset(self.directory / name, schema=schema, format="parquet").to_batches(
                batch_size=ROWS_AT_ONCE, batch_readahead=1, fragment_readahead=1
            ):
                for chosen, selection in zip(found, selections, strict=True):
                    wanted = self._wanted(batch, selection)
                    if any(wanted):
                        chosen.append(batch.filter(pa.array(wanted, pa.bool_())))
        return [pa.Table.from_batches(batches, schema) for batches in found]

    def _wanted(self, batch: pa.RecordBatch, selection: Selection) -> list[bool]:
        columns = ("document", "label", "generation", selection.filled or "document")
        return [
            document in selection.documents
            and (self.labels is None or label in self.labels)
            and (selection.most_generation is None or generation <= selection.most_generation)
            and (not selection.exam or self.examines(label, generation))
            and bool(text)
            for document, label, generation, text in zip(
                *(batch.column(name).to_pylist() for name in columns), strict=True
            )
        ]


def write_manifest(
    directory: Path,
    *,
    splits: Mapping[str, Split],
    language: str,
    files: Sequence[str] | None = None,
    groups: Mapping[str, str] | None = None,
) -> str:
    """Freeze the Parquet files of `directory` (all, or those named); returns the dataset's hash.

    The hash covers the files' contents, the split of each document, the clusters of documents and the language.
    """
    names = sorted(files if files is not None else (p.name for p in directory.glob("*.parquet")))
    listed = [{"name": name, "sha256": sha256_of(directory / name)} for name in names]
    body: dict[str, Any] = {
        "language": language,
        "splits": dict(sorted(splits.items())),
        "files": listed,
        **({"groups": dict(sorted(groups.items()))} if groups else {}),
    }
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    write_json(directory / MANIFEST, {"hash": digest, **body})
    return digest


def _ids(values: Iterable[Any] | None) -> frozenset[int] | None:
    return None if values is None else frozenset(map(int, values))


def _split(value: str) -> Split:
    if value not in get_args(Split):
        raise ValueError(f"no split is called {value!r}")
    return value  # type: ignore[return-value]  # narrowed by the line above


def _verify(path: Path, expected: str) -> None:
    if not path.is_file():
        raise Rejected(Reason.BLOB_MISSING, path.name)
    if sha256_of(path) != expected:
        raise Rejected(Reason.BLOB_CORRUPT, path.name)
