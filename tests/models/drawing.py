"""Drawn lines, pages and datasets: everything these tests look at is made here, from a seed."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from flywheel.document import Box, Character
from models.line_training.dataset import LineSample, write_patches
from models.training.manifest import Split, write_manifest

Gray = NDArray[np.uint8]
TIBETAN, LATIN, CHINESE = 21, 0, 60


@lru_cache(maxsize=32)
def font(size: int, language: str = "bo") -> ImageFont.FreeTypeFont:
    import pymupdf

    face = {"bo": lambda: pymupdf.Font(script=TIBETAN), "en": lambda: pymupdf.Font("tiro")}.get(
        language, lambda: pymupdf.Font("china-s")
    )()
    return ImageFont.truetype(io.BytesIO(bytes(face.buffer)), size, layout_engine=ImageFont.Layout.RAQM)


def syllables(count: int, seed: int) -> str:
    """Simple well-formed Tibetan syllables, a tsheg after each."""
    r = random.Random(seed)
    vowels, finals = ["", "", "ི", "ུ", "ེ", "ོ"], ["", "", "ག", "ང", "ད", "ན", "བ", "མ", "ར", "ལ", "ས"]
    return "".join(
        r.choice("ཀཁགངཅཆཇཉཏཐདནཔཕབམཙཚཞཟཡརལཤསཧ") + r.choice(vowels) + r.choice(finals) + "་" for _ in range(count)
    )


def draw_line(text: str, size: int = 34, language: str = "bo") -> Gray:
    """A line, black on white, cut with a little air."""
    face = font(size, language)
    canvas = Image.new("L", (int(face.getlength(text)) + 40, size * 3), 255)
    ImageDraw.Draw(canvas).text((20, round(size * 1.6)), text, fill=0, font=face, anchor="ls")
    gray = np.asarray(canvas)
    rows, columns = np.flatnonzero(gray.min(axis=1) < 128), np.flatnonzero(gray.min(axis=0) < 128)
    return gray[rows[0] - 4 : rows[-1] + 5, columns[0] - 6 : columns[-1] + 7].copy()


@dataclass(frozen=True)
class DrawnPage:
    """A gray page and its truth: each line's text with its baseline's start, in pixels."""

    image: Gray
    lines: list[tuple[float, float, str]]
    dpi: float = 150.0

    @property
    def points(self) -> tuple[float, float]:
        return self.image.shape[1] * 72 / self.dpi, self.image.shape[0] * 72 / self.dpi

    def characters(self, language: str = "bo", size: int = 34) -> list[Character]:
        """The text layer: origins and boxes in points, one text-layer line a drawn line."""
        face, scale, out = font(size, language), 72 / self.dpi, []
        for number, (x, y, text) in enumerate(self.lines):
            for i, character in enumerate(text):
                left, right = (x + face.getlength(text[:n]) for n in (i, i + 1))
                box = Box(left * scale, (y - 2 * size) * scale, max(left, right) * scale, (y + size) * scale)
                out.append(Character(character, left * scale, y * scale, box, number))
        return out


def draw_page(
    lines: list[tuple[float, float, str]],
    width: int = 1240,
    height: int = 700,
    size: int = 34,
    language: str = "bo",
) -> DrawnPage:
    """A page with each (x, baseline, text) drawn on it."""
    canvas = Image.new("L", (width, height), 255)
    draw = ImageDraw.Draw(canvas)
    for x, y, text in lines:
        draw.text((x, y), text, fill=0, font=font(size, language), anchor="ls")
    return DrawnPage(np.asarray(canvas).copy(), lines)


def column(
    x: float, top: float, count: int, words: int, seed: int, pitch: float = 70
) -> list[tuple[float, float, str]]:
    return [(x, top + i * pitch, syllables(words, seed + i)) for i in range(count)]


def make_dataset(directory: Path, lines: int = 40, words: int = 4, seed: int = 0, extra: str = "") -> str:
    """A dataset of drawn lines: six of eight to train on, one to validate, one held out; returns its hash."""
    directory.mkdir(parents=True, exist_ok=True)
    splits: dict[str, Split] = {"a": "train", "b": "train", "c": "validation", "d": "heldout"}
    names = ["a", "b", "a", "b", "a", "b", "c", "d"]
    rows = []
    for i in range(lines):
        text = syllables(words, seed * 1000 + i) + extra
        rows.append(LineSample(names[i % 8], i, 0, text, draw_line(text), label=i, producer="drawn", dpi=150.0))
    write_patches(directory / "lines.parquet", rows)
    return write_manifest(directory, splits=splits, language="bo")
