"""Pages that PP-OCR reads where there is nothing to be read, or not by it; and pages of text, which pass."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pymupdf
import pytest
from numpy.typing import NDArray

from flywheel.document import Box, Kind, Label, Line, PageFacts, PageReading, Region, Verdict
from flywheel.gate import Gate
from models.lines.detector import LineDetector
from models.readers.ink import ink_map, with_ink
from models.readers.lines import LinePageReader
from models.readers.protocol import PageInput
from models.recognition.ppocr import SCRIPTS, PpocrRecogniser
from models.training.augment import degrade_page
from tests.flywheel.draw import latin_line
from tests.flywheel.sheets import good_sheets

Gray = NDArray[np.uint8]
GATE = Gate()
DPI, WIDTH, HEIGHT = 150, 1240, 1754
SAID = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with conscience.",
    "zh": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью.",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 이성을 부여받았다.",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "ar": "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميرًا وعليهم أن يعامل بعضهم بعضًا.",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। उन्हें बुद्धि प्राप्त है।",
    "bo": "འགྲོ་བ་མིའི་རིགས་རྒྱུད་ཡོངས་ལ་སྐྱེས་ཙམ་ཉིད་ནས་ཆེ་མཐོངས་དང༌། ཐོབ་ཐངགི་རང་དབང་འདྲ་མཉམ་དུ་ཡོད་ལ།",
}


@pytest.fixture(scope="module")
def reader() -> LinePageReader:
    return LinePageReader(LineDetector(), PpocrRecogniser(), checkpoint="ppocr", producer="ppocr")


def judged(reader: LinePageReader, image: Gray) -> Verdict:
    """The verdict on what PP-OCR reads off a page in no declared language."""
    height, width = image.shape
    page = PageInput(image, DPI, width * 72 / DPI, height * 72 / DPI)
    facts = PageFacts(0, page.width, page.height, 0, float(ink_map(image, DPI).mean()), False, True, 0)
    [reading] = reader.read_many([page])
    return GATE.judge_reading(with_ink(page, reading), facts, scripts=SCRIPTS)


def text_page(language: str, *, size: int = 11, paragraphs: int = 3, number: str = "138") -> Gray:
    """A page of print with a page number in figures, which any reader can read."""
    document = pymupdf.open()
    page = document.new_page(width=595, height=842)
    body = f"<p>{' '.join([SAID[language]] * 2)}</p>" * paragraphs
    page.insert_htmlbox((70, 70, 525, 760), body, css=f"* {{font-size: {size}px}}")
    page.insert_text((290, 800), number, fontsize=10)
    pixels = page.get_pixmap(dpi=DPI, colorspace=pymupdf.csGRAY)
    rows = np.frombuffer(pixels.samples, np.uint8).reshape(pixels.height, pixels.stride)
    return rows[:, : pixels.width].copy()


def blank() -> Gray:
    return np.full((HEIGHT, WIDTH), 255, np.uint8)


def smiley(radius: int) -> Gray:
    image, x, y, stroke = blank(), 620, 700, max(3, radius // 12)
    cv2.circle(image, (x, y), radius, 0, stroke)
    for side in (-1, 1):
        cv2.circle(image, (x + side * radius // 3, y - radius // 4), max(2, radius // 10), 0, -1)
    cv2.ellipse(image, (x, y + radius // 6), (radius // 2, radius // 3), 0, 20, 160, 0, stroke)
    return image


def numeral() -> Gray:
    """A bar, which is read as a digit or a letter."""
    image = blank()
    cv2.line(image, (620, 500), (620, 760), 0, 30)
    return image


def drawing(caption: str = "Fig. 4") -> Gray:
    image, rng = blank(), np.random.default_rng(4)
    for _ in range(40):
        centre = tuple(int(v) for v in rng.integers((200, 200), (1000, 1400)))
        cv2.ellipse(image, centre, tuple(map(int, rng.integers(20, 200, 2))), 30, 0, 300, 0, 3)
    cv2.putText(image, caption, (540, 1660), cv2.FONT_HERSHEY_COMPLEX, 1, 0, 2, cv2.LINE_AA)
    return image


def picture(width: int = 1000, height: int = 1300) -> Gray:
    rng = np.random.default_rng(7)
    coarse = [rng.random((n, n)).astype(np.float32) for n in (4, 12, 50)]
    layers = [cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC) for layer in coarse]
    return np.clip(120 * layers[0] + 60 * layers[1] + 30 * layers[2], 0, 200).astype(np.uint8)


def photograph() -> Gray:
    image = blank()
    image[150:1450, 120:1120] = picture()
    cv2.putText(image, "Plate 28", (540, 1570), cv2.FONT_HERSHEY_COMPLEX, 0.9, 0, 2, cv2.LINE_AA)
    return image


def stars() -> Gray:
    image = blank()
    for x, y, size in ((300, 400, 60), (700, 900, 90)):
        points = [
            (x + r * math.sin(k * math.pi / 5), y - r * math.cos(k * math.pi / 5))
            for k, r in enumerate([size, size * 0.4] * 5)
        ]
        cv2.fillPoly(image, [np.array(points, np.int32)], 0)
    return image


def map_with_names() -> Gray:
    image = blank()
    field = cv2.resize(np.random.default_rng(2).random((12, 9)).astype(np.float32), (WIDTH, HEIGHT))
    for level in np.linspace(0.2, 0.8, 10):
        contours, _ = cv2.findContours((field > level).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(image, contours, -1, 0, 2)
    for k, name in enumerate(("Aldorf", "Berning", "Fallham", "Hill")):
        cv2.putText(image, name, (200 + 200 * k, 300 + 300 * k), cv2.FONT_HERSHEY_DUPLEX, 0.7, 0, 1, cv2.LINE_AA)
    return image


def music() -> Gray:
    image, rng = blank(), np.random.default_rng(5)
    for top in range(150, HEIGHT - 200, 200):
        for k in range(5):
            cv2.line(image, (100, top + 16 * k), (WIDTH - 100, top + 16 * k), 0, 2)
        for x in range(160, WIDTH - 120, 60):
            y = top + 8 * int(rng.integers(0, 9))
            cv2.ellipse(image, (x, y), (10, 7), -20, 0, 360, 0, -1)
            cv2.line(image, (x + 9, y), (x + 9, y - 55), 0, 2)
    return image


def noise() -> Gray:
    image = blank()
    image[np.random.default_rng(1).random(image.shape) < 0.02] = 0
    return image


LIES: dict[str, Callable[[], Gray]] = {
    "a small smiley": lambda: smiley(40),
    "a large smiley": lambda: smiley(250),
    "a bar": numeral,
    "stars": stars,
    "a drawing with a caption": drawing,
    "a photograph with a caption": photograph,
    "a photograph over the page": lambda: picture(WIDTH, HEIGHT),
    "a map with names": map_with_names,
    "music": music,
    "noise": noise,
    **{f"a page of {code}": lambda code=code: text_page(code) for code in ("ru", "ko", "el", "ar", "hi", "bo")},
    "a page upside down": lambda: np.ascontiguousarray(text_page("en")[::-1, ::-1]),
    "a mirrored page": lambda: np.ascontiguousarray(text_page("en")[:, ::-1]),
}


@pytest.mark.parametrize("name", LIES)
def test_what_is_no_text_that_the_reader_can_read_is_not_believed(name: str, reader: LinePageReader) -> None:
    found = judged(reader, LIES[name]())
    assert not found.accepted, found


def boxed_cells() -> Gray:
    """A table whose cells are frames, each by itself."""
    image = blank()
    for k in range(48):
        x, y = 120 + 250 * (k % 4), 150 + 60 * (k // 4)
        cv2.rectangle(image, (x, y), (x + 240, y + 48), 0, 3)
        cv2.putText(image, f"entry {k}", (x + 20, y + 32), cv2.FONT_HERSHEY_DUPLEX, 0.7, 0, 1, cv2.LINE_AA)
    return image


def shadowed(image: Gray) -> Gray:
    image[:, :35] = 20
    return image


def with_figure(language: str) -> Gray:
    image = text_page(language)
    image[1000:1500, 150:1090] = picture(940, 500)
    return image


TEXTS: dict[str, Callable[[], Gray]] = {
    "English": lambda: text_page("en"),
    "Chinese": lambda: text_page("zh"),
    "small print": lambda: text_page("en", size=8, paragraphs=2),
    "large print": lambda: text_page("zh", size=20),
    "one paragraph": lambda: text_page("en", paragraphs=1),
    "English with a figure": lambda: with_figure("en"),
    "Chinese with a figure": lambda: with_figure("zh"),
    "a table of frames": boxed_cells,
    "a short text beside a scanner's shadow": lambda: shadowed(text_page("en", paragraphs=1)),
    "light on dark": lambda: 255 - text_page("en"),
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("degraded", [False, True], ids=["clean", "degraded"])
def test_pages_of_text_stay_accepted_with_figures_frames_and_as_scans(
    name: str, degraded: bool, reader: LinePageReader
) -> None:
    image = TEXTS[name]()
    if degraded and name != "light on dark":
        image = degrade_page(image, np.random.default_rng(11))
    assert judged(reader, image).accepted, judged(reader, image)


# Readers of pages: regions, or no boxes at all


def test_good_pages_read_by_regions_or_without_boxes_pass_unless_they_are_a_picture_with_a_caption() -> None:
    refused = []
    for sheet in good_sheets(60):
        width, height = map(float, sheet.image.size)
        page = PageInput(np.asarray(sheet.image.convert("L")), 72.0, width, height)
        whole = Box(0, 0, width, height)
        plain = Region("text", whole, tuple(Line(text, whole) for text in sheet.label.text.split("\n")))
        for regions in (sheet.reading().label.regions, (plain,)):
            label = replace(sheet.reading().label, regions=regions)
            verdict = GATE.judge_reading(with_ink(page, PageReading(label)), sheet.facts, sheet.language)
            if not verdict.accepted:
                refused.append((verdict.reason.value, len(label.text)))
    assert {reason for reason, _ in refused} <= {"picture"}
    assert all(length < 150 for _, length in refused)
    assert len(refused) < 12


@pytest.mark.parametrize("boxes", [True, False], ids=["by regions", "without boxes"])
def test_a_page_reader_that_says_a_tenth_of_the_page_is_caught_by_its_ink(boxes: bool) -> None:
    image = text_page("en", paragraphs=6)
    page = PageInput(image, DPI, WIDTH * 72 / DPI, HEIGHT * 72 / DPI)
    facts = PageFacts(0, page.width, page.height, 0, float(ink_map(image, DPI).mean()), False, True, 0)
    box = Box(65, 65, 530, 640) if boxes else Box(0, 0, page.width, page.height)

    def read(text: str) -> Verdict:
        label = Label(Kind.FINE, "page", page.width, page.height, (Region("text", box, (Line(text, box),)),))
        return GATE.judge_reading(with_ink(page, PageReading(label)), facts, "en")

    rng = random.Random(1)
    whole = " ".join(latin_line(rng) for _ in range(17))  # as much as the page has
    assert read(whole).accepted
    assert read(whole[: len(whole) // 12]).reason.value == "ink_without_text"


def test_the_shares_of_a_reading_sum_to_one_and_a_page_without_size_is_left_alone() -> None:
    image = with_figure("en")
    page = PageInput(image, DPI, WIDTH * 72 / DPI, HEIGHT * 72 / DPI)
    body = Region("text", Box(65, 65, 530, 300), (Line(SAID["en"], Box(65, 65, 530, 300)),))
    label = Label(Kind.FINE, "page", page.width, page.height, (body,))
    ink = with_ink(page, PageReading(label)).ink
    assert ink is not None
    assert ink.text + ink.unread + ink.drawn == pytest.approx(1.0)
    assert ink.area == pytest.approx(float(ink_map(image, DPI).sum()) * (72 / 75) ** 2, rel=0.05)
    assert ink.drawn_area == pytest.approx(940 * 500 / (WIDTH * HEIGHT), rel=0.1)
    nothing = PageReading(replace(label, width=0.0))
    assert with_ink(PageInput(image, DPI, 0.0, 0.0), nothing) is nothing
