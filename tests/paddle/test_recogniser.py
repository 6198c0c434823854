"""The contract of recognisers (models/recognition/protocol.py), and that it reads."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from models.paddle import PaddleRecogniser
from models.recognition.ppocr import PpocrRecogniser
from models.recognition.protocol import Recogniser, Transcription
from tests.paddle.drawing import CHINESE, ENGLISH, Pixels, draw_line, stored


@pytest.fixture(scope="module")
def images() -> list[Pixels]:
    """Lines of many widths, in no order of width."""
    texts = ["Flywheel", ENGLISH[0], CHINESE[0], "a", ENGLISH[3], "7", "dé" + "\u0301"]
    return [draw_line(text, "zh" if text in CHINESE else "en") for text in texts]


def test_there_are_as_many_readings_as_images(recogniser: PaddleRecogniser, images: list[Pixels]) -> None:
    assert isinstance(recogniser, Recogniser)
    assert recogniser.read([]) == []
    assert len(recogniser.read(images)) == len(images)


def test_confidences_are_probabilities_one_a_code_point(
    recogniser: PaddleRecogniser, images: list[Pixels]
) -> None:
    readings = recogniser.read(images)
    assert sum(bool(reading.text) for reading in readings) >= 5
    for reading in readings:
        assert 0 <= reading.confidence <= 1
        assert len(reading.character_confidences) == len(reading.text)
        assert all(0 <= c <= 1 for c in reading.character_confidences)
        assert unicodedata.is_normalized("NFC", reading.text)


def test_a_line_reads_the_same_at_any_batch_size(recogniser: PaddleRecogniser, images: list[Pixels]) -> None:
    together = recogniser.read(images)
    assert [recogniser.read([image])[0] for image in images] == together
    assert recogniser.read(images[::-1])[::-1] == together


def test_an_empty_image_reads_as_nothing_and_shifts_nobody(recogniser: PaddleRecogniser) -> None:
    line = draw_line("Flywheel")
    readings = recogniser.read([np.zeros((0, 5), np.uint8), line, np.zeros((5, 0), np.uint8)])
    assert [reading.text for reading in readings] == ["", "Flywheel", ""]
    assert readings[0] == Transcription("", 0.0)


def test_producer_checkpoint_and_scripts_are_named(recogniser: PaddleRecogniser) -> None:
    assert (recogniser.producer, recogniser.checkpoint) == ("paddleocr", "paddleocr")
    assert {"Latn", "Hani"} <= recogniser.scripts


def test_drawn_english_and_chinese_are_read(recogniser: PaddleRecogniser) -> None:
    images = [draw_line(text) for text in ENGLISH] + [draw_line(text, "zh") for text in CHINESE]
    assert [reading.text for reading in recogniser.read(images)] == ENGLISH + CHINESE


def test_a_line_from_a_jpeg_in_colour_is_read(recogniser: PaddleRecogniser) -> None:
    image = stored(draw_line(ENGLISH[4]), ".jpg", 1, 60)
    assert image.ndim == 3
    assert [reading.text for reading in recogniser.read([image])] == [ENGLISH[4]]


def test_the_library_knows_every_character_of_the_model(recogniser: PaddleRecogniser) -> None:
    decoder = recogniser._predictor.paddlex_predictor.post_op
    assert tuple(decoder.character) == ("blank", *PpocrRecogniser().charset)


def test_the_same_weights_without_the_library_read_the_same(recogniser: PaddleRecogniser) -> None:
    images = [draw_line(text) for text in ENGLISH]
    ours = PpocrRecogniser().read(images)
    theirs = recogniser.read(images)
    assert [reading.text for reading in theirs] == [reading.text for reading in ours]
    for one, other in zip(theirs, ours, strict=True):
        assert one.confidence == pytest.approx(other.confidence, abs=0.02)
