"""A page's answer from the child -> lines, regions in reading order, ink evidence, facts.

Pure functions over untrusted data: anything malformed raises KeyError, TypeError,
ValueError or IndexError, which the sandbox turns into the page's failure.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flywheel.document import MAINLY_HIDDEN, Box, Character, Line, PageFacts
from flywheel.markup import CATEGORIES
from flywheel.pdf.arrangement import FULL_PAGE, by_blocks
from flywheel.pdf.fills import strokes
from flywheel.pdf.messages import Message, parsed
from flywheel.pdf.plain import plain_regions
from flywheel.pdf.reading_order import columns
from flywheel.pdf.results import InkEvidence, PageLayout, PageText
from flywheel.pdf.right_to_left import as_drawn, parts
from flywheel.text.bidi import Base, base_direction, runs_right_to_left
from flywheel.text.ink_order import line_text, sloping
from flywheel.text.scripts import histogram

INK_CONTRAST = 32  # gray levels between paper and ink, of 255
FEW_DRAWN = 0.2  # of the ink: no check asks for less
SAMPLED_PIXELS = 7  # every seventh pixel tells the paper's level
SUBSET_PREFIX = re.compile(r"^[A-Z]{6}\+")
SAME_BASELINE = 0.25  # of the font size
SAME_LINE_GAP = 1.5  # font sizes between two pieces of one line
WORD_GAP = 0.18  # font sizes between two pieces of a line from right to left that are words apart
BLANKS = " \t\n\r\u00a0\u3000"


@dataclass(slots=True)
class Piece:
    """A run of text on one baseline, as MuPDF found it. Points of the page as shown."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    baseline: float
    size: float
    vertical: bool
    characters: list[Character] = field(default_factory=list)  # of pages that run from right to left

    @property
    def line(self) -> Line:
        return Line(self.text, Box(self.x0, self.y0, self.x1, self.y1))


@dataclass(frozen=True, slots=True)
class _Layer:
    """The text layer: lines by block, each line with baseline and font size, and the fonts used."""

    blocks: tuple[tuple[Line, ...], ...]
    rows: list[tuple[Line, float, float]]
    fonts: set[str]
    vertical: bool
    base: Base


def page_text(number: int, message: Message) -> PageText:
    """The child's answer to "text" as a PageText."""
    head = message.head
    width, height = float(head["width"]), float(head["height"])
    text_bytes = int(head["text_bytes"])
    ink_bytes = int(head["rows"]) * int(head["columns"])
    characters = page_characters(head["characters"], message.body[text_bytes + ink_bytes :], head["fonts"])
    layer = _layer(parsed(message.body[:text_bytes]), 1 / float(head["scale"]), characters)
    lines = [line for line, _, _ in layer.rows]
    images = tuple(_box(image) for image in head["images"])
    whole = "".join(line.text for line in lines)
    count = len(whole) - sum(map(whole.count, BLANKS))
    gray = np.frombuffer(message.body, np.uint8, ink_bytes, text_bytes)
    gray = gray.reshape(int(head["rows"]), int(head["columns"]))
    ink_map = _ink_map(gray)
    dpi = float(head["ink_dpi"])
    evidence = _evidence(ink_map, ink_map & _edges(gray), dpi, lines, images, count)
    hidden_share = float(head["hidden_share"])
    can_be_plain = not images and len(layer.fonts) == 1 and not layer.vertical
    plain = plain_regions(layer.rows, evidence, width, height) if can_be_plain else ()
    facts = PageFacts(
        number=number,
        width=width,
        height=height,
        rotation=int(head["rotation"]),
        ink=round(np.count_nonzero(ink_map) / ink_map.size, 6) if ink_map.size else 0.0,
        has_text=count > 0,
        image_only=evidence.image_cover >= FULL_PAGE and (not count or hidden_share >= MAINLY_HIDDEN),
        characters=count,
        hidden_share=hidden_share,
        turned=int(head["turned"]),
        sloping=sum(sloping(list(line)) for _, line in groupby(characters, key=lambda c: c.line)),
        drawn=_drawn(gray, ink_map, evidence, _windows([*(line.box for line in lines), *images], dpi, 1)),
        fonts=tuple(sorted({font_name(font) for font in layer.fonts if font})),
        scripts=histogram(whole),
    )
    return PageText(
        facts=facts,
        regions=plain or by_blocks(layer.blocks, images, width * height, layer.base),
        ink=evidence,
        layout=False,
        plain=bool(plain),
        blocks=layer.blocks,
        images=images,
        base=layer.base,
    )


def font_name(name: str) -> str:
    """A font's name without the mark of a subset: "ABCDEF+Garamond" -> "Garamond"."""
    return SUBSET_PREFIX.sub("", name)[:100]


def page_characters(symbols: str, table: bytes, fonts: list[str]) -> list[Character]:
    """From one code point a character, and nine floats each: x, y, box, line, upright, font. On pages with letters
    that run from right to left the characters are as drawn."""
    rows = np.frombuffer(table, dtype=np.float32).reshape(len(symbols), 9).tolist()
    names = [font_name(str(font)) for font in fonts]
    found = [
        Character(symbol, x, y, Box(x0, y0, x1, y1), int(line), upright > 0, names[int(font)])
        for symbol, (x, y, x0, y0, x1, y1, line, upright, font) in zip(symbols, rows, strict=True)
    ]
    return as_drawn(found) if runs_right_to_left(symbols) else found


def page_layout(number: int, message: Message) -> PageLayout:
    """The child's answer to "layout" as a PageLayout."""
    regions = tuple((_box(region[:4]), str(region[4])) for region in message.head["regions"])
    if unknown := {category for _, category in regions} - CATEGORIES:
        raise ValueError(f"no such category: {unknown}")
    return PageLayout(number, regions)


def _layer(data: Any, scale: float, characters: Sequence[Character]) -> _Layer:
    """Text blocks as lines, in the order of the file; a block of several columns becomes several.

    `characters` are the page's where it has letters that run from right to left, else none.
    """
    by_line = _by_line(data, characters)
    base = base_direction("".join(character.text for character in characters))
    blocks: list[tuple[Line, ...]] = []
    rows: list[tuple[Line, float, float]] = []
    fonts: set[str] = set()
    vertical, number = False, 0
    for block in data["blocks"]:
        if block.get("type") != "text":
            continue
        pieces: list[Piece] = []
        rows_given = 0
        for row in block["lines"]:
            if not (text := str(row["text"])).strip():
                continue
            number += 1
            font, box = row["font"], row["bbox"]
            fonts.add(str(font["name"]))
            x, y = box["x"] * scale, box["y"] * scale
            right, low = x + box["w"] * scale, y + box["h"] * scale
            vertical = vertical or bool(row["wmode"])
            size, upright = font["size"] * scale, bool(row["wmode"])
            whole_row = Piece(text, x, y, right, low, row["y"] * scale, size, upright, by_line.get(number, []))
            pieces.extend(_parted(whole_row))
            rows_given += 1
        if pieces:
            whole = _joined(pieces)
            for piece in whole:
                piece.text = _ordered_text(piece, base)
            lines = [piece.line for piece in whole]
            rows.extend((line, piece.baseline, piece.size) for line, piece in zip(lines, whole, strict=True))
            blocks.extend(map(tuple, columns(lines, base, any_length=len(pieces) > rows_given)))
    return _Layer(tuple(blocks), rows, fonts, vertical, base)


def _by_line(data: Any, characters: Sequence[Character]) -> dict[int, list[Character]]:
    """The characters of each line of text, from 1 on; none where they are not those of the same lines."""
    held: dict[int, list[Character]] = defaultdict(list)
    for character in characters:
        held[character.line].append(character)
    written = [line for line in held.values() if any(not character.text.isspace() for character in line)]
    rows = (row for block in data["blocks"] if block.get("type") == "text" for row in block["lines"])
    if sum(bool(str(row["text"]).strip()) for row in rows) != len(written):
        return {}
    return dict(enumerate(written, start=1))


def _parted(piece: Piece) -> list[Piece]:
    """A piece that MuPDF carried on across gutters as one piece a column."""
    found = parts(piece.characters) if piece.characters else []
    return [piece] if len(found) < 2 else [_part(piece, part) for part in found]


def _part(piece: Piece, characters: list[Character]) -> Piece:
    box = Box.around(character.box for character in characters if not character.text.isspace())
    text = "".join(character.text for character in characters)
    baseline, size, upright = piece.baseline, piece.size, piece.vertical
    return Piece(text, box.x0, box.y0, box.x1, box.y1, baseline, size, upright, characters)


def _joined(pieces: list[Piece]) -> list[Piece]:
    """MuPDF cuts a line at wide gaps; put back together what stands close on one baseline."""
    last = pieces[0]
    whole = [last]
    for piece in pieces[1:]:
        size = max(1.0, last.size, piece.size)
        gap = piece.x0 - last.x1
        if piece.vertical and last.vertical and _is_next_below(last, piece, size):
            last.text += piece.text
            last.x0, last.x1, last.y1 = min(last.x0, piece.x0), max(last.x1, piece.x1), piece.y1
            continue
        level = abs(piece.baseline - last.baseline) <= SAME_BASELINE * size
        either_way = bool(last.characters) and runs_right_to_left(last.text + piece.text)
        apart, least = (_apart(last, piece), -math.inf) if either_way else (gap, -0.5 * size)
        near = least <= apart <= SAME_LINE_GAP * size
        if level and near and not (piece.vertical or last.vertical):
            blank = "" if last.text.endswith(" ") or gap < 0.1 * size else " "
            last.text += blank + piece.text
            last.characters += piece.characters
            last.x0, last.y0 = min(last.x0, piece.x0), min(last.y0, piece.y0)
            last.x1, last.y1 = max(last.x1, piece.x1), max(last.y1, piece.y1)
        else:
            whole.append(piece)
            last = piece
    return whole


def _is_next_below(one: Piece, other: Piece, size: float) -> bool:
    """True when a piece goes on with a vertical line."""
    aside = abs((one.x0 + one.x1) - (other.x0 + other.x1)) / 2
    return aside <= SAME_BASELINE * size and -0.5 * size <= other.y0 - one.y1 <= SAME_LINE_GAP * size


def _apart(one: Piece, other: Piece) -> float:
    """Points between two pieces, whichever comes first; negative where they overlap."""
    return max(other.x0 - one.x1, one.x0 - other.x1)


def _ordered_text(piece: Piece, base: Base) -> str:
    """The piece's text in logical order: as it is, or by the places of its characters."""
    if not piece.characters or not runs_right_to_left(piece.text) or piece.vertical:
        return piece.text
    own = base if base == "R" else base_direction(piece.text)
    return line_text(piece.characters, WORD_GAP * piece.size, own)


def _ink_map(gray: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """H x W; True where a pixel differs from the paper, which is the most common level."""
    sampled = gray.ravel()[::SAMPLED_PIXELS]
    paper = int(np.bincount(sampled, minlength=256).argmax()) if sampled.size else 255
    return np.frombuffer(gray.tobytes().translate(_is_ink(paper)), dtype=np.bool_).reshape(gray.shape)


@lru_cache(maxsize=256)
def _is_ink(paper: int) -> bytes:
    """For each gray level, 1 when it is ink on paper of this level."""
    return bytes(abs(level - paper) > INK_CONTRAST for level in range(256))


def _edges(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """H x W; True beside a pixel of another level: the ink of strokes, but not of what is filled or tinted."""
    found = np.zeros(pixels.shape, dtype=bool)
    for axis in (0, 1):
        steps = np.abs(np.diff(pixels.astype(np.int16), axis=axis)) > INK_CONTRAST
        one, other = (found[1:], found[:-1]) if axis == 0 else (found[:, 1:], found[:, :-1])
        one |= steps
        other |= steps
    return found


def _evidence(
    ink_map: NDArray[np.bool_],
    edges: NDArray[np.bool_],
    dpi: float,
    lines: list[Line],
    images: Iterable[Box],
    characters: int,
) -> InkEvidence:
    """Measure text against ink. A line's area is its box and one pixel around it. Only edges count outside it:
    a coloured ground or a light picture behind the text hides no letters."""
    covered = np.zeros_like(ink_map)
    bare = 0
    for line, (x0, y0, x1, y1) in zip(lines, _windows([line.box for line in lines], dpi, 1), strict=True):
        covered[y0:y1, x0:x1] = True
        if not ink_map[y0:y1, x0:x1].any():
            bare += len(line.text.replace(" ", ""))
    in_text = int(np.count_nonzero(ink_map & covered))
    total = in_text + int(np.count_nonzero(edges & ~covered))
    in_images, cover = 0, 0.0
    if images:
        pictured = np.zeros_like(ink_map)
        for x0, y0, x1, y1 in _windows(images, dpi, 0):
            pictured[y0:y1, x0:x1] = True
        cover = float(pictured.mean())
        in_images = int(np.count_nonzero(edges & pictured & ~covered))
    return InkEvidence(
        in_text=in_text / total if total else 0.0,
        in_images=in_images / total if total else 0.0,
        image_cover=cover,
        bare_characters=bare,
        per_character=int(np.count_nonzero(ink_map)) * (72 / dpi) ** 2 / characters if characters else 0.0,
    )


def _drawn(
    gray: NDArray[np.uint8], ink_map: NDArray[np.bool_], evidence: InkEvidence, windows: list[list[int]]
) -> float:
    """Share of the ink that is neither text nor image, the outlines of coloured boxes left out as well.

    `windows` are those of lines and images.
    """
    drawn = max(0.0, 1 - evidence.in_text - evidence.in_images) if ink_map.any() else 0.0
    if drawn < FEW_DRAWN:
        return round(drawn, 4)
    ink = strokes(gray, INK_CONTRAST)
    total = int(np.count_nonzero(ink))
    for x0, y0, x1, y1 in windows:
        ink[y0:y1, x0:x1] = False
    return round(min(drawn, int(np.count_nonzero(ink)) / max(1, total)), 4)


def _windows(boxes: Iterable[Box], dpi: float, margin: int) -> list[list[int]]:
    """Pixel bounds [x0, y0, x1, y1) of boxes in points, `margin` pixels wider, never negative."""
    table = [(box.x0, box.y0, box.x1, box.y1) for box in boxes]
    if not table:
        return []
    corners = np.array(table) * (dpi / 72)
    corners = np.clip(corners, -margin, 1e6).astype(np.int64)
    corners += np.array([-margin, -margin, margin + 1, margin + 1])
    bounds: list[list[int]] = np.maximum(corners, 0).tolist()
    return bounds


def _box(numbers: Any) -> Box:
    x0, y0, x1, y1 = (float(v) for v in numbers)
    return Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
