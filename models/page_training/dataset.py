"""Datasets of whole pages on disk: Parquet files under a frozen manifest (models/training/manifest.py).

    write_pages(path, rows) -> (rows, sha256)      one work shard's pages, one Parquet file
    PageDataset.open(directory)                    verified; .pages("train") -> PageSamples
                                                   .training_pages() -> those to learn from and to watch by

A row is a page's image, its text (what is learned of a coarse label) and its grounded markdown (of a fine one;
empty where no layout is known). Images are gray JPEG of quality 90: a page of 1240 x 1754 pixels takes 300 kB
where PNG takes 1.5 MB for a scan, and no reader tells the two apart. The manifest's `replay` names documents of
other languages: they are trained on, never judged by.
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

from models.checkpoint import sha256_of
from models.readers.protocol import PageInput
from models.training.images import decode_image, encode_image
from models.training.manifest import FrozenDataset, Selection, Split

JPEG_QUALITY = 90
SCHEMA = pa.schema(
    [
        ("document", pa.string()),
        ("page", pa.int64()),
        ("image", pa.binary()),  # JPEG, gray
        ("dpi", pa.float32()),
        ("width", pa.float32()),  # of the page, in points
        ("height", pa.float32()),
        ("text", pa.string()),
        ("markup", pa.string()),
        ("script", pa.string()),
        ("language", pa.string()),
        ("generation", pa.int32()),  # 0: from a text layer; n: read by a checkpoint trained on n - 1
        ("label", pa.int64()),
        ("producer", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class PageSample:
    """One page with its true text (NFC) and markup. `image` is gray H x W uint8 at `dpi`; sizes in points;
    `page` and `label` are row ids."""

    document: str
    page: int
    image: NDArray[np.uint8]
    dpi: float
    width: float
    height: float
    text: str
    markup: str = ""
    script: str = "Zyyy"
    language: str = ""
    generation: int = 0
    label: int = 0
    producer: str = ""


class PageSamples:
    """The pages of one split: texts at once, images decoded when asked for."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._images = table.column("image")
        columns = {name: table.column(name).to_pylist() for name in SCHEMA.names if name != "image"}
        self.texts: list[str] = columns["text"]
        self.markups: list[str] = columns["markup"]
        self.documents: list[str] = columns["document"]
        self.languages: list[str] = columns["language"]
        self.generations: list[int] = columns["generation"]
        self.labels: list[int] = columns["label"]
        self.dpis: list[float] = columns["dpi"]
        self._sizes = list(zip(columns["dpi"], columns["width"], columns["height"], strict=True))

    def __len__(self) -> int:
        return len(self.texts)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Gray H x W, uint8. Raises Rejected(IMAGE_UNREADABLE) when the bytes are no image."""
        return decode_image(self._images[index], f"page {index} of {self.documents[index]}")

    def input(self, index: int) -> PageInput:
        """The page as a reader takes it."""
        dpi, width, height = self._sizes[index]
        return PageInput(self.image(index), dpi, width, height, self.languages[index] or None)

    def subset(self, places: Sequence[int]) -> PageSamples:
        """The pages at these places."""
        return PageSamples(self._table.take(list(places)))


@dataclass(frozen=True, slots=True)
class TrainingPages:
    """Pages of a training: the language's `own` to learn from, those of other languages to learn again, and
    those to watch the training by."""

    own: PageSamples
    replay: PageSamples
    validation: PageSamples


class PageDataset(FrozenDataset):
    """A frozen dataset that holds pages."""

    def pages(
        self, split: Split, *, most_generation: int | None = None, replay: bool = False, exam: bool = False
    ) -> PageSamples:
        """Pages of a split; pseudo-labels beyond `most_generation` left out, and for an `exam` all pages but those
        that may examine. Of other languages there are those to be learned again (`replay`), and only then."""
        [table] = self.tables(SCHEMA, [self._selection(split, most_generation, replay=replay, exam=exam)])
        return PageSamples(table)

    def training_pages(self, generations: int) -> TrainingPages:
        """Pages to learn from, with pseudo-labels up to `generations`, and pages to watch the training by: true
        validation pages, else true training pages, else the pages that are learned from."""
        selections = [
            self._selection("train", generations),
            self._selection("train", 0, replay=True),
            self._selection("validation", exam=True),
        ]
        own, replay, validation = map(PageSamples, self.tables(SCHEMA, selections))
        if not len(validation):
            told = enumerate(zip(own.labels, own.generations, strict=True))
            true = [place for place, (label, generation) in told if self.examines(label, generation)]
            validation = own.subset(true) if true else own
        return TrainingPages(own, replay, validation)

    def _selection(
        self, split: Split, most_generation: int | None = None, *, replay: bool = False, exam: bool = False
    ) -> Selection:
        chosen = {d for d in self.documents(split) if (d in self.replay) == replay}
        return Selection(chosen, most_generation, filled="text", exam=exam)


def write_pages(path: Path, rows: Iterable[PageSample]) -> tuple[int, str]:
    """Write one Parquet file of pages; returns how many it holds and its sha256. The same rows, the same bytes."""
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    for row in rows:
        for name in SCHEMA.names:
            value = encode_image(row.image, JPEG_QUALITY) if name == "image" else getattr(row, name)
            columns[name].append(value)
    table = pa.table(columns, schema=SCHEMA)
    pq.write_table(table, path, compression="zstd", row_group_size=64)
    return table.num_rows, sha256_of(path)
