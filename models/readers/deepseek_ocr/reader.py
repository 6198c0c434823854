"""DeepSeek-OCR as a page reader: many pages in, one labelled reading each out.

    DeepseekOcrReader.load(directory, *, checkpoint, mode, device, ...) -> DeepseekOcrReader
    .read_many(pages)           views, features and prompts ahead of a generator that is kept busy
    .with_mode(mode)            the same network, in another mode

Threads prepare views while the network works. Features are computed for a few pages at a time, as the generator
asks for prompts. The mode "auto" reads twice: in base mode, and in gundam mode what it was unsure of; the surer
reading stays.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Self, Unpack

import torch
from torch import Tensor

from flywheel.document import PageReading
from flywheel.figures import ReadingSettings
from models.generation import NgramGuard
from models.readers.deepseek_ocr.network import DeepseekOcrForConditionalGeneration
from models.readers.deepseek_ocr.processing import COARSE, FINE, Processor, stacked
from models.readers.deepseek_ocr.views import Views, mode_named, views_of, vision_tokens
from models.readers.deepseek_ocr.weights import load
from models.readers.protocol import PageInput
from models.readers.vision_language import (
    READ_AS_PUBLISHED,
    AnswerGenerator,
    AnswerOptions,
    PagePrompt,
    VisionLanguageReader,
    end_tokens,
    token_ids,
)

PRODUCER = "deepseek-ocr"
AUTO = "auto"
FIRST_MODE, CLOSER_MODE = "base", "gundam"
SURE = 0.75  # mean confidence from which a first reading is enough
CELLS = ("<td>", "</td>")  # a table repeats them: the guard lets them pass
VIEWS_AT_ONCE = 8  # through the vision encoders; memory is theirs to run out of
THREADS = 4  # that prepare views; Pillow computes outside the interpreter's lock


class DeepseekOcrReader(VisionLanguageReader):
    """Reads whole pages. `mode` is the name of one of MODES, or "auto"; what `reading` says goes before it.

    Raises SetupError for an unknown mode.
    """

    def __init__(
        self,
        network: DeepseekOcrForConditionalGeneration,
        processor: Processor,
        *,
        checkpoint: str,
        mode: str = "base",
        reading: ReadingSettings = READ_AS_PUBLISHED,
        **options: Unpack[AnswerOptions],
    ) -> None:
        network.eval()  # type: ignore[no-untyped-call]
        self._network = network
        self._processor = processor
        self._mode = _known(reading.mode or mode)
        self._prompt = COARSE if reading.grounded is False else FINE
        self._views_at_once = VIEWS_AT_ONCE
        self._answers = AnswerGenerator(
            network,
            processor.decode,
            end=end_tokens(network, processor.tokenizer),
            guard=NgramGuard(size=30, window=90, exempt=token_ids(processor.tokenizer, *CELLS)).resized(
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
        mode: str = "base",
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        reading: ReadingSettings = READ_AS_PUBLISHED,
        **options: Unpack[AnswerOptions],
    ) -> Self:
        """From a folder in the published layout. Raises SetupError and Rejected, as `weights.load` does."""
        return cls(
            load(directory, dtype=dtype, device=device),
            Processor.load(directory),
            checkpoint=checkpoint,
            mode=mode,
            reading=reading,
            **options,
        )

    @property
    def mode(self) -> str:
        return self._mode

    @property
    def reading(self) -> ReadingSettings:
        return replace(super().reading, mode=self._mode, grounded=self._prompt == FINE)

    def with_mode(self, mode: str) -> Self:
        """The same reader in another mode; both share network and memory. Raises SetupError."""
        other = copy.copy(self)
        other._mode = _known(mode)
        return other

    def read_many(self, pages: Sequence[PageInput]) -> list[PageReading]:
        if self._mode == AUTO:
            return self._read_twice(pages)
        return super().read_many(pages)

    def _read_twice(self, pages: Sequence[PageInput]) -> list[PageReading]:
        """Each page's surer reading, of the first mode and, where that was unsure, of the closer one."""
        readings = self.with_mode(FIRST_MODE).read_many(pages)
        unsure = [place for place, reading in enumerate(readings) if not is_sure(reading)]
        closer = self.with_mode(CLOSER_MODE).read_many([pages[place] for place in unsure])
        for place, reading in zip(unsure, closer, strict=True):
            readings[place] = min(readings[place], reading, key=doubt)
        return readings

    def _prompts(self, pages: Sequence[PageInput]) -> Iterator[PagePrompt]:
        """A prompt a page, embedded; features are computed for a few pages ahead."""
        prepared = self._prepared(pages)
        while group := list(islice(prepared, self._views_at_once)):
            for views, features in zip(group, self._features(group), strict=True):
                yield self._embedded(views, features)

    def _prepared(self, pages: Sequence[PageInput]) -> Iterator[Views]:
        """Views in the pages' order, prepared by threads up to two groups ahead."""
        mode = mode_named(self._mode)
        waiting: deque[Future[Views]] = deque()
        with ThreadPoolExecutor(THREADS, thread_name_prefix="views") as pool:
            for page in pages:
                waiting.append(pool.submit(views_of, page.image, mode))
                if len(waiting) > 2 * self._views_at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _features(self, views: Sequence[Views]) -> list[Tensor]:
        """Each image's part of the prompt. Where the device lacks the memory, fewer views go at once;
        raises torch.OutOfMemoryError when one is too many."""
        tensors = stacked(views)
        while True:
            try:
                with torch.inference_mode():
                    features: list[Tensor] = self._network.image_features(**tensors, chunk=self._views_at_once)
                    return features
            except torch.OutOfMemoryError:
                if self._views_at_once == 1:
                    raise
            # Outside of the handler, so that the failed pass's tensors are gone.
            self._views_at_once //= 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _embedded(self, views: Views, features: Tensor) -> PagePrompt:
        ids = torch.tensor([self._processor.prompt_ids(self._prompt, views)], device=features.device)
        with torch.inference_mode():
            embeds = self._network.model.embedded(ids, features)[0]
        return PagePrompt(embeds, vision_tokens(mode_named(self._mode), views.grid))


def doubt(reading: PageReading) -> tuple[bool, bool, float]:
    """Orders readings of one page: those cut off last, then those with flaws, then by confidence."""
    confidence = reading.label.confidence
    return reading.truncated, bool(reading.flaws), -(confidence if confidence is not None else 0.0)


def is_sure(reading: PageReading) -> bool:
    """True for a reading that came to its end, found something, and is confident of it."""
    confidence = reading.label.confidence
    return not reading.truncated and confidence is not None and confidence >= SURE


def _known(mode: str) -> str:
    return mode if mode == AUTO else mode_named(mode).name
