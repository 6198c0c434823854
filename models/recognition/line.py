"""`line`: our own trainable recogniser, a small convolutional CTC network on CPU or GPU.

    LineRecogniser.load(directory) -> a Recogniser        read(images) -> readings
    prepare(image, height), batch_of(prepared)            shared with training, so both see alike

Lines are read sorted by width in batches of bounded area, greedily. A character's confidence is the
highest probability among its frames. The network writes from left to right as the ink stands; readings are in
logical order (flywheel/text/bidi.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from flywheel.errors import Rejected
from flywheel.reasons import Reason
from flywheel.recipes import NetworkConfig
from flywheel.text.bidi import logical_places, to_logical
from models.checkpoint import LoadedCheckpoint, load
from models.recognition.network import ARCHITECTURE, LineNetwork, frames
from models.recognition.protocol import Transcription, transcription_of

PRODUCER = "line"
BLANK = 0
BATCH_PIXELS = 12_000  # of width in one batch, about 16 lines of a book page; larger ones leave the cache
NARROWEST, WIDEST = 16, 8192  # pixels of width at the network's height
WIDTH_STEP = 32  # batches are padded to multiples, so few shapes occur
FAINTEST = 24.0  # gray levels between paper and ink; below this, noise is not stretched to ink


class LineRecogniser:
    """Reads with one checkpoint. Not safe to share between threads that train; reading is."""

    def __init__(
        self,
        network: LineNetwork,
        charset: Sequence[str],
        *,
        checkpoint: str,
        scripts: Sequence[str],
        device: str = "cpu",
    ) -> None:
        self._network = network.to(device).eval()
        self._charset = tuple(charset)
        self._device = device
        self._checkpoint = checkpoint
        self._scripts = frozenset(scripts)

    @classmethod
    def load(cls, directory: Path, device: str = "cpu") -> LineRecogniser:
        """From a checkpoint directory; raises Rejected(UNSAFE_MODEL_FORMAT) when it is not one of ours."""
        checkpoint = load(directory)
        network = network_of(checkpoint)
        manifest = checkpoint.manifest
        return cls(network, manifest.charset, checkpoint=checkpoint.id, scripts=manifest.scripts, device=device)

    @property
    def producer(self) -> str:
        return PRODUCER

    @property
    def checkpoint(self) -> str:
        return self._checkpoint

    @property
    def scripts(self) -> frozenset[str]:
        return self._scripts

    @property
    def charset(self) -> tuple[str, ...]:
        """The symbols it can write, the blank left out."""
        return self._charset

    def read(self, images: Sequence[NDArray[np.uint8]]) -> list[Transcription]:
        """Readings of gray line images (H x W, uint8), in their order; an empty image reads as ""."""
        height = self._network.config.height
        prepared = [prepare(image, height) for image in images]
        readings: list[Transcription] = [Transcription("", 0.0)] * len(images)
        for group in batches_by_width([p.shape[1] for p in prepared]):
            for index, reading in zip(group, self._read_batch([prepared[i] for i in group]), strict=True):
                readings[index] = reading
        return readings

    def _read_batch(self, prepared: Sequence[NDArray[np.uint8]]) -> list[Transcription]:
        images, widths = batch_of(prepared)
        with torch.inference_mode():
            log_probabilities = self._network(images.to(self._device), widths.to(self._device))
            best = log_probabilities.max(dim=-1)
        symbols, scores = best.indices.cpu().numpy(), best.values.exp().cpu().numpy()
        return [self._decode(symbols[i, :n], scores[i, :n]) for i, n in enumerate(frames(widths).tolist())]

    def _decode(self, symbols: NDArray[np.int64], scores: NDArray[np.float32]) -> Transcription:
        if not len(symbols):
            return Transcription("", 0.0)
        starts = np.flatnonzero(np.diff(symbols, prepend=-1))  # where a run of one symbol begins
        peaks = np.maximum.reduceat(scores, starts)
        written = [(self._charset[s - 1], p) for s, p in zip(symbols[starts], peaks, strict=True) if s != BLANK]
        return transcription_of(*_in_logical_order([s for s, _ in written], [float(p) for _, p in written]))


def _in_logical_order(symbols: Sequence[str], probabilities: Sequence[float]) -> tuple[str, list[float]]:
    """The text that stands so from left to right, and the probability of each of its code points."""
    shown = "".join(symbols)
    known = [p for symbol, p in zip(symbols, probabilities, strict=True) for _ in symbol]
    return to_logical(shown), [known[place] for place in logical_places(shown)]


def network_of(checkpoint: LoadedCheckpoint) -> LineNetwork:
    """The network a checkpoint describes, with its weights; raises Rejected when they do not fit."""
    manifest = checkpoint.manifest
    if manifest.architecture != ARCHITECTURE:
        raise Rejected(
            Reason.UNSAFE_MODEL_FORMAT, f"architecture {manifest.architecture!r} is not {ARCHITECTURE!r}"
        )
    try:
        network = LineNetwork(NetworkConfig.of(manifest.config), len(manifest.charset) + 1)
        network.load_state_dict(checkpoint.weights)
    except (RuntimeError, TypeError, ValueError) as error:
        raise Rejected(Reason.UNSAFE_MODEL_FORMAT, f"the weights do not fit the manifest: {error}") from error
    return network


def prepare(image: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """A line scaled to `height`, its width in proportion (NARROWEST..WIDEST)."""
    if image.ndim != 2 or min(image.shape) < 1:
        return np.full((height, NARROWEST), 255, np.uint8)
    width = round(image.shape[1] * height / image.shape[0])
    width = min(WIDEST, max(NARROWEST, width))
    method = cv2.INTER_AREA if image.shape[0] > height else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), dtype=np.uint8)


def batch_of(prepared: Sequence[NDArray[np.uint8]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (B, 1, H, W), 0 paper and 1 ink, padded with paper; and their widths (B) in pixels."""
    widths = [image.shape[1] for image in prepared]
    padded = math.ceil(max(widths) / WIDTH_STEP) * WIDTH_STEP
    out = np.zeros((len(prepared), 1, prepared[0].shape[0], padded), np.float32)
    for row, image in enumerate(prepared):
        out[row, 0, :, : widths[row]] = _ink(image)
    return torch.from_numpy(out), torch.tensor(widths)


def batches_by_width(widths: Sequence[int], pixels: int = BATCH_PIXELS) -> list[list[int]]:
    """Indices grouped so that lines of like width share a batch of at most `pixels` of total width."""
    groups: list[list[int]] = []
    for index in sorted(range(len(widths)), key=lambda i: widths[i]):
        if groups and (len(groups[-1]) + 1) * widths[index] <= pixels:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _ink(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """0 for the line's paper, 1 for its ink: its own gray levels, stretched."""
    gray = image.astype(np.float32)
    dark, light = np.percentile(gray[:, ::4], (3, 90))
    ink: NDArray[np.float32] = np.clip((light - gray) / max(light - dark, FAINTEST), -0.25, 1.25)
    return ink
