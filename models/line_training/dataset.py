"""Datasets of line patches on disk: Parquet files and the manifest that freezes them.

    write_patches(path, rows) -> (rows, sha256)       one work shard's patches, one Parquet file
    write_manifest(directory, splits, ...)            document -> split, files with hashes; the hash
    Dataset.open(directory)                           verified; .lines("train") -> Lines

A directory holds `manifest.json` and its Parquet files. The manifest maps each document to one split
("train", "validation" or "heldout"), so a document's lines never stand on both sides. Rows of
documents it does not name are left out, and rows of other labels when it lists labels: a patch file
may hold more than a dataset wants. Images stay encoded until they are asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from flywheel.errors import Rejected
from flywheel.reasons import Reason
from models.checkpoint import sha256_of, write_json

Split = Literal["train", "validation", "heldout"]
MANIFEST = "manifest.json"
SCHEMA = pa.schema(
    [
        ("document", pa.string()),
        ("page", pa.int64()),
        ("line", pa.int32()),
        ("text", pa.string()),
        ("image", pa.binary()),  # PNG or JPEG, gray
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("generation", pa.int32()),  # 0: from a text layer; n: read by a checkpoint trained on n - 1
        ("label", pa.int64()),
        ("producer", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class LineSample:
    """One line with its true text (NFC). `image` is gray H x W uint8; `page` and `label` are row ids."""

    document: str
    page: int
    line: int
    text: str
    image: NDArray[np.uint8]
    generation: int = 0
    label: int = 0
    producer: str = ""


class Lines:
    """The lines of one split: texts at once, images decoded when asked for."""

    def __init__(self, table: pa.Table) -> None:
        self._images = table.column("image")
        self.texts: list[str] = table.column("text").to_pylist()
        self.documents: list[str] = table.column("document").to_pylist()
        self.generations: list[int] = table.column("generation").to_pylist()
        widths, heights = table.column("width").to_pylist(), table.column("height").to_pylist()
        self.sizes: list[tuple[int, int]] = list(zip(widths, heights, strict=True))  # pixels

    def __len__(self) -> int:
        return len(self.texts)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Gray H x W, uint8. Raises Rejected(IMAGE_UNREADABLE) when the bytes are no image."""
        encoded = np.frombuffer(self._images[index].as_buffer(), np.uint8)
        decoded = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE) if len(encoded) else None
        if decoded is None:
            raise Rejected(Reason.IMAGE_UNREADABLE, f"line {index} of {self.documents[index]}")
        return np.asarray(decoded, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A verified dataset directory."""

    directory: Path
    hash: str
    language: str
    splits: dict[str, Split]
    files: tuple[str, ...]
    labels: frozenset[int] | None = None  # None: whatever the files hold
    replay: frozenset[str] = frozenset()  # documents of other languages, to be learned again

    @classmethod
    def open(cls, directory: Path) -> Dataset:
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
                labels=frozenset(map(int, data["labels"])) if data.get("labels") is not None else None,
                replay=frozenset(map(str, data.get("replay", {}))),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Rejected(Reason.BLOB_CORRUPT, f"{MANIFEST}: {error}") from error
        for name, expected in files:
            _verify(directory / name, expected)
        return dataset

    def lines(self, split: Split, *, most_generation: int | None = None) -> Lines:
        """Lines of a split; pseudo-labels beyond `most_generation` left out."""
        chosen = {document for document, side in self.splits.items() if side == split}
        return Lines(self.table(SCHEMA, chosen, most_generation))

    def table(self, schema: pa.Schema, documents: Set[str], most_generation: int | None) -> pa.Table:
        """The rows of these documents with a listed label; pseudo-labels beyond `most_generation` left out."""
        tables = [schema.empty_table()]
        for name in self.files:
            table = pq.read_table(self.directory / name, schema=schema)
            keys = (table.column(c).to_pylist() for c in ("document", "label", "generation"))
            keep = [
                document in documents
                and (self.labels is None or label in self.labels)
                and (most_generation is None or generation <= most_generation)
                for document, label, generation in zip(*keys, strict=True)
            ]
            tables.append(table.filter(pa.array(keep, pa.bool_())))
        return pa.concat_tables(tables)


def write_patches(path: Path, rows: Iterable[LineSample], *, jpeg_quality: int | None = None) -> tuple[int, str]:
    """Write one Parquet file of patches; returns how many rows it holds and its sha256.

    Images are PNG, or JPEG when `jpeg_quality` (1-100) is given. The same rows give the same bytes.
    """
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    for row in rows:
        values = (
            row.document,
            row.page,
            row.line,
            row.text,
            encode_image(row.image, jpeg_quality),
            row.image.shape[1],
            row.image.shape[0],
            row.generation,
            row.label,
            row.producer,
        )
        for name, value in zip(SCHEMA.names, values, strict=True):
            columns[name].append(value)
    table = pa.table(columns, schema=SCHEMA)
    pq.write_table(table, path, compression="zstd", row_group_size=2048)
    return table.num_rows, sha256_of(path)


def write_manifest(
    directory: Path, *, splits: Mapping[str, Split], language: str, files: Sequence[str] | None = None
) -> str:
    """Freeze the Parquet files of `directory` (all, or those named); returns the dataset's hash.

    The hash covers the files' contents, the split of each document and the language.
    """
    names = sorted(files if files is not None else (p.name for p in directory.glob("*.parquet")))
    listed = [{"name": name, "sha256": sha256_of(directory / name)} for name in names]
    body: dict[str, Any] = {
        "language": language,
        "splits": dict(sorted(splits.items())),
        "files": listed,
    }
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    write_json(directory / MANIFEST, {"hash": digest, **body})
    return digest


def encode_image(image: NDArray[np.uint8], jpeg_quality: int | None = None) -> bytes:
    """PNG bytes of a gray image, or JPEG at a quality."""
    if jpeg_quality is None:
        done, encoded = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    else:
        done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
    if not done:
        raise ValueError(f"an image of shape {image.shape} cannot be encoded")
    return encoded.tobytes()


def _split(value: str) -> Split:
    if value not in get_args(Split):
        raise ValueError(f"no split is called {value!r}")
    return value  # type: ignore[return-value]  # narrowed by the line above


def _verify(path: Path, expected: str) -> None:
    if not path.is_file():
        raise Rejected(Reason.BLOB_MISSING, path.name)
    if sha256_of(path) != expected:
        raise Rejected(Reason.BLOB_CORRUPT, path.name)
