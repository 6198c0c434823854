"""The contract that every recogniser passes, and what each says for itself."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch

from flywheel.errors import Rejected
from flywheel.reasons import Reason
from flywheel.recipes import NetworkConfig
from models.checkpoint import Manifest, save
from models.recognition.line import LineRecogniser, batch_of, batches_by_width, prepare
from models.recognition.network import ARCHITECTURE, LineNetwork, frames, grow_output
from models.recognition.ppocr import PpocrRecogniser
from models.recognition.protocol import Recogniser, Transcription, transcription_of
from tests.models.drawing import Gray, draw_line, syllables

TINY = NetworkConfig(height=32, widths=(4, 8, 8, 16), dimension=24, kernel=3, dilations=(1, 2))
CHARSET = tuple("ཀཁགང་ེི")


def line_recogniser() -> LineRecogniser:
    """Random weights that write something: the contract is about form, not about being right."""
    torch.manual_seed(3)
    network = LineNetwork(TINY, len(CHARSET) + 1)
    with torch.no_grad():
        network.out.weight.normal_(0, 2)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0  # take the statistics of what passes now
    network.train()(*batch_of([prepare(draw_line(syllables(9, 9)), TINY.height)]))
    return LineRecogniser(network, CHARSET, checkpoint="tiny", scripts=("Tibt",))


@pytest.fixture(scope="module", params=["line", "ppocr"])
def recogniser(request: pytest.FixtureRequest) -> Recogniser:
    return line_recogniser() if request.param == "line" else PpocrRecogniser(threads=1)


@pytest.fixture(scope="module")
def images() -> list[Gray]:
    """Lines of many widths, in no order of width."""
    texts = ["Flywheel", "the loop turns once more", "一二三四", "a", "Reading lines of many widths at once", "7"]
    latin = [draw_line(text, size=30, language="zh") for text in texts]
    tibetan = [draw_line(syllables(n, n)) for n in (3, 12, 1, 6)]
    return [*latin, *tibetan]


def test_there_are_as_many_readings_as_images(recogniser: Recogniser, images: list[Gray]) -> None:
    assert isinstance(recogniser, Recogniser)
    assert recogniser.read([]) == []
    assert len(recogniser.read(images)) == len(images)


def test_confidences_are_probabilities_one_a_code_point(recogniser: Recogniser, images: list[Gray]) -> None:
    readings = recogniser.read(images)
    assert any(reading.text for reading in readings)
    for reading in readings:
        assert 0 <= reading.confidence <= 1
        assert len(reading.character_confidences) == len(reading.text)
        assert all(0 <= c <= 1 for c in reading.character_confidences)


def test_text_is_nfc_and_within_the_charset(recogniser: Recogniser, images: list[Gray]) -> None:
    known = set("".join(recogniser.charset))  # type: ignore[attr-defined]
    for reading in recogniser.read(images):
        assert unicodedata.is_normalized("NFC", reading.text)
        assert set(reading.text) <= known


def test_a_line_reads_the_same_at_any_batch_size(recogniser: Recogniser, images: list[Gray]) -> None:
    together = recogniser.read(images)
    alone = [recogniser.read([image])[0] for image in images]
    backwards = recogniser.read(images[::-1])[::-1]
    for other in (alone, backwards):
        assert [r.text for r in other] == [r.text for r in together]
        for one, two in zip(other, together, strict=True):
            assert one.character_confidences == pytest.approx(two.character_confidences, abs=1e-4)


def test_an_empty_image_reads_as_nothing(recogniser: Recogniser) -> None:
    [reading] = recogniser.read([np.zeros((0, 5), np.uint8)])
    assert (reading.text, reading.confidence) == ("", 0.0) or set(reading.text) <= set(CHARSET)


def test_checkpoint_and_scripts_are_named(recogniser: Recogniser) -> None:
    assert recogniser.checkpoint
    assert recogniser.producer in {"line", "ppocr"}
    assert all(len(script) == 4 for script in recogniser.scripts)


def test_ppocr_reads_drawn_english_and_chinese() -> None:
    texts = ["The loop turns once more.", "中文文字"]
    images = [draw_line(text, size=30, language="zh") for text in texts]
    assert [r.text for r in PpocrRecogniser().read(images)] == texts


def test_padding_beyond_a_lines_own_width_changes_nothing() -> None:
    torch.manual_seed(0)
    network = LineNetwork(TINY, 8).eval()
    image = torch.rand(1, 1, 32, 101)
    padded = torch.cat([image, torch.rand(1, 1, 32, 91)], dim=3)
    padded[..., 101:] = 0
    with torch.inference_mode():
        alone, wide = network(image, torch.tensor([101])), network(padded, torch.tensor([101]))
    count = int(frames(torch.tensor([101])))
    assert alone.shape[1] == count
    assert torch.allclose(alone, wide[:, :count], atol=1e-5)


def test_a_grown_output_layer_keeps_what_it_knew() -> None:
    torch.manual_seed(0)
    network = LineNetwork(TINY, 8).eval()
    image, width = torch.rand(1, 1, 32, 96), torch.tensor([96])
    with torch.inference_mode():
        before = network(image, width)
        grow_output(network, 11)
        after = network(image, width)
    assert after.shape[2] == 11
    assert torch.equal(before.argmax(-1), after[..., :8].argmax(-1))


def test_lines_are_batched_with_lines_of_like_width_and_bounded_area() -> None:
    groups = batches_by_width([100, 900, 110, 950, 105], pixels=1900)
    assert groups == [[0, 4, 2], [1, 3]]
    assert batches_by_width([5000], pixels=100) == [[0]]


def test_a_line_is_scaled_to_the_networks_height() -> None:
    assert prepare(np.zeros((24, 300), np.uint8), 48).shape == (48, 600)
    assert prepare(np.zeros((10, 1), np.uint8), 48).shape == (48, 16)


def test_a_reading_normalised_keeps_one_confidence_a_code_point() -> None:
    reading = transcription_of([" ", "e", "\u0301", "x", " "], [0.1, 0.5, 0.7, 0.9, 0.2])
    assert reading.text == "éx"
    assert len(reading.character_confidences) == 2
    assert reading.character_confidences[1] == 0.9
    assert transcription_of([], []) == Transcription("", 0.0)


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "c", {"w": torch.zeros(1)}, Manifest("other", {}, ("a",), "bo", ("Tibt",)))
    with pytest.raises(Rejected) as caught:
        LineRecogniser.load(tmp_path / "c")
    assert caught.value.reason is Reason.UNSAFE_MODEL_FORMAT


def test_weights_that_do_not_fit_the_manifest_are_refused(tmp_path: Path) -> None:
    network = LineNetwork(TINY, 8)
    manifest = Manifest(ARCHITECTURE, TINY.as_dict(), ("a", "b"), "bo", ("Tibt",))
    save(tmp_path / "c", network.state_dict(), manifest)
    with pytest.raises(Rejected) as caught:
        LineRecogniser.load(tmp_path / "c")
    assert caught.value.reason is Reason.UNSAFE_MODEL_FORMAT


def test_a_saved_recogniser_reads_as_it_did(tmp_path: Path, images: list[Gray]) -> None:
    recogniser = line_recogniser()
    manifest = Manifest(ARCHITECTURE, TINY.as_dict(), CHARSET, "bo", ("Tibt",))
    save(tmp_path / "c", recogniser._network.state_dict(), manifest)
    loaded = LineRecogniser.load(tmp_path / "c")
    assert loaded.read(images) == recogniser.read(images)
    assert loaded.scripts == {"Tibt"}
    assert loaded.checkpoint != "tiny"
