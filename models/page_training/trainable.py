"""Page readers in training: the part of it that differs between architectures.

trainable_reader(recipe, directory)            opened from published files, in float32 on the CPU;
                                               saved in the dtype they came in
.batch(samples, length)                        tensors for a step, labels masked to the answers
.parts()                                       what can be frozen, by name
.reader(limit=..., batch=...)                  the network as it is now, as a page reader
.save(directory)                               in the published layout, with tokenizer and processor
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from flywheel.figures import ReadingSettings
from flywheel.recipes import PageRecipe
from models.page_training.samples import TrainingSample
from models.readers.vision_language import VisionLanguageReader, spelled

MASKED = -100  # labels that no loss is taken of
IN_TRAINING = "in training"
COMPANIONS = ("*.json", "*.txt", "*.model", "*.jinja")  # tokenizer and processor; nothing that could be code


class TrainableReader(Protocol):
    """A network in training and all it needs to learn, read and be saved."""

    network: Any
    fine: bool  # whether it is read with as one that answers in grounded markdown

    def batch(self, samples: Sequence[TrainingSample], length: int) -> dict[str, Tensor]: ...

    def parts(self) -> Mapping[str, nn.Module]: ...

    def reader(self, *, limit: int, batch: int) -> VisionLanguageReader: ...

    def tokens(self, text: str) -> int: ...

    def save(self, directory: Path) -> None: ...


def trainable_reader(recipe: PageRecipe, directory: Path) -> TrainableReader:
    """The network that a recipe trains. Raises what the loaders raise."""
    made: TrainableReader = TRAINABLE_READERS[recipe.architecture](directory, recipe)
    return made


class TrainableDeepseekOcr:
    """DeepSeek-OCR: plain text after the one prompt, grounded markdown after the other."""

    def __init__(self, directory: Path, recipe: PageRecipe) -> None:
        from models.readers.deepseek_ocr import processing, weights

        self._directory, self._mode = directory, recipe.mode
        self.fine = recipe.fine_share > 0  # as the service will read with it
        self._prompts = {True: processing.FINE, False: processing.COARSE}
        self.network, self._published = in_training_dtype(weights.load(directory), recipe)
        self._processor = processing.Processor.load(directory)

    def batch(self, samples: Sequence[TrainingSample], length: int) -> dict[str, Tensor]:
        views = [self._processor.views(sample.image, self._mode) for sample in samples]
        prompts = [self._prompts[sample.fine] for sample in samples]
        return self._processor.batch(prompts, views, [sample.answer for sample in samples], length=length)

    def parts(self) -> Mapping[str, nn.Module]:
        parts: Mapping[str, nn.Module] = self.network.parts()
        return parts

    def reader(self, *, limit: int, batch: int) -> VisionLanguageReader:
        from models.readers.deepseek_ocr.reader import DeepseekOcrReader

        return DeepseekOcrReader(
            self.network,
            self._processor,
            checkpoint=IN_TRAINING,
            reading=ReadingSettings(mode=self._mode, grounded=self.fine),
            limit=limit,
            batch=batch,
        )

    def tokens(self, text: str) -> int:
        return len(self._processor.encode(text))

    def save(self, directory: Path) -> None:
        from models.readers.deepseek_ocr import weights

        weights.save(self.network.to(self._published), directory, companions=self._directory)


class TrainableGotOcr2:
    """GOT-OCR2.0: plain text only."""

    def __init__(self, directory: Path, recipe: PageRecipe) -> None:
        from models.readers.got_ocr2 import open_network_and_processor

        self._directory = directory
        network, self._processor = open_network_and_processor(directory)
        self.network, self._published = in_training_dtype(network, recipe)
        self.fine = False

    def batch(self, samples: Sequence[TrainingSample], length: int) -> dict[str, Tensor]:
        from models.readers.got_ocr2 import END, prompt_inputs

        tokenizer = self._processor.tokenizer
        end = tokenizer.convert_tokens_to_ids(END)
        encode = partial(tokenizer.encode, add_special_tokens=False)
        rows, labels, pixels = [], [], []
        for sample in samples:
            inputs = prompt_inputs(self.network, self._processor, sample.image)
            head = inputs["input_ids"][0].tolist()
            tail = [*spelled(encode, sample.answer, tokenizer.get_added_vocab()), end]
            rows.append([*head, *tail][:length])
            labels.append([MASKED] * len(head) + rows[-1][len(head) :])
            pixels.append(inputs["pixel_values"])
        return {
            "input_ids": filled(rows, end),
            "attention_mask": filled([[1] * len(row) for row in rows], 0),
            "labels": filled(labels, MASKED),
            "pixel_values": torch.cat(pixels),
        }

    def parts(self) -> Mapping[str, nn.Module]:
        model = self.network.model
        return {
            "vision": model.vision_tower,
            "projector": model.multi_modal_projector,
            "decoder": model.language_model,
            "head": self.network.lm_head,
        }

    def reader(self, *, limit: int, batch: int) -> VisionLanguageReader:
        from models.readers.got_ocr2 import GotOcr2Reader

        return GotOcr2Reader(self.network, self._processor, checkpoint=IN_TRAINING, limit=limit, batch=batch)

    def tokens(self, text: str) -> int:
        return len(self._processor.tokenizer.encode(text, add_special_tokens=False))

    def save(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for pattern in COMPANIONS:
            for path in self._directory.glob(pattern):
                shutil.copy(path, directory / path.name)
        (directory / "checkpoint.json").unlink(missing_ok=True)  # of the parent; ours is written last
        self.network.to(self._published).save_pretrained(directory)


TRAINABLE_READERS: dict[str, Any] = {"deepseek-ocr": TrainableDeepseekOcr, "got-ocr2": TrainableGotOcr2}


def in_training_dtype(network: Any, recipe: PageRecipe) -> tuple[Any, torch.dtype]:
    """The network in float32, and the dtype it came in. Under adapters it stays in that: it only carries them."""
    published: torch.dtype = network.dtype
    return (network if recipe.lora.rank else network.to(torch.float32)), published


def filled(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Rows as one matrix, short ones filled up on the right."""
    longest = max(map(len, rows))
    return torch.from_numpy(np.array([[*row, *[value] * (longest - len(row))] for row in rows], dtype=np.int64))
