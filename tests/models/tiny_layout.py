"""Untrained tiny PP-DocLayout models in the published layout: the right shape, small sizes.

tiny_layout(directory, "v3") -> directory       config.json, model.safetensors, preprocessor_config.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    PPDocLayoutV2Config,
    PPDocLayoutV2ForObjectDetection,
    PPDocLayoutV3Config,
    PPDocLayoutV3ForObjectDetection,
    PPDocLayoutV4Config,
    PPDocLayoutV4ForObjectDetection,
)

# Of PP-DocLayout V2, V3 and V4, as Paddle's label lists have them.
LABELS = (
    "abstract algorithm aside_text chart content display_formula doc_title figure_title footer footer_image"
    " footnote formula_number header header_image image inline_formula number paragraph_title reference"
    " reference_content seal table text vertical_text vision_footnote"
).split()
BACKBONE = {
    "model_type": "hgnet_v2",
    "embedding_size": 8,
    "hidden_sizes": [8] * 4,
    "stem_channels": [3, 8, 8],
    "stage_in_channels": [8] * 4,
    "stage_mid_channels": [8] * 4,
    "stage_out_channels": [8] * 4,
    "stage_num_blocks": [1] * 4,
    "stage_numb_of_layers": [1] * 4,
    "return_idx": [1, 2, 3],
    "out_features": ["stage2", "stage3", "stage4"],
}
TINY = {
    "backbone_config": BACKBONE,
    "id2label": dict(enumerate(LABELS)),
    "encoder_hidden_dim": 16,
    "encoder_in_channels": [8] * 3,
    "encoder_ffn_dim": 16,
    "encoder_attention_heads": 2,
    "d_model": 16,
    "num_queries": 20,
    "decoder_in_channels": [16] * 3,
    "decoder_ffn_dim": 16,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
    "num_denoising": 0,
}
POINTER = {"global_pointer_head_size": 8}
READING_ORDER = POINTER | {
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "coordinate_size": 3,
    "shape_size": 2,
}


def v2() -> Any:
    own = {"class_thresholds": [0.5] * 25, "class_order": list(range(20)) + [0] * 5}
    return PPDocLayoutV2ForObjectDetection(PPDocLayoutV2Config(**TINY, **own, reading_order_config=READING_ORDER))


def v3() -> Any:
    stages = {"return_idx": [0, 1, 2, 3], "out_features": [f"stage{n}" for n in (1, 2, 3, 4)]}
    own = POINTER | {"x4_feat_dim": 8, "mask_feature_channels": [8, 8], "num_prototypes": 8}
    return PPDocLayoutV3ForObjectDetection(
        PPDocLayoutV3Config(**(TINY | {"backbone_config": BACKBONE | stages}), **own)
    )


def v4() -> Any:
    return PPDocLayoutV4ForObjectDetection(PPDocLayoutV4Config(**TINY, **POINTER))


PP_DOCLAYOUT = {"v2": v2, "v3": v3, "v4": v4}


def tiny_layout(directory: Path, version: str) -> Path:
    """Writes a tiny model; its class heads are drawn wide awake, so that it finds something."""
    torch.manual_seed(0)
    network = PP_DOCLAYOUT[version]()
    with torch.no_grad():
        for name, weights in network.named_parameters():
            if "class_embed" in name or "enc_score_head" in name or "bbox" in name:
                torch.nn.init.normal_(weights, std=0.7)
    network.save_pretrained(directory)
    said = {"size": {"height": 96, "width": 96}, "resample": 3, "rescale_factor": 1 / 255}
    said |= {"image_mean": [0, 0, 0], "image_std": [1, 1, 1], "image_processor_type": "PPDocLayoutImageProcessor"}
    (directory / "preprocessor_config.json").write_text(json.dumps(said))
    return directory
