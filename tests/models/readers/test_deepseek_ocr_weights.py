"""DeepSeek-OCR's files: the published names and bits, there and back, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from flywheel.errors import Rejected, SetupError
from flywheel.reasons import Reason
from models.readers.deepseek_ocr.config import DeepseekOcrConfig
from models.readers.deepseek_ocr.weights import load, save
from tests.models.tiny import IMAGE, INDEX, WEIGHTS, published_config, tiny_deepseek_ocr


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_deepseek_ocr(tmp_path_factory.mktemp("deepseek-ocr"))


@pytest.fixture
def copied(directory: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(directory, tmp_path / "copied"))


BOTH = ("weight", "bias")


def published_names() -> set[str]:
    """The names of the published file, for the tiny model's numbers of layers and experts."""
    sam = {
        f"blocks.{n}.{part}.{kind}"
        for n in range(2)
        for part in ("norm1", "norm2", "attn.qkv", "attn.proj", "mlp.lin1", "mlp.lin2")
        for kind in BOTH
    }
    sam |= {f"blocks.{n}.attn.rel_pos_{axis}" for n in range(2) for axis in "hw"}
    sam |= {"pos_embed", "net_2.weight", "net_3.weight", "neck.0.weight", "neck.2.weight"}
    sam |= {f"{part}.{kind}" for part in ("patch_embed.proj", "neck.1", "neck.3") for kind in BOTH}
    clip = {
        f"transformer.layers.{n}.{part}.{kind}"
        for n in range(2)
        for part in (
            *("self_attn.qkv_proj", "self_attn.out_proj", "mlp.fc1", "mlp.fc2"),
            *("layer_norm1", "layer_norm2"),
        )
        for kind in BOTH
    }
    clip |= {f"embeddings.{part}" for part in ("class_embedding", "patch_embedding.weight")}
    clip |= {"embeddings.position_embedding.weight", "pre_layrnorm.weight", "pre_layrnorm.bias"}
    mlp = [f"{part}_proj.weight" for part in ("gate", "up", "down")]
    decoder = {
        f"layers.{n}.{part}.weight"
        for n in range(3)
        for part in (*(f"self_attn.{p}_proj" for p in "qkvo"), "input_layernorm", "post_attention_layernorm")
    }
    decoder |= {f"layers.0.mlp.{part}" for part in mlp}
    decoder |= {f"layers.{n}.mlp.experts.{e}.{part}" for n in (1, 2) for e in range(4) for part in mlp}
    decoder |= {f"layers.{n}.mlp.shared_experts.{part}" for n in (1, 2) for part in mlp}
    decoder |= {f"layers.{n}.mlp.gate.weight" for n in (1, 2)}
    rest = {"embed_tokens.weight", "norm.weight", "image_newline", "view_seperator"}
    rest |= {f"projector.layers.{kind}" for kind in BOTH}
    sam, clip = {f"sam_model.{name}" for name in sam}, {f"vision_model.{name}" for name in clip}
    return {"lm_head.weight"} | {f"model.{name}" for name in sam | clip | decoder | rest}


def test_a_saved_network_has_the_published_names(directory: Path) -> None:
    assert set(load_file(directory / WEIGHTS)) == published_names()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shard_bytes", [200_000, 5 << 30])
def test_loading_and_saving_changes_no_bit(
    copied: Path, tmp_path: Path, dtype: torch.dtype, shard_bytes: int
) -> None:
    weights = {name: tensor.to(dtype) for name, tensor in load_file(copied / WEIGHTS).items()}
    save_file(weights, copied / WEIGHTS)
    save(load(copied), tmp_path / "saved", companions=copied, shard_bytes=shard_bytes)
    index = json.loads((tmp_path / "saved" / INDEX).read_text())["weight_map"]
    files = {file: load_file(tmp_path / "saved" / file) for file in set(index.values())}
    assert (len(files) > 1) == (shard_bytes == 200_000)
    assert set(index) == set(weights)
    for name, file in index.items():
        assert files[file][name].dtype == dtype
        assert torch.equal(files[file][name], weights[name])
    for file in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        assert json.loads((tmp_path / "saved" / file).read_text()) == json.loads((copied / file).read_text())


@pytest.mark.parametrize("held", [False, True])
def test_the_positions_that_some_savers_write_are_kept_as_they_were(
    copied: Path, tmp_path: Path, held: bool
) -> None:
    name = "model.vision_model.embeddings.position_ids"
    if held:
        rewritten(copied, lambda weights: weights | {name: torch.arange(257)[None]})
    save(load(copied), tmp_path / "saved")
    saved = load_file(tmp_path / "saved" / WEIGHTS)
    assert (name in saved) == held
    assert not held or torch.equal(saved[name], torch.arange(257)[None])


def test_one_file_without_an_index_is_read(copied: Path) -> None:
    (copied / WEIGHTS).rename(copied / "model.safetensors")
    (copied / INDEX).unlink()
    assert torch.equal(load(copied).lm_head.weight, load_file(copied / "model.safetensors")["lm_head.weight"])


def test_the_image_token_is_the_tokenizers(copied: Path) -> None:
    assert load(copied).config.image_token_id == IMAGE
    (copied / "tokenizer.json").unlink()
    assert load(copied).config.image_token_id == 128815


def rewritten(directory: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    weights = change(load_file(directory / WEIGHTS))
    save_file(weights, directory / WEIGHTS)
    (directory / INDEX).write_text(json.dumps({"weight_map": dict.fromkeys(weights, WEIGHTS)}))


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (
            lambda w: {k: v for k, v in w.items() if "q_proj" not in k},
            r"lacks model\.layers\.0\.self_attn\.q_proj",
        ),
        (lambda w: {k: v for k, v in w.items() if not k.startswith("model.sam")}, r"and \d+ more"),
        (lambda w: w | {"model.other.weight": torch.zeros(2)}, r"the unknown model\.other\.weight"),
        (lambda w: w | {"lm_head.weight": torch.zeros(3, 64)}, r"lm_head\.weight is \[3, 64\], not \[269, 64\]"),
    ],
)
def test_tensors_that_are_not_the_configurations_are_refused_by_name(
    copied: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]], detail: str
) -> None:
    rewritten(copied, change)
    with pytest.raises(Rejected, match=detail) as refused:
        load(copied)
    assert refused.value.reason is Reason.UNSAFE_MODEL_FORMAT


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: (d / WEIGHTS).write_bytes(b"\x80\x04N."),
        lambda d: (d / WEIGHTS).unlink(),
        lambda d: (d / INDEX).write_text("{"),
        lambda d: (d / INDEX).write_text(json.dumps({"weight_map": {"lm_head.weight": "../model.safetensors"}})),
        lambda d: (d / INDEX).write_text(json.dumps({"weight_map": {"lm_head.weight": "model.bin"}})),
        lambda d: (d / INDEX).write_text(json.dumps({"weight_map": {}})),
        lambda d: (d / INDEX).rename(d / "pytorch_model.bin"),
    ],
    ids=[
        "a pickle",
        "a shard missing",
        "no JSON",
        "outside the folder",
        "another format",
        "empty",
        "no safetensors",
    ],
)
def test_only_sound_safetensors_inside_the_folder_are_read(copied: Path, spoil: Callable[[Path], object]) -> None:
    spoil(copied)
    with pytest.raises(Rejected) as refused:
        load(copied)
    assert refused.value.reason is Reason.UNSAFE_MODEL_FORMAT


def test_a_folder_without_a_configuration_is_a_mistake_of_the_setup(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"no config\.json"):
        load(tmp_path)


def test_what_a_configuration_leaves_out_is_as_published() -> None:
    config = DeepseekOcrConfig.from_published({"model_type": "deepseek_vl_v2", "vision_config": {}})
    sam, clip, text = config.vision_config.sam_config, config.vision_config.encoder_config, config.text_config
    assert (sam.hidden_size, sam.num_hidden_layers, sam.mlp_dim, sam.window_size) == (768, 12, 3072, 14)
    assert (sam.output_channels, list(sam.downsample_channels)) == (256, [512, 1024])
    assert list(sam.global_attn_indexes) == [2, 5, 8, 11]
    assert (clip.hidden_size, clip.num_hidden_layers, clip.num_attention_heads) == (1024, 24, 16)
    assert (clip.intermediate_size, clip.hidden_act, clip.layer_norm_eps) == (4096, "quick_gelu", 1e-5)
    assert (text.hidden_size, text.num_hidden_layers, text.num_attention_heads, text.head_dim) == (
        1280,
        12,
        10,
        128,
    )
    assert (text.n_routed_experts, text.num_experts_per_tok, text.n_shared_experts) == (64, 6, 2)
    assert text.mlp_layer_types == ["dense"] + ["sparse"] * 11
    assert config.image_token_id == 128815


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        ("language_config", "use_mla", True),
        ("language_config", "topk_method", "noaux_tc"),
        ("language_config", "norm_topk_prob", True),
        ("projector_config", "projector_type", "mlp_gelu"),
        ("projector_config", "n_embed", 65),
    ],
)
def test_another_network_than_deepseek_ocrs_is_refused(where: str, key: str, value: object) -> None:
    published = published_config()
    published[where][key] = value
    with pytest.raises(SetupError, match=re.escape(key)):
        DeepseekOcrConfig.from_published(published)


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        ("language_config", "vocab_size", "many"),
        ("language_config", "num_attention_heads", 0),
        ("language_config", "num_attention_heads", 7),
        ("vision_config", "width", [1024]),
    ],
)
def test_sizes_that_are_none_are_refused(where: str, key: str, value: object) -> None:
    published = published_config()
    published[where][key] = value
    with pytest.raises(SetupError, match="describes no DeepSeek-OCR"):
        DeepseekOcrConfig.from_published(published)


def test_the_same_seed_gives_the_same_tiny_model(tmp_path: Path) -> None:
    one, other, third = (
        tiny_deepseek_ocr(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert (one / WEIGHTS).read_bytes() == (other / WEIGHTS).read_bytes()
    assert (one / WEIGHTS).read_bytes() != (third / WEIGHTS).read_bytes()
