"""Image files of rows, for the formats that keep images beside their text."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from flywheel.document import Box
from flywheel.export.rows import ExportedPage

FOLDER_ROWS = 1000


def place_image(row: ExportedPage, number: int, directory: Path) -> Path:
    """Write the JPEG to images/NNNNN/key.jpg, a thousand to a folder; return that path, relative."""
    name = Path("images") / f"{number // FOLDER_ROWS:05d}" / f"{row.key}.jpg"
    (directory / name).parent.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(row.image)
    return name


def pixel_size(row: ExportedPage) -> tuple[int, int]:
    """Width and height of the row's image, from its header."""
    with Image.open(io.BytesIO(row.image)) as image:
        return image.size


def in_pixels(box: Box, row: ExportedPage, size: tuple[int, int]) -> Box:
    """Convert a box in page points to the image's pixels, cut to the image."""
    width, height = size
    across, down = width / row.label.width, height / row.label.height
    return Box(
        min(width, max(0.0, box.x0 * across)),
        min(height, max(0.0, box.y0 * down)),
        min(width, max(0.0, box.x1 * across)),
        min(height, max(0.0, box.y1 * down)),
    )
