"""Layout models without training, in the published form of PP-DocLayout: the same inputs, outputs and settings.

Each "finds" fixed regions, at shares of the page it is given, and only where there is ink: so what comes out
shows that pages, their sizes and their thresholds go in and out as they should. How well a trained model
finds regions, it does not show.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LABELS = ["doc_title", "text", "image", "number", "header"]
# Class, score, box in shares of the page, and (V2, V3) its place in the reading order.
FOUND = [
    (1, 0.90, 0.1, 0.5, 0.9, 0.8, 2),
    (0, 0.95, 0.2, 0.1, 0.8, 0.15, 0),
    (3, 0.80, 0.45, 0.95, 0.55, 0.98, 3),
    (2, 0.85, 0.1, 0.2, 0.9, 0.45, 1),
    (4, 0.30, 0.0, 0.0, 0.2, 0.05, 4),  # below the threshold
]
ORDERED = {"PP-DocLayout_plus-L": 0, "PP-DocLayoutV3": 1, "PP-DocLayoutV2": 2}  # columns that tell the order


def tiny_layout(directory: Path, model: str, labels: list[str] = LABELS) -> Path:
    """A folder with inference.onnx and inference.yml."""
    directory.mkdir(parents=True, exist_ok=True)
    onnx.save(network(ORDERED[model], masks=model == "PP-DocLayoutV3"), directory / "inference.onnx")
    resize = {"type": "Resize", "interp": 2, "keep_ratio": False, "target_size": [800, 800]}
    normal = {"type": "NormalizeImage", "mean": [0.0] * 3, "std": [1.0] * 3, "norm_type": "none"}
    settings = {
        "Global": {"model_name": model},
        "draw_threshold": 0.5,
        "Preprocess": [resize, normal, {"type": "Permute"}],
        "label_list": labels,
    }
    (directory / "inference.yml").write_text(json.dumps(settings))
    return directory


def network(ordered: int, masks: bool) -> onnx.ModelProto:
    """boxes (N x 6 + `ordered`) and their number; V3 tells their outlines, too."""
    found = np.array(FOUND, np.float32)
    constants = {
        "kinds": found[:, :1],
        "scores": found[:, 1:2],
        "shares": found[:, 2:6],
        "order": np.repeat(found[:, 6:], ordered, axis=1),
        "one": np.array(1, np.float32),
        "corners": np.array([1, 0, 1, 0], np.int64),  # height, width -> x, y, x, y
        "count": np.array([len(found)], np.int32),
        "outlines": np.ones((len(found), 200, 200), np.int32),
    }
    nodes = [
        helper.make_node("ReduceMin", ["image"], ["darkest"], keepdims=0),
        helper.make_node("Sub", ["one", "darkest"], ["ink"]),
        helper.make_node("Mul", ["scores", "ink"], ["sure"]),
        helper.make_node("Div", ["im_shape", "scale_factor"], ["size"]),
        helper.make_node("Gather", ["size", "corners"], ["sides"], axis=1),
        helper.make_node("Mul", ["shares", "sides"], ["places"]),
        helper.make_node("Concat", ["kinds", "sure", "places", "order"], ["boxes"], axis=1),
        helper.make_node("Identity", ["count"], ["number"]),
        helper.make_node("Identity", ["outlines"], ["masks"]),
    ]
    single, whole = TensorProto.FLOAT, TensorProto.INT32
    inputs = [("im_shape", [1, 2]), ("image", [1, 3, 800, 800]), ("scale_factor", [1, 2])]
    outputs = [("boxes", single, [len(found), 6 + ordered]), ("number", whole, [1])]
    if masks:
        outputs.append(("masks", whole, list(constants["outlines"].shape)))
    graph = helper.make_graph(
        nodes,
        "layout",
        [helper.make_tensor_value_info(name, single, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(*output) for output in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model
