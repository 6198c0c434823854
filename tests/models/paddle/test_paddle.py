"""PaddleOCR's readers where paddleocr is not installed; tests/paddle has the rest."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import yaml

from flywheel.errors import SetupError
from models.paddle import PaddleLayout, page_reader
from models.paddle.detector import lines_of
from models.paddle.engine import bgr
from models.paddle.published import DETECTOR, ONNX_FILES, RECOGNISER, laid_out
from models.recognition.ppocr import PpocrRecogniser


@pytest.fixture
def without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paddleocr", None)  # as an import finds it that is not there


@pytest.mark.usefixtures("without_the_library")
@pytest.mark.parametrize("engine", ["onnxruntime", "paddle", "transformers"])
def test_without_paddleocr_the_reader_says_what_to_do(engine: str) -> None:
    for make in (page_reader, PaddleLayout):
        with pytest.raises(SetupError, match=r"not installed here.*deploy/Dockerfile\.paddle.*make paddle-venv"):
            make(engine)


def test_an_unknown_engine_is_refused_by_the_name_of_its_setting() -> None:
    with pytest.raises(
        SetupError, match="FLYWHEEL_PADDLE_ENGINE: 'onnx' is none of onnxruntime, paddle, transformers"
    ):
        page_reader("onnx")


def quad(x: float, y: float, length: float, height: float, degrees: float = 0.0) -> np.ndarray:
    """A line's quadrangle from its top left corner, clockwise, in whole pixels as the library gives it."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = [(0, 0), (length, 0), (length, height), (0, height)]
    return np.array([(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in corners]).round().astype(np.int16)


def test_quadrangles_become_lines_in_reading_order_with_their_confidences() -> None:
    right = [quad(600, 100 + 40 * row, 400, 24) for row in range(3)]
    left = [quad(60, 100 + 40 * row, 400, 24) for row in range(3)]
    found = [right[2], left[1], right[0], left[0], right[1], left[2]]
    lines = lines_of(found, [0.96, 0.92, 0.94, 0.91, 0.95, 0.93], 1100, 300)
    assert [(line.box.x0, line.box.y0) for line in lines] == [
        (x, 100 + 40 * row) for x in (60, 600) for row in range(3)
    ]
    assert [line.confidence for line in lines] == [0.91, 0.92, 0.93, 0.94, 0.95, 0.96]
    assert all((line.width, line.height, line.slant) == (400, 24, 0) for line in lines)


def test_slanted_quadrangles_give_level_lines_inside_the_page() -> None:
    found = [quad(40, 60 + 50 * row, 900, 30, degrees=2.0) for row in range(4)]
    lines = lines_of(found, [0.9] * 4, 960, 300)
    assert all(line.slant == pytest.approx(2.0, abs=0.1) for line in lines)
    assert all(
        line.height == pytest.approx(30, abs=2) and line.width == pytest.approx(900, abs=3) for line in lines
    )
    assert all(line.box.x1 <= 960 and line.box.y1 <= 300 for line in lines)
    assert [line.box.y0 for line in lines] == sorted(line.box.y0 for line in lines)


def test_pieces_of_a_line_are_joined_and_nothing_gives_no_lines() -> None:
    [line] = lines_of([quad(60, 100, 200, 24), quad(262, 100, 200, 24)], [0.8, 0.9], 600, 200)
    assert (line.box.x0, line.box.x1) == (60, 462)
    assert line.confidence == pytest.approx(0.85)
    assert lines_of([], [], 600, 200) == []


def test_the_library_gets_pages_blue_first() -> None:
    red = np.zeros((2, 3, 3), np.uint8)
    red[..., 0] = 200
    assert bgr(red)[0, 0].tolist() == [0, 0, 200]
    assert bgr(np.full((2, 3), 7, np.uint8)).tolist() == np.full((2, 3, 3), 7).tolist()


@pytest.mark.parametrize("model", ONNX_FILES)
def test_the_wheels_models_are_laid_out_with_their_settings_and_leave_nothing_behind(model: str) -> None:
    with laid_out(model) as folder:
        settings = yaml.load((folder / "inference.yml").read_text("utf-8"), yaml.CSafeLoader)
        assert (folder / "inference.onnx").stat().st_size > 5_000_000
    assert settings["Global"]["model_name"] == model
    assert settings["PostProcess"]["name"] == {DETECTOR: "DBPostProcess", RECOGNISER: "CTCLabelDecode"}[model]
    assert not folder.exists()


def test_the_recogniser_is_laid_out_with_every_character_it_can_write() -> None:
    with laid_out(RECOGNISER) as folder:
        settings = yaml.load((folder / "inference.yml").read_text("utf-8"), yaml.CSafeLoader)
    assert (*settings["PostProcess"]["character_dict"], " ") == PpocrRecogniser().charset
