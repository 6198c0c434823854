"""Pages and prompts as tensors for DeepSeek-OCR's network.

    Processor.load(directory) -> Processor
    .views(image, mode)                     the views of a mode (models/readers/deepseek_ocr/views.py)
    .prompt_ids(prompt, views)              begin, text before the image, its placeholders, text after it
    .batch(prompts, views, answers)         tensors for a training step, labels masked to the answers
    FINE, COARSE, ... , locate(what)        the published prompts

The prompts are the published ones to the letter: which one stands before an answer is how the model tells
coarse labels from fine ones (DeepSeek-OCR, section 3.4.1).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from flywheel.errors import SetupError
from models.readers.deepseek_ocr.config import IMAGE_TOKEN_ID
from models.readers.deepseek_ocr.views import (
    MODES,
    UNCUT,
    Mode,
    Pixels,
    Views,
    mode_named,
    valid_tokens,
    views_of,
    vision_tokens,
)
from models.readers.vision_language import spelled

__all__ = [
    "COARSE",
    "DESCRIBE",
    "FIGURE",
    "FINE",
    "MODES",
    "OCR_GROUNDED",
    "UNCUT",
    "Mode",
    "Processor",
    "Views",
    "is_grounded",
    "locate",
    "valid_tokens",
    "vision_tokens",
]

IMAGE, GROUNDING = "<image>", "<|grounding|>"
FINE = "<image>\n<|grounding|>Convert the document to markdown."  # regions with boxes and text: a fine label
COARSE = "<image>\nFree OCR."  # the page's text without layout: a coarse label
OCR_GROUNDED = "<image>\n<|grounding|>OCR this image."  # lines with boxes, of images that are no documents
FIGURE = "<image>\nParse the figure."  # a chart as a table, a formula as SMILES, geometry as segments
DESCRIBE = "<image>\nDescribe this image in detail."  # a caption of a picture

BEGIN_ID, END_ID = 0, 1  # the published code writes them as numbers, whatever the tokenizer calls them
MASKED = -100  # labels that no loss is taken of


def locate(what: str) -> str:
    """The prompt that asks where something is: the answer is its box."""
    return f"<image>\nLocate <|ref|>{what}<|/ref|> in the image."


def is_grounded(prompt: str) -> bool:
    """True when the answer to a prompt has boxes in it."""
    return GROUNDING in prompt


class Processor:
    """A tokenizer (of transformers, fast) and the number of its "<image>", which marks an image's places."""

    def __init__(self, tokenizer: Any, image_token_id: int = IMAGE_TOKEN_ID) -> None:
        self.tokenizer = tokenizer
        self.image_token_id = image_token_id

    @classmethod
    def load(cls, directory: Path) -> Self:
        """From tokenizer.json, which alone says how text becomes tokens; raises SetupError without it.

        The published tokenizer_config.json names a class of transformers 4 that read tokenizer.json; in
        transformers 5 a class of that name builds another tokenizer, so the name is not followed.
        """
        if not (directory / "tokenizer.json").is_file():
            raise SetupError(f"no tokenizer.json in {directory}")
        path = directory / "tokenizer_config.json"
        names = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=str(directory / "tokenizer.json"),
            clean_up_tokenization_spaces=False,
            **{key: _content(names[key]) for key in ("bos_token", "eos_token", "pad_token") if names.get(key)},
        )
        image = tokenizer.convert_tokens_to_ids(IMAGE)
        if not isinstance(image, int) or image == tokenizer.unk_token_id:
            raise SetupError(f"the tokenizer in {directory} knows no {IMAGE}")
        return cls(tokenizer, image)

    def views(self, image: Pixels, mode: Mode | str) -> Views:
        """See `models.readers.deepseek_ocr.views.views_of`."""
        return views_of(image, mode_named(mode) if isinstance(mode, str) else mode)

    def prompt_ids(self, prompt: str, views: Views) -> list[int]:
        """Token ids of a prompt about one image, in the published plain template: no white space around the text.

        Raises ValueError unless `prompt` holds "<image>" once.
        """
        parts = prompt.strip().split(IMAGE)
        if len(parts) != 2:
            raise ValueError(f"a prompt about one image holds {IMAGE} once: {prompt!r}")
        before, after = (self.encode(part) for part in parts)
        return [BEGIN_ID, *before, *[self.image_token_id] * views.placeholders, *after]

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, nothing added before or behind."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def answer_ids(self, text: str) -> list[int]:
        """Token ids of an answer to learn: markup is meant, an image's place and the ends of texts are words."""
        marks = [IMAGE, GROUNDING, *(self.tokenizer.convert_ids_to_tokens([BEGIN_ID, END_ID]))]
        return spelled(self.encode, text, [*marks, *self.tokenizer.all_special_tokens])

    def decode(self, ids: list[int]) -> str:
        """The text of token ids, markup kept."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def batch(
        self,
        prompts: Sequence[str],
        views: Sequence[Views],
        answers: Sequence[str] | None = None,
        *,
        length: int | None = None,
    ) -> dict[str, Tensor]:
        """The network's arguments for images with prompts, filled up on the right; with `answers`, labels too:
        -100 but on the answer and the end token behind it. An answer is cut where the row would be longer than
        `length`; it then has no end to learn.
        """
        heads = [self.prompt_ids(prompt, view) for prompt, view in zip(prompts, views, strict=True)]
        tails: list[list[int]] = [[] for _ in heads]
        if answers is not None:
            tails = [[*self.answer_ids(answer), END_ID] for answer in answers]
        rows = [[*head, *tail][:length] for head, tail in zip(heads, tails, strict=True)]
        batch = {
            "input_ids": _filled(rows, END_ID),
            "attention_mask": _filled([[1] * len(row) for row in rows], 0),
            **stacked(views),
        }
        if answers is not None:
            masked = [[MASKED] * len(head) + row[len(head) :] for head, row in zip(heads, rows, strict=True)]
            batch["labels"] = _filled(masked, MASKED)
        return batch


def stacked(views: Sequence[Views]) -> dict[str, Tensor]:
    """Views of one mode as the network's `pixel_values`, `local_grids` [n, 2] and, where there are tiles,
    `pixel_values_local`: uint8, channels first."""
    tensors = {
        "pixel_values": _channels_first(np.stack([view.global_view for view in views])),
        "local_grids": torch.tensor([view.grid for view in views]),
    }
    tiles = [view.tiles for view in views if view.grid != UNCUT]
    if tiles:
        tensors["pixel_values_local"] = _channels_first(np.concatenate(tiles))
    return tensors


def _channels_first(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))


def _filled(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Rows as one matrix, short ones filled up on the right."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])


def _content(token: str | dict[str, Any]) -> str:
    """tokenizer_config.json writes a token as its text, or as an object that holds it."""
    return token if isinstance(token, str) else str(token["content"])
