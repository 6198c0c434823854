"""What goes into an export and what comes back, alike for every format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from flywheel.document import Label


class Lineage(TypedDict):
    """Where a label came from. `generation` counts the models between it and a text layer or a person."""

    label_id: str
    kind: str
    producer: str
    checkpoint: str | None
    round: str | None
    dataset_hash: str | None
    parent_label: str | None
    generation: int


@dataclass(frozen=True, slots=True)
class ExportedPage:
    """One page with its label. `page` is 0-based; `image` is a whole JPEG file's bytes;
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

    @property
    def key(self) -> str:
        """Unique and safe as a file name: the document's hash and the page."""
        return f"{self.sha256[:24]}-{self.page:05d}"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written: files in order (manifest last), rows in all, bytes in all."""

    format: str
    directory: Path
    files: tuple[Path, ...]
    rows: int
    bytes: int
