"""Page readers that are vision-language models: from a folder with weights to the reading of a page.

    open_network(kind, directory, ...) -> network                  of safetensors, and no code of the folder's
    embedded(network, ids, image_token, features) -> Tensor        a prompt with its image in place
    VisionLanguageReader                                           one prompt a page, answers in batches

Pages go through the vision part one by one, so that a page's embeddings are the same whatever is read with it;
the language part continues many at once (models/generation).
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypedDict

import torch
from huggingface_hub.errors import StrictDataclassError
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor

from flywheel.document import PageReading
from flywheel.errors import Rejected, SetupError
from flywheel.figures import ReadingSettings
from flywheel.reasons import Reason
from models.generation import Generator, NgramGuard, Prompt
from models.readers.answers import page_reading, pieces_of
from models.readers.protocol import PageInput

CONFIG = "config.json"
READ_AS_PUBLISHED = ReadingSettings()
PIECES_KEPT = 1 << 17  # texts of single tokens, about a vocabulary


@dataclass(frozen=True)
class PagePrompt:
    """A prompt about a page: `embeds` (tokens, width), of which `image_tokens` stand for the image."""

    embeds: Tensor
    image_tokens: int


class AnswerGenerator:
    """The language part of a network with `model.language_model` and `lm_head`.

    `decode` gives tokens their text; `limit`: most tokens of an answer (its prompt and it never exceed the
    positions that the network knows); `batch`: pages that are written at once.
    """

    def __init__(
        self,
        network: Any,
        decode: Callable[[list[int]], str],
        *,
        end: frozenset[int],
        guard: NgramGuard,
        checkpoint: str,
        producer: str,
        limit: int = 8192,
        batch: int = 32,
    ) -> None:
        self._generator = Generator(
            network.model.language_model,
            network.get_input_embeddings(),
            network.lm_head,
            end=end,
            guard=guard,
            slots=batch,
        )
        self._decode = _remembering(decode)
        self.guard = guard
        self._positions = network.config.text_config.max_position_embeddings
        self._limit = limit
        self.checkpoint = checkpoint
        self.producer = producer

    def read(self, pages: Sequence[PageInput], prompts: Iterator[PagePrompt]) -> list[PageReading]:
        """Readings of pages, in their order; the next of `prompts`, one a page, is drawn when a slot is free."""
        image_tokens: list[int] = []

        def drawn() -> Iterator[Prompt]:
            for _ in pages:
                with torch.inference_mode():
                    prompt = next(prompts)
                image_tokens.append(prompt.image_tokens)
                yield Prompt(prompt.embeds, max(1, min(self._limit, self._positions - len(prompt.embeds))))

        readings: list[PageReading] = []
        for page, generated in zip(pages, self._generator.generate(drawn()), strict=True):
            pieces = pieces_of(generated.tokens, generated.log_probabilities, self._decode)
            reading = page_reading(
                "".join(text for text, _ in pieces),
                page,
                pieces=pieces,
                truncated=generated.truncated,
                checkpoint=self.checkpoint,
                producer=self.producer,
                vision_tokens=image_tokens[len(readings)],
                text_tokens=len(generated.tokens),
            )
            readings.append(reading)
        return readings


class AnswerOptions(TypedDict, total=False):
    """`limit`: most tokens of an answer; `batch`: pages that are generated at once."""

    limit: int
    batch: int


class VisionLanguageReader(ABC):
    """A PageReader around an `AnswerGenerator`; subclasses make the prompts about pages."""

    _answers: AnswerGenerator

    @property
    def checkpoint(self) -> str:
        return self._answers.checkpoint

    @property
    def producer(self) -> str:
        return self._answers.producer

    @property
    def reading(self) -> ReadingSettings:
        """The settings that it reads by, as far as they are its own."""
        guard = self._answers.guard
        return ReadingSettings(guard_size=guard.size, guard_window=guard.window)

    def read_many(self, pages: Sequence[PageInput]) -> list[PageReading]:
        """Readings of pages, in their order. A page without text has a label without regions."""
        return self._answers.read(pages, self._prompts(pages))

    @abstractmethod
    def _prompts(self, pages: Sequence[PageInput]) -> Iterator[PagePrompt]:
        """A prompt a page, each made when it is drawn."""


def open_network(
    kind: Any,
    directory: Path,
    *,
    model_type: str,
    published: str,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> Any:
    """A transformers model of class `kind`, in evaluation mode; in the file's own dtype unless told.

    Raises SetupError when the folder is not one of a `model_type`, naming the `published` one, and
    Rejected(UNSAFE_MODEL_FORMAT) when weights are not safetensors, or not those that config.json asks for.
    """
    found = _model_type(directory)
    if found != model_type:
        raise SetupError(f"{directory} holds a model of type {found!r}, not {model_type!r}: take {published}")
    try:
        network, read = kind.from_pretrained(
            directory,
            dtype=dtype or "auto",
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError, StrictDataclassError) as error:
        raise Rejected(Reason.UNSAFE_MODEL_FORMAT, f"{directory}: {error}") from error
    # transformers draws at random what a file lacks, and goes on.
    if lacking := sorted(read["missing_keys"]):
        raise Rejected(Reason.UNSAFE_MODEL_FORMAT, f"{directory} lacks {len(lacking)} weights, {lacking[0]} first")
    return network.to(device).eval()


def embedded(network: Any, ids: Sequence[int], image_token: int, features: Tensor) -> Tensor:
    """Embeddings (tokens, width) of `ids`, with `features` (image tokens, width) where `image_token` stands."""
    weight = network.get_input_embeddings().weight
    places = torch.tensor(ids, device=weight.device)
    embeds: Tensor = network.get_input_embeddings()(places)
    embeds[places == image_token] = features.to(embeds)
    return embeds


def rgb(page: PageInput) -> Image.Image:
    """The page's image in three channels, as vision parts take it."""
    return Image.fromarray(page.image).convert("RGB")


def end_tokens(network: Any, tokenizer: Any, *names: str) -> frozenset[int]:
    """The tokens that end an answer: those of the folder's configurations, and those of these names."""
    ends: set[int] = set()
    for source in (network.generation_config, network.config.text_config, tokenizer):
        given = getattr(source, "eos_token_id", None)
        ends.update(given if isinstance(given, list) else [] if given is None else [given])
    return frozenset(ends) | token_ids(tokenizer, *names)


def token_ids(tokenizer: Any, *names: str) -> frozenset[int]:
    """The numbers of these tokens, where the tokenizer has them."""
    known = tokenizer.get_vocab()
    return frozenset(known[name] for name in names if name in known)


def spelled(encode: Callable[[str], list[int]], text: str, marks: Iterable[str]) -> list[int]:
    """Token ids of a text that holds some of a tokenizer's marks as words: they are spelled, not meant.

    A page about such a model may well say "<image>"; as that one token it would be taken for an image's place.
    """
    pattern = re.compile("|".join(map(re.escape, sorted(filter(None, marks), key=len, reverse=True))))
    ids: list[int] = []
    place = 0
    for mark in pattern.finditer(text):
        ids += [*encode(text[place : mark.start()]), *encode(mark[0][:1]), *encode(mark[0][1:])]
        place = mark.end()
    return ids + encode(text[place:])


def _remembering(decode: Callable[[list[int]], str]) -> Callable[[list[int]], str]:
    """The same, faster where it is asked the most: for single tokens."""
    single = lru_cache(PIECES_KEPT)(lambda token: decode([token]))
    return lambda tokens: single(tokens[0]) if len(tokens) == 1 else decode(tokens)


def _model_type(directory: Path) -> object:
    try:
        config = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SetupError(f"no {CONFIG} in {directory}: not a folder with a model's files") from error
    except (OSError, ValueError) as error:
        raise SetupError(f"{directory / CONFIG} cannot be read: {error}") from error
    return config.get("model_type") if isinstance(config, dict) else None
