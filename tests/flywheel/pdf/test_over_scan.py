"""Visible text over a scan of itself is an OCR layer; text over anything else is the page's own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pymupdf
import pytest
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFilter

from flywheel.document import TextOrigin
from flywheel.gate import Gate
from flywheel.pdf import PageText, Sandbox
from flywheel.pdf.coarse import label as coarse_label
from flywheel.reasons import Reason
from tests.flywheel import draw

Draw = Callable[[FPDF], None]
LINES = [draw.latin_line(random.Random(k), 60) for k in range(24)]
SIZE = (1240, 1754)  # pixels of a page's image, 150 dpi


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as shared:
        yield shared


def judged(sandbox: Sandbox, path: Path) -> tuple[TextOrigin, Reason]:
    (page,) = sandbox.text(path, [0], layout=False)
    assert isinstance(page, PageText), page
    label, counts = coarse_label(page, "en")
    return label.origin, Gate().judge_coarse(label, page.facts, counts, "en").reason


def write(book: FPDF, font: str = "Helvetica", size: float = 11, shift: float = 0.0, gray: int = 0) -> None:
    book.set_font(font, size=size)
    book.set_text_color(gray)
    draw.write_lines(book, LINES, x=60 + shift, y=60 + shift, pitch=28)


@lru_cache(maxsize=4)
def scanned(font: str = "Helvetica", noise: int = 12) -> Image.Image:
    """The same lines as a scanner sees them: on grayish paper, not quite sharp."""
    book = draw.blank_book()
    book.add_page()
    write(book, font)
    pixels = pymupdf.open(stream=bytes(book.output())).load_page(0).get_pixmap(dpi=150, colorspace="gray")
    page = np.frombuffer(pixels.samples, np.uint8).reshape(pixels.height, pixels.width).astype(np.float32)
    rng = np.random.default_rng(1)
    grainy = 30 + page * 0.8 + rng.normal(0, noise, page.shape)
    image = Image.fromarray(grainy.clip(0, 255).astype(np.uint8)).rotate(0.15, fillcolor=230)
    return image.filter(ImageFilter.GaussianBlur(0.7))


def on(picture: Image.Image, text: Draw, path: Path) -> Path:
    def both(book: FPDF) -> None:
        book.image(picture, 0, 0, *draw.A4)
        text(book)

    return draw.book_of(path, both)


OVER: dict[str, Draw] = {
    "in place": write,
    "in another face": lambda book: write(book, "Times", 11.5),
    "two points off": lambda book: write(book, shift=2),
    "smaller": lambda book: write(book, "Courier", 9.5, shift=-1),
    "gray": lambda book: write(book, gray=90),
}


@pytest.mark.parametrize("text", OVER.values(), ids=OVER)
def test_visible_text_over_a_scan_of_itself_is_an_ocr_layer(sandbox: Sandbox, tmp_path: Path, text: Draw) -> None:
    path = on(scanned(), text, tmp_path / "a.pdf")
    assert judged(sandbox, path) == (TextOrigin.OCR_LAYER, Reason.IMAGE_WITH_TEXT)


def test_a_stamp_beside_visible_ocr_does_not_hide_it(sandbox: Sandbox, tmp_path: Path) -> None:
    def text(book: FPDF) -> None:
        write(book)
        book.text(300, 20, "Downloaded from a library on Monday")

    assert judged(sandbox, on(scanned(), text, tmp_path / "a.pdf"))[0] is TextOrigin.OCR_LAYER


def paper() -> Image.Image:
    grain = np.random.default_rng(2).normal(215, 18, SIZE[::-1]).clip(0, 255).astype(np.uint8)
    return Image.fromarray(grain).filter(ImageFilter.GaussianBlur(1))


def stained() -> Image.Image:
    """Coarse dark grain: parchment."""
    grain = np.random.default_rng(3).normal(128, 400, (60, 42)).clip(40, 230).astype(np.uint8)
    return Image.fromarray(grain).resize(SIZE, Image.Resampling.BICUBIC)


def photograph() -> Image.Image:
    """Detail of all sizes, black to white."""
    rng, total = np.random.default_rng(4), np.zeros(SIZE[::-1])
    for step in (2, 4, 8, 16, 32, 64, 128, 256, 512):
        octave = Image.fromarray(rng.normal(0, 1, (SIZE[1] // step + 1, SIZE[0] // step + 1)).astype(np.float32))
        total += np.asarray(octave.resize(SIZE, Image.Resampling.BICUBIC)) * step**0.6
    scaled = (total - total.min()) / (total.max() - total.min()) * 255
    return Image.fromarray(scaled.astype(np.uint8))


def ruled() -> Image.Image:
    image = Image.new("L", SIZE, 250)
    pen = ImageDraw.Draw(image)
    for y in range(125, SIZE[1], 58):
        pen.line((60, y, SIZE[0] - 60, y), fill=60, width=3)
    return image


def squared() -> Image.Image:
    image = Image.new("L", SIZE, 250)
    pen = ImageDraw.Draw(image)
    for k in range(0, SIZE[1], 30):
        pen.line((0, k, SIZE[0], k), fill=120, width=2)
        pen.line((k, 0, k, SIZE[1]), fill=120, width=2)
    return image


def hatched() -> Image.Image:
    image = Image.new("L", SIZE, 250)
    pen = ImageDraw.Draw(image)
    for k in range(-SIZE[1], SIZE[0], 14):
        pen.line((k, 0, k + SIZE[1], SIZE[1]), fill=40, width=2)
    return image


def letterhead() -> Image.Image:
    image = Image.new("L", SIZE, 255)
    page = scanned(noise=0)
    image.paste(page.crop((0, 100, SIZE[0], 260)).resize((SIZE[0], 110)), (0, 0))
    image.paste(page.crop((0, 300, SIZE[0], 420)), (0, SIZE[1] - 130))
    return image


def watermark() -> Image.Image:
    image = Image.new("L", SIZE, 255)
    pen = ImageDraw.Draw(image)
    for k in range(6):
        pen.line((150 + 170 * k, 150, 190 + 170 * k, 1500), fill=110, width=60)
    return image


def pale_scan() -> Image.Image:
    """Another page that shows through from the back."""
    return Image.eval(scanned("Times", noise=4).transpose(Image.Transpose.FLIP_LEFT_RIGHT), lambda v: 190 + v // 4)


def form() -> Image.Image:
    """A printed form whose fields are filled in between its own lines."""
    image = Image.new("L", SIZE, 250)
    moved = scanned(noise=3)
    image.paste(moved.crop((0, 0, SIZE[0], SIZE[1] - 29)), (0, 29))
    return image


SOUND: dict[str, tuple[Callable[[], Image.Image], int]] = {
    "paper": (paper, 0),
    "parchment": (stained, 0),
    "photograph": (photograph, 0),
    "white on a photograph": (photograph, 255),
    "white on black": (lambda: Image.new("L", SIZE, 0), 255),
    "ruled": (ruled, 0),
    "squared": (squared, 0),
    "hatched": (hatched, 0),
    "letterhead": (letterhead, 0),
    "watermark": (watermark, 0),
    "showing through": (pale_scan, 0),
    "form": (form, 0),
}


@pytest.mark.parametrize(("picture", "gray"), SOUND.values(), ids=SOUND)
def test_sound_text_on_a_picture_stays_the_pages_own(
    sandbox: Sandbox, tmp_path: Path, picture: Callable[[], Image.Image], gray: int
) -> None:
    path = on(picture(), lambda book: write(book, gray=gray), tmp_path / "a.pdf")
    assert judged(sandbox, path)[0] is TextOrigin.TEXT_LAYER
