"""Files of an export by split, so that whoever loads it by its usual loader does not train on the exam.

split_name(row) -> "train" | "validation" | "test"     as `datasets` knows splits by their files' names
TextFiles(directory)["train.jsonl"]                    open text files, each made when it is first named
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from flywheel.export.rows import ExportedPage
from flywheel.states import Split

NAMES = {Split.TRAIN: "train", Split.VALIDATION: "validation", Split.HELDOUT: "test"}


def split_name(row: ExportedPage) -> str:
    """Name of a row's split in file names."""
    return NAMES[row.split]


class TextFiles:
    """Text files of a directory, open until the block ends."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: dict[str, TextIO] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._open.values():
            file.close()

    def __getitem__(self, name: str) -> TextIO:
        if name not in self._open:
            self._open[name] = (self._directory / name).open("w", encoding="utf-8")
        return self._open[name]
