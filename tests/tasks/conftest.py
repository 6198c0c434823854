"""A worker that reads pages with a tiny DeepSeek-OCR, and books for it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel.settings import settings
from tasks.worker import process, readers
from tests.flywheel import draw
from tests.models.tiny import LIGHT, tiny_deepseek_ocr
from tests.tasks.books import add, write


@pytest.fixture(scope="session", autouse=True)
def no_sandbox_is_left() -> Iterator[None]:
    """A process keeps its sandbox warm; this one has no supervisor to end it with."""
    yield
    if process.sandbox.cache_info().currsize:
        process.sandbox().close()


@pytest.fixture(scope="session")
def tiny_reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_deepseek_ocr(tmp_path_factory.mktemp("weights") / "tiny", sam=LIGHT)


@pytest.fixture
def page_worker(environment: dict[str, str], tiny_reader: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker of its own cluster, with the weights at hand."""
    process.store.cache_clear()
    monkeypatch.setenv("FLYWHEEL_DEEPSEEK_OCR", str(tiny_reader))
    monkeypatch.setenv("FLYWHEEL_READER_MODE", "tiny")
    monkeypatch.setenv("FLYWHEEL_READER_TOKENS", "8")
    settings.cache_clear()
    yield
    readers.release()


@pytest.fixture(scope="session")
def books(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, list[str]]]:
    """Tibetan documents of one page, and the few words on it."""
    directory = tmp_path_factory.mktemp("books")
    return [write(directory / f"{seed}.pdf", [draw.tibetan_line(random.Random(seed), 3)] * 2) for seed in range(4)]


@pytest.fixture
def born(books: list[tuple[Path, list[str]]], page_worker: None) -> dict[str, str]:
    """The books in the service, labelled by their text layers; document hash -> what its page says."""
    return {add(path, "bo", lines): "\n".join(lines) for path, lines in books}
