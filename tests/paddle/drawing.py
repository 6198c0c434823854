"""Drawn lines and pages with their truth. (Those of tests/models come with torch, which is not here.)"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import pymupdf
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models.readers.protocol import PageInput

Pixels = NDArray[np.uint8]
FACES = {"en": "tiro", "zh": "china-s"}
ENGLISH = [
    "A flywheel keeps what it was given. Each turn costs a",
    "little, and each leaves the wheel a little faster than it",
    "was. So with readers of pages: what one of them can read",
    "today becomes the lesson of the next, and 40 pages that",
    "nobody could read in March are read before the summer.",
    "The first 1,200 lines are the hardest; they must be true,",
    "or the wheel will learn to turn the wrong way round.",
    "Whoever checks them should know both script and subject,",
    "and should be asked only where two machines disagree.",
]
CHINESE = [
    "天地玄黄宇宙洪荒日月盈昃辰宿列张",
    "寒来暑往秋收冬藏云腾致雨露结为霜",
    "金生丽水玉出昆冈剑号巨阙珠称夜光",
    "果珍李奈菜重芥姜海咸河淡鳞潜羽翔",
]


@dataclass(frozen=True)
class DrawnPage:
    """A gray page at `dpi` and its lines: x and baseline in pixels, and the text."""

    image: Pixels
    lines: list[tuple[float, float, str]]
    dpi: float = 150.0

    @property
    def texts(self) -> list[str]:
        return [text for _, _, text in self.lines]

    def input(self, language: str | None = None) -> PageInput:
        height, width = self.image.shape[:2]
        return PageInput(self.image, self.dpi, width * 72 / self.dpi, height * 72 / self.dpi, language)


def draw_page(
    lines: list[tuple[float, float, str]],
    language: str = "en",
    *,
    size: int = 28,
    width: int = 900,
    height: int = 700,
) -> DrawnPage:
    canvas = Image.new("L", (width, height), 255)
    pen = ImageDraw.Draw(canvas)
    for x, y, text in lines:
        pen.text((x, y), text, fill=0, font=face(language, size), anchor="ls")
    return DrawnPage(np.asarray(canvas).copy(), lines)


def column(
    texts: list[str], left: float = 90, top: float = 90, pitch: float = 56
) -> list[tuple[float, float, str]]:
    return [(left, top + pitch * row, text) for row, text in enumerate(texts)]


def draw_line(text: str, language: str = "en", size: int = 30) -> Pixels:
    """A line cut with a little air."""
    ink = face(language, size).getbbox(text, anchor="ls")
    canvas = Image.new("L", (round(ink[2] - ink[0]) + 14, round(ink[3] - ink[1]) + 10), 255)
    pen = ImageDraw.Draw(canvas)
    pen.text((7 - ink[0], 5 - ink[1]), text, fill=0, font=face(language, size), anchor="ls")
    return np.asarray(canvas).copy()


def turned(image: Pixels, degrees: float) -> Pixels:
    """About its centre; positive makes lines fall to the right."""
    height, width = image.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderValue=255.0), dtype=np.uint8)


def stored(image: Pixels, suffix: str, *options: int) -> Pixels:
    """The image as a file of this kind gives it back, in RGB."""
    sound, data = cv2.imencode(suffix, image, options)
    assert sound
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1]).copy()


@lru_cache(maxsize=8)
def face(language: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(io.BytesIO(bytes(pymupdf.Font(FACES[language]).buffer)), size)
