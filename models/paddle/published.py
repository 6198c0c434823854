"""The PP-OCRv6 small models of the rapidocr wheel, laid out as the library expects what it downloads.

    laid_out(model) -> a folder for as long as the block runs: inference.onnx, inference.yml

The wheel has the networks, and the recogniser's character list in its file's metadata; how images are
prepared and outputs read is written here as published with the models.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnxruntime

from models.packaged import packaged_network

DETECTOR, RECOGNISER = "PP-OCRv6_small_det", "PP-OCRv6_small_rec"
ONNX_FILES = {DETECTOR: "PP-OCRv6_det_small.onnx", RECOGNISER: "PP-OCRv6_rec_small.onnx"}
READ = {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}}


@contextmanager
def laid_out(model: str) -> Iterator[Path]:
    """One of ONNX_FILES as a folder, which may go once the model is loaded: the network is the wheel's own
    file, linked."""
    network = packaged_network(ONNX_FILES[model])
    with tempfile.TemporaryDirectory(prefix="flywheel-paddle-") as name:
        folder = Path(name)
        (folder / "inference.onnx").symlink_to(network)
        settings = detection() if model == DETECTOR else recognition(characters(network))
        # JSON is YAML (without its escapes: a pair of surrogates would stay two characters), and quicker to write.
        written = json.dumps({"Global": {"model_name": model}, **settings}, ensure_ascii=False)
        (folder / "inference.yml").write_text(written, "utf-8")
        yield folder


def detection() -> dict[str, Any]:
    """Means and deviations are of ImageNet, in the published order; the side limit is set for each page."""
    normal = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "scale": "1./255.", "order": "hwc"}
    return {
        "PreProcess": {
            "transform_ops": [
                READ,
                {"DetResizeForTest": {"resize_long": 960}},
                {"NormalizeImage": normal},
                {"ToCHWImage": None},
            ]
        },
        "PostProcess": {
            "name": "DBPostProcess",
            "thresh": 0.3,
            "box_thresh": 0.6,
            "max_candidates": 1000,
            "unclip_ratio": 1.5,
        },
    }


def recognition(charset: list[str]) -> dict[str, Any]:
    """Lines 48 pixels high and 320 or more wide, read by CTC; the library adds the blank and the space."""
    return {
        "PreProcess": {"transform_ops": [READ, {"RecResizeImg": {"image_shape": [3, 48, 320]}}]},
        "PostProcess": {"name": "CTCLabelDecode", "character_dict": charset},
    }


def characters(network: Path) -> list[str]:
    """Characters that a recogniser's file lists, in the order of its outputs, blank and space left out."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # it computes nothing
    session = onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])
    listed: list[str] = session.get_modelmeta().custom_metadata_map["character"].splitlines()
    return listed
