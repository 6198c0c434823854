"""DeepSeek-OCR-2 (arXiv 2601.20552) as a page reader: prompts and markup of DeepSeek-OCR, another encoder.

    DeepseekOcr2Reader.load(directory, checkpoint=...) -> a PageReader

`directory` has the published layout that transformers reads (deepseek-community/DeepSeek-OCR-2). There is one
way to look at a page: whole, in 1024 pixels (256 tokens), and before that, where a side exceeds 768, in two to
six tiles of 768 (144 tokens each); one separator token ends the image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, Unpack

import torch
from torch import Tensor
from transformers import DeepseekOcr2ForConditionalGeneration
from transformers.models.deepseek_ocr2.image_processing_pil_deepseek_ocr2 import DeepseekOcr2ImageProcessorPil

from flywheel.figures import ReadingSettings
from models.generation import NgramGuard
from models.readers.deepseek_ocr.processing import BEGIN_ID, COARSE, FINE, IMAGE, Processor
from models.readers.protocol import PageInput
from models.readers.vision_language import (
    READ_AS_PUBLISHED,
    AnswerGenerator,
    AnswerOptions,
    PagePrompt,
    VisionLanguageReader,
    embedded,
    end_tokens,
    open_network,
    rgb,
    token_ids,
)

PRODUCER = "deepseek-ocr-2"
CELLS = ("<td>", "</td>")  # a table repeats them: the guard lets them pass


class DeepseekOcr2Reader(VisionLanguageReader):
    """Reads with a network and an image processor of transformers, and DeepSeek-OCR's tokenizer."""

    def __init__(
        self,
        network: Any,
        images: Any,
        processor: Processor,
        *,
        checkpoint: str,
        reading: ReadingSettings = READ_AS_PUBLISHED,
        **options: Unpack[AnswerOptions],
    ) -> None:
        self._network = network
        self._images = images
        self._image_token = processor.image_token_id
        self._prompt = COARSE if reading.grounded is False else FINE
        before, after = self._prompt.split(IMAGE)
        self._before, self._after = [BEGIN_ID, *processor.encode(before)], processor.encode(after)
        self._answers = AnswerGenerator(
            network,
            processor.decode,
            end=end_tokens(network, processor.tokenizer),
            guard=NgramGuard(exempt=token_ids(processor.tokenizer, *CELLS)).resized(
                reading.guard_size, reading.guard_window
            ),
            checkpoint=checkpoint,
            producer=PRODUCER,
            **options,
        )

    @classmethod
    def load(
        cls,
        directory: Path,
        *,
        checkpoint: str,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        reading: ReadingSettings = READ_AS_PUBLISHED,
        **options: Unpack[AnswerOptions],
    ) -> Self:
        """Raises SetupError or Rejected(UNSAFE_MODEL_FORMAT), see `vision_language.open_network`."""
        network = open_network(
            DeepseekOcr2ForConditionalGeneration,
            directory,
            model_type="deepseek_ocr2",
            published="deepseek-community/DeepSeek-OCR-2",
            device=device,
            dtype=dtype,
        )
        images = DeepseekOcr2ImageProcessorPil.from_pretrained(directory, local_files_only=True)
        processor = Processor.load(directory)
        return cls(
            network,
            images,
            processor,
            checkpoint=checkpoint,
            reading=reading,
            **options,
        )

    @property
    def reading(self) -> ReadingSettings:
        return replace(super().reading, grounded=self._prompt == FINE)

    def _prompts(self, pages: Sequence[PageInput]) -> Iterator[PagePrompt]:
        for page in pages:
            features = self._features(page)
            ids = [*self._before, *[self._image_token] * len(features), *self._after]
            yield PagePrompt(embedded(self._network, ids, self._image_token, features), len(features))

    def _features(self, page: PageInput) -> Tensor:
        """(tokens, width): tiles, the whole page, the separator."""
        views = self._images([rgb(page)], return_tensors="pt")
        whole, tiles = (
            views[name].to(self._network.device, self._network.dtype) if name in views else None
            for name in ("pixel_values", "pixel_values_local")
        )
        [features] = self._network.get_image_features(whole, tiles, views["num_local_patches"]).pooler_output
        found: Tensor = features
        return found
