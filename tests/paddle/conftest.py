"""`make test-paddle` runs these, where paddleocr is installed. Elsewhere there is nothing here to collect."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if importlib.util.find_spec("paddleocr") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    # Read when the library is imported: what somebody has downloaded at home has no say here.
    os.environ["PADDLE_PDX_CACHE_HOME"] = str(Path(sys.prefix) / "paddlex")

    from models.paddle import PaddleLineDetector, PaddleRecogniser, page_reader
    from models.readers.protocol import PageReader


@pytest.fixture(scope="session")
def detector() -> PaddleLineDetector:
    return PaddleLineDetector("onnxruntime")


@pytest.fixture(scope="session")
def recogniser() -> PaddleRecogniser:
    return PaddleRecogniser("onnxruntime")


@pytest.fixture(scope="session")
def reader() -> Iterator[PageReader]:
    return page_reader("onnxruntime", checkpoint="paddleocr")
