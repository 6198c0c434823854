"""Degradation: a clean line or page made to look printed, aged, scanned and compressed.

    degrade(line, generator) -> line        gray H x W uint8 in and out; the width may change
    degrade_page(page, generator) -> page   the same of a page, which keeps its size

Every effect is drawn at random and cheap (measured: 0.5 ms a line of 48 x 650 pixels), for training
runs on the cores that do the learning. The order is the world's: the page lies askew, ink bleeds or
wears, the lens blurs, paper and light are uneven, the sensor is noisy, the file is compressed.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

SKEW = 0.5  # degrees left over after a page was levelled
SHEAR = 0.12
STRETCH = 0.10  # of the width
GROW = (0.86, 1.07)  # of the height: crops are tighter or looser than the training patches'
SHIFT = 0.06  # of the height, up or down
BLUR = (0.3, 1.1)  # sigma in pixels at 48 high
NOISE = 16.0  # gray levels
JPEG = (30, 85)
PAPER = (175.0, 255.0)
CONTRAST = (0.45, 1.0)
PAGE_SCALE = 0.02
PAGE_SHIFT = 0.012  # of the page's sides
SHADE = 28.0  # gray levels from one end of the line to the other


def degrade(line: Image, generator: np.random.Generator) -> Image:
    """A degraded copy of a line, dark ink on light paper. The same generator state gives the same image."""
    bent = _geometry(line, generator)
    inked = _ink(bent, generator)
    if generator.random() < 0.65:
        scale = line.shape[0] / 48
        blurred = cv2.GaussianBlur(inked, (0, 0), generator.uniform(*BLUR) * scale)
        inked = np.asarray(blurred, dtype=np.uint8)
    seen = _light(inked, generator)
    if generator.random() < 0.3:
        seen = _compressed(seen, int(generator.integers(*JPEG)))
    return seen


def degrade_page(page: Image, generator: np.random.Generator, *, move: bool = True) -> Image:
    """A degraded copy of a page in its own size: text a page holds stays on it, and unless `move` in its place."""
    seen = _askew(page, generator) if move else page
    if generator.random() < 0.5:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), generator.uniform(*BLUR)), dtype=np.uint8)
    seen = _light(seen, generator)
    if generator.random() < 0.3:
        seen = _compressed(seen, int(generator.integers(*JPEG)))
    return seen


def _askew(page: Image, generator: np.random.Generator) -> Image:
    height, width = page.shape
    scale = 1 + generator.uniform(-PAGE_SCALE, PAGE_SCALE)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), generator.uniform(-SKEW, SKEW), scale)
    matrix[:, 2] = matrix[:, 2] + generator.uniform(-PAGE_SHIFT, PAGE_SHIFT, 2) * np.array((width, height))
    bent = cv2.warpAffine(page, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(255,))
    return np.asarray(bent, dtype=np.uint8)


def _geometry(line: Image, generator: np.random.Generator) -> Image:
    height, width = line.shape
    stretch, grow = generator.uniform(1 - STRETCH, 1 + STRETCH), generator.uniform(*GROW)
    shear = generator.uniform(-SHEAR, SHEAR) if generator.random() < 0.5 else 0.0
    tilt = math.tan(math.radians(generator.uniform(-SKEW, SKEW)))
    shift = generator.uniform(-SHIFT, SHIFT) * height
    if abs(tilt) * width > 0.25 * height:  # a long line would leave its own image
        tilt *= 0.25 * height / (abs(tilt) * width)
    matrix = np.array(
        [
            [stretch, shear, -shear * height / 2],
            [tilt, grow, (1 - grow) * height / 2 - tilt * width / 2 + shift],
        ]
    )
    size = max(8, round(width * stretch)), height
    out = cv2.warpAffine(line, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, dtype=np.uint8)


def _ink(line: Image, generator: np.random.Generator) -> Image:
    """Bleeding (ink grows), wear (ink shrinks, strokes break) or neither."""
    chance = generator.random()
    kernel = np.ones((2, 2), np.uint8)
    if chance < 0.18:
        line = np.asarray(cv2.erode(line, kernel), dtype=np.uint8)
    elif chance < 0.32:
        line = np.asarray(cv2.dilate(line, kernel), dtype=np.uint8)
    if generator.random() < 0.08:  # specks of dirt and holes in the ink
        specks = generator.random(line.shape, dtype=np.float32)
        line = np.where(specks < 0.004, np.uint8(0), np.where(specks > 0.992, np.uint8(255), line))
    return line


def _light(line: Image, generator: np.random.Generator) -> Image:
    height, width = line.shape
    paper, contrast = generator.uniform(*PAPER), generator.uniform(*CONTRAST)
    gray = paper - (255.0 - line.astype(np.float32)) * np.float32(contrast * paper / 255.0)
    gray += _ramp(width, generator)
    if generator.random() < 0.3:
        gray += _ramp(height, generator)[:, None] / 2
    if generator.random() < 0.75:
        gray += generator.standard_normal(gray.shape, dtype=np.float32) * np.float32(generator.uniform(0, NOISE))
    return np.asarray(np.clip(gray, 0, 255), dtype=np.uint8)


def _ramp(size: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """Gray levels that change evenly from one end to the other."""
    start, end = generator.uniform(-SHADE, SHADE, 2)
    return np.linspace(float(start), float(end), size).astype(np.float32)


def _compressed(line: Image, quality: int) -> Image:
    done, encoded = cv2.imencode(".jpg", line, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE) if done else None
    return line if decoded is None else np.asarray(decoded, dtype=np.uint8)
