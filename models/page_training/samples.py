"""Training samples of a page reader: pages with an answer, as plain text or as grounded markdown.

A page whose layout is known is sometimes the one, sometimes the other, told apart by the prompt
(DeepSeek-OCR, section 3.4.1); which one, how the image is degraded, and what of the answer is hidden, follows
from seed, epoch and place, so a resumed run sees what an unbroken one would have seen.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from flywheel.errors import Rejected
from flywheel.reasons import Reason
from flywheel.recipes import PageRecipe
from models.page_training.dataset import PageSamples, TrainingPages
from models.training.augment import degrade_page


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """A page's image (gray H x W uint8) and the answer to learn; `fine`: in grounded markdown. `seed` decides
    what of the answer is hidden."""

    image: NDArray[np.uint8]
    answer: str
    fine: bool
    seed: int = 0


class TrainingSamples(Dataset[TrainingSample]):
    """A round's pages, then those of other languages that are learned again, as many as the recipe's share.

    Raises Rejected(NO_LINES) when there is no page to learn from.
    """

    def __init__(self, pages: TrainingPages, recipe: PageRecipe, seed: int) -> None:
        self._own, self._replay = pages.own, pages.replay
        if not len(self._own):
            raise Rejected(Reason.NO_LINES, "the dataset has no page to train on")
        self._replayed = min(len(self._replay), math.ceil(recipe.replay_share * len(self._own)))
        self._recipe, self._seed = recipe, seed
        self.epoch = 0  # set by the callback: a data loader does not always pass it on

    @property
    def grounded(self) -> bool:
        """True when some pages are learned as grounded markdown: then it is how the result is read with."""
        return self._recipe.fine_share > 0 and any(self._own.markups)

    @property
    def dpi(self) -> float:
        """Resolution of most of the language's own pages."""
        return statistics.mode(self._own.dpis)

    def __len__(self) -> int:
        return len(self._own) + self._replayed

    def __getitem__(self, place: int) -> TrainingSample:
        generator = np.random.default_rng((self._seed, self.epoch, place))
        pages, index = self._own, place
        if place >= len(self._own):
            pages, index = self._replay, place - len(self._own)
        fine = bool(pages.markups[index]) and generator.random() < self._recipe.fine_share
        image = pages.image(index)
        if generator.random() < self._recipe.degrade:
            image = degrade_page(image, generator, move=not fine)  # the boxes would stay where they were
        seed = int(generator.integers(2**63))
        return TrainingSample(image, pages.markups[index] if fine else pages.texts[index], fine, seed)


def validation_pages(pages: TrainingPages, most: int) -> PageSamples:
    """At most `most` of the pages to watch the training by, spread over all of them."""
    step = max(1, len(pages.validation) // max(1, most))
    return pages.validation.subset(range(0, len(pages.validation), step)[:most])
