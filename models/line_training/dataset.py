"""Datasets of line patches on disk: Parquet files under a frozen manifest (models/training/manifest.py).

    write_patches(path, rows) -> (rows, sha256)       one work shard's patches, one Parquet file
    LineDataset.open(directory)                       verified; .lines("train") -> LineSamples
                                                      .training_lines() -> those to learn from and to watch by

Images stay encoded until they are asked for. Texts are cleaned as labels are, and lines that hold what is no
character (patches of an older cutter may) are left out wherever lines are read: none becomes an output symbol.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from flywheel.text.cleaning import clean, is_readable
from models.checkpoint import sha256_of
from models.training.images import decode_image, encode_image
from models.training.manifest import FrozenDataset, Selection, Split

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
        ("dpi", pa.float32()),  # of the page's image it was cut from
        ("confidence", pa.float32()),  # a reading's of this line; null for text layers and people
    ]
)


@dataclass(frozen=True, slots=True)
class LineSample:
    """One line with its true text (NFC). `image` is gray H x W uint8; `page` and `label` are row ids.

    `confidence` is the reader's, 0..1; None where no reader's confidence counts.
    """

    document: str
    page: int
    line: int
    text: str
    image: NDArray[np.uint8]
    generation: int = 0
    label: int = 0
    producer: str = ""
    dpi: float | None = None
    confidence: float | None = None


class LineSamples:
    """The lines of one split: texts at once, images decoded when asked for."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._images = table.column("image")
        self.texts: list[str] = list(map(clean, table.column("text").to_pylist()))
        self.documents: list[str] = table.column("document").to_pylist()
        self.generations: list[int] = table.column("generation").to_pylist()
        self.labels: list[int] = table.column("label").to_pylist()
        self.dpis: list[float | None] = table.column("dpi").to_pylist()
        widths, heights = table.column("width").to_pylist(), table.column("height").to_pylist()
        self.sizes: list[tuple[int, int]] = list(zip(widths, heights, strict=True))  # pixels

    def __len__(self) -> int:
        return len(self.texts)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Gray H x W, uint8. Raises Rejected(IMAGE_UNREADABLE) when the bytes are no image."""
        return decode_image(self._images[index], f"line {index} of {self.documents[index]}")

    def subset(self, most: int) -> LineSamples:
        """At most `most` of the lines, spread over all of them."""
        step = max(1, -(-len(self) // max(1, most)))
        return LineSamples(self._table.take(list(range(0, len(self), step))))

    def at(self, places: Sequence[int]) -> LineSamples:
        """The lines at these places."""
        return LineSamples(self._table.take(list(places)))


class LineDataset(FrozenDataset):
    """A frozen dataset that holds lines."""

    def lines(self, split: Split, *, most_generation: int | None = None, exam: bool = False) -> LineSamples:
        """Lines of a split; pseudo-labels beyond `most_generation` left out, and for an `exam` all lines but those
        that may examine."""
        [table] = self.tables(SCHEMA, [Selection(self.documents(split), most_generation, exam=exam)])
        return LineSamples(_sound(table))

    def training_lines(self, generations: int, least_confidence: float = 0.0) -> tuple[LineSamples, LineSamples]:
        """Lines to learn from, with pseudo-labels up to `generations` of at least this confidence, and lines to
        watch the training by: true validation lines, else true training lines, else the lines that are learned
        from."""
        learned = Selection(self.documents("train"), generations)
        watched = Selection(self.documents("validation"), exam=True)
        found, checked = self.tables(SCHEMA, [learned, watched])
        lines, validation = LineSamples(_sound(found, least_confidence)), LineSamples(_sound(checked))
        if not len(validation):
            told = enumerate(zip(lines.labels, lines.generations, strict=True))
            true = [place for place, (label, generation) in told if self.examines(label, generation)]
            validation = lines.at(true) if true else lines
        return lines, validation


def _sound(table: pa.Table, least_confidence: float = 0.0) -> pa.Table:
    """The rows whose text a recogniser may write, and that their reader was sure enough of."""
    columns = table.column("text").to_pylist(), table.column("confidence").to_pylist()
    wanted = [
        is_readable(clean(text)) and (confidence is None or confidence >= least_confidence)
        for text, confidence in zip(*columns, strict=True)
    ]
    return table if all(wanted) else table.filter(pa.array(wanted, pa.bool_()))


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
            row.dpi,
            row.confidence,
        )
        for name, value in zip(SCHEMA.names, values, strict=True):
            columns[name].append(value)
    table = pa.table(columns, schema=SCHEMA)
    pq.write_table(table, path, compression="zstd", row_group_size=2048)
    return table.num_rows, sha256_of(path)
