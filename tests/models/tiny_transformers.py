"""Untrained GOT-OCR2.0 and DeepSeek-OCR-2 of a few ten thousand weights, in the layouts that are published.

tiny_got_ocr2(directory) -> directory
tiny_deepseek_ocr2(directory) -> directory
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    DeepseekOcr2Config,
    DeepseekOcr2ForConditionalGeneration,
    DeepseekOcr2Processor,
    GotOcr2Config,
    GotOcr2ForConditionalGeneration,
    PreTrainedTokenizerFast,
)
from transformers.models.deepseek_ocr2.image_processing_pil_deepseek_ocr2 import DeepseekOcr2ImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from models.readers.deepseek_ocr.processing import Processor
from tests.models.tiny import VOCABULARY, draw, tokenizer, write_tokenizer

SIDE = 256  # pixels of GOT's square; the published one has 1024
GOT_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<imgpad>")


def tiny_got_ocr2(directory: Path, *, seed: int = 0) -> Path:
    """Configurations of network, generation and images, model.safetensors, and the tokenizer's files."""
    words = _got_tokenizer()
    vision = {
        "hidden_size": 32,
        "output_channels": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": SIDE,
        "global_attn_indexes": [1],
        "mlp_dim": 64,
    }
    text = {
        "model_type": "qwen2",
        "vocab_size": words.get_vocab_size(),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": True,
    }
    image = words.token_to_id("<imgpad>")
    config = GotOcr2Config(vision_config=vision, text_config=text, image_token_index=image, image_seq_length=16)
    network = GotOcr2ForConditionalGeneration(config)
    draw(network, seed)
    network.generation_config.eos_token_id = words.token_to_id("<|endoftext|>")
    network.save_pretrained(directory)
    GotOcr2ImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(directory)
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<|endoftext|>").save_pretrained(directory)
    return directory


def tiny_deepseek_ocr2(directory: Path, *, seed: int = 0) -> Path:
    """Configurations of network, generation and processor, model.safetensors, and the tokenizer's files."""
    directory.mkdir(parents=True, exist_ok=True)
    write_tokenizer(directory)
    network = DeepseekOcr2ForConditionalGeneration(_deepseek_config())
    draw(network, seed)
    network.save_pretrained(directory)
    processor = DeepseekOcr2Processor(DeepseekOcr2ImageProcessorPil(), Processor.load(directory).tokenizer)
    processor.save_pretrained(directory)
    return directory


def _deepseek_config() -> Any:
    sam = {
        "hidden_size": 16,
        "output_channels": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "global_attn_indexes": [1],
        "downsample_channels": [16, 16],
    }
    encoder = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "vocab_size": 8,
    }
    text = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 8192,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "n_group": 1,
        "topk_group": 1,
        "n_routed_experts": 4,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "mlp_layer_types": ["dense", "sparse"],
    }
    return DeepseekOcr2Config(
        vision_config={"sam_config": sam, "encoder_config": encoder},
        text_config=text,
        image_token_id=tokenizer().token_to_id("<image>"),
    )


def _got_tokenizer() -> Tokenizer:
    """Bytes, and the published special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    built = Tokenizer(models.BPE(vocab={token: n for n, token in enumerate(alphabet)}, merges=[]))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    built.decoder = decoders.ByteLevel()
    built.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in GOT_TOKENS])
    return built
