"""DeepSeek-OCR's inputs: views, tiles and tokens of the six modes, prompts, and batches to train on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from flywheel.errors import SetupError
from models.readers.deepseek_ocr import processing, views
from models.readers.deepseek_ocr.processing import (
    COARSE,
    FINE,
    MODES,
    Processor,
    locate,
    valid_tokens,
    vision_tokens,
)
from models.readers.deepseek_ocr.views import GRIDS, UNCUT, grid_of, views_of
from models.readers.deepseek_ocr.weights import load
from tests.models.tiny import BEGIN, END, IMAGE, tiny_deepseek_ocr


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_deepseek_ocr(tmp_path_factory.mktemp("deepseek-ocr"))


@pytest.fixture(scope="module")
def processor(directory: Path) -> Processor:
    return Processor.load(directory)


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("mode", "tokens"),
    [("tiny", 64), ("small", 100), ("base", 256), ("large", 400), ("gundam", 256), ("gundam-m", 400)],
)
def test_a_view_is_as_many_tokens_as_the_paper_says(mode: str, tokens: int) -> None:
    assert vision_tokens(MODES[mode]) == tokens


@pytest.mark.parametrize(("mode", "tile", "view"), [("gundam", 100, 256), ("gundam-m", 256, 400)])
def test_each_of_two_to_nine_tiles_adds_its_tokens(mode: str, tile: int, view: int) -> None:
    assert {w * h for w, h in GRIDS} == set(range(2, 10))
    for grid in GRIDS:
        assert vision_tokens(MODES[mode], grid) == grid[0] * grid[1] * tile + view


@pytest.mark.parametrize(
    ("mode", "size", "tokens"),
    [
        ("tiny", (100, 1000), 64),  # stretched: all of it is page
        ("base", (1000, 1000), 256),
        ("base", (750, 1000), 192),
        ("base", (1000, 700), 180),  # 179.2
        ("large", (1000, 333), 134),  # 133.2
        ("gundam", (1000, 500), 328),  # two tiles, and half of the view
        ("gundam-m", (600, 300), 200),
    ],
)
def test_tokens_of_padding_are_not_valid(mode: str, size: tuple[int, int], tokens: int) -> None:
    assert valid_tokens(MODES[mode], *size) == tokens


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((640, 640), UNCUT),
        ((641, 640), (2, 2)),
        ((2480, 3508), (2, 3)),  # A4 at 300 dpi
        ((3508, 2480), (3, 2)),
        ((1754, 1240), (3, 2)),
        ((4000, 400), (9, 1)),
        ((400, 4000), (1, 9)),
        ((2000, 900), (4, 2)),  # 1.8 of 3.28
        ((1600, 720), (2, 1)),
        # One aspect ratio, two grids: the larger when the page has more than half its pixels.
        ((1800, 1800), (3, 3)),  # 3.24 of 3.69 megapixels
        ((1300, 1300), (2, 2)),  # 1.69 of 3.69
        ((1358, 1358), (3, 3)),
        ((1357, 1357), (2, 2)),
        ((1000, 2000), (2, 4)),
        ((800, 1600), (1, 2)),
        # As far from 1 as from 3 / 2: four tiles, unless the page is large enough for six or nine.
        ((1000, 800), (2, 2)),
        ((1250, 1000), (3, 2)),
        ((2500, 2000), (3, 3)),
    ],
)
def test_a_page_is_cut_by_its_aspect_ratio_and_ties_by_its_size(
    size: tuple[int, int], grid: tuple[int, int]
) -> None:
    assert grid_of(MODES["gundam"], *size) == grid


def test_tiles_of_gundam_m_are_larger_but_a_small_page_is_as_small() -> None:
    assert grid_of(MODES["gundam-m"], 1800, 1800) == (2, 2)
    assert grid_of(MODES["gundam-m"], 2300, 2300) == (3, 3)
    assert grid_of(MODES["gundam-m"], 640, 640) == UNCUT
    assert grid_of(MODES["gundam-m"], 641, 640) == (2, 2)


def test_the_order_of_grids_of_one_count_never_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published code iterates over a set. All aspect ratios where two grids are equally close are tried."""
    ratios = sorted({w / h for w, h in GRIDS})
    aspects = [*ratios, *((a + b) / 2 for a in ratios for b in ratios), *np.linspace(0.05, 12, 500)]
    sizes = [(round(aspect * 2520 * scale), round(2520 * scale)) for aspect in aspects for scale in (0.3, 0.5, 1)]
    chosen = [grid_of(mode, *size) for mode in (MODES["gundam"], MODES["gundam-m"]) for size in sizes]
    monkeypatch.setattr(views, "GRIDS", sorted(GRIDS, key=lambda g: (g[0] * g[1], -g[0])))
    assert chosen == [grid_of(mode, *size) for mode in (MODES["gundam"], MODES["gundam-m"]) for size in sizes]


@pytest.mark.parametrize("mode", ["tiny", "small"])
def test_small_modes_stretch_the_page(mode: str) -> None:
    side = {"tiny": 512, "small": 640}[mode]
    page = noise(300, 900)
    seen = views_of(page, MODES[mode])
    expected = Image.fromarray(page).resize((side, side), Image.Resampling.BICUBIC)
    assert np.array_equal(seen.global_view, np.asarray(expected))
    assert (len(seen.tiles), seen.grid) == (0, UNCUT)


@pytest.mark.parametrize(("mode", "side"), [("base", 1024), ("large", 1280), ("gundam", 1024), ("gundam-m", 1280)])
def test_large_modes_keep_the_pages_shape_and_pad_with_gray(mode: str, side: int) -> None:
    page = noise(300, 600)
    view = views_of(page, MODES[mode]).global_view
    assert view.shape == (side, side, 3)
    quarter = side // 4
    assert (view[:, :quarter] == 127).all()
    assert (view[:, -quarter:] == 127).all()
    middle = Image.fromarray(page).resize((side // 2, side), Image.Resampling.BICUBIC)
    assert np.array_equal(view[:, quarter:-quarter], np.asarray(middle))


@pytest.mark.parametrize(("mode", "tile"), [("gundam", 640), ("gundam-m", 1024)])
def test_tiles_are_the_stretched_page_row_by_row(mode: str, tile: int) -> None:
    page = noise(700, 1000)
    seen = views_of(page, MODES[mode])
    assert seen.grid == (2, 3)
    stretched = np.asarray(Image.fromarray(page).resize((2 * tile, 3 * tile), Image.Resampling.BICUBIC))
    rows = [np.hstack([seen.tiles[row * 2], seen.tiles[row * 2 + 1]]) for row in range(3)]
    assert np.array_equal(np.vstack(rows), stretched)


def test_a_gray_page_is_seen_as_the_same_page_in_colour() -> None:
    gray = noise(700, 500)[..., 0]
    one, other = views_of(gray, MODES["gundam"]), views_of(np.stack([gray] * 3, axis=-1), MODES["gundam"])
    assert np.array_equal(one.global_view, other.global_view)
    assert np.array_equal(one.tiles, other.tiles)


@pytest.mark.parametrize("mode", MODES)
def test_there_are_as_many_placeholders_as_features(mode: str, directory: Path, processor: Processor) -> None:
    network = load(directory)
    seen = processor.views(noise(1300, 600), mode)
    ids = processor.prompt_ids(FINE, seen)
    with torch.inference_mode():
        (features,) = network.image_features(**processing.stacked([seen]))
    assert seen.grid == ((2, 1) if "gundam" in mode else UNCUT)
    assert ids.count(IMAGE) == len(features) == seen.placeholders


def test_a_prompt_is_begin_image_and_text(processor: Processor) -> None:
    seen = processor.views(noise(100, 100), "tiny")
    ids = processor.prompt_ids(f" {FINE} \n", seen)
    assert ids[:1] == [0]
    assert ids[1 : 1 + 8 * 9 + 1] == [IMAGE] * 73
    assert processor.decode(ids[74:]) == "\n<|grounding|>Convert the document to markdown."
    assert ids[75] == processor.tokenizer.convert_tokens_to_ids("<|grounding|>")
    with pytest.raises(ValueError, match="once"):
        processor.prompt_ids("Free OCR.", seen)


def test_prompts_are_the_published_ones() -> None:
    assert processing.FINE == "<image>\n<|grounding|>Convert the document to markdown."
    assert processing.COARSE == "<image>\nFree OCR."
    assert processing.OCR_GROUNDED == "<image>\n<|grounding|>OCR this image."
    assert processing.FIGURE == "<image>\nParse the figure."
    assert processing.DESCRIBE == "<image>\nDescribe this image in detail."
    assert locate("xxxx") == "<image>\nLocate <|ref|>xxxx<|/ref|> in the image."
    grounded = [p for p in (FINE, COARSE, processing.OCR_GROUNDED, processing.FIGURE) if processing.is_grounded(p)]
    assert grounded == [FINE, processing.OCR_GROUNDED]


def test_labels_are_the_answer_and_its_end(processor: Processor) -> None:
    pages = [processor.views(noise(100, 100), "tiny"), processor.views(noise(200, 100), "tiny")]
    batch = processor.batch([FINE, COARSE], pages, ["<td>ཀ</td>", "ab"])
    assert batch["pixel_values"].shape == (2, 3, 512, 512)
    assert batch["pixel_values"].dtype == torch.uint8
    assert "pixel_values_local" not in batch
    for row, (prompt, answer) in enumerate([(FINE, "<td>ཀ</td>"), (COARSE, "ab")]):
        head = processor.prompt_ids(prompt, pages[row])
        length = int(batch["attention_mask"][row].sum())
        assert batch["input_ids"][row, : len(head)].tolist() == head
        told = batch["labels"][row]
        assert (told[: len(head)] == -100).all()
        assert (told[length:] == -100).all()
        assert torch.equal(told[len(head) : length], batch["input_ids"][row, len(head) : length])
        assert processor.decode(told[len(head) : length].tolist()) == answer + END


def test_an_answer_that_is_too_long_loses_its_end(processor: Processor) -> None:
    page = processor.views(noise(100, 100), "tiny")
    length = len(processor.prompt_ids(COARSE, page)) + 2
    batch = processor.batch([COARSE], [page], ["abcdef"], length=length)
    assert batch["input_ids"].shape == (1, length)
    assert processor.decode(batch["labels"][0, -2:].tolist()) == "ab"


def test_tiles_of_a_batch_stand_one_behind_the_other(processor: Processor) -> None:
    pages = [processor.views(noise(*size), "gundam") for size in ((1300, 600), (600, 600), (600, 1900))]
    batch = processor.batch([COARSE] * 3, pages)
    assert batch["local_grids"].tolist() == [[2, 1], [1, 1], [1, 3]]
    assert batch["pixel_values_local"].shape == (5, 3, 640, 640)
    assert np.array_equal(batch["pixel_values_local"][4].permute(1, 2, 0).numpy(), pages[2].tiles[2])
    assert "labels" not in batch


def test_text_goes_through_the_tokenizers_file_and_back_unchanged(processor: Processor) -> None:
    text = " བོད་ཡིག  <|ref|>title<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\n# 中文 <td>a</td> x ."
    assert processor.decode(processor.encode(text)) == text
    assert processor.encode(BEGIN) == [0]
    assert (processor.tokenizer.bos_token_id, processor.tokenizer.eos_token_id) == (0, 1)


def test_tokens_may_be_objects_in_the_tokenizers_configuration(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((directory / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"eos_token": {"__type": "AddedToken", "content": END}})
    )
    assert Processor.load(tmp_path).tokenizer.eos_token_id == 1


def test_a_folder_without_a_tokenizer_or_its_image_token_is_a_mistake(
    tmp_path: Path, processor: Processor
) -> None:
    with pytest.raises(SetupError, match=r"no tokenizer\.json"):
        Processor.load(tmp_path)
    built = json.loads(processor.tokenizer.backend_tokenizer.to_str())
    built["added_tokens"] = [token for token in built["added_tokens"] if token["content"] != "<image>"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(built))
    with pytest.raises(SetupError, match="knows no <image>"):
        Processor.load(tmp_path)


def test_an_unknown_mode_is_named_with_those_there_are(processor: Processor) -> None:
    with pytest.raises(SetupError, match="tiny, small, base, large, gundam, gundam-m"):
        processor.views(noise(10, 10), "huge")
