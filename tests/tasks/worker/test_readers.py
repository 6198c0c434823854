"""Readers of a worker: their architectures, layout, folders and servers, and tokenizers to count with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest

from flywheel.database import transaction
from flywheel.database.tables import CheckpointRow
from flywheel.document import Label
from flywheel.errors import SetupError
from flywheel.figures import ReadingSettings
from flywheel.loop.promotion import BUILTIN
from flywheel.loop.readers import BUILTIN_READERS, builtin_reader
from flywheel.settings import settings
from models.page_training.trainable import TRAINABLE_READERS
from models.readers.deepseek_ocr.reader import DeepseekOcrReader
from models.readers.protocol import PageInput
from models.recognition.network import ARCHITECTURE
from tasks.worker import architectures, process, readers
from tasks.worker.architectures import ARCHITECTURES, LineArchitecture, NetworkArchitecture
from tasks.worker.checkpoints import find_checkpoint
from tasks.worker.readers import count_tokens, load, page_reader, recogniser
from tests.models.drawing import draw_page
from tests.models.misbehaving import Server, answers
from tests.models.tiny import tiny_deepseek_ocr
from tests.models.tiny_layout import tiny_layout
from tests.models.tiny_transformers import tiny_deepseek_ocr2, tiny_got_ocr2

LINES = ["The loop turns once.", "It reads what it could not", "read before."]


@pytest.fixture(autouse=True)
def fresh(environment: dict[str, str]) -> None:
    process.store.cache_clear()
    architectures.layout_detector.cache_clear()


def said(label: Label) -> Counter[str]:
    return Counter(line.text for line in label.lines)


def test_lines_are_put_into_the_regions_of_the_layout_model_that_the_settings_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = draw_page(
        [(120.0, 100.0 + 50 * i, text) for i, text in enumerate(LINES)], size=30, language="en", height=500
    )
    asked = PageInput(page.image, page.dpi, *page.points, "en")
    bare = page_reader(BUILTIN).read_many([asked])[0].label
    monkeypatch.setenv("FLYWHEEL_LAYOUT", str(tiny_layout(tmp_path / "layout", "v3")))
    settings.cache_clear()
    with_layout = page_reader(BUILTIN)
    assert (with_layout.checkpoint, with_layout.producer) == (BUILTIN, "ppocr")
    label = with_layout.read_many([asked])[0].label
    assert said(label) == said(bare) == Counter(LINES)


def test_a_layout_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_LAYOUT", "/nowhere/PP-DocLayoutV3")
    settings.cache_clear()
    with pytest.raises(SetupError, match="PP-DocLayoutV3"):
        page_reader(BUILTIN).read_many([PageInput(np.full((60, 60), 255, np.uint8), 150.0, 29.0, 29.0)])


@pytest.mark.parametrize(
    ("name", "build", "producer"),
    [
        ("deepseek-ocr", tiny_deepseek_ocr, "deepseek-ocr"),
        ("deepseek-ocr-2", tiny_deepseek_ocr2, "deepseek-ocr-2"),
        ("got-ocr2", tiny_got_ocr2, "got-ocr2"),
    ],
)
def test_each_reader_opens_from_the_folder_that_its_setting_names(
    name: str, build: Callable[[Path], Path], producer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(str(BUILTIN_READERS[name].setting), str(build(tmp_path / "weights")))
    monkeypatch.setenv("FLYWHEEL_READER_TOKENS", "4")
    monkeypatch.setenv("FLYWHEEL_READER_MODE", "tiny")
    settings.cache_clear()
    page = draw_page([(20.0, 60.0, "abc")], size=40, language="en", width=160, height=100)
    [reading] = page_reader(name).read_many([PageInput(page.image, page.dpi, *page.points, "en")])
    assert (reading.label.checkpoint, reading.label.producer) == (name, producer)
    assert (reading.vision_tokens or 0) > 0
    readers.release()


def test_a_trained_checkpoint_reads_by_its_own_settings_and_others_by_the_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ReadingSettings(dpi=96.0, mode="small", grounded=False, guard_size=20, guard_window=400)
    tree = process.store().put_tree(tiny_deepseek_ocr(tmp_path / "weights"))
    with transaction() as session:
        session.add(CheckpointRow(id="mine", architecture="deepseek-ocr", scripts=[], tree_key=tree, reading=own))
    monkeypatch.setenv("FLYWHEEL_READER_MODE", "tiny")
    settings.cache_clear()
    mine, theirs = find_checkpoint("mine"), find_checkpoint("deepseek-ocr")
    assert (mine.mode(None), mine.mode("base"), mine.dpi) == ("small", "base", 96.0)
    assert (theirs.mode(None), theirs.dpi) == ("tiny", settings().render_dpi)
    reader = page_reader("mine")
    assert isinstance(reader, DeepseekOcrReader)
    assert reader.reading == replace(own, dpi=None)
    readers.release()


def test_every_reader_that_comes_with_the_service_has_an_architecture_that_opens_it() -> None:
    assert {reader.architecture for reader in BUILTIN_READERS.values()} <= ARCHITECTURES.keys()
    assert {ARCHITECTURE, *TRAINABLE_READERS} <= ARCHITECTURES.keys()
    for name, architecture in ARCHITECTURES.items():
        reader = builtin_reader(name)
        assert isinstance(architecture, LineArchitecture) or (reader is not None and reader.name == name)
        if isinstance(architecture, NetworkArchitecture):
            assert reader is not None
            assert reader.pages
            assert callable(resolve_name(architecture.reader).load)


def test_an_architecture_that_this_version_does_not_know_is_refused_by_name() -> None:
    with transaction() as session:
        session.add(CheckpointRow(id="odd", architecture="crystal-ball", scripts=[]))
    with pytest.raises(SetupError, match="crystal-ball"):
        page_reader("odd")
    with pytest.raises(SetupError, match="crystal-ball"):
        recogniser("odd")
    with pytest.raises(SetupError, match="endpoint"):
        load("endpoint", Path(), checkpoint="candidate")


def test_the_endpoint_is_the_server_that_the_setting_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as server:
        server.does(answers("read by a server"))
        monkeypatch.setenv("FLYWHEEL_ENDPOINT", server.url)
        monkeypatch.setenv("FLYWHEEL_ENDPOINT_MODEL", "a-model")
        settings.cache_clear()
        page = PageInput(np.full((60, 60), 255, np.uint8), 150.0, 29.0, 29.0, "en")
        [reading] = page_reader("endpoint").read_many([page])
    assert (reading.label.text, reading.label.checkpoint) == ("read by a server", "endpoint")


def test_the_truths_tokens_are_counted_by_the_readers_own_tokenizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYWHEEL_DEEPSEEK_OCR", str(tiny_deepseek_ocr(tmp_path / "tiny")))
    settings.cache_clear()
    assert count_tokens("deepseek-ocr", "བཀྲ་ཤིས།") == len("བཀྲ་ཤིས།".encode())
    assert count_tokens("deepseek-ocr", "<td>a</td>") == 3
    assert count_tokens(BUILTIN, "a text") is None
    assert count_tokens("endpoint", "a text") is None
    assert count_tokens(None, "a text") is None
