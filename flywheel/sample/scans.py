"""Scans: a born-digital PDF rasterised, tilted, unevenly lit, grainy, and stored as JPEG.

The truth moves with the picture: a line's box becomes the upright box around its tilted
corners. PDFs hold one image a page and no text; PNG and TIFF are written as such.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from flywheel.document import Box
from flywheel.sample.pages import DrawnLine, DrawnPage


@dataclass(frozen=True, slots=True)
class Wear:
    """Wear of one scan. Skew in degrees, blur in pixels, noise in gray levels, light 0..1."""

    skew: float
    blur: float
    noise: float
    light: float
    quality: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Wear:
        return cls(
            skew=float(rng.uniform(-1.5, 1.5)),
            blur=float(rng.uniform(0.3, 0.8)),
            noise=float(rng.uniform(4.0, 11.0)),
            light=float(rng.uniform(0.05, 0.22)),
            quality=int(rng.integers(45, 61)),
        )


def scan(pdf: Path, pages: list[DrawnPage], path: Path, *, dpi: int, rng: np.random.Generator) -> list[DrawnPage]:
    """Write `pdf` as a scan to `path` (.pdf, .png or .tiff); returns its pages with the boxes moved along.

    A PNG holds the first page alone.
    """
    import pymupdf

    wears = [Wear.draw(rng) for _ in pages]
    with pymupdf.open(pdf) as document:
        images = [
            _worn(_gray(document[number], dpi), wear, rng)
            for number, wear in enumerate(wears[: 1 if path.suffix == ".png" else None])
        ]
    if path.suffix == ".pdf":
        _write_pdf(images, wears, pages, path)
    else:
        images[0].save(path, dpi=(dpi, dpi), **_save_options(images, path))
    return [_tilted(page, wear.skew) for page, wear in zip(pages, wears, strict=True)][: len(images)]


def _save_options(images: list[Image.Image], path: Path) -> dict[str, Any]:
    if path.suffix == ".png":
        return {}
    return {"save_all": True, "append_images": images[1:], "compression": "tiff_adobe_deflate"}


def _gray(page: Any, dpi: int) -> NDArray[np.uint8]:
    """(H, W) gray levels of a PyMuPDF page."""
    import pymupdf

    pixels = page.get_pixmap(dpi=dpi, colorspace=pymupdf.csGRAY, alpha=False)
    return np.frombuffer(pixels.samples, np.uint8).reshape(pixels.height, pixels.stride)[:, : pixels.width]


def _worn(gray: NDArray[np.uint8], wear: Wear, rng: np.random.Generator) -> Image.Image:
    image = Image.fromarray(gray).rotate(wear.skew, Image.Resampling.BILINEAR, fillcolor=255)
    image = image.filter(ImageFilter.GaussianBlur(wear.blur))
    tones = np.asarray(image, dtype=np.float32) * (205 / 255) + 35  # paper is not white, ink not black
    height, width = tones.shape
    angle = rng.uniform(0, 2 * math.pi)
    across = np.cos(angle) * np.linspace(-1, 1, width, dtype=np.float32)
    down = np.sin(angle) * np.linspace(-1, 1, height, dtype=np.float32)
    tones *= 1 - wear.light * (0.5 + 0.5 * (across[None, :] + down[:, None]) / math.sqrt(2))
    tones += rng.standard_normal(tones.shape, dtype=np.float32) * wear.noise
    return Image.fromarray(np.clip(tones, 0, 255).astype(np.uint8))


def _write_pdf(images: list[Image.Image], wears: list[Wear], pages: list[DrawnPage], path: Path) -> None:
    import pymupdf

    with pymupdf.open() as document:
        for image, wear, page in zip(images, wears, pages, strict=True):
            data = io.BytesIO()
            image.save(data, "JPEG", quality=wear.quality)
            sheet = document.new_page(width=page.width, height=page.height)
            sheet.insert_image(sheet.rect, stream=data.getvalue(), keep_proportion=False)
        path.write_bytes(document.tobytes(garbage=3, no_new_id=True))


def _tilted(page: DrawnPage, degrees: float) -> DrawnPage:
    """The page's truth after its picture was turned about the centre, anticlockwise."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    middle_x, middle_y = page.width / 2, page.height / 2

    def turned(box: Box) -> Box:
        corners = [(x - middle_x, y - middle_y) for x in (box.x0, box.x1) for y in (box.y0, box.y1)]
        xs = [middle_x + x * cosine + y * sine for x, y in corners]
        ys = [middle_y - x * sine + y * cosine for x, y in corners]
        return Box(min(xs), min(ys), max(xs), max(ys))

    lines: tuple[DrawnLine, ...] = tuple(replace(line, box=turned(line.box)) for line in page.lines)
    return replace(page, lines=lines, rules=())
