"""Datasets of pages, written to a directory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from models.page_training.dataset import PageSample, write_pages
from models.training.manifest import write_manifest


def row(number: int, document: str, text: str = "བཀྲ་ཤིས།", **values: object) -> PageSample:
    image = np.full((90, 60), 255, np.uint8)
    image[10:20, 5 : 5 + 4 * (number + 1)] = 0
    return PageSample(document, number, image, 150.0, 28.8, 43.2, text, language="bo", label=number, **values)


def dataset(directory: Path, rows: list[PageSample], splits: dict[str, str], **manifest: object) -> Path:
    directory.mkdir()
    write_pages(directory / "pages.parquet", rows)
    write_manifest(directory, splits=splits, language="bo")
    path = directory / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **manifest}))
    return directory
