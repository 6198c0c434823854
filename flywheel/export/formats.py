"""Formats of exports: one line each, from which the API, the command line and the tests know them.

The format `name` is written by `write_files(rows, directory)` of the module flywheel/export/<name>.py: it draws
ExportedPages from an iterator and writes files under `directory`, named by `row.key` and each with its row's
text, image (flywheel/export/picturefile.py places it) and `ExportedPage.origin`, in files or folders of the row's
split where its loaders tell splits apart (flywheel/export/splits.py). A new format is that module and
its line here; tests/flywheel/export runs all formats through one contract, and `manifest.json` is written for
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from importlib import import_module
from pathlib import Path

from flywheel.export.rows import ExportedPage

Writer = Callable[[Iterable[ExportedPage], Path], None]


class ExportFormat(StrEnum):
    """Name of a format with an `explanation` and, where `datasets` opens it, the call that `loads` it."""

    explanation: str
    loads: str  # with {directory} for the export's directory

    def __new__(cls, value: str, explanation: str, loads: str = "") -> ExportFormat:
        member = str.__new__(cls, value)
        member._value_ = value
        member.explanation = explanation
        member.loads = loads
        return member

    PARQUET = "parquet", "Hugging Face datasets, images inside", "datasets.load_dataset('{directory}')"
    WEBDATASET = (
        "webdataset",
        "tar shards: key.jpg, key.json, key.txt",
        "datasets.load_dataset('webdataset', data_dir='{directory}')",
    )
    JSONL = (
        "jsonl",
        "DeepSeek-OCR prompts and answers, images beside",
        "datasets.load_dataset('json', data_dir='{directory}')",
    )
    PADDLEOCR = "paddleocr", "PaddleOCR's lists of pages and of line pictures"
    ALTO = "alto", "ALTO 4.4, one XML file a page"
    LABELSTUDIO = "labelstudio", "Label Studio tasks with our lines as predictions"

    @classmethod
    def named(cls, name: str) -> ExportFormat:
        """The format of this name. Raises ValueError for an unknown one."""
        return cls(name)  # type: ignore[call-arg]  # mypy takes it for a call of __new__

    @property
    def write_files(self) -> Writer:
        """Writer of the format. Its libraries, PyArrow among them, are imported here and not before."""
        writer: Writer = import_module(f"flywheel.export.{self.value}").write_files
        return writer
