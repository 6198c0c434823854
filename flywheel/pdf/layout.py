"""Regions by MuPDF's own layout model, inside the child.

The wheel carries two models. The default one also looks at a rendering and costs
150 ms a page on one core; the one used here, of text geometry alone, costs 15-20 ms.
It also calls a body of text "text" where the other calls it "picture" (half of the
pages of one Tibetan book). Table cells are not asked for.
"""

from __future__ import annotations

import importlib
import sys
from functools import lru_cache
from typing import Any

import onnxruntime
import pymupdf

CATEGORIES = {
    "text": "text",
    "title": "title",
    "section-header": "title",
    "list-item": "list",
    "table": "table",
    "picture": "picture",
    "caption": "caption",
    "formula": "formula",
    "page-header": "header",
    "page-footer": "footer",
    "footnote": "footnote",
}


def regions(page: Any) -> list[list[Any]]:
    """[x0, y0, x1, y1, category] in reading order, in points of the page as shown."""
    turned = page.rotation_matrix
    found = []
    for group in _model().predict(_Unseen(page), return_raw=True):
        box = pymupdf.Rect(*(float(v) for v in group["group_bbox"][:4])) * turned
        found.append([*(round(v, 2) for v in box), CATEGORIES.get(group["class_name"], "text")])
    return found


class _Unseen:
    """A page that is not rendered: the model's code asks for a picture first (2 ms), and this one never looks."""

    def __init__(self, page: Any) -> None:
        self._page = page

    def __getattr__(self, name: str) -> Any:
        return getattr(self._page, name)

    def get_pixmap(self) -> Any:
        return _Picture()


class _Picture:
    """One white pixel, as far as the model's code looks at a pixmap."""

    samples, height, width, n = b"\xff" * 3, 1, 1, 3


@lru_cache(maxsize=1)
def _model() -> Any:
    """Load the model once, without the image features and the table cells, on one thread."""
    if sys.modules.get("pymupdf.layout", "") is None:
        del sys.modules["pymupdf.layout"]
    pymupdf._get_layout = _unused  # keeps the import below from loading the default model
    network = importlib.import_module("pymupdf.layout.onnx.BoxRFDGNN").BoxRFDGNN
    model = network(feature_set_name="rf", imf_model_path="", use_sort=True)
    model.table_grid_extractor = None
    # The wheel's own session would start a thread a core, and takes no options.
    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = False
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model.session = onnxruntime.InferenceSession(
        model.model_path, sess_options=options, providers=["CPUExecutionProvider"]
    )
    return model


def _unused(*arguments: Any, **keywords: Any) -> None:
    """Placeholder where pymupdf keeps its default model."""
