"""Pictures for people: a page with its label drawn on it, and a contact sheet of many.

Regions are tinted by category and numbered in reading order; each line's edge shows how sure
the reader was, from red over amber to green (blue when a text layer said it, which has no
confidence). Text is set with Pillow and raqm. Faces for scripts that Pillow's own face lacks
come out of the PyMuPDF wheel, through a child process: this one never loads MuPDF.
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise

from numpy import uint8
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from flywheel.document import Box, Label, Outcome, Region, Verdict
from flywheel.errors import SetupError

Colour = tuple[int, int, int]
Pixels = tuple[int, int, int, int]  # x0, y0, x1, y1

INK, PAPER, DESK, FAINT, HEADER = (26, 32, 44), (255, 255, 255), (232, 235, 240), (108, 117, 132), (30, 37, 51)
TEXT_LAYER: Colour = (58, 120, 216)
CATEGORY_COLOURS: dict[str, Colour] = {
    "text": (58, 120, 216),
    "title": (176, 58, 170),
    "list": (34, 139, 160),
    "table": (201, 120, 16),
    "picture": (104, 131, 42),
    "caption": (140, 102, 60),
    "formula": (196, 64, 84),
    "header": (112, 122, 138),
    "footer": (112, 122, 138),
    "footnote": (86, 96, 150),
}
OUTCOME_COLOURS: dict[Outcome | None, Colour] = {
    Outcome.ACCEPTED: (31, 143, 84),
    Outcome.REVIEW: (204, 132, 8),
    Outcome.REJECTED: (201, 52, 52),
    None: (112, 122, 138),
}
# Confidence -> colour, read between the stops.
SCALE: tuple[tuple[float, Colour], ...] = (
    (0.0, (201, 52, 52)),
    (0.6, (222, 96, 32)),
    (0.8, (226, 168, 20)),
    (0.92, (124, 172, 44)),
    (1.0, (24, 140, 80)),
)


def annotate(
    image: NDArray[uint8],
    label: Label,
    dpi: float,
    *,
    verdict: Verdict | None = None,
    file: str = "",
    page: int | None = None,
) -> Image.Image:
    """Draw the label on the page's picture, (H, W) gray at `dpi`, under a header, with the label on it.

    The header names the file, the page (0-based `page`, shown from 1), verdict and reason.
    Returns RGB, as wide as the image and at least 480 pixels.
    """
    body = _overlay(Image.fromarray(image).convert("RGB"), label, dpi / 72.0, tags=True)
    unit = max(14, min(30, round(body.width / 46)))
    header = _header(max(480, body.width), unit, label, verdict, file, page)
    out = Image.new("RGB", (header.width, header.height + body.height), DESK)
    out.paste(header, (0, 0))
    out.paste(body, ((out.width - body.width) // 2, header.height))
    return out


@dataclass(frozen=True, slots=True)
class SheetItem:
    """One page of a contact sheet: (H, W) gray at `dpi`, its label and verdict; `note` is shown on the right
    of the verdict, e.g. "CER 2.1 %"."""

    image: NDArray[uint8]
    dpi: float
    label: Label
    verdict: Verdict | None = None
    title: str = ""
    note: str = ""


CARD, GAP, PAD, PICTURE_HEIGHT, SNIPPET_LINES = 420, 26, 16, 500, 3


def contact_sheet(items: Sequence[SheetItem], columns: int = 4, *, title: str = "") -> Image.Image:
    """Draw a sheet of cards: pages with their labels on them and their first lines of text underneath.

    RGB, `columns` cards wide. Rows are as high as their highest card, so a row of long leaves stays low.
    """
    cards = [_card(item) for item in items]
    rows = [cards[start : start + columns] for start in range(0, len(cards), columns)]
    heights = [max(card.height for card in row) for row in rows]
    top = 92 if title else GAP
    width = GAP + max(1, min(columns, len(cards))) * (CARD + GAP)
    out = Image.new("RGB", (width, top + sum(h + GAP for h in heights) + (0 if rows else GAP)), DESK)
    if title:
        write_text(ImageDraw.Draw(out), (GAP + 2, 62), title, 32, INK, width - 2 * GAP)
    for row, height in zip(rows, heights, strict=True):
        for column, card in enumerate(row):
            _paste_rounded(out, card, (GAP + column * (CARD + GAP), top), 12)
        top += height + GAP
    return out


def confidence_colour(confidence: float | None) -> Colour:
    """Colour of a confidence from red over amber to green; blue when there is none."""
    if confidence is None:
        return TEXT_LAYER
    value = min(1.0, max(0.0, confidence))
    for (low, below), (high, above) in pairwise(SCALE):
        if value <= high:
            share = (value - low) / (high - low)
            return _mixed(below, above, share)
    return SCALE[-1][1]


def _overlay(page: Image.Image, label: Label, factor: float, *, tags: bool) -> Image.Image:
    """Draw regions and lines on the page. `factor` is pixels per point."""
    tint = Image.new("RGBA", page.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(tint)
    edge = max(1, round(page.width / 600))
    for region in label.regions:
        colour = CATEGORY_COLOURS.get(region.category, FAINT)
        box = _rounded(region.box, factor, grow=3 * edge)
        draw.rectangle(box, fill=(*colour, 18), outline=(*colour, 235), width=edge + 1)
        for line in region.lines:
            shade = confidence_colour(line.confidence)
            draw.rectangle(_rounded(line.box, factor), fill=(*shade, 34), outline=(*shade, 190), width=edge)
    out = Image.alpha_composite(page.convert("RGBA"), tint).convert("RGB")
    size = max(11, min(26, round(page.width / 52))) if tags else 12
    boxes = [_rounded(region.box, factor, grow=3 * edge) for region in label.regions]
    taken = list(boxes)
    for number, (region, box) in enumerate(zip(label.regions, boxes, strict=True), start=1):
        taken.append(_tag(out, box, f"{number} {region.category}" if tags else str(number), size, region, taken))
    return out


def _tag(page: Image.Image, box: Pixels, text: str, size: int, region: Region, taken: Sequence[Pixels]) -> Pixels:
    """Draw a small flag at the region's corner, in a place where it hides no other region if there is one."""
    pad = max(3, size // 4)
    width, height = round(text_width(text, size)) + 2 * pad, size + pad
    corners = (
        (box[0], box[1] - height),
        (box[0] - width, box[1]),
        (box[2], box[1]),
        (box[0], box[3] + 1),
        (max(0, box[2] - width), box[1] - height),
    )
    places = [(x, y, x + width, y + height) for x, y in corners]
    whole = (0, 0, page.width, page.height)
    free = (p for p in places if _inside(p, whole) and not any(_meet(p, other) for other in taken))
    x, y = max(0, min(box[0], page.width - width)), max(0, box[1] - height)
    place = next(free, (x, y, x + width, y + height))
    _fill_rounded(page, place, 3, CATEGORY_COLOURS.get(region.category, FAINT))
    write_text(ImageDraw.Draw(page), (place[0] + pad, place[3] - pad * 0.5 - size * 0.16), text, size, PAPER)
    return place


def _header(
    width: int, unit: int, label: Label, verdict: Verdict | None, file: str, page: int | None
) -> Image.Image:
    """Draw a header of two lines: file and page, with confidence; verdict and reason, with the producer."""
    out = Image.new("RGB", (width, round(unit * 4.1)), HEADER)
    draw, pad = ImageDraw.Draw(out), unit
    confidence = label.confidence
    sure = "text layer" if confidence is None else f"confidence {confidence:.1%}"
    right = width - pad - round(text_width(sure, unit))
    write_text(draw, (right, unit * 1.6), sure, unit, _mixed(confidence_colour(confidence), PAPER, 0.45))
    name = " · ".join(part for part in (file, "" if page is None else f"page {page + 1}") if part)
    write_text(draw, (pad, unit * 1.6), name or "page", round(unit * 1.15), PAPER, right - 2 * pad)
    said = " · ".join(filter(None, (label.kind.value, label.producer, label.language)))
    x = _pill(out, (pad, round(unit * 2.3)), unit, verdict)
    room = width - x - 2 * pad
    if text_width(said, round(unit * 0.9)) < room * 0.4:
        place = width - pad - text_width(said, round(unit * 0.9))
        write_text(draw, (place, unit * 3.35), said, round(unit * 0.9), (160, 170, 186))
        room = round(place - x - pad)
    if verdict:
        why = verdict.detail or verdict.reason.explanation
        write_text(draw, (x + unit * 0.6, unit * 3.35), why, round(unit * 0.9), (206, 212, 222), room - unit)
    return out


def _pill(image: Image.Image, at: tuple[int, int], size: int, verdict: Verdict | None) -> int:
    """Draw the verdict in its colour, with its reason unless that says the same; return the right edge."""
    text = "no verdict"
    if verdict:
        same = verdict.outcome.value == verdict.reason.value
        text = verdict.outcome.value if same else f"{verdict.outcome.value}: {verdict.reason.value}"
        text = text.replace("_", " ")
    inner, height = round(size * 0.9), round(size * 1.45)
    width = round(text_width(text, inner)) + size
    x, y = at
    colour = OUTCOME_COLOURS[verdict.outcome if verdict else None]
    _fill_rounded(image, (x, y, x + width, y + height), height // 2, colour)
    write_text(ImageDraw.Draw(image), (x + size / 2, y + height * 0.71), text, inner, PAPER)
    return x + width


def _card(item: SheetItem) -> Image.Image:
    """Draw a white card: title, picture with its label, verdict and note, first lines of text."""
    page = Image.fromarray(item.image).convert("RGB")
    room = CARD - 2 * PAD
    shrink = min(room / page.width, PICTURE_HEIGHT / page.height)
    page = page.resize((round(page.width * shrink), round(page.height * shrink)), Image.Resampling.LANCZOS)
    page = _overlay(page, item.label, item.dpi / 72.0 * shrink, tags=False)
    lines = list(_snippet(item.label, room, 18))
    top = PAD + 32
    out = Image.new("RGB", (CARD, top + page.height + 50 + 36 * len(lines) + PAD), PAPER)
    draw = ImageDraw.Draw(out)
    write_text(draw, (PAD, PAD + 16), item.title, 18, INK, room)
    left = (CARD - page.width) // 2
    out.paste(page, (left, top))
    draw.rectangle((left - 1, top - 1, left + page.width, top + page.height), outline=(205, 210, 219))
    y = top + page.height + 14
    _pill(out, (PAD, y), 17, item.verdict)
    if item.note:
        write_text(draw, (CARD - PAD - text_width(item.note, 16), y + 18), item.note, 16, FAINT)
    for number, line in enumerate(lines):
        write_text(draw, (PAD, y + 58 + 36 * number), line, 18, INK, room)
    return out


def _snippet(label: Label, room: int, size: int) -> Iterator[str]:
    """Yield the first lines with more than a few characters; page numbers only where there are no others."""
    body = [line.text for region in label.regions for line in region.lines if region.category != "footer"]
    shown = [text.strip() for text in body if len(text.strip()) > 3] or [t for t in body if t.strip()]
    yield from (_clipped(text, size, room) for text in shown[:SNIPPET_LINES])


# Text in any script


def write_text(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: int,
    colour: Colour,
    room: float | None = None,
) -> float:
    """Draw text with its baseline starting at `at`, each script in its face, cut to `room` pixels.

    Returns the width.
    """
    x, y = at
    for face, run in _runs(text if room is None else _clipped(text, size, room)):
        draw.text((x, y), run, fill=colour, font=_font(face, size), anchor="ls")
        x += _font(face, size).getlength(run)
    return x - at[0]


def text_width(text: str, size: int) -> float:
    """Pixels that `write_text` takes."""
    return sum(float(_font(face, size).getlength(run)) for face, run in _runs(text))


def _clipped(text: str, size: int, room: float) -> str:
    """Shorten the text to as much as fits before an ellipsis."""
    text = "".join(c if c.isprintable() else " " for c in text[:400])
    if text_width(text, size) <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text_width(f"{text[:middle]}…", size) <= room else (low, middle - 1)
    return f"{text[:low]}…"


# First and last code point of what Pillow's face lacks -> the script's number in MuPDF (fitz.h, UCDN_SCRIPT).
_FACES: tuple[tuple[int, int, int], ...] = (
    (0x0370, 0x052F, 1),
    (0x0590, 0x05FF, 5),
    (0x0600, 0x06FF, 6),
    (0x0900, 0x097F, 9),
    (0x0980, 0x09FF, 10),
    (0x0B80, 0x0BFF, 13),
    (0x0E00, 0x0E7F, 19),
    (0x0F00, 0x0FFF, 21),
    (0x1000, 0x109F, 22),
    (0x1780, 0x17FF, 30),
    (0x2E80, 0x9FFF, 35),
    (0xAC00, 0xD7AF, 35),
    (0xFF00, 0xFFEF, 35),
)


def _face(character: str) -> int:
    """Number of the face that has the character; 0 for Pillow's own."""
    code = ord(character)
    return next((face for first, last, face in _FACES if first <= code <= last), 0)


def _runs(text: str) -> Iterator[tuple[int, str]]:
    """Yield pieces of one face each; spaces stay with the piece before them."""
    faces: list[int] = []
    for character in text:
        faces.append(faces[-1] if character == " " and faces else _face(character))
    for face, group in groupby(zip(faces, text, strict=True), key=lambda pair: pair[0]):
        yield face, "".join(character for _, character in group)


@lru_cache(maxsize=128)
def _font(face: int, size: int) -> ImageFont.FreeTypeFont:
    if face == 0:
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow was built with FreeType: raqm needs it
        return font
    return ImageFont.truetype(io.BytesIO(_wheel_face(face)), size, layout_engine=ImageFont.Layout.RAQM)


@lru_cache(maxsize=16)
def _wheel_face(face: int) -> bytes:
    """Load a face out of the PyMuPDF wheel. Raises SetupError when the child fails."""
    code = (
        "import sys; from flywheel.sample.faces import wheel_font; "
        "sys.stdout.buffer.write(wheel_font(int(sys.argv[1])))"
    )
    try:
        done = subprocess.run([sys.executable, "-c", code, str(face)], check=True, capture_output=True, timeout=60)
    except (subprocess.SubprocessError, OSError) as error:
        raise SetupError(f"no face for script {face} from the PyMuPDF wheel: {error}") from error
    return done.stdout


# Shapes


def _rounded(box: Box, factor: float, grow: int = 0) -> Pixels:
    """Convert a box to whole pixels, ordered even when a reader's box is not."""
    xs = sorted((round(box.x0 * factor), round(box.x1 * factor)))
    ys = sorted((round(box.y0 * factor), round(box.y1 * factor)))
    return xs[0] - grow, ys[0] - grow, xs[1] + grow, ys[1] + grow


def _inside(box: Pixels, outer: Pixels) -> bool:
    return box[0] >= outer[0] and box[1] >= outer[1] and box[2] <= outer[2] and box[3] <= outer[3]


def _meet(one: Pixels, other: Pixels) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    r, g, b = (round(x + (y - x) * share) for x, y in zip(one, other, strict=True))
    return r, g, b


def _mask(width: int, height: int, radius: int) -> Image.Image:
    """Mask of a rounded rectangle with smooth corners, drawn four times larger and reduced."""
    large = Image.new("L", (width * 4, height * 4), 0)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, width * 4 - 1, height * 4 - 1), radius * 4, fill=255)
    return large.resize((width, height), Image.Resampling.BOX)


def _fill_rounded(image: Image.Image, box: Pixels, radius: int, colour: Colour) -> None:
    x0, y0, x1, y1 = box
    image.paste(colour, box, _mask(x1 - x0, y1 - y0, radius))


def _paste_rounded(image: Image.Image, card: Image.Image, at: tuple[int, int], radius: int) -> None:
    image.paste(card, at, _mask(card.width, card.height, radius))
