"""Drawn pages with what a perfect page reader answers to each: titles, prose, verse, lists, tables, forms ...

good_sheets(count) -> sheets of every kind in Tibetan, English and Chinese
Sheet(...).paragraph(text) ... .answer() -> markup; .facts -> what the service measures of such a page
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from functools import lru_cache
from html import escape

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from flywheel.document import Box, Kind, Label, Line, PageFacts, PageReading, Region
from flywheel.markup import fine, parse
from flywheel.sample.phrases import CHINESE, ENGLISH, Phrases, chinese_pieces, english_pieces
from flywheel.sample.syllables import Tibetan, pieces
from tests.flywheel.draw import HAN_SCRIPT, TIBETAN_SCRIPT, font_bytes

FACES: dict[str, int | str] = {"bo": TIBETAN_SCRIPT, "en": "tiro", "zh": HAN_SCRIPT}
PIECES = {"bo": pieces, "en": english_pieces, "zh": chinese_pieces}
LEADING = {"bo": 2.2, "en": 1.3, "zh": 1.6}
SIZES = ((595, 842), (420, 595), (842, 595), (1000, 260))  # A4, A5, across, a pecha leaf
CONTRAST, INK_DPI = 32, 24  # as flywheel/pdf measures ink
MANTRA = {"bo": "ཨོཾ་མ་ཎི་པདྨེ་ཧཱུྃ།", "en": "O turn, thou wheel, and turn again,", "zh": "轮子转啊转不停，"}
WORDS = {
    "bo": "མིང་། ཟླ་བ། ཡུལ། ཡིན། མིན། གྲངས།",
    "en": "Name Month Place yes no Number",
    "zh": "姓名 月份 地点 是 否 数量",
}


@lru_cache(maxsize=64)
def face(language: str, size: int) -> ImageFont.FreeTypeFont:
    data = io.BytesIO(font_bytes(FACES[language]))
    return ImageFont.truetype(data, size, layout_engine=ImageFont.Layout.RAQM)


@lru_cache(maxsize=1)
def tibetan() -> Tibetan:
    return Tibetan(7, "sheets")


class Sheet:
    """A page at 72 dpi that is written from the top down."""

    def __init__(
        self, language: str = "en", size: int = 11, shape: tuple[int, int] = SIZES[0], seed: int = 0
    ) -> None:
        self.language, self.size, self.rng = language, size, random.Random(seed)
        self.image = Image.new("L", shape, 255)
        self.pen = ImageDraw.Draw(self.image)
        self.y = 40.0
        self.regions: list[Region] = []
        grammar = Phrases(CHINESE if language == "zh" else ENGLISH, seed, "sheets")
        self.writer: Tibetan | Phrases = tibetan() if language == "bo" else grammar

    # What is drawn

    def line(self, text: str, x: float = 50, size: int = 0) -> Line:
        size = size or self.size
        font, pitch = face(self.language, size), size * LEADING[self.language]
        self.pen.text((x, self.y + 0.7 * pitch), text, fill=0, font=font, anchor="ls")
        box = Box(
            x, self.y, min(self.image.width, x + font.getlength(text)), min(self.image.height, self.y + pitch)
        )
        self.y += pitch
        return Line(text, box)

    def region(self, category: str, lines: list[Line], text: str | None = None) -> None:
        """`text`: what the reader writes for these lines, when it is not the lines."""
        box = Box.around(line.box for line in lines)
        self.regions.append(Region(category, box, (Line(text, box),) if text is not None else tuple(lines)))
        self.y += 0.6 * self.size

    @property
    def has_room(self) -> bool:
        return self.y < self.image.height - 30 - 3 * self.size * LEADING[self.language]

    def wrapped(self, text: str, size: int = 0, indent: float = 0) -> list[Line]:
        font, lines = face(self.language, size or self.size), [""]
        for piece in PIECES[self.language](text):
            if lines[-1] and font.getlength(lines[-1] + piece) > self.image.width - 100 - indent:
                lines.append("")
            lines[-1] += piece
        drawn = []
        for part in lines:
            if part.strip() and self.y < self.image.height - 30:
                drawn.append(self.line(part.strip(), 50 + indent, size))
        return drawn

    # What pages are made of

    def title(self, scale: float = 1.6) -> None:
        size = round(self.size * scale)
        self.region("title", self.wrapped(self.writer.title(), size))

    def paragraph(self, sentences: int = 5) -> None:
        """A reader gives a paragraph as one line, or line by line."""
        lines = self.wrapped(self.writer.paragraph(sentences))
        gap = " " if self.language == "en" else ""
        self.region("text", lines, gap.join(line.text for line in lines) if self.rng.random() < 0.5 else None)

    def items(self) -> None:
        lines = []
        for number in range(1, 6):
            lines += self.wrapped(f"{number}. {self.writer.sentence()}", indent=12)
        self.region("list", lines)

    def verse(self) -> None:
        """Stanzas of two lines and a refrain, which itself says its mantra three times."""
        refrain = " ".join([MANTRA[self.language]] * 3)
        for _ in range(4):
            if self.has_room:
                lines = [self.line(self.writer.sentence()[:50]) for _ in range(2)]
                self.region("text", [*lines, *self.wrapped(refrain)])

    def table(self) -> None:
        """Cells that are empty, alike, and of another script than the page's."""
        words = WORDS[self.language].split()
        lines, rows = [], []
        for number in range(self.rng.randint(4, 14)):
            if not self.has_room:
                break
            cells = [words[0], words[3], "", "", str(number), words[3]]
            top, width = self.y, (self.image.width - 100) / len(cells)
            for column, cell in enumerate(cells):
                self.y = top
                lines.append(self.line(cell, 50 + column * width))
                self.pen.rectangle((48 + column * width, top, 48 + (column + 1) * width, self.y), outline=0)
            rows.append(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>")
        if rows:
            self.region("table", lines, f"<table>{''.join(rows)}</table>")

    def contents(self) -> None:
        """Titles, dots and page numbers."""
        lines = []
        for number in range(1, 12):
            if self.has_room:
                dots = "." * self.rng.randint(20, 50)
                lines.append(self.line(f"{self.writer.title()[:24]} {dots} {number * 7}"))
        self.region("text", lines)

    def form(self) -> None:
        words = WORDS[self.language].split()
        self.region(
            "text", [self.line(f"{word}: {'_' * self.rng.randint(12, 30)}") for word in words if self.has_room]
        )

    def formula(self) -> None:
        """TeX has many more letters than what it draws."""
        drawn, self.language = self.language, "en"
        line = self.line("a1 b1 + a2 b2 = 1 / 2", 120, self.size + 2)
        self.language = drawn
        tex = r"\[ \mathbf{a}_{1} \cdot \mathbf{b}_{1} + \mathbf{a}_{2} \cdot \mathbf{b}_{2} = \frac{1}{2} \]"
        self.region("formula", [line], tex)

    def picture(self) -> None:
        bottom = min(self.y + 140, self.image.height - 60)
        self.pen.rectangle((80, self.y, 300, bottom), fill=90)
        self.regions.append(Region("picture", Box(80, self.y, 300, bottom)))
        self.y = bottom + 8
        self.region("caption", self.wrapped(f"1: {self.writer.title()}"))

    def number(self) -> None:
        """A page number, in figures or in letters of another script."""
        digits = "༡༢༣" if self.language == "bo" else "123"
        self.y = self.image.height - 28 - self.size
        shown = self.rng.choice([digits[self.rng.randrange(3)], "- 47 -", "xii", "9"])
        drawn, self.language = self.language, self.language if shown in digits else "en"
        self.region("footer", [self.line(shown, self.image.width / 2)])
        self.language = drawn

    # What becomes of it

    @property
    def label(self) -> Label:
        return Label(
            Kind.FINE, "perfect", *map(float, self.image.size), tuple(self.regions), language=self.language
        )

    @property
    def facts(self) -> PageFacts:
        small = np.asarray(self.image.reduce(72 // INK_DPI), dtype=np.int16)
        paper = np.bincount(small.ravel(), minlength=256).argmax()
        ink = float((np.abs(small - paper) > CONTRAST).mean())
        width, height = self.image.size
        return PageFacts(0, width, height, 0, ink, has_text=False, image_only=True, characters=0)

    def answer(self) -> str:
        return fine(self.label)

    def reading(self, answer: str | None = None) -> PageReading:
        """The reading that an answer to this page becomes; without one, the perfect answer."""
        label = self.label
        read = parse(self.answer() if answer is None else answer, label.width, label.height)
        kept = Label(Kind.FINE, "perfect", label.width, label.height, read.regions, language=self.language)
        return PageReading(kept, flaws=tuple(flaw.fault.value for flaw in read.flaws))


PARTS: tuple[Callable[[Sheet], None], ...] = (
    Sheet.paragraph,
    Sheet.title,
    Sheet.items,
    Sheet.verse,
    Sheet.table,
    Sheet.contents,
    Sheet.form,
    Sheet.formula,
    Sheet.picture,
)


def good_sheets(count: int) -> Iterator[Sheet]:
    """Pages of one part, of many, full and nearly empty; the same ones for the same count."""
    for seed in range(count):
        rng = random.Random(seed)
        language = ("bo", "en", "zh")[seed % 3]
        sheet = Sheet(language, rng.choice((7, 9, 11, 14, 20)), rng.choice(SIZES), seed)
        if seed % 11:  # every eleventh holds nothing but its number
            order = [*rng.sample(PARTS[1:], 4), Sheet.paragraph]
            for part in [PARTS[seed % len(PARTS)], *order[: rng.randint(0, 5)]]:
                if sheet.has_room:
                    part(sheet)
            while seed % 7 == 0 and sheet.has_room:
                sheet.paragraph()
        if rng.random() < 0.5 or not sheet.regions:
            sheet.number()
        yield sheet
