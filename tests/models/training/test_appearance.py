"""Claims about the appearance of pages: it survives what copying does to a page, and tells pages apart."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import pytest
from PIL import Image, ImageFilter

from models.training.appearance import Appearance, appearance
from tests.models.drawing import Gray, column, draw_page

SAME = 0.68  # flywheel/loop/likeness.py


@lru_cache(maxsize=64)
def page(seed: int, lines: int = 22) -> Gray:
    """A full page of Tibetan, its lines as long as their words."""
    drawn = [
        (x, y, text[: 40 + (7 * n + seed) % 25])
        for n, (x, y, text) in enumerate(column(90, 130, lines, 22, 50 * seed))
    ]
    return draw_page(drawn, width=1240, height=1754).image


def bits(packed: bytes) -> np.ndarray:
    return np.unpackbits(np.frombuffer(packed, np.uint8)).astype(bool)


def alike(one: Appearance, other: Appearance) -> float:
    """Share of equal bits among those known of either."""
    known = bits(one.known) | bits(other.known)
    return float((bits(one.bits) == bits(other.bits))[known].mean())


def jpeg(image: Gray, quality: int) -> Gray:
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "JPEG", quality=quality)
    return np.asarray(Image.open(encoded).convert("L"))


def scaled(image: Gray, factor: float) -> Gray:
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def scanned(image: Gray, degrees: float) -> Gray:
    """Turned, blurred, on gray paper that is darker to one side, with noise."""
    turned = Image.fromarray(image).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=255)
    gray = np.asarray(turned.filter(ImageFilter.GaussianBlur(1.2)), np.float64) * 0.75 + 50
    gray = gray - np.linspace(0, 35, gray.shape[1]) + np.random.default_rng(1).normal(0, 8, gray.shape)
    return jpeg(np.clip(gray, 0, 255).astype(np.uint8), 60)


COPIES = {
    "jpeg": lambda image: jpeg(image, 30),
    "half as large": lambda image: scaled(image, 0.5),
    "larger": lambda image: scaled(image, 1.7),
    "black on white": lambda image: ((image > 140) * 255).astype(np.uint8),
    "margins cut": lambda image: image[40:-30, 50:-40],
    "padded": lambda image: np.pad(image, 40, constant_values=255),
    "on the scanner's black": lambda image: np.pad(image, 22, constant_values=15),
    "faint": lambda image: (160 + image.astype(int) // 3).clip(0, 255).astype(np.uint8),
    "turned": lambda image: np.asarray(Image.fromarray(image).rotate(0.7, fillcolor=255)),
    "scanned": lambda image: scanned(image, 0.4),
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_of_a_page_is_known_again(copy: str) -> None:
    for seed in range(4):
        shared = alike(appearance(page(seed)), appearance(np.ascontiguousarray(COPIES[copy](page(seed)))))
        assert shared >= SAME + 0.02, seed


def test_full_pages_of_one_layout_are_told_apart() -> None:
    seen = [appearance(page(seed)) for seed in range(25)]
    most = max(alike(one, other) for n, one in enumerate(seen) for other in seen[:n])
    assert most < SAME - 0.05


def test_of_a_page_that_is_blank_or_nearly_so_nothing_is_known() -> None:
    empty = np.full((1754, 1240), 255, np.uint8)
    number = empty.copy()
    number[1600:1625, 600:640] = 0
    for image in (empty, number, np.full((3, 3), 128, np.uint8)):
        assert not any(appearance(image).known)


def test_an_appearance_is_of_any_page_size() -> None:
    for shape in ((1754, 1240), (300, 1800), (1, 1), (1, 500), (2000, 3)):
        made = appearance(np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8))
        assert (len(made.bits), len(made.known)) == (128, 128)
