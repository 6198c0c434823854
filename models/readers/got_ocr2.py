"""GOT-OCR2.0 (arXiv 2409.01704) as a page reader: the whole page as plain text, or as formatted text.

    GotOcr2Reader.load(directory, checkpoint=...) -> a PageReader

`directory` has the published layout that transformers reads (stepfun-ai/GOT-OCR-2.0-hf). The page is squeezed
into a square of 1024 pixels, 256 tokens. It knows no boxes: its text is one region over the page. Asked with
`formatted`, it writes formulas as LaTeX and tables as LaTeX tabulars.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoTokenizer, GotOcr2ForConditionalGeneration, GotOcr2Processor
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from flywheel.figures import ReadingSettings
from models.generation import NgramGuard
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
)

PRODUCER = "got-ocr2"
END = "<|im_end|>"
COMPRESSION = 4  # sides: the projector's two convolutions of stride 2 (section 3.2)
GUARD = NgramGuard(size=20, window=400)  # the published code forbids 20-grams over all of an answer


class GotOcr2Reader(VisionLanguageReader):
    """Reads with a network and a processor of transformers."""

    def __init__(
        self,
        network: Any,
        processor: Any,
        *,
        checkpoint: str,
        formatted: bool = False,
        reading: ReadingSettings = READ_AS_PUBLISHED,
        **options: Unpack[AnswerOptions],
    ) -> None:
        self._network = network
        self._processor = processor
        self._formatted = formatted
        self._answers = AnswerGenerator(
            network,
            self._decode,
            end=end_tokens(network, processor.tokenizer, END),
            guard=GUARD.resized(reading.guard_size, reading.guard_window),
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
        formatted: bool = False,
        reading: ReadingSettings = READ_AS_PUBLISHED,
        **options: Unpack[AnswerOptions],
    ) -> Self:
        """Raises SetupError or Rejected(UNSAFE_MODEL_FORMAT), see `vision_language.open_network`."""
        network, processor = open_network_and_processor(directory, device=device, dtype=dtype)
        return cls(
            network,
            processor,
            checkpoint=checkpoint,
            formatted=formatted,
            reading=reading,
            **options,
        )

    @property
    def reading(self) -> ReadingSettings:
        return replace(super().reading, grounded=False)

    def _prompts(self, pages: Sequence[PageInput]) -> Iterator[PagePrompt]:
        image_token = self._processor.image_token_id
        for page in pages:
            inputs = prompt_inputs(self._network, self._processor, page.image, formatted=self._formatted)
            pixels = inputs["pixel_values"].to(self._network.device, self._network.dtype)
            [features] = self._network.get_image_features(pixels).pooler_output
            ids = inputs["input_ids"][0].tolist()
            yield PagePrompt(embedded(self._network, ids, image_token, features), len(features))

    def _decode(self, tokens: list[int]) -> str:
        text: str = self._processor.tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text


def open_network_and_processor(
    directory: Path, *, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> tuple[Any, Any]:
    """Network and processor of a folder. Raises SetupError or Rejected, see `vision_language.open_network`."""
    network = open_network(
        GotOcr2ForConditionalGeneration,
        directory,
        model_type="got_ocr2",
        published="stepfun-ai/GOT-OCR-2.0-hf",
        device=device,
        dtype=dtype,
    )
    tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    images = GotOcr2ImageProcessorPil.from_pretrained(directory, local_files_only=True)
    return network, GotOcr2Processor(images, tokenizer)


def prompt_inputs(network: Any, processor: Any, image: NDArray[np.uint8], *, formatted: bool = False) -> Any:
    """Tensors of the prompt about one image (`input_ids`, `pixel_values`), for plain or for formatted text."""
    vision = network.config.vision_config
    tokens = (vision.image_size // vision.patch_size // COMPRESSION) ** 2
    picture = Image.fromarray(image).convert("RGB")
    return processor(images=[picture], format=formatted, num_image_tokens=tokens, return_tensors="pt")
