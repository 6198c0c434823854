"""`ppocr`: the PP-OCRv6 small recogniser from the rapidocr wheel, ready without training.

Reads Chinese, Japanese and Latin script. The charset lies in the ONNX file's own metadata. Its
network mixes information along the whole width and pads with zeros it cannot tell from ink-free
paper, so a line's text would depend on its neighbours in the batch: lines are batched only with
lines of exactly their own width after rounding up to WIDTH_STEP, which is a function of the line
alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models.packaged import open_packaged
from models.recognition.protocol import Transcription, transcription_of

MODEL = "PP-OCRv6_rec_small.onnx"
PRODUCER = "ppocr"
CHECKPOINT = "ppocr-v6-small"  # and SCRIPTS: as the first migration records them
SCRIPTS = frozenset({"Latn", "Hani", "Bopo", "Hira", "Kana"})
HEIGHT = 48
WIDTH_STEP = 32
NARROWEST, WIDEST = 320, 4096  # the network was trained on lines padded to 320 and more
BATCH_PIXELS = 16_000  # of width in one batch


class PpocrRecogniser:
    """A warm PP-OCRv6 recogniser. `threads` is what one call may use."""

    def __init__(self, threads: int = 1) -> None:
        self._session = open_packaged(MODEL, threads)
        characters = self._session.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._symbols = ("", *characters, " ")  # index 0 is the CTC blank

    @property
    def producer(self) -> str:
        return PRODUCER

    @property
    def checkpoint(self) -> str:
        return CHECKPOINT

    @property
    def scripts(self) -> frozenset[str]:
        return SCRIPTS

    @property
    def charset(self) -> tuple[str, ...]:
        """The symbols it can write, the blank left out."""
        return self._symbols[1:]

    def read(self, images: Sequence[NDArray[np.uint8]]) -> list[Transcription]:
        """Readings of gray line images (H x W, uint8), in their order; an empty image reads as ""."""
        by_width: dict[int, list[int]] = defaultdict(list)
        prepared = [_prepare(image) for image in images]
        for index, image in enumerate(prepared):
            by_width[image.shape[1]].append(index)
        readings: list[Transcription] = [Transcription("", 0.0)] * len(images)
        for width, indices in sorted(by_width.items()):
            size = max(1, BATCH_PIXELS // width)
            for start in range(0, len(indices), size):
                group = indices[start : start + size]
                for index, reading in zip(group, self._read_batch([prepared[i] for i in group]), strict=True):
                    readings[index] = reading
        return readings

    def _read_batch(self, prepared: Sequence[NDArray[np.float32]]) -> list[Transcription]:
        gray = np.stack(prepared)[:, None]  # (B, 1, H, W)
        batch = np.ascontiguousarray(np.broadcast_to(gray, (len(prepared), 3, *gray.shape[2:])))
        (probabilities,) = self._session.run(None, {"x": batch})  # (B, T, N)
        return [self._decode(row.argmax(axis=-1), row.max(axis=-1)) for row in probabilities]

    def _decode(self, symbols: NDArray[np.int64], scores: NDArray[np.float32]) -> Transcription:
        starts = np.flatnonzero(np.diff(symbols, prepend=-1))
        peaks = np.maximum.reduceat(scores, starts)
        written = [(self._symbols[s], p) for s, p in zip(symbols[starts], peaks, strict=True) if s]
        return transcription_of([s for s, _ in written], [float(p) for _, p in written])


def _prepare(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scaled to 48 pixels high, -1 ink to 1 paper, zeros beyond the line's own width."""
    out_height = HEIGHT
    if image.ndim != 2 or min(image.shape) < 1:
        return np.zeros((out_height, NARROWEST), np.float32)
    width = min(WIDEST, max(1, math.ceil(image.shape[1] * out_height / image.shape[0])))
    padded = max(NARROWEST, math.ceil(width / WIDTH_STEP) * WIDTH_STEP)
    scaled = cv2.resize(image, (width, out_height)).astype(np.float32) / 127.5 - 1.0
    out = np.zeros((out_height, padded), np.float32)
    out[:, :width] = scaled
    return out
