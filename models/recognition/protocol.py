"""Protocol of recognisers: images of lines in, one transcription each out.

The contract that all implementations pass (tests/models/recognition/test_recognisers.py): as many transcriptions
as images and in their order; confidences in 0..1, one a code point of the text; NFC text; and the same
image gives the same text whatever else is in the batch.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Transcription:
    """One line, read. `character_confidences` has one probability (0..1) for each code point of `text`.

    `confidence` is the line's: the geometric mean of its characters', 0 for an empty one.
    """

    text: str
    confidence: float
    character_confidences: tuple[float, ...] = ()


@runtime_checkable
class Recogniser(Protocol):
    """Reads lines of the scripts it knows (ISO 15924).

    `producer` names the kind of reader in the labels made with it; `checkpoint` names its weights.
    """

    @property
    def producer(self) -> str: ...

    @property
    def checkpoint(self) -> str: ...

    @property
    def scripts(self) -> frozenset[str]: ...

    def read(self, images: Sequence[NDArray[np.uint8]]) -> list[Transcription]:
        """Transcriptions of gray images (H x W, uint8, dark ink on light paper), in the images' order."""
        ...


def transcription_of(symbols: Sequence[str], probabilities: Sequence[float]) -> Transcription:
    """A transcription from decoded symbols (each one or more code points) and their probabilities.

    The text is NFC and stripped. Where normalisation moves code points, a confidence stays with its
    place in the text: neighbours inside one cluster were read from the same ink.
    """
    text, parts = "", []
    for symbol, probability in zip(symbols, probabilities, strict=True):
        text += symbol
        parts += [min(1.0, max(0.0, float(probability)))] * len(symbol)
    lead = len(text) - len(text.lstrip())
    text, parts = text.strip(), parts[lead : lead + len(text.strip())]
    normal = unicodedata.normalize("NFC", text)
    if len(normal) != len(text):  # composed or decomposed: spread over the new length
        places = np.linspace(0, max(0, len(parts) - 1), len(normal)).round().astype(int)
        parts = [parts[i] for i in places]
    if not parts:
        return Transcription("", 0.0)
    mean = float(np.exp(np.log(np.maximum(parts, 1e-6)).mean()))
    return Transcription(normal, min(1.0, mean), tuple(parts))
