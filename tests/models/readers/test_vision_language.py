"""GOT-OCR2.0 and DeepSeek-OCR-2: they read what transformers generates, from folders that hold weights alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import DeepseekOcr2Processor, GotOcr2Processor

from flywheel.document import Box
from flywheel.errors import Rejected, SetupError
from models.readers.answers import CONTROL
from models.readers.deepseek_ocr2 import DeepseekOcr2Reader
from models.readers.got_ocr2 import GotOcr2Reader
from models.readers.protocol import PageInput
from models.readers.vision_language import rgb
from tests.models.tiny_transformers import tiny_deepseek_ocr2, tiny_got_ocr2

LIMIT = 12
READERS = {"got": GotOcr2Reader, "deepseek": DeepseekOcr2Reader}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("kin")
    return {"got": tiny_got_ocr2(root / "got"), "deepseek": tiny_deepseek_ocr2(root / "deepseek")}


def page(width: int = 300, height: int = 400, seed: int = 0) -> PageInput:
    image = np.random.default_rng(seed).integers(0, 256, (height // 20, width // 20), np.uint8)
    return PageInput(image.repeat(20, axis=0).repeat(20, axis=1), 72.0, float(width), float(height))


def generated(network: Any, inputs: Any) -> list[int]:
    """The answer that transformers generates by itself."""
    out = network.generate(**inputs, max_new_tokens=LIMIT, do_sample=False)
    return out[0, inputs["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize("formatted", [False, True])
def test_got_reads_what_transformers_generates(folders: dict[str, Path], formatted: bool) -> None:
    reader = GotOcr2Reader.load(folders["got"], checkpoint="a-row", limit=LIMIT, formatted=formatted)
    processor = GotOcr2Processor.from_pretrained(folders["got"], local_files_only=True)
    inputs = processor([rgb(page())], format=formatted, num_image_tokens=16, return_tensors="pt")
    words = "OCR with format: " if formatted else "OCR: "
    assert words in processor.tokenizer.decode(inputs["input_ids"][0])
    tokens = generated(reader._network, inputs)
    [reading] = reader.read_many([page()])
    expected = processor.tokenizer.decode(tokens, skip_special_tokens=True).strip("\n")
    assert expected
    assert reading.label.text == CONTROL.sub("\ufffd", expected)  # noise holds controls; labels do not
    assert (reading.text_tokens, reading.vision_tokens, reading.truncated) == (LIMIT, 16, True)


@pytest.mark.parametrize(("width", "height", "image_tokens"), [(300, 400, 257), (640, 960, 257 + 6 * 144)])
def test_deepseek_reads_what_transformers_generates(
    folders: dict[str, Path], width: int, height: int, image_tokens: int
) -> None:
    reader = DeepseekOcr2Reader.load(folders["deepseek"], checkpoint="a-row", limit=LIMIT)
    processor = DeepseekOcr2Processor.from_pretrained(folders["deepseek"], local_files_only=True)
    text = "<｜begin▁of▁sentence｜><image>\n<|grounding|>Convert the document to markdown."
    inputs = processor(images=rgb(page(width, height)), text=text, return_tensors="pt")
    tokens = generated(reader._network, inputs)
    [reading] = reader.read_many([page(width, height)])
    expected = processor.tokenizer.decode(tokens).strip("\n")
    assert expected
    assert reading.label.text == CONTROL.sub("\ufffd", expected)  # noise holds controls; labels do not
    assert (reading.text_tokens, reading.vision_tokens, reading.truncated) == (LIMIT, image_tokens, True)


def test_the_images_decide_what_is_read(folders: dict[str, Path]) -> None:
    for name, kind in READERS.items():
        reader = kind.load(folders[name], checkpoint="a-row", limit=LIMIT)
        assert len({reading.label.text for reading in reader.read_many([page(seed=n) for n in range(3)])}) == 3


def test_got_writes_one_region_over_the_page(folders: dict[str, Path]) -> None:
    [reading] = GotOcr2Reader.load(folders["got"], checkpoint="a-row", limit=LIMIT).read_many([page()])
    [region] = reading.label.regions
    assert (region.category, region.box) == ("text", Box(0.0, 0.0, 300.0, 400.0))


@pytest.mark.parametrize("name", READERS)
def test_an_answer_ends_at_the_folders_end_token(folders: dict[str, Path], name: str, tmp_path: Path) -> None:
    folder = shutil.copytree(folders[name], tmp_path / name)
    [before] = READERS[name].load(folder, checkpoint="a-row", limit=LIMIT).read_many([page()])
    assert before.text_tokens == LIMIT
    first = _first_token(READERS[name].load(folder, checkpoint="a-row"))
    _edit(folder / "generation_config.json", eos_token_id=[first])
    [reading] = READERS[name].load(folder, checkpoint="a-row", limit=LIMIT).read_many([page()])
    assert (reading.label.text, reading.text_tokens, reading.truncated) == ("", 0, False)


@pytest.mark.parametrize("name", READERS)
def test_prompt_and_answer_stay_within_the_networks_positions(
    folders: dict[str, Path], name: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(folders[name], tmp_path / name)
    reader = READERS[name].load(folder, checkpoint="a-row")
    prompt = len(next(reader._prompts([page()])).embeds)
    config = json.loads((folder / "config.json").read_text())
    _edit(folder / "config.json", text_config=config["text_config"] | {"max_position_embeddings": prompt + 3})
    [reading] = READERS[name].load(folder, checkpoint="a-row", limit=LIMIT).read_many([page()])
    assert (reading.text_tokens, reading.truncated) == (3, True)


@pytest.mark.parametrize("name", READERS)
def test_a_published_folder_is_read_and_written_bit_by_bit(
    folders: dict[str, Path], name: str, tmp_path: Path
) -> None:
    weights = load_file(folders[name] / "model.safetensors")
    published = {
        "got": {"vision_tower.patch_embed.projection.weight", "language_model.model.embed_tokens.weight"},
        "deepseek": {
            "model.sam_model.patch_embed.proj.weight",
            "model.qwen2_model.query_768.weight",
            "model.layers.1.mlp.experts.3.down_proj.weight",
        },
    }
    assert published[name] <= set(weights)
    READERS[name].load(folders[name], checkpoint="a-row")._network.save_pretrained(tmp_path)
    again = load_file(tmp_path / "model.safetensors")
    assert set(again) == set(weights)
    assert all(torch.equal(tensor, again[key]) for key, tensor in weights.items())


@pytest.mark.parametrize("name", READERS)
def test_half_precision_is_kept_as_it_lies_in_the_file(
    folders: dict[str, Path], name: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(folders[name], tmp_path / name)
    weights = load_file(folder / "model.safetensors")
    save_file(
        {key: value.bfloat16() for key, value in weights.items()}, folder / "model.safetensors", {"format": "pt"}
    )
    _edit(folder / "config.json", dtype="bfloat16")
    reader = READERS[name].load(folder, checkpoint="a-row", limit=4)
    assert reader._network.dtype == torch.bfloat16
    [reading] = reader.read_many([page()])
    assert reading.text_tokens == 4
    asked = READERS[name].load(folder, checkpoint="a-row", dtype=torch.float32)
    assert asked._network.dtype == torch.float32


@pytest.mark.parametrize("name", READERS)
def test_weights_that_are_missing_are_not_drawn_at_random(
    folders: dict[str, Path], name: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(folders[name], tmp_path / name)
    weights = load_file(folder / "model.safetensors")
    lost = next(key for key in weights if "down_proj" in key)
    save_file({k: v for k, v in weights.items() if k != lost}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(Rejected, match="lacks"):
        READERS[name].load(folder, checkpoint="a-row")
    weights[lost] = torch.zeros(3, 3)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(Rejected):
        READERS[name].load(folder, checkpoint="a-row")


@pytest.mark.parametrize("name", READERS)
def test_pickled_weights_are_refused_and_code_in_a_folder_does_not_run(
    folders: dict[str, Path], name: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(folders[name], tmp_path / name)
    marker = tmp_path / "ran"
    (folder / "modeling_own.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Own: pass\n")
    _edit(folder / "config.json", auto_map={"AutoModel": "modeling_own.Own", "AutoConfig": "modeling_own.Own"})
    _edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["modeling_own.Own", "modeling_own.Own"]})
    READERS[name].load(folder, checkpoint="a-row")
    assert not marker.exists()
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(Rejected):
        READERS[name].load(folder, checkpoint="a-row")


@pytest.mark.parametrize(
    ("name", "published"), [("got", "GOT-OCR-2.0-hf"), ("deepseek", "community/DeepSeek-OCR-2")]
)
def test_another_models_folder_is_refused_by_name(
    folders: dict[str, Path], name: str, published: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(folders[name], tmp_path / name)
    _edit(folder / "config.json", model_type="GOT")
    with pytest.raises(SetupError, match=published):
        READERS[name].load(folder, checkpoint="a-row")
    with pytest.raises(SetupError, match=r"config\.json"):
        READERS[name].load(tmp_path / "nowhere", checkpoint="a-row")


def _first_token(reader: Any) -> int:
    """The token that the reader's answer about the page begins with."""
    with torch.inference_mode():
        embeds = next(reader._prompts([page()])).embeds.unsqueeze(0)
        hidden = reader._network.model.language_model(inputs_embeds=embeds).last_hidden_state
        return int(reader._network.lm_head(hidden[0, -1]).argmax())


def _edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
