"""DeepSeek-OCR as a reader: a tiny one that knows a few pages by heart says all that a reading says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from flywheel.document import Box, Kind, Label, Line, PageReading, Region
from flywheel.errors import SetupError
from flywheel.figures import ReadingSettings
from flywheel.markup import fine
from models.readers.deepseek_ocr.processing import COARSE, FINE, MODES, Processor
from models.readers.deepseek_ocr.reader import DeepseekOcrReader, is_sure
from models.readers.deepseek_ocr.weights import load, save
from models.readers.protocol import PageInput, PageReader
from tests.models.drawing import draw_page
from tests.models.tiny import tiny_deepseek_ocr

WIDTH, HEIGHT = 300.0, 200.0  # points
TEXTS = ("བོད་ཡིག", "དེབ་ཐེར", "རྒྱ་མཚོ")


def page_of(number: int) -> PageInput:
    """A drawn page, on paper of its own shade so that an untrained encoder tells it from others."""
    drawn = draw_page([(40 + 80 * number, 120, TEXTS[number])], width=600, height=400)
    image = np.minimum(drawn.image, 255 - 50 * number).astype(np.uint8)
    return PageInput(image, 144.0, WIDTH, HEIGHT, "bo")


def label_of(number: int) -> Label:
    box = Box(20.0 + 40 * number, 40.0, 160.0 + 40 * number, 64.0)
    line = Line(TEXTS[number], box)
    return Label(Kind.FINE, "drawn", WIDTH, HEIGHT, (Region("title" if number % 2 else "text", box, (line,)),))


PAGES, LABELS = [page_of(n) for n in range(3)], [label_of(n) for n in range(3)]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that knows the pages in mode "tiny": their fine labels, and their text when asked for that."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    made = tiny_deepseek_ocr(tmp_path_factory.mktemp("taught"))
    network, processor = load(made), Processor.load(made)
    prompts = [FINE] * 3 + [COARSE] * 3
    answers = [fine(label) for label in LABELS] + [label.text for label in LABELS]
    views = [processor.views(page.image, "tiny") for page in PAGES] * 2
    batch = processor.batch(prompts, views, answers)
    with torch.no_grad():
        features = torch.cat(network.image_features(batch["pixel_values"]))
    taught = [*network.model.language_model.parameters(), *network.lm_head.parameters()]
    optimizer = torch.optim.AdamW(taught, lr=4e-3, weight_decay=0.0)
    for _ in range(120):
        embeds = network.model.embedded(batch["input_ids"], features)
        loss = network(inputs_embeds=embeds, attention_mask=batch["attention_mask"], labels=batch["labels"]).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.015:
            break
    save(network, made)
    return made


@pytest.fixture(scope="module")
def reader(directory: Path) -> DeepseekOcrReader:
    return DeepseekOcrReader.load(directory, checkpoint="taught-1", mode="tiny", limit=120)


def texts(reader: DeepseekOcrReader, pages: Sequence[PageInput]) -> list[str]:
    return [reading.label.text for reading in reader.read_many(pages)]


def test_pages_are_read_with_regions_boxes_and_confidence(reader: DeepseekOcrReader) -> None:
    assert isinstance(reader, PageReader)
    for reading, truth in zip(reader.read_many(PAGES), LABELS, strict=True):
        label = reading.label
        assert (label.text, label.regions[0].category) == (truth.text, truth.regions[0].category)
        assert label.regions[0].box.bins(WIDTH, HEIGHT) == truth.regions[0].box.bins(WIDTH, HEIGHT)
        assert (label.kind, label.producer, label.checkpoint) == (Kind.FINE, "deepseek-ocr", "taught-1")
        assert (label.script, label.language) == ("Tibt", "bo")
        assert (label.width, label.height) == (WIDTH, HEIGHT)
        (line,) = label.lines
        assert line.confidence is not None
        assert 0.8 < line.confidence <= 1.0
        assert len(line.character_confidences) == len(line.text)
        assert (reading.truncated, reading.flaws, reading.vision_tokens) == (False, (), 64)


def test_the_tokens_of_an_answer_are_counted(reader: DeepseekOcrReader, directory: Path) -> None:
    processor = Processor.load(directory)
    counted = [reading.text_tokens for reading in reader.read_many(PAGES)]
    assert counted == [len(processor.encode(fine(label))) for label in LABELS]


def test_a_page_reads_the_same_alone_and_among_seven_others(reader: DeepseekOcrReader) -> None:
    crowd = [*PAGES[1:], *reversed(PAGES), *PAGES[1:]]
    together = reader.read_many([PAGES[0], *crowd])
    (alone,) = reader.read_many(PAGES[:1])
    assert [alone.label.text, *texts(reader, crowd)] == [reading.label.text for reading in together]
    assert alone.label.confidence == pytest.approx(together[0].label.confidence, abs=1e-4)


def test_no_pages_are_no_readings(reader: DeepseekOcrReader) -> None:
    assert reader.read_many([]) == []
    assert reader.with_mode("auto").read_many([]) == []


def test_another_prompt_gives_the_plain_text_in_one_region(directory: Path) -> None:
    reader = DeepseekOcrReader.load(
        directory, checkpoint="x", mode="tiny", reading=ReadingSettings(grounded=False), limit=60
    )
    for reading, truth in zip(reader.read_many(PAGES), LABELS, strict=True):
        (region,) = reading.label.regions
        assert (region.text, region.category) == (truth.text, "text")
        assert region.box == Box(0.0, 0.0, WIDTH, HEIGHT)


def test_a_reading_says_when_the_limit_cut_it(directory: Path) -> None:
    reader = DeepseekOcrReader.load(directory, checkpoint="x", mode="tiny", limit=12)
    assert [(r.truncated, r.text_tokens) for r in reader.read_many(PAGES[:2])] == [(True, 12)] * 2


@pytest.mark.parametrize(("mode", "tokens"), [("small", 100), ("base", 256), ("gundam", 256 + 2 * 100)])
def test_every_mode_reads_with_its_own_number_of_vision_tokens(
    mode: str, tokens: int, reader: DeepseekOcrReader, directory: Path
) -> None:
    other = DeepseekOcrReader.load(directory, checkpoint="x", mode="tiny", limit=3).with_mode(mode)
    wide = PageInput(np.full((400, 800), 255, dtype=np.uint8), 144.0, 400.0, 200.0)
    (reading,) = other.read_many([wide])
    assert (other.mode, reading.vision_tokens) == (mode, tokens)
    assert reader.mode == "tiny"


def test_auto_looks_closer_at_what_it_was_unsure_of_and_at_nothing_else(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tiny model knows the pages in mode "tiny" only; that takes the first look's place here."""
    monkeypatch.setattr("models.readers.deepseek_ocr.reader.FIRST_MODE", "tiny")
    reader = DeepseekOcrReader.load(directory, checkpoint="x", mode="auto", limit=100)
    stranger = PageInput(
        np.random.default_rng(3).integers(0, 256, (300, 900), dtype=np.uint8), 144.0, 450.0, 150.0
    )
    pages = [PAGES[0], stranger, PAGES[1]]
    assert [is_sure(reading) for reading in reader.with_mode("tiny").read_many(pages)] == [True, False, True]
    readings = reader.read_many(pages)
    assert [reading.vision_tokens for reading in readings] == [64, 256 + 3 * 100, 64]
    assert [readings[0].label.text, readings[2].label.text] == [TEXTS[0], TEXTS[1]]
    assert readings[1].label == reader.with_mode("gundam").read_many([stranger])[0].label


@pytest.mark.parametrize(
    ("confidence", "truncated", "sure"),
    [(0.9, False, True), (0.9, True, False), (0.75, False, True), (0.74, False, False), (None, False, False)],
)
def test_a_reading_is_sure_that_ended_and_is_confident(
    confidence: float | None, truncated: bool, sure: bool
) -> None:
    line = Line("a", Box(0, 0, 1, 1), confidence)
    label = Label(Kind.FINE, "x", WIDTH, HEIGHT, (Region("text", line.box, (line,)),))
    assert is_sure(PageReading(label, truncated=truncated)) == sure


def test_a_device_without_the_memory_takes_fewer_views_at_once(
    reader: DeepseekOcrReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    features = type(reader._network).image_features

    def cramped(*arguments: object, chunk: int, **views: torch.Tensor) -> list[torch.Tensor]:
        tried.append(chunk)
        if chunk > 2:
            raise torch.OutOfMemoryError
        return features(*arguments, chunk=chunk, **views)

    expected = texts(reader, PAGES)
    monkeypatch.setattr(type(reader._network), "image_features", cramped)
    fresh = reader.with_mode("tiny")
    assert texts(fresh, PAGES) == expected
    assert tried == [8, 4, 2]
    assert texts(fresh, PAGES[:3]) == expected[:3]
    assert tried == [8, 4, 2, 2, 2]


def test_a_device_too_small_for_one_view_says_so(
    reader: DeepseekOcrReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(type(reader._network), "image_features", full)
    with pytest.raises(torch.OutOfMemoryError):
        reader.with_mode("tiny").read_many(PAGES[:1])


def test_an_unknown_mode_is_refused_when_the_reader_is_made(reader: DeepseekOcrReader) -> None:
    with pytest.raises(SetupError, match="no mode is called 'huge'"):
        reader.with_mode("huge")
    assert all(reader.with_mode(mode).mode == mode for mode in (*MODES, "auto"))
