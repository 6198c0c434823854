"""Errors of a worker when the library, an engine or the weights are not as they should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from flywheel.errors import SetupError
from models.paddle import PaddleLayout, PaddleLineDetector, PaddleRecogniser, page_reader
from models.paddle.published import DETECTOR, RECOGNISER, laid_out


@pytest.mark.parametrize(
    ("engine", "missing"), [("paddle", "paddle"), ("transformers", "torch, torchvision, transformers")]
)
def test_an_engine_without_its_package_says_what_to_install(engine: str, missing: str) -> None:
    with pytest.raises(SetupError, match=f"needs {missing} beside paddleocr"):
        page_reader(engine)


def test_weights_that_the_hub_should_have_given_are_told_where_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):  # as if there were no network, even where there is one
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(SetupError, match=r"PP-DocLayoutV3.*hub.*PADDLE_PDX_CACHE_HOME/official_models"):
        PaddleLayout("onnxruntime")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="nowhere"):
        PaddleLineDetector(directory=tmp_path / "nowhere")


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with laid_out(DETECTOR) as folder:
        (tmp_path / "inference.yml").write_bytes((folder / "inference.yml").read_bytes())
    with pytest.raises(SetupError, match="No valid model files"):
        PaddleLineDetector(directory=tmp_path)


def test_weights_of_another_model_are_refused() -> None:
    with laid_out(DETECTOR) as folder, pytest.raises(SetupError, match=RECOGNISER):
        PaddleRecogniser(directory=folder)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    with laid_out(DETECTOR) as folder:
        (tmp_path / "inference.yml").write_bytes((folder / "inference.yml").read_bytes())
        (tmp_path / "inference.onnx").write_bytes((folder / "inference.onnx").read_bytes()[:5000])
    with pytest.raises(SetupError, match=f"{DETECTOR}.*looked for in"):
        PaddleLineDetector(directory=tmp_path)


def test_a_model_of_an_unknown_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inference.yml").write_text("Global: {model_name: PP-Unheard-Of}")
    with pytest.raises(SetupError, match="PP-Unheard-Of"):
        PaddleLayout(model="PP-Unheard-Of", directory=tmp_path)
