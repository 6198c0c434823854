"""JSON lines for fine-tuning DeepSeek-OCR: one sample a page, of a prompt and the wanted answer.

The prompt tells what the label is worth, as in the paper (section 3.4): one that knows where things stand
answers the grounding prompt with layout, boxes in 0-999 bins, and text; any other answers "Free OCR." with
plain text (flywheel/markup/grounding.py, as in training here). Images lie beside, a thousand to a folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flywheel.export.picturefile import place_image
from flywheel.export.rows import ExportedPage
from flywheel.export.splits import TextFiles, split_name
from flywheel.markup import coarse, grounded

COARSE_PROMPT = "<image>\nFree OCR."
FINE_PROMPT = "<image>\n<|grounding|>Convert the document to markdown."


def write_files(rows: Iterable[ExportedPage], directory: Path) -> None:
    """Write train.jsonl, validation.jsonl and test.jsonl, as far as there are rows, and images/NNNNN/key.jpg."""
    with TextFiles(directory) as files:
        for number, row in enumerate(rows):
            image = place_image(row, number, directory)
            files[f"{split_name(row)}.jsonl"].write(json.dumps(_sample(row, image), ensure_ascii=False) + "\n")


def _sample(row: ExportedPage, image: Path) -> dict[str, Any]:
    label = row.label
    answer = grounded(label)
    boxes = [list(region.box.bins(label.width, label.height)) for region in label.regions] if answer else []
    return {
        "id": row.key,
        "image": image.as_posix(),
        "prompt": FINE_PROMPT if answer else COARSE_PROMPT,
        "answer": answer or coarse(label),
        "boxes": boxes,
        "language": label.language,
        "script": label.script,
        **row.origin,
    }
