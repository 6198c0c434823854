"""Batches of degraded training lines, and validation lines that stay the same.

    TrainingLines(...).epoch(number, start) -> batches     every line once, in an order of its own
    ValidationLines(...).read(recogniser) -> (clean scores, degraded scores)

Targets stand in visual order (flywheel/text/bidi.py), since CTC aligns them with the image from left to right;
true texts stay logical, for drawing and for scores. All randomness comes from (seed, epoch, place in the
epoch), so a resumed run sees what the killed one would have seen. Lines of like width share a batch. Decoded
lines are kept, at the network's height, as long as they fit into the recipe's cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flywheel.figures import Scores
from flywheel.recipes import LineRecipe
from flywheel.text.bidi import to_visual
from models.line_training.dataset import LineSamples
from models.line_training.drawn import DrawnLines, can_draw
from models.recognition.line import batch_of, batches_by_width, prepare
from models.recognition.network import frames
from models.recognition.protocol import Recogniser
from models.scores import normalise, score
from models.training.augment import degrade

MIXED = 12  # batches' worth of lines that are sorted by width together; more would order the epoch by width
SLACK = 1.1  # frames a line must have for each symbol, or it cannot be aligned


@dataclass(frozen=True, slots=True)
class LineBatch:
    """Images (B, 1, H, W), their widths (B) in pixels and frames (B), symbol ids in one row, lengths (B)."""

    images: Tensor
    widths: Tensor
    frames: Tensor
    targets: Tensor
    lengths: Tensor


class TrainingLines:
    """The lines of a run. `charset` without the blank; ids start at 1."""

    def __init__(
        self, lines: LineSamples, charset: Sequence[str], recipe: LineRecipe, height: int, seed: int
    ) -> None:
        self._lines, self._recipe, self._height, self._seed = lines, recipe, height, seed
        ids = {symbol: i + 1 for i, symbol in enumerate(charset)}
        self._texts = [normalise(text) for text in lines.texts]
        self._targets = [[ids[c] for c in target_text(text) if c in ids] for text in self._texts]
        self._widths = [max(1, round(w * height / max(1, h))) for w, h in lines.sizes]
        self._usable = [
            i for i, target in enumerate(self._targets) if target and SLACK * len(target) <= self._widths[i] / 4
        ]
        self._cache: dict[int, NDArray[np.uint8]] = {}
        self._cache_left = recipe.cache_bytes
        self._drawn = DrawnLines() if recipe.drawn_share > 0 and can_draw() else None

    def __len__(self) -> int:
        return len(self._usable)

    @property
    def steps_per_epoch(self) -> float:
        """About how many batches one pass takes."""
        return max(1.0, sum(self._widths[i] for i in self._usable) / self._recipe.batch_pixels)

    def epoch(self, number: int, start: int = 0) -> Iterator[LineBatch]:
        """Batches of one pass over the lines, from the `start`-th on; the same for the same number."""
        order = self._order(np.random.default_rng((self._seed, number)))
        for place in range(start, len(order)):
            yield self._batch(order[place], np.random.default_rng((self._seed, number, place)))

    def _order(self, generator: np.random.Generator) -> list[list[int]]:
        shuffled = generator.permutation(self._usable).tolist()
        pixels = self._recipe.batch_pixels
        mean = sum(self._widths[i] for i in shuffled) / max(1, len(shuffled))
        size = max(1, int(MIXED * pixels / max(1.0, mean)))
        groups: list[list[int]] = []
        for begin in range(0, len(shuffled), size):
            chunk = shuffled[begin : begin + size]
            batches = batches_by_width([self._widths[i] for i in chunk], pixels)
            groups += [[chunk[k] for k in batch] for batch in batches]
        return [groups[k] for k in generator.permutation(len(groups))]

    def _batch(self, indices: Sequence[int], generator: np.random.Generator) -> LineBatch:
        images, widths = batch_of([self._augmented(i, generator) for i in indices])
        targets = [self._targets[i] for i in indices]
        return LineBatch(
            images=images,
            widths=widths,
            frames=frames(widths),
            targets=torch.tensor([symbol for target in targets for symbol in target]),
            lengths=torch.tensor([len(target) for target in targets]),
        )

    def _augmented(self, index: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """The line as it is shown this time."""
        line = None
        if self._drawn is not None and generator.random() < self._recipe.drawn_share:
            drawn = self._drawn.draw(self._texts[index], generator)
            line = None if drawn is None else prepare(drawn, self._height)
        if line is None:
            line = self._line(index)
        return degrade(line, generator) if generator.random() < self._recipe.degrade else line

    def _line(self, index: int) -> NDArray[np.uint8]:
        cached = self._cache.get(index)
        if cached is None:
            cached = prepare(self._lines.image(index), self._height)
            if cached.nbytes <= self._cache_left:
                self._cache_left -= cached.nbytes
                self._cache[index] = cached
        return cached


def target_text(text: str) -> str:
    """The characters that the network is to write for a line, from left to right as their ink stands."""
    return to_visual(normalise(text))


class ValidationLines:
    """At most `most` lines spread over a split, each as it is and once degraded, always alike."""

    def __init__(self, lines: LineSamples, most: int, seed: int) -> None:
        lines = lines.subset(most)
        self._texts = lines.texts
        self._clean = [lines.image(i) for i in range(len(lines))]
        generators = (np.random.default_rng((seed, i)) for i in range(len(lines)))
        self._degraded = [degrade(image, g) for image, g in zip(self._clean, generators, strict=True)]

    def read(self, recogniser: Recogniser) -> tuple[Scores, Scores]:
        """Scores on the lines as they are, and degraded."""
        readings = [reading.text for reading in recogniser.read([*self._clean, *self._degraded])]
        half = len(self._clean)
        clean, degraded = (score(self._texts, part, notation=False) for part in (readings[:half], readings[half:]))
        return clean, degraded
