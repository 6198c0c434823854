"""Untrained DeepSeek-OCRs of half a million weights, in the published layout.

    tiny_deepseek_ocr(directory, *, seed=0, ...) -> directory
    published_config(...)                           a config.json in the published shape, with small sizes
    tokenizer() -> tokenizers.Tokenizer             bytes, no merges, and the published special tokens

What tests load, train and read with, through the code that opens the published files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from models.readers.deepseek_ocr.config import DeepseekOcrConfig
from models.readers.deepseek_ocr.network import DeepseekOcrForConditionalGeneration
from models.readers.deepseek_ocr.weights import save

BEGIN, END, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
ADDED = (
    *("<image>", "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "<|grounding|>"),
    *("<td>", "</td>", "<tr>", "</tr>"),
)
VOCABULARY = 3 + 256 + len(ADDED)
IMAGE = 3 + 256  # the first added token
# A SAM without global attention, which costs most of the time over the 1,024 patches of the smallest mode.
LIGHT: Mapping[str, Any] = {"global_attn_indexes": [], "window_size": 8, "heads": 1, "layers": 1}
WEIGHTS, INDEX = "model-00001-of-000001.safetensors", "model.safetensors.index.json"


def tiny_deepseek_ocr(
    directory: Path,
    *,
    seed: int = 0,
    hidden: int = 64,
    layers: int = 3,
    dtype: torch.dtype = torch.float32,
    sam: Mapping[str, Any] | None = None,
) -> Path:
    """Write config.json, tokenizer and weights to `directory` (made if need be), and give it back.

    The same seed and sizes give the same bytes. `hidden` (a multiple of 8) and `layers` are the decoder's;
    `sam` changes sizes of the first encoder, e.g. to `LIGHT`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    write_tokenizer(directory)
    config = published_config(hidden=hidden, layers=layers, dtype=dtype)
    config["vision_config"]["width"]["sam_vit_b"].update(sam or {})
    network = DeepseekOcrForConditionalGeneration(DeepseekOcrConfig.from_published(config, image_token_id=IMAGE))
    draw(network, seed)
    save(network.to(dtype), directory)
    return directory


def published_config(
    *, hidden: int = 64, layers: int = 3, vocabulary: int = VOCABULARY, dtype: torch.dtype = torch.float32
) -> dict[str, Any]:
    """The published config.json with other numbers in it, and the encoders' sizes that it leaves to its code."""
    decoder = {
        "bos_token_id": 0,
        "eos_token_id": 1,
        "first_k_dense_replace": 1,
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "kv_lora_rank": None,
        "lm_head": True,
        "max_position_embeddings": 8192,
        "moe_intermediate_size": hidden,
        "n_group": 1,
        "n_routed_experts": 4,
        "n_shared_experts": 1,
        "num_attention_heads": 4,
        "num_experts_per_tok": 2,
        "num_hidden_layers": layers,
        "num_key_value_heads": 4,
        "q_lora_rank": None,
        "qk_nope_head_dim": 0,
        "qk_rope_head_dim": 0,
        "rm_head": False,
        "topk_group": 1,
        "topk_method": "greedy",
        "use_mla": False,
        "v_head_dim": 0,
        "vocab_size": vocabulary,
    }
    name = str(dtype).removeprefix("torch.")
    clip = {"heads": 4, "image_size": 224, "layers": 2, "patch_size": 14, "width": 64, "mlp_dim": 128}
    sam = {
        "downsample_channels": [48, 64],
        "global_attn_indexes": [1],
        "heads": 2,
        "layers": 2,
        "width": 32,
        "mlp_dim": 64,
        "out_chans": 32,
    }
    return {
        "_name_or_path": "tiny",
        "candidate_resolutions": [[1024, 1024]],
        "global_view_pos": "head",
        "architectures": ["DeepseekOCRForCausalLM"],
        "language_config": {"architectures": ["DeepseekV2ForCausalLM"], "torch_dtype": name, **decoder},
        "model_type": "deepseek_vl_v2",
        "projector_config": {
            "input_dim": 128,
            "model_type": "mlp_projector",
            "n_embed": hidden,
            "projector_type": "linear",
        },
        "tile_tag": "2D",
        "torch_dtype": name,
        "transformers_version": "4.46.3",
        "vision_config": {
            "image_size": 1024,
            "mlp_ratio": 3.7362,
            "model_name": "deeplip_b_l",
            "model_type": "vision",
            "width": {"clip-l-14-224": clip, "sam_vit_b": sam},
        },
        **decoder,
    }


def tokenizer() -> Tokenizer:
    """Bytes, and the published special tokens: begin 0, end 1, padding 2, 256 bytes, then the added ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: n for n, token in enumerate((BEGIN, END, PAD, *alphabet))}
    built = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    built.decoder = decoders.ByteLevel()
    built.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in (BEGIN, END, PAD)])
    built.add_tokens([AddedToken(token, normalized=False) for token in ADDED])
    return built


def write_tokenizer(directory: Path) -> None:
    tokenizer().save(str(directory / "tokenizer.json"))
    config = {
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": BEGIN,
        "clean_up_tokenization_spaces": False,
        "eos_token": END,
        "model_max_length": 8192,
        "pad_token": PAD,
        "tokenizer_class": "LlamaTokenizerFast",
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False))


@torch.no_grad()
def draw(network: torch.nn.Module, seed: int) -> None:
    """Fresh weights that signals pass: matrices by their fan-in, positions small, biases and norms neutral."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if not tensor.is_floating_point() or "inv_freq" in name:
            continue
        if "pos" in name.rsplit(".", 2)[-1] or "position_embedding" in name:
            tensor.normal_(std=0.1, generator=generator)
        elif tensor.ndim >= 2:
            fan_in = tensor.shape[1:].numel() if "conv" in name or "embed" in name else tensor.shape[-1]
            tensor.normal_(std=fan_in**-0.5, generator=generator)
        elif name.endswith(("newline", "separator", "class_embedding")):
            tensor.normal_(std=tensor.numel() ** -0.5, generator=generator)
        else:
            tensor.fill_(0.0 if name.endswith("bias") else 1.0)
