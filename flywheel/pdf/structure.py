"""A page's answer from the child -> lines, regions in reading order, ink evidence, facts.

Pure functions over untrusted data: anything malformed raises KeyError, TypeError,
ValueError or IndexError, which the sandbox turns into the page's failure.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flywheel.document import Box, Line, PageFacts, Region
from flywheel.pdf.frames import Frame
from flywheel.pdf.reading_order import columns, in_reading_order
from flywheel.pdf.results import InkEvidence, PageText
from flywheel.scripts import histogram

INK_CONTRAST = 32  # gray levels between paper and ink, of 255
SAMPLED_PIXELS = 7  # every seventh pixel tells the paper's level
SUBSET_PREFIX = re.compile(r"^[A-Z]{6}\+")
FULL_PAGE = 0.7  # images cover the page from this share of its area on
PICTURE_SHARE = 0.01  # smaller images are ornaments, not regions
SAME_BASELINE = 0.25  # of the font size
SAME_LINE_GAP = 1.5  # font sizes between two pieces of one line
CATEGORIES = frozenset(
    ("text", "title", "list", "table", "picture", "caption", "formula", "header", "footer", "footnote")
)


@dataclass(slots=True)
class Piece:
    """A run of text on one baseline, as MuPDF found it. Points of the page as shown."""

    text: str
    box: Box
    baseline: float
    size: float
    vertical: bool


def page_text(number: int, frame: Frame) -> PageText:
    """The child's answer to "text" as a PageText."""
    head = frame.head
    width, height = float(head["width"]), float(head["height"])
    text_bytes = int(head["text_bytes"])
    blocks, fonts = _blocks(_loads(frame.body[:text_bytes]), 1 / float(head["scale"]))
    images = [_box(image) for image in head["images"]]
    lines = [line for block in blocks for line in block]
    ink_map = _ink_map(frame.body[text_bytes:], int(head["rows"]), int(head["columns"]))
    whole = "".join(line.text for line in lines)
    characters = len(whole) - sum(map(whole.count, " \t\n\r\u00a0\u3000"))
    evidence = _evidence(ink_map, float(head["ink_dpi"]), lines, images, characters)
    found = [(_box(region[:4]), str(region[4])) for region in head.get("regions", ())]
    regions = _by_layout(found, blocks, images) if found else _by_blocks(blocks, images, width * height)
    facts = PageFacts(
        number=number,
        width=width,
        height=height,
        rotation=int(head["rotation"]),
        ink=round(float(ink_map.mean()), 6) if ink_map.size else 0.0,
        has_text=characters > 0,
        image_only=evidence.image_cover >= FULL_PAGE and not (characters and bool(head["visible_text"])),
        characters=characters,
        fonts=tuple(sorted({SUBSET_PREFIX.sub("", font)[:100] for font in fonts if font})),
        scripts=histogram(whole),
    )
    return PageText(facts=facts, regions=regions, ink=evidence, layout=bool(found))


def _loads(written: bytes) -> Any:
    try:
        text = written.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        text = written.decode("utf-8", "replace")
    return json.loads(text, strict=False)


def _blocks(data: Any, scale: float) -> tuple[list[list[Line]], set[str]]:
    """Text blocks as lists of lines, in the order of the file, and the fonts used."""
    blocks: list[list[Line]] = []
    fonts: set[str] = set()
    for block in data["blocks"]:
        if block.get("type") != "text":
            continue
        pieces: list[Piece] = []
        for row in block["lines"]:
            if not (text := str(row["text"])).strip():
                continue
            font, box = row["font"], row["bbox"]
            fonts.add(str(font["name"]))
            x, y = box["x"] * scale, box["y"] * scale
            place = Box(x, y, x + box["w"] * scale, y + box["h"] * scale)
            pieces.append(Piece(text, place, row["y"] * scale, font["size"] * scale, bool(row["wmode"])))
        if pieces:
            blocks.extend(columns(_joined(pieces)))
    return blocks, fonts


def _joined(pieces: list[Piece]) -> list[Line]:
    """MuPDF cuts a line at wide gaps; put back together what stands close on one baseline."""
    whole = [pieces[0]]
    for piece in pieces[1:]:
        last = whole[-1]
        size = max(1.0, last.size, piece.size)
        gap = piece.box.x0 - last.box.x1
        level = abs(piece.baseline - last.baseline) <= SAME_BASELINE * size
        if level and -0.5 * size <= gap <= SAME_LINE_GAP * size and not (piece.vertical or last.vertical):
            blank = "" if last.text.endswith(" ") or gap < 0.1 * size else " "
            last.text += blank + piece.text
            last.box = Box.around((last.box, piece.box))
        else:
            whole.append(piece)
    return [Line(piece.text, piece.box) for piece in whole]


def _ink_map(gray: bytes, rows: int, width: int) -> NDArray[np.bool_]:
    """H x W; True where a pixel differs from the paper, which is the most common level."""
    pixels = np.frombuffer(gray, dtype=np.uint8).reshape(rows, width)
    sampled = pixels.ravel()[::SAMPLED_PIXELS]
    paper = int(np.bincount(sampled, minlength=256).argmax()) if sampled.size else 255
    is_ink = bytes(abs(level - paper) > INK_CONTRAST for level in range(256))
    return np.frombuffer(gray.translate(is_ink), dtype=np.bool_).reshape(rows, width)


def _evidence(
    ink_map: NDArray[np.bool_], dpi: float, lines: list[Line], images: list[Box], characters: int
) -> InkEvidence:
    """How text and ink lie together. A line's area is its box and one pixel around it."""
    total = int(np.count_nonzero(ink_map))
    covered = np.zeros_like(ink_map)
    bare = 0
    for line, (x0, y0, x1, y1) in zip(lines, _windows([line.box for line in lines], dpi, 1), strict=True):
        covered[y0:y1, x0:x1] = True
        if not ink_map[y0:y1, x0:x1].any():
            bare += len(line.text.replace(" ", ""))
    in_text = int(np.count_nonzero(ink_map & covered))
    in_images, cover = 0, 0.0
    if images:
        pictured = np.zeros_like(ink_map)
        for x0, y0, x1, y1 in _windows(images, dpi, 0):
            pictured[y0:y1, x0:x1] = True
        cover = float(pictured.mean())
        in_images = int(np.count_nonzero(ink_map & pictured & ~covered))
    return InkEvidence(
        in_text=in_text / total if total else 0.0,
        in_images=in_images / total if total else 0.0,
        image_cover=cover,
        bare_characters=bare,
        per_character=total * (72 / dpi) ** 2 / characters if characters else 0.0,
    )


def _windows(boxes: list[Box], dpi: float, margin: int) -> list[list[int]]:
    """Pixel bounds [x0, y0, x1, y1) of boxes in points, `margin` pixels wider, never negative."""
    if not boxes:
        return []
    corners = np.array([(box.x0, box.y0, box.x1, box.y1) for box in boxes]) * (dpi / 72)
    corners = np.clip(corners, -margin, 1e6).astype(np.int64)
    corners += np.array([-margin, -margin, margin + 1, margin + 1])
    bounds: list[list[int]] = np.maximum(corners, 0).tolist()
    return bounds


def _by_blocks(blocks: list[list[Line]], images: list[Box], page_area: float) -> tuple[Region, ...]:
    """Without a layout: the file's text blocks and its larger images, ordered by where they lie."""
    regions = [Region("text", Box.around(line.box for line in block), tuple(block)) for block in blocks]
    for image in images:
        if PICTURE_SHARE * page_area <= image.area < FULL_PAGE * page_area:
            regions.append(Region("picture", image))
    return tuple(in_reading_order(regions))


def _by_layout(found: list[tuple[Box, str]], blocks: list[list[Line]], images: list[Box]) -> tuple[Region, ...]:
    """Give each line to the region that holds most of it; what no region holds stays by block.

    The model's own order across columns is not relied on (it mixed two columns of a page
    that a cut between them reads right).
    """
    held: list[list[Line]] = [[] for _ in found]
    regions: list[Region] = []
    for block in blocks:
        left = []
        for line in block:
            shares = [box.intersection(line.box) for box, _ in found]
            best = max(range(len(shares)), key=shares.__getitem__)
            if shares[best] >= 0.5 * max(line.box.area, 1e-6):
                held[best].append(line)
            else:
                left.append(line)
        if left:
            regions.append(Region("text", Box.around(line.box for line in left), tuple(left)))
    for (box, category), lines in zip(found, held, strict=True):
        if lines or category == "picture":
            regions.append(_region(box, category, lines, images))
    heads = [region for region in regions if region.category == "header"]
    feet = [region for region in regions if region.category == "footer"]
    body = [region for region in regions if region.category not in ("header", "footer")]
    return (*heads, *in_reading_order(body), *feet)


def _region(box: Box, category: str, lines: list[Line], images: list[Box]) -> Region:
    if category not in CATEGORIES:
        raise ValueError(f"no such category: {category!r}")
    if category == "picture" and lines and not _pictured(box, images):
        category = "text"  # the model takes dense text for a picture at times
    if category != "table":
        lines = [line for column in columns(lines) for line in column]
    return Region(category, box, tuple(lines))


def _pictured(box: Box, images: list[Box]) -> bool:
    return sum(box.intersection(image) for image in images) >= 0.3 * box.area


def _box(numbers: Any) -> Box:
    x0, y0, x1, y1 = (float(v) for v in numbers)
    return Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
