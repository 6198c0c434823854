"""PaddleOCR's training folders: pages with line boxes for the detector, line pictures for the recogniser.

    det_train.txt        image<TAB>[{"transcription": text, "points": [[x, y] * 4]}, ...]
    rec_train.txt        picture of a line<TAB>text
    *_validation.txt, *_test.txt      likewise, of those splits
    images/ lines/       the pictures that they name
    lineage.jsonl        the origin of each image's label

Points are pixels, clockwise from the top left. Both lists are of lines. The transcription "###" has PaddleOCR's
detector pass over a box, as neither text nor paper: lines without text, and regions whose lines have no boxes of
their own (a page reader's), which have no line pictures either. A page of nothing but those is in neither list.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from PIL import Image

from flywheel.document import Box
from flywheel.export.marks import Mark, marks
from flywheel.export.picturefile import in_pixels, pixel_size, place_image
from flywheel.export.rows import ExportedPage
from flywheel.export.splits import TextFiles, split_name

JPEG_QUALITY = 90
IGNORED = "###"


def write_files(rows: Iterable[ExportedPage], directory: Path) -> None:
    """Write lists of pages and of lines, as far as a split has any, lineage.jsonl, images/ and lines/."""
    with TextFiles(directory) as files:
        lineage = files["lineage.jsonl"]
        for number, row in enumerate(rows):
            image = place_image(row, number, directory).as_posix()
            lineage.write(json.dumps({"image": image, **row.origin}, ensure_ascii=False) + "\n")
            found = list(_marks(row))
            if any(mark.is_line for mark, _ in found):
                shown = [{"transcription": _shown(mark), "points": _corners(box)} for mark, box in found]
                pages = files[f"det_{split_name(row)}.txt"]
                pages.write(f"{image}\t{json.dumps(shown, ensure_ascii=False)}\n")
                lines = files[f"rec_{split_name(row)}.txt"]
                _write_lines(row, Path("lines") / f"{row.key}", found, directory, lines)


def _marks(row: ExportedPage) -> Iterator[tuple[Mark, Box]]:
    """Yield the marks with text or for it, and their boxes in pixels."""
    size = pixel_size(row)
    for mark in marks(row.label):
        box = in_pixels(mark.box, row, size)
        if box.width >= 1 and box.height >= 1:
            yield mark, box


def _text(mark: Mark) -> str:
    """A line's text without tabs and line breaks, which the lists could not hold; nothing for a region."""
    return " ".join(mark.text.split()) if mark.is_line else ""


def _shown(mark: Mark) -> str:
    return _text(mark) or IGNORED


def _corners(box: Box) -> list[list[int]]:
    x0, y0, x1, y1 = (round(v) for v in (box.x0, box.y0, box.x1, box.y1))
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def _write_lines(
    row: ExportedPage, folder: Path, found: list[tuple[Mark, Box]], directory: Path, listing: TextIO
) -> None:
    (directory / folder).mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(row.image)) as page:
        for number, (mark, box) in enumerate(found):
            if text := _text(mark):
                name = folder / f"{number:04d}.jpg"
                part = page.crop((math.floor(box.x0), math.floor(box.y0), math.ceil(box.x1), math.ceil(box.y1)))
                part.save(directory / name, "JPEG", quality=JPEG_QUALITY)
                listing.write(f"{name.as_posix()}\t{text}\n")
