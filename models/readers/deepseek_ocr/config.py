"""The sizes of a DeepSeek-OCR, read from the published config.json and kept beside it.

    DeepseekOcrConfig.from_published(config, image_token_id=...) -> DeepseekOcrConfig
    .published          the dictionary it was read from, written back unchanged by weights.save

The published code builds its encoders with sizes of its own and reads only the decoder's from the file
(DeepSeek-OCR, section 3.2: SAM-base, CLIP-large). Here a file may say the encoders' sizes too, in the same tables
(`vision_config.width`), so that a small model is the same model; what it leaves out is as published.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedConfig
from transformers.models.deepseek_ocr2.configuration_deepseek_ocr2 import DeepseekOcr2TextConfig
from transformers.models.unlimited_ocr.configuration_unlimited_ocr import UnlimitedOcrVisionConfig

from flywheel.errors import SetupError

IMAGE_TOKEN_ID = 128815  # of "<image>" in the published tokenizer
SAM, CLIP = "sam_vit_b", "clip-l-14-224"  # the tables' names in vision_config.width

DECODER: dict[str, Any] = {
    "vocab_size": 129280,
    "hidden_size": 1280,
    "intermediate_size": 6848,
    "num_hidden_layers": 12,
    "num_attention_heads": 10,
    "num_key_value_heads": None,  # as many as num_attention_heads
    "hidden_act": "silu",
    "max_position_embeddings": 8192,
    "initializer_range": 0.02,
    "rms_norm_eps": 1e-6,
    "attention_bias": False,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "moe_intermediate_size": 896,
    "routed_scaling_factor": 1.0,
}
# What the published code could do beyond what its weights need, and this network does not: refused.
FIXED = {
    "use_mla": False,
    "topk_method": "greedy",
    "scoring_func": "softmax",
    "norm_topk_prob": False,
    "moe_layer_freq": 1,
    "q_lora_rank": None,
    "kv_lora_rank": None,
    "rope_scaling": None,
    "tie_word_embeddings": False,
}


class DeepseekOcrConfig(PreTrainedConfig):
    """Sizes of the two encoders (`vision_config`) and of the decoder (`text_config`).

    `published` is the config.json they were read from. `image_token_id` is the tokenizer's "<image>".
    """

    model_type = "deepseek_ocr"
    sub_configs_defaults: ClassVar[dict[str, Any]] = {
        "vision_config": UnlimitedOcrVisionConfig,
        "text_config": DeepseekOcr2TextConfig,
    }

    vision_config: Any = None
    text_config: Any = None
    image_token_id: int = IMAGE_TOKEN_ID
    tie_word_embeddings: bool = False
    published: dict[str, Any] | None = None

    @classmethod
    def from_published(cls, published: dict[str, Any], *, image_token_id: int = IMAGE_TOKEN_ID) -> Self:
        """The configuration a published config.json describes.

        Raises SetupError for a network that is not DeepSeek-OCR's: latent attention, another router or projector,
        encoders whose widths do not meet, sizes that are none.
        """
        try:
            return cls._read(published, image_token_id)
        except (
            StrictDataclassError,
            AttributeError,
            TypeError,
            ValueError,
            LookupError,
            ArithmeticError,
        ) as error:
            raise SetupError(f"config.json describes no DeepSeek-OCR: {error}") from error

    @classmethod
    def _read(cls, published: dict[str, Any], image_token_id: int) -> Self:
        decoder = published | published.get("language_config", {})
        _check_decoder(decoder)
        vision = published.get("vision_config", {})
        width = vision.get("width", {})
        sam, clip = _sam(width.get(SAM, {}), vision.get("image_size", 1024)), _clip(width.get(CLIP, {}))
        text = _text(decoder)
        _check_projector(published.get("projector_config", {}), sam, clip, text)
        return cls(
            vision_config={"sam_config": sam, "encoder_config": clip},
            text_config=text,
            image_token_id=image_token_id,
            published=published,
            dtype=published.get("torch_dtype", decoder.get("torch_dtype")),
        )


def _text(decoder: dict[str, Any]) -> dict[str, Any]:
    sizes = {key: decoder.get(key, default) for key, default in DECODER.items()}
    dense = decoder.get("first_k_dense_replace", 1)
    return sizes | {
        "n_group": 1,
        "topk_group": 1,
        "topk_method": "greedy",
        "mlp_layer_types": [
            "dense" if layer < dense else "sparse" for layer in range(decoder.get("num_hidden_layers", 12))
        ],
        "rope_parameters": {"rope_type": "default", "rope_theta": decoder.get("rope_theta", 10000.0)},
    }


def _sam(table: dict[str, Any], image_size: int) -> dict[str, Any]:
    width = table.get("width", 768)
    return {
        "hidden_size": width,
        "num_hidden_layers": table.get("layers", 12),
        "num_attention_heads": table.get("heads", 12),
        "global_attn_indexes": table.get("global_attn_indexes", [2, 5, 8, 11]),
        "downsample_channels": table.get("downsample_channels", [512, 1024]),
        "output_channels": table.get("out_chans", 256),
        "mlp_dim": table.get("mlp_dim", 4 * width),
        "window_size": table.get("window_size", 14),
        "image_size": image_size,
    }


def _clip(table: dict[str, Any]) -> dict[str, Any]:
    width = table.get("width", 1024)
    return {
        "hidden_size": width,
        "num_hidden_layers": table.get("layers", 24),
        "num_attention_heads": table.get("heads", 16),
        "image_size": table.get("image_size", 224),
        "patch_size": table.get("patch_size", 14),
        "intermediate_size": table.get("mlp_dim", 4 * width),
    }


def _check_decoder(decoder: dict[str, Any]) -> None:
    for key, value in FIXED.items():
        if decoder.get(key, value) != value:
            raise SetupError(f"config.json: {key} is {decoder[key]!r}; DeepSeek-OCR has {value!r}")


def _check_projector(
    projector: dict[str, Any], sam: dict[str, Any], clip: dict[str, Any], text: dict[str, Any]
) -> None:
    if projector.get("projector_type", "linear") != "linear":
        raise SetupError(f"config.json: projector_type is {projector['projector_type']!r}, not 'linear'")
    compressed, hidden = sam["downsample_channels"][-1], text["hidden_size"]
    if compressed != clip["hidden_size"]:
        raise SetupError(f"config.json: SAM gives {compressed} channels, CLIP takes {clip['hidden_size']}")
    for key, size in (("input_dim", compressed + clip["hidden_size"]), ("n_embed", hidden)):
        if projector.get(key, size) != size:
            raise SetupError(f"config.json: the projector's {key} is {projector[key]}, the parts make it {size}")
