"""PP-DocLayout V2, V3 and V4: regions of a page with their reading order, by transformers' own networks.

    PPDocLayout.load("folder, or owner/name@revision", device="cuda") -> detector
    .find(images, dpis) -> regions of each page

The folder holds what is published: config.json, model.safetensors, preprocessor_config.json. Pages are
looked at one by one: at 800 x 800 pixels one page fills a device well enough, and what is found on it cannot
then depend on its neighbours. The image is resized by cv2 as in Paddle's own code (transformers' image
processor approximates that, and needs torchvision).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import StrictDataclassError
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    PPDocLayoutV2ForObjectDetection,
    PPDocLayoutV3ForObjectDetection,
    PPDocLayoutV4ForObjectDetection,
)

from flywheel.document import Box
from flywheel.errors import SetupError
from models.layout.categories import category_of, check_labels
from models.layout.cleaning import CleaningRules, cleaned
from models.layout.decode import found, graph_ranks, pairwise_ranks, rectangles
from models.layout.protocol import LayoutRegion

NETWORKS: dict[str, Any] = {
    "pp_doclayout_v2": PPDocLayoutV2ForObjectDetection,
    "pp_doclayout_v3": PPDocLayoutV3ForObjectDetection,
    "pp_doclayout_v4": PPDocLayoutV4ForObjectDetection,
}
FILES = ["config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json"]
THRESHOLD = 0.5  # as published, where the configuration has none of its own for each class
INTERPOLATIONS = {2: cv2.INTER_LINEAR, 3: cv2.INTER_CUBIC}  # by Pillow's numbers, which the files use


@dataclass(frozen=True, slots=True)
class ImagePreparation:
    """Preprocessing of a page for the network: size in pixels, then (value * scale - mean) / deviation."""

    height: int = 800
    width: int = 800
    interpolation: int = cv2.INTER_CUBIC
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    deviation: tuple[float, ...] = (1.0, 1.0, 1.0)

    def tensor(self, image: NDArray[np.uint8]) -> torch.Tensor:
        """1 x 3 x height x width, float32, from a gray (H x W) or RGB (H x W x 3) page."""
        colour = np.ascontiguousarray(image if image.ndim == 3 else np.stack([image] * 3, axis=2))
        small = cv2.resize(colour, (self.width, self.height), interpolation=self.interpolation)
        mean, deviation = np.array(self.mean, np.float32), np.array(self.deviation, np.float32)
        values = (small.astype(np.float32) * np.float32(self.scale) - mean) / deviation
        return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)[None]))


class PPDocLayout:
    """A warm network. `network` is one of NETWORKS in evaluation mode, on its device, in float32."""

    def __init__(
        self, network: Any, preparation: ImagePreparation | None = None, *, cleaning: CleaningRules | None = None
    ) -> None:
        config = network.config
        self._labels = {int(number): str(label) for number, label in config.id2label.items()}
        check_labels(self._labels.values())
        own = getattr(config, "class_thresholds", None)
        self._thresholds = np.array(own or [THRESHOLD] * len(self._labels), np.float64)
        self._network = network
        self._preparation = preparation or ImagePreparation()
        self._cleaning = cleaning or CleaningRules()

    @classmethod
    def load(cls, source: str | Path, *, device: str = "cpu") -> PPDocLayout:
        """From a folder or from the hub (owner/name@revision); code that lies beside weights is never run.

        Raises SetupError when nothing usable is there: no such folder or revision, another architecture,
        weights that are no safetensors or do not fill the network.
        """
        directory = _directory(source)
        try:
            kind = AutoConfig.from_pretrained(directory, trust_remote_code=False).model_type
            if kind not in NETWORKS:
                raise SetupError(f"{source} holds {kind}, not one of {', '.join(NETWORKS)}")
            network, report = NETWORKS[kind].from_pretrained(
                directory,
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        except (OSError, ValueError, TypeError, RuntimeError, SafetensorError, StrictDataclassError) as error:
            raise SetupError(f"no layout model can be loaded from {source}: {error}") from error
        if report["missing_keys"]:
            missing = sorted(report["missing_keys"])
            raise SetupError(f"{len(missing)} weights are missing in {source}, {missing[0]} among them")
        return cls(network.to(device).eval(), _preparation(directory))

    def find(self, images: Sequence[NDArray[np.uint8]], dpis: Sequence[float]) -> list[list[LayoutRegion]]:
        """Regions of each page, in the network's own reading order; the resolution does not matter to it."""
        return [self._find(image) for image, _ in zip(images, dpis, strict=True)]

    def _find(self, image: NDArray[np.uint8]) -> list[LayoutRegion]:
        height, width = image.shape[:2]
        pixels = self._preparation.tensor(image).to(self._network.device)
        with torch.inference_mode():
            outputs = self._network(pixel_values=pixels)
        return cleaned(self._regions(outputs, height, width), width, height, self._cleaning)

    def _regions(self, outputs: Any, height: float, width: float) -> list[LayoutRegion]:
        """Everything the network is sure enough of, boxes in pixels of a page of `height` x `width`."""
        logits, boxes = _array(outputs.logits), rectangles(_array(outputs.pred_boxes))
        queries, labels, scores = found(logits, self._thresholds)
        ranks = _ranks(outputs, queries)
        regions = []
        for box, label, score, rank in zip(boxes[queries], labels, scores, ranks, strict=True):
            place = Box(*(float(v) for v in box * (width, height, width, height)))
            category = category_of(self._labels[int(label)], place, height)
            regions.append(LayoutRegion(category, place, float(score), int(rank)))
        return regions


def _ranks(outputs: Any, queries: NDArray[np.int64]) -> NDArray[np.int64]:
    """The queries' places in the reading order, as this version of the network tells them."""
    if "order_logits" in outputs:
        return pairwise_ranks(_array(outputs.order_logits))[queries]
    among = np.ix_(queries, queries)
    return graph_ranks(_array(outputs.relative_order_logits)[among], _array(outputs.successor_order_logits)[among])


def _array(batch: torch.Tensor) -> NDArray[np.float32]:
    """The first of a batch of one."""
    return np.asarray(batch[0].float().cpu().numpy(), np.float32)


def _directory(source: str | Path) -> Path:
    """The folder itself, or the snapshot of a hub repository at a revision."""
    if Path(source).is_dir():
        return Path(source)
    name, _, revision = str(source).partition("@")
    if name.count("/") != 1 or not revision:
        raise SetupError(f"{source} is neither a folder nor owner/name@revision")
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=FILES))
    except (OSError, ValueError) as error:
        raise SetupError(f"{source} cannot be had from the hub: {error}") from error


def _preparation(directory: Path) -> ImagePreparation:
    """Values of preprocessor_config.json; without one, the published ones."""
    path = directory / "preprocessor_config.json"
    if not path.is_file():
        return ImagePreparation()
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        size, scaled, normal = config["size"], config.get("do_rescale", True), config.get("do_normalize", True)
        return ImagePreparation(
            height=int(size["height"]),
            width=int(size["width"]),
            interpolation=INTERPOLATIONS[config.get("resample", 3)],
            scale=float(config.get("rescale_factor", 1 / 255)) if scaled else 1.0,
            mean=tuple(map(float, config["image_mean"])) if normal else (0.0, 0.0, 0.0),
            deviation=tuple(map(float, config["image_std"])) if normal else (1.0, 1.0, 1.0),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError(f"{path} does not say how pages are prepared: {error!r}") from error
