"""Label Studio tasks: pages with our lines as predictions, to be looked at and corrected there.

`tasks.json` is what its import takes; `config.xml` is the labelling interface it needs; the
image paths are relative to the folder that Label Studio serves as local files. Boxes are
percentages of the image. Of each line there are two results under one id, as its OCR template
wants: the box with its category, and the text. A region whose lines have no boxes of their own is one such box.
The split, which a task's data names like all else of its origin, is no matter here: people look at all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from flywheel.document import Kind
from flywheel.export.marks import Mark, marks
from flywheel.export.picturefile import in_pixels, pixel_size, place_image
from flywheel.export.rows import ExportedPage
from flywheel.markup import CATEGORIES

SERVED = "/data/local-files/?d="


def write_files(rows: Iterable[ExportedPage], directory: Path) -> None:
    """Write tasks.json, config.xml and images/."""
    (directory / "config.xml").write_text(_config(), encoding="utf-8")
    with (directory / "tasks.json").open("w", encoding="utf-8") as file:
        file.write("[")
        for number, row in enumerate(rows):
            image = place_image(row, number, directory)
            file.write(",\n" if number else "\n")
            json.dump(_task(row, image), file, ensure_ascii=False)
        file.write("\n]\n")


def _config() -> str:
    labels = "".join(f'    <Label value="{category}"/>\n' for category in sorted(CATEGORIES))
    return (
        '<View>\n  <Image name="image" value="$ocr" zoom="true"/>\n'
        f'  <RectangleLabels name="label" toName="image">\n{labels}  </RectangleLabels>\n'
        '  <TextArea name="transcription" toName="image" editable="true" perRegion="true" '
        'required="true" maxSubmissions="1" rows="2" displayMode="region-list"/>\n</View>\n'
    )


def _task(row: ExportedPage, image: Path) -> dict[str, Any]:
    """Task of a page: a person's label becomes an annotation, a reader's a prediction."""
    results = [part for number, mark in enumerate(marks(row.label)) for part in _pair(row, number, mark)]
    data = {
        "ocr": SERVED + image.as_posix(),
        "key": row.key,
        **row.origin,
    }
    if row.label.kind is Kind.HUMAN:
        return {"data": data, "annotations": [{"result": results, "ground_truth": True}]}
    prediction: dict[str, Any] = {
        "model_version": row.lineage["checkpoint"] or row.label.producer,
        "result": results,
    }
    if row.label.confidence is not None:
        prediction["score"] = round(row.label.confidence, 4)
    return {"data": data, "predictions": [prediction]}


def _pair(row: ExportedPage, number: int, mark: Mark) -> Iterator[dict[str, Any]]:
    width, height = size = pixel_size(row)
    box = in_pixels(mark.box, row, size)
    place = {
        "x": round(box.x0 / width * 100, 4),
        "y": round(box.y0 / height * 100, 4),
        "width": round(box.width / width * 100, 4),
        "height": round(box.height / height * 100, 4),
        "rotation": 0,
    }
    shared = {
        "id": f"mark{number}",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
    }
    yield {
        **shared,
        "from_name": "label",
        "type": "rectanglelabels",
        "value": {**place, "rectanglelabels": [mark.category]},
    }
    yield {**shared, "from_name": "transcription", "type": "textarea", "value": {**place, "text": [mark.text]}}
