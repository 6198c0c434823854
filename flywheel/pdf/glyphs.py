"""Characters of a page inside the child: those that are seen, hidden, drawn once more, or turned.

A text layer says what is on a page, not that it shows. Hidden is a character that leaves no trace: drawn in
mode 3, of opacity 0, in the colour of what lies under it, or covered by what is drawn later. The page is
rendered with its text and without, and a character is seen where the two differ. Text that is drawn once more
(false bold, a shadow, a stroke over a fill) is kept in its last drawing only, which lies on top.

Most pages need none of this, and taking a page apart by character costs more than all the rest:
`flywheel.pdf.suspicion` says which do.
"""

from __future__ import annotations

import math
import sys
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pymupdf
from numpy.typing import NDArray
from pymupdf import mupdf

from flywheel.document import MAINLY_HIDDEN
from flywheel.pdf.actual_text import joined, said_again
from flywheel.pdf.over_scan import over_scan

SEEN_DPI = 96.0
SEEN_PIXELS = 8_000_000
SEEN_CONTRAST = 16  # gray levels that a character must differ from the page without it, of 255
INNER = 0.15  # of a character's width on either side, where its neighbours' ink may reach
SLIM = 0.4  # of the font size
NARROW = 0.1  # of the font size; a mark of this width takes the state of the character it stands on
DRAWN = mupdf.FZ_STEXT_FILLED | mupdf.FZ_STEXT_STROKED | mupdf.FZ_STEXT_CLIPPED
NEAR = 0.7  # of the font size: two drawings of one character or line lie no farther apart
COINCIDENT = 0.5  # of the smaller box, shared by two drawings of one character
SAME_PLACE = 0.25  # likewise by two drawings of a line, or of a run of characters
SAME_OFFSET = 0.12  # of the font size, by which the distances of a shadow's characters may differ
GAP = 0.2  # of the font size; a wider one is a blank
UPRIGHT = 0.7  # cosine of the angle to the horizontal: slanted lines are upright
UNKNOWN = "\ufffd"
NEIGHBOURS = 200  # most characters of one code point that are compared with one of them

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TextRow:
    """A line as MuPDF found it. `upright`: neither sideways nor turned; `turned`: upside down or mirrored."""

    block: int
    vertical: bool
    upright: bool
    turned: bool


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of a page in the order of the file; arrays of N."""

    symbols: list[str]
    lines: Indices  # index into rows
    origins: Floats  # N x 2, on the baseline
    boxes: Floats  # N x 4: advance by outline
    advances: Floats  # along the baseline, points
    sizes: Floats  # of the font, points
    fonts: list[str]
    painted: Mask  # by their own drawing mode and opacity
    synthetic: Mask  # blanks that MuPDF writes into gaps
    rows: list[TextRow]

    @property
    def blank(self) -> Mask:
        """True for characters that leave no ink anywhere: blanks, joiners, marks of direction."""
        return np.array([_is_blank(symbol) for symbol in self.symbols], dtype=bool)

    @property
    def upright(self) -> Mask:
        """False for characters of lines that stand sideways, upside down or mirrored; upright columns do not."""
        return np.array([row.upright or row.vertical for row in self.rows], dtype=bool)[self.lines]

    @property
    def turned(self) -> Mask:
        return np.array([row.turned for row in self.rows], dtype=bool)[self.lines]


@lru_cache(maxsize=1 << 16)
def _is_blank(symbol: str) -> bool:
    return symbol.isspace() or unicodedata.category(symbol) == "Cf"


def read(text_page: Any, given: frozenset[str] = frozenset()) -> Glyphs:
    """Take the text page apart. `given` are the page's texts of letter groups, see flywheel.pdf.actual_text."""
    symbols: list[str] = []
    fonts: list[str] = []
    table: list[tuple[float, ...]] = []
    rows: list[TextRow] = []
    turned = _turned_lines(text_page)
    for number, block in enumerate(_taken_apart(text_page)):
        for line in block.get("lines", ()):
            upright = line["dir"][0] >= UPRIGHT and not turned[len(rows)]
            rows.append(TextRow(number, bool(line["wmode"]), upright, turned[len(rows)]))
            for span in line["spans"]:
                painted = bool(span["char_flags"] & DRAWN) and (
                    span["alpha"] > 0 or bool(span["char_flags"] & mupdf.FZ_STEXT_CLIPPED)
                )
                for character in span["chars"]:
                    symbols.append(character["c"][:1])
                    fonts.append(span["font"])
                    place = (*character["origin"], *character["bbox"])
                    table.append((*place, span["size"], painted, len(rows) - 1, character["synthetic"]))
    values = np.array(table, dtype=np.float64).reshape(len(symbols), 10)
    advances = values[:, 4] - values[:, 2]
    if given and len(exact := _advances(text_page)) == len(symbols):  # PyMuPDF leaves out lines without a width
        advances = np.array(exact)
    glyphs = Glyphs(
        symbols=symbols,
        lines=values[:, 8].astype(np.int64),
        origins=values[:, 0:2],
        boxes=values[:, 2:6],
        advances=advances,
        sizes=np.maximum(values[:, 6], 0.1),
        fonts=fonts,
        painted=values[:, 7] > 0,
        synthetic=values[:, 9] > 0,
        rows=rows,
    )
    return joined(glyphs, given)


def _taken_apart(text_page: Any) -> list[Any]:
    """The blocks of a text page, to the character. Where one is no code point, which PyMuPDF fails on, it
    is taken for unknown."""
    try:
        return list(pymupdf.TextPage(text_page).extractRAWDICT()["blocks"])
    except SystemError:
        for block in text_page:
            for line in block if block.m_internal.type == mupdf.FZ_STEXT_BLOCK_TEXT else ():
                for character in line:
                    if character.m_internal.c > sys.maxunicode:
                        character.m_internal.c = ord(UNKNOWN)
        return list(pymupdf.TextPage(text_page).extractRAWDICT()["blocks"])


def _turned_lines(text_page: Any) -> list[bool]:
    """For each line, True when it is shown upside down or mirrored: by its direction, and by the sense in which
    the corners of its characters go round."""
    found = []
    for block in text_page:
        if block.m_internal.type != mupdf.FZ_STEXT_BLOCK_TEXT:
            continue
        for line in block:
            found.append(line.m_internal.dir.x <= -UPRIGHT or _is_mirrored(line))
    return found


def _advances(text_page: Any) -> list[float]:
    """Lengths of the characters' lower edges: of a turned or slanted one the box is wider than its advance."""
    quads = (
        character.m_internal.quad
        for block in text_page
        if block.m_internal.type == mupdf.FZ_STEXT_BLOCK_TEXT
        for line in block
        for character in line
    )
    return [math.hypot(quad.lr.x - quad.ll.x, quad.lr.y - quad.ll.y) for quad in quads]


def _is_mirrored(line: Any) -> bool:
    """Of a Type 3 font, whose glyphs are programs that may mirror what they draw, the matrix says nothing, nor do
    the corners of characters that run down the page."""
    if line.m_internal.wmode:
        return False
    for character in line:
        if character.m_internal.font.t3procs:
            return False
        quad = character.m_internal.quad
        right = quad.ur.x - quad.ul.x, quad.ur.y - quad.ul.y
        down = quad.ll.x - quad.ul.x, quad.ll.y - quad.ul.y
        sense = right[0] * down[1] - right[1] * down[0]
        if abs(sense) > 1e-6:
            return bool(sense < 0)
    return False


def hidden(glyphs: Glyphs, display_list: Any, rect: Any) -> Mask:
    """The characters that leave no trace on the page. Blanks and marks without a width as what stands before."""
    seen = glyphs.painted & ~glyphs.blank
    if seen.any():
        seen &= _traces(glyphs, display_list, rect)
        seen |= glyphs.painted & ~glyphs.blank & _slim_beside(glyphs, seen)
    return _as_before(glyphs, ~seen)


def _slim_beside(glyphs: Glyphs, seen: Mask) -> Mask:
    """Slim characters next to a seen one of their line: slanted ones leave their ink beside their advance."""
    slim = glyphs.boxes[:, 2] - glyphs.boxes[:, 0] < SLIM * glyphs.sizes
    same = glyphs.lines[1:] == glyphs.lines[:-1]
    beside = np.zeros_like(seen)
    beside[1:] |= same & seen[:-1]
    beside[:-1] |= same & seen[1:]
    return np.asarray(slim & beside)


def _as_before(glyphs: Glyphs, state: Mask) -> Mask:
    """The state of each character that has a box, carried on to the blanks and marks behind it in its line."""
    boxes = glyphs.boxes
    thin = (boxes[:, 2] - boxes[:, 0] < NARROW * glyphs.sizes) & (boxes[:, 3] - boxes[:, 1] < 4 * glyphs.sizes)
    own = ~(glyphs.blank | (thin & np.array([row.upright for row in glyphs.rows], dtype=bool)[glyphs.lines]))
    places = np.where(own, np.arange(len(own)), -1)
    last = np.maximum.accumulate(places) if len(places) else places
    first = np.minimum.accumulate(np.where(own, np.arange(len(own)), len(own))[::-1])[::-1]
    same = (last >= 0) & (glyphs.lines[np.maximum(last, 0)] == glyphs.lines)
    following = np.minimum(first, max(len(own) - 1, 0))
    source = np.where(same, last, following)
    return state[source] if len(own) else state


def _traces(glyphs: Glyphs, display_list: Any, rect: Any) -> Mask:
    """True for each character in whose box the page with its text differs from the page without, unless a scan
    under the text shows it already."""
    dpi = SEEN_DPI
    area = rect.width * rect.height * (dpi / 72) ** 2
    if area > SEEN_PIXELS:
        dpi *= (SEEN_PIXELS / area) ** 0.5 * 0.999
    matrix = pymupdf.Matrix(dpi / 72, dpi / 72)
    whole = display_list.get_pixmap(matrix=matrix, colorspace=pymupdf.csGRAY, alpha=0)
    bare = without_text(display_list, matrix, whole)
    trace = difference(whole.samples, bare, whole.height) >= SEEN_CONTRAST
    counts = np.zeros((whole.height + 1, whole.width + 1), dtype=np.int32)
    counts[1:, 1:] = trace.cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32)
    boxes = glyphs.boxes * (dpi / 72)
    width = boxes[:, 2] - boxes[:, 0]
    x0 = np.floor(boxes[:, 0] + INNER * width).astype(np.int64).clip(0, whole.width)
    x1 = np.ceil(boxes[:, 2] - INNER * width).astype(np.int64).clip(0, whole.width)
    y0 = np.floor(boxes[:, 1]).astype(np.int64).clip(0, whole.height)
    y1 = np.ceil(boxes[:, 3]).astype(np.int64).clip(0, whole.height)
    x1, y1 = np.maximum(x1, x0), np.maximum(y1, y0)
    seen = np.asarray(
        glyphs.painted & ~glyphs.blank & (counts[y1, x1] - counts[y0, x1] - counts[y1, x0] + counts[y0, x0] > 0)
    )
    page = np.frombuffer(bare, dtype=np.uint8).reshape(whole.height, -1)
    return np.asarray(seen & ~over_scan(page, boxes, glyphs.lines, seen))


def without_text(display_list: Any, matrix: Any, like: Any) -> bytes:
    """Gray pixels of the page without its text, of the size of the pixmap `like`."""
    box = mupdf.FzIrect(like.x, like.y, like.x + like.width, like.y + like.height)
    gray = mupdf.FzColorspace(mupdf.FzColorspace.Fixed_GRAY)
    pixmap = mupdf.FzPixmap(gray, box, mupdf.FzSeparations(), 0)
    pixmap.fz_clear_pixmap_with_value(255)
    device = mupdf.fz_new_draw_device(mupdf.FzMatrix(*matrix), pixmap)
    device.m_internal.fill_text = None  # MuPDF leaves out what a device has no function for
    device.m_internal.stroke_text = None
    everywhere = mupdf.FzRect(mupdf.FzRect.Fixed_INFINITE)
    display_list.this.fz_run_display_list(device, mupdf.FzMatrix(), everywhere, mupdf.FzCookie())
    mupdf.fz_close_device(device)
    return bytes(pymupdf.Pixmap("raw", pixmap).samples)


def difference(whole: bytes, bare: bytes, rows: int) -> NDArray[np.uint8]:
    """H x W: how far two gray renderings differ, pixel by pixel."""
    first = np.frombuffer(whole, dtype=np.uint8).reshape(rows, -1)
    second = np.frombuffer(bare, dtype=np.uint8).reshape(rows, -1)
    return np.maximum(first, second) - np.minimum(first, second)


def _told_by_seen(glyphs: Glyphs, out_of_sight: Mask) -> Mask:
    """Hidden characters that are seen in the same place: letters filled with a pattern, outlined, or with a shadow
    that is an image are said once more without being drawn."""
    told = np.zeros(len(glyphs.symbols), dtype=bool)
    if out_of_sight.any() and not out_of_sight.all():
        first, second = _pairs(glyphs, ~glyphs.blank)
        same = _shared(glyphs.boxes[first], glyphs.boxes[second]) > 0
        told[first[same & ~out_of_sight[second]]] = True
        told[second[same & ~out_of_sight[first]]] = True
    return _as_before(glyphs, told) & out_of_sight


def drawn_again(glyphs: Glyphs, considered: Mask) -> Mask:
    """Those of the considered characters that are drawn once more, later, in nearly the same place."""
    again = np.zeros(len(glyphs.symbols), dtype=bool)
    first, second = _pairs(glyphs, considered & ~glyphs.blank)
    shared = _shared(glyphs.boxes[first], glyphs.boxes[second])
    again[first[shared >= COINCIDENT]] = True
    again[_shadowed(glyphs, considered & ~glyphs.blank, first, second)] = True
    again |= np.isin(glyphs.lines, _repeated(glyphs, considered))
    return _as_before(glyphs, again)


def _pairs(glyphs: Glyphs, considered: Mask) -> tuple[Indices, Indices]:
    """Indices of equal characters that lie near each other, the one drawn first in front."""
    chosen = np.flatnonzero(considered)
    codes = np.array([ord(glyphs.symbols[k]) for k in chosen], dtype=np.int64)
    order = chosen[np.lexsort((glyphs.origins[chosen, 0], codes))]
    codes = np.sort(codes)
    first, second = [], []
    for step in range(1, min(NEIGHBOURS, len(order))):
        one, other = order[:-step], order[step:]
        reach = NEAR * np.minimum(glyphs.sizes[one], glyphs.sizes[other])
        beside = (codes[:-step] == codes[step:]) & (glyphs.origins[other, 0] - glyphs.origins[one, 0] <= reach)
        if not beside.any():
            break
        near = beside & (np.abs(glyphs.origins[other, 1] - glyphs.origins[one, 1]) <= reach)
        first.append(np.minimum(one[near], other[near]))
        second.append(np.maximum(one[near], other[near]))
    none = np.zeros(0, dtype=np.int64)
    return np.concatenate([none, *first]), np.concatenate([none, *second])


def _shared(one: Floats, other: Floats) -> Floats:
    """For pairs of boxes, the share of the smaller that lies in the other; 0 for boxes without area."""
    width = np.minimum(one[:, 2], other[:, 2]) - np.maximum(one[:, 0], other[:, 0])
    height = np.minimum(one[:, 3], other[:, 3]) - np.maximum(one[:, 1], other[:, 1])
    areas = [(box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) for box in (one, other)]
    smaller = np.maximum(np.minimum(*areas), 1e-9)
    return np.where((width > 0) & (height > 0), width * height / smaller, 0.0)


def _shadowed(glyphs: Glyphs, inked: Mask, first: Indices, second: Indices) -> Indices:
    """Characters of runs that come again whole, every character at one distance, over or under the run itself."""
    rank = np.cumsum(inked)
    step: Indices = rank[second] - rank[first]
    order = np.lexsort((first, step))
    first, second, step = first[order], second[order], step[order]
    distance = (glyphs.origins[second] - glyphs.origins[first]) / glyphs.sizes[first][:, None]
    new_run = np.ones(len(first), dtype=bool)
    new_run[1:] = (
        (np.diff(step) != 0)
        | (np.diff(rank[first]) != 1)
        | (np.abs(np.diff(distance, axis=0)) > SAME_OFFSET).any(axis=1)
    )
    again = np.zeros(len(first), dtype=bool)
    for run in np.split(np.arange(len(first)), np.flatnonzero(new_run)[1:]):
        if 1 < len(run) <= step[run[0]]:  # longer ones are a run of dots against itself
            boxes = (_around(glyphs.boxes[part[run]])[None] for part in (first, second))
            again[run] = _shared(*boxes)[0] >= SAME_PLACE
    if again.any():  # words of one letter, by the distance of the others
        usual = np.median(distance[again], axis=0)
        alike = (np.abs(distance - usual) <= SAME_OFFSET).all(axis=1)
        again |= alike & (_shared(glyphs.boxes[first], glyphs.boxes[second]) > 0)
    return first[again]


def _around(boxes: Floats) -> Floats:
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def _repeated(glyphs: Glyphs, considered: Mask) -> list[int]:
    """Lines whose text is drawn once more in the same place, be it in another font."""
    text = ["" for _ in glyphs.rows]
    inked = considered & ~glyphs.blank
    for k in np.flatnonzero(inked).tolist():
        text[glyphs.lines[k]] += glyphs.symbols[k]
    numbers: dict[str, int] = {}
    same = np.array([numbers.setdefault(said, len(numbers)) for said in text], dtype=np.int64)
    boxes, sizes = _line_boxes(glyphs, inked)
    lines = np.flatnonzero([bool(said) for said in text])
    lines = lines[np.lexsort((boxes[lines, 1], same[lines]))]
    found: list[int] = []
    for step in range(1, min(NEIGHBOURS, len(lines))):
        one, other = lines[:-step], lines[step:]
        near = (same[one] == same[other]) & (boxes[other, 1] - boxes[one, 1] <= NEAR * sizes[one])
        if not near.any():
            break
        one, other = one[near], other[near]
        level = np.abs(boxes[other, 3] - boxes[one, 3]) <= NEAR * sizes[one]
        again = level & (_shared(boxes[one], boxes[other]) >= SAME_PLACE)
        found.extend(np.minimum(one, other)[again].tolist())
    return found


def _line_boxes(glyphs: Glyphs, inked: Mask) -> tuple[Floats, Floats]:
    """The box around each line's inked characters, and its largest font size; nothing sensible for blank lines."""
    boxes = np.tile(np.array([np.inf, np.inf, -np.inf, -np.inf]), (len(glyphs.rows), 1))
    sizes = np.zeros(len(glyphs.rows))
    lines = glyphs.lines[inked]
    np.minimum.at(boxes[:, 0:2], lines, glyphs.boxes[inked, 0:2])
    np.maximum.at(boxes[:, 2:4], lines, glyphs.boxes[inked, 2:4])
    np.maximum.at(sizes, lines, glyphs.sizes[inked])
    return boxes, sizes


@dataclass(frozen=True, slots=True)
class Kept:
    """The characters that a layer is left with, and the counts of the others, blanks left out.

    `hidden` of `total` leave no trace; `turned` of those that are kept stand upside down or mirrored.
    """

    mask: Mask
    total: int
    hidden: int
    turned: int


def kept(glyphs: Glyphs, display_list: Any, rect: Any, given: frozenset[str] = frozenset()) -> Kept:
    """The characters that are seen, each once; of a layer that is mainly hidden, all of them, each once."""
    out_of_sight = hidden(glyphs, display_list, rect)
    inked = ~glyphs.blank & ~_told_by_seen(glyphs, out_of_sight)
    count = int((out_of_sight & inked).sum())
    total = count + int((inked & ~out_of_sight).sum())
    considered = np.ones_like(inked) if count >= MAINLY_HIDDEN * max(total, 1) else ~out_of_sight
    considered &= ~said_again(glyphs, given)
    mask = considered & ~drawn_again(glyphs, considered)
    return Kept(mask, total, count, int((mask & inked & glyphs.turned).sum()))


def as_layer(glyphs: Glyphs, mask: Mask, scale: float) -> dict[str, Any]:
    """The masked characters in the form of MuPDF's own JSON (integers, `scale` a point)."""
    blocks: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for members in np.split(np.flatnonzero(mask), _changes(glyphs.lines[mask])):
        if len(members) and any(not glyphs.symbols[k].isspace() for k in members):
            row = glyphs.rows[glyphs.lines[members[0]]]
            blocks[row.block].append(_row(glyphs, members, row, scale))
    return {"blocks": [{"type": "text", "lines": lines} for lines in blocks.values()]}


def _changes(lines: Indices) -> Indices:
    return np.flatnonzero(np.diff(lines)) + 1


def _row(glyphs: Glyphs, members: Indices, row: TextRow, scale: float) -> dict[str, Any]:
    boxes = glyphs.boxes[members]
    x0, y0 = boxes[:, :2].min(axis=0) * scale
    x1, y1 = boxes[:, 2:].max(axis=0) * scale
    start = int(members[0])
    x, y = glyphs.origins[start] * scale
    return {
        "wmode": int(row.vertical),
        "bbox": {"x": int(x0), "y": int(y0), "w": int(x1 - x0), "h": int(y1 - y0)},
        "font": {"name": glyphs.fonts[start], "size": int(glyphs.sizes[start] * scale)},
        "x": int(x),
        "y": int(y),
        "text": _text(glyphs, members.tolist()),
    }


def _text(glyphs: Glyphs, members: list[int]) -> str:
    """The members' text, with a blank where characters between two of them are left out and leave a gap."""
    parts = [glyphs.symbols[members[0]]]
    for before, k in pairwise(members):
        gap = glyphs.boxes[k, 0] - glyphs.boxes[before, 2]
        left_out = range(before + 1, k)
        inked = any(glyphs.boxes[j, 2] > glyphs.boxes[j, 0] and not glyphs.symbols[j].isspace() for j in left_out)
        if inked and gap > GAP * glyphs.sizes[k] and not (parts[-1] + glyphs.symbols[k]).isspace():
            parts.append(" ")
        parts.append(glyphs.symbols[k])
    return "".join(parts)
