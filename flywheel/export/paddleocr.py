"""PaddleOCR's training folders: pages with line boxes for the detector, line pictures for the recogniser.

    det.txt              image<TAB>[{"transcription": text, "points": [[x, y] * 4]}, ...]
    rec.txt              picture of a line<TAB>text
    images/ lines/       the pictures that they name
    lineage.jsonl        the origin of each image's label

Points are pixels, clockwise from the top left. A line without text has the transcription
"###", which PaddleOCR's detector skips, and no picture.
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
from flywheel.export.picturefile import in_pixels, pixel_size, place_image
from flywheel.export.rows import ExportedPage

JPEG_QUALITY = 90


def write_files(rows: Iterable[ExportedPage], directory: Path) -> None:
    """Write det.txt, rec.txt, lineage.jsonl, images/ and lines/."""
    with (
        (directory / "det.txt").open("w", encoding="utf-8") as pages,
        (directory / "rec.txt").open("w", encoding="utf-8") as lines,
        (directory / "lineage.jsonl").open("w", encoding="utf-8") as lineage,
    ):
        for number, row in enumerate(rows):
            image = place_image(row, number, directory).as_posix()
            found = list(_lines(row))
            marks = [{"transcription": text or "###", "points": _corners(box)} for text, box in found]
            pages.write(f"{image}\t{json.dumps(marks, ensure_ascii=False)}\n")
            _write_lines(row, Path("lines") / f"{row.key}", found, directory, lines)
            lineage.write(json.dumps({"image": image, **row.origin}, ensure_ascii=False) + "\n")


def _lines(row: ExportedPage) -> Iterator[tuple[str, Box]]:
    """Yield texts without tabs and line breaks, which the lists could not hold, and boxes in pixels."""
    size = pixel_size(row)
    for line in row.label.lines:
        box = in_pixels(line.box, row, size)
        if box.width >= 1 and box.height >= 1:
            yield " ".join(line.text.split()), box


def _corners(box: Box) -> list[list[int]]:
    x0, y0, x1, y1 = (round(v) for v in (box.x0, box.y0, box.x1, box.y1))
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def _write_lines(
    row: ExportedPage, folder: Path, found: list[tuple[str, Box]], directory: Path, listing: TextIO
) -> None:
    (directory / folder).mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(row.image)) as page:
        for number, (text, box) in enumerate(found):
            if text:
                name = folder / f"{number:04d}.jpg"
                part = page.crop((math.floor(box.x0), math.floor(box.y0), math.ceil(box.x1), math.ceil(box.y1)))
                part.save(directory / name, "JPEG", quality=JPEG_QUALITY)
                listing.write(f"{name.as_posix()}\t{text}\n")
