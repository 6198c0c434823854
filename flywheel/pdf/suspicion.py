"""Signs, cheap to see, that a page's text layer needs a closer look, inside the child.

Looked at are MuPDF's own lines, a small rendering of the page with its text and without, and where colours change.
A page of black text on paper gives no sign. One that does is taken apart by character (`flywheel.pdf.glyphs`),
which decides; a sign alone means nothing.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymupdf import mupdf

from flywheel.pdf.glyphs import difference
from flywheel.text.bidi import runs_right_to_left

TRACE = 6  # gray levels by which a line's ink must show in the small rendering, of 255
GAP = 1.3  # font sizes without a trace inside a line
GAP_PIXELS = 2
OVERLAP = 0.2  # of the smaller of two lines' boxes, where one says what the other does
ATOP = 0.5  # of it, whatever they say: lines of Tibetan stacks share up to 0.4 with those above and below
DOUBLED = 0.3  # of the characters that are as the one before them
AT_END = 0.25  # of a line's box: a line begins at its left and stands on its lower edge
SPAN = re.compile(rb'<span style="([^"]*)">(.*?)</span>')  # bold and italic stand inside
COLOUR = re.compile(rb'color:(#\w+)">')
SAME_STYLE = re.compile(rb'<span (style="[^"]*">)([^<]*)</span>(?=<span \1([^<]*))')
LINES = 600  # pages of more are looked at closely: to compare each with each would take as long

Rows = list[dict[str, Any]]


def is_suspect(
    rows: Rows, scale: float, images: list[list[float]], whole: bytes, bare: bytes, height: int, dpi: float
) -> bool:
    """True when characters may be hidden, drawn twice or turned.

    `rows` are the lines that are not blank, in integers of `scale` a point; `whole` and `bare` gray renderings of
    `height` rows with the text and without.
    """
    if not rows:
        return False
    if len(rows) > LINES:
        return True
    table = np.array(
        [
            (
                *map(row["bbox"].__getitem__, ("x", "y", "w", "h")),
                row["x"],
                row["y"],
                row["font"]["size"],
                row["wmode"],
            )
            for row in rows
        ],
        dtype=np.float64,
    )
    table[:, :7] /= scale
    whole_text = "".join(row["text"] for row in rows)
    boxes = np.column_stack((table[:, :2], table[:, :2] + table[:, 2:4]))
    return bool(
        _any_turned(table)
        or _any_overlap(boxes, [row["text"].strip() for row in rows])
        or _any_touched(boxes, images)
        or _any_untraced(boxes, table[:, 6], difference(whole, bare, height), dpi)
        or _is_doubled(whole_text)
        or runs_right_to_left(whole_text)  # by where a line begins nobody can tell whether it is mirrored
    )


def colour_changes(text_page: Any) -> bool:
    """True when colour or opacity change within a line."""
    buffer = mupdf.fz_new_buffer(1 << 14)
    output = mupdf.FzOutput(buffer)
    output.fz_print_stext_page_as_html(text_page, 0)
    output.fz_close_output()
    written = bytes(buffer.fz_buffer_extract())
    if written.count(b"<span") == len(colours := COLOUR.findall(written)) and len(set(colours)) <= 1:
        return any(one.strip() and other.strip() for _, one, other in SAME_STYLE.findall(written))
    spans = (SPAN.findall(line) for line in written.split(b"\n") if line.count(b"<span") > 1)
    return any(map(_changes, spans))


def _changes(spans: list[tuple[bytes, bytes]]) -> bool:
    """True when text, blanks aside, is of two colours; or of one style in two spans: opacity differs."""
    inked = [bool(text.strip()) for _, text in spans]
    colours = {style.partition(b"color:")[2] for (style, _), ink in zip(spans, inked, strict=True) if ink}
    styles = [style for style, _ in spans]
    return len(colours) > 1 or any(
        one == other and one_inked and other_inked
        for (one, other), (one_inked, other_inked) in zip(pairwise(styles), pairwise(inked), strict=True)
    )


def _any_turned(table: NDArray[np.float64]) -> bool:
    """A line that begins at its right end, stands on its upper edge, or is set upwards or downwards."""
    x, y, width, height, first, baseline, size, vertical = table.T
    backwards = (width > size) & (first > x + (1 - AT_END) * width)
    upside_down = baseline < y + AT_END * height
    sideways = (height > 2 * width) & (height > 2 * size)
    return bool(((backwards | upside_down | sideways) & (vertical == 0)).any())


def _any_overlap(boxes: NDArray[np.float64], texts: list[str]) -> bool:
    """Lines that stand on one another, or in part on one that says the same."""
    order = np.argsort(boxes[:, 1])
    boxes, texts = boxes[order], [texts[k] for k in order]
    x0, y0, x1, y1 = boxes.T
    areas = np.maximum((x1 - x0) * (y1 - y0), 1e-6)
    for step in range(1, len(boxes)):
        height = np.minimum(y1[:-step], y1[step:]) - y0[step:]
        if not (height > 0).any():
            return False
        width = np.minimum(x1[:-step], x1[step:]) - np.maximum(x0[:-step], x0[step:])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        share = shared / np.minimum(areas[:-step], areas[step:])
        if (share > ATOP).any() or any(
            texts[k] in texts[k + step] or texts[k + step] in texts[k] for k in np.flatnonzero(share > OVERLAP)
        ):
            return True
    return False


def _any_touched(boxes: NDArray[np.float64], images: list[list[float]]) -> bool:
    """A line that lies over or under an image."""
    return any(
        ((boxes[:, 0] < x1) & (boxes[:, 2] > x0) & (boxes[:, 1] < y1) & (boxes[:, 3] > y0)).any()
        for x0, y0, x1, y1 in images
    )


def _any_untraced(
    boxes: NDArray[np.float64], sizes: NDArray[np.float64], trace: NDArray[np.uint8], dpi: float
) -> bool:
    """A line that has no ink of its own for a stretch of more than a letter."""
    inked = trace >= TRACE
    scale = dpi / 72
    bounds = np.column_stack((np.floor(boxes[:, :2] * scale), np.ceil(boxes[:, 2:] * scale)))
    bounds = bounds.clip(0, [trace.shape[1], trace.shape[0]] * 2).astype(np.int64)
    for (x0, y0, x1, y1), size in zip(bounds.tolist(), (sizes * scale).tolist(), strict=True):
        columns = inked[y0:y1, x0:x1].any(axis=0).tobytes()
        if not any(columns) or b"\0" * (int(GAP * size) + GAP_PIXELS) in columns:
            return True
    return False


def _is_doubled(text: str) -> bool:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return bool((codes[1:] == codes[:-1]).sum() > DOUBLED * len(codes))
