"""Rows that go into an export of any format, and the report that comes back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from flywheel.document import Label, TextOrigin
from flywheel.states import Split


class Lineage(TypedDict):
    """Origin of a label. `generation` counts the models between it and a text layer or a person."""

    label_id: str
    kind: str
    producer: str
    checkpoint: str | None
    round: str | None
    dataset_hash: str | None
    parent_label: str | None
    generation: int


class Origin(TypedDict):
    """Columns that every row of every format carries: the page in its corpus, its verdict, its lineage.

    `split` is the document's side here, `rights` what was stated when it was submitted. `text_origin` is who wrote
    the words (flywheel.document.TextOrigin), `confirmed_by` the person who wrote or accepted them, if any.
    """

    corpus: str
    document: str
    sha256: str
    page: int
    split: str
    rights: str | None
    verdict: str
    reason: str
    text_origin: str
    confirmed_by: str | None
    lineage: Lineage


@dataclass(frozen=True, slots=True)
class ExportedPage:
    """Row of an export: one page with its label. `page` is 0-based; `image` is a whole JPEG file's bytes;
    `document` is the name as submitted, shown to people and never used as a path."""

    corpus: str
    document: str
    sha256: str  # of the document
    page: int
    image: bytes
    label: Label
    verdict: str
    reason: str
    lineage: Lineage
    split: Split
    text_origin: TextOrigin
    rights: str | None = None
    confirmed_by: str | None = None

    @property
    def key(self) -> str:
        """Unique and safe as a file name: the document's hash and the page."""
        return f"{self.sha256[:24]}-{self.page:05d}"

    @property
    def origin(self) -> Origin:
        return Origin(
            corpus=self.corpus,
            document=self.document,
            sha256=self.sha256,
            page=self.page,
            split=self.split.value,
            rights=self.rights,
            verdict=self.verdict,
            reason=self.reason,
            text_origin=self.text_origin.value,
            confirmed_by=self.confirmed_by,
            lineage=self.lineage,
        )


@dataclass(frozen=True, slots=True)
class ExportReport:
    """Files that were written, in order (manifest last), with the sums of rows and bytes."""

    format: str
    directory: Path
    files: tuple[Path, ...]
    rows: int
    bytes: int
