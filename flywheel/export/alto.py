"""ALTO 4.4 (Library of Congress): one XML file a page beside its image, for libraries and for eScriptorium.

Coordinates are pixels of the image. Categories become structure tags; a line is one String,
since neither Tibetan nor Chinese separates words by spaces. A line without a box of its own stands in its block
without a place, which the schema allows: the block's is not the line's. The page's origin is the processing
step's settings, as JSON; labels written by a person carry the correction status.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

from flywheel.document import Box, Kind, Line, Region
from flywheel.export.picturefile import in_pixels, pixel_size, place_image
from flywheel.export.rows import ExportedPage
from flywheel.export.splits import split_name
from flywheel.markup import own_boxes

NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2


def write_files(rows: Iterable[ExportedPage], directory: Path) -> None:
    """Write train/images/NNNNN/key.jpg and key.xml beside it; validation/ and test/ likewise."""
    for number, row in enumerate(rows):
        image = place_image(row, number, directory / split_name(row))
        tree = ET.ElementTree(_alto(row, image.name))
        path = directory / split_name(row) / image.with_suffix(".xml")
        tree.write(path, encoding="utf-8", xml_declaration=True)


def _alto(row: ExportedPage, image: str) -> ET.Element:
    root = ET.Element("alto", {"xmlns": NAMESPACE, "SCHEMAVERSION": "4.4"})
    _describe(ET.SubElement(root, "Description"), row, image)
    tags = ET.SubElement(root, "Tags")
    for category in dict.fromkeys(region.category for region in row.label.regions):
        ET.SubElement(tags, "StructureTag", {"ID": f"tag_{category}", "LABEL": category})
    width, height = pixel_size(row)
    size = {"WIDTH": str(width), "HEIGHT": str(height)}
    page = ET.SubElement(
        ET.SubElement(root, "Layout"),
        "Page",
        {"ID": "page", "PHYSICAL_IMG_NR": str(row.page + 1), "PROCESSINGREFS": "step", **size},
    )
    if row.label.language and re.fullmatch(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*", row.label.language):
        page.set("LANG", row.label.language)
    space = ET.SubElement(page, "PrintSpace", {**size, "HPOS": "0", "VPOS": "0"})
    own = own_boxes(row.label)
    for number, region in enumerate(row.label.regions):
        block = _block(space, region, f"block_{number}", row, (width, height))
        for count, line in enumerate(region.lines):
            place = _place(line.box, row, (width, height)) if line.box in own else {}
            _line(block, line, f"block_{number}_line_{count}", place)
    return root


def _describe(description: ET.Element, row: ExportedPage, image: str) -> None:
    ET.SubElement(description, "MeasurementUnit").text = "pixel"
    source = ET.SubElement(description, "sourceImageInformation")
    ET.SubElement(source, "fileName").text = image
    ET.SubElement(source, "documentIdentifier", {"documentIdentifierLocation": "sha256"}).text = row.sha256
    step = ET.SubElement(description, "Processing", {"ID": "step"})
    ET.SubElement(step, "processingCategory").text = "contentGeneration"
    ET.SubElement(step, "processingStepDescription").text = _clean(f"{row.verdict}: {row.reason}")
    ET.SubElement(step, "processingStepSettings").text = _clean(json.dumps(row.origin, ensure_ascii=False))
    software = ET.SubElement(step, "processingSoftware")
    ET.SubElement(software, "softwareName").text = _clean(row.label.producer)


def _block(space: ET.Element, region: Region, name: str, row: ExportedPage, size: tuple[int, int]) -> ET.Element:
    kind = "TextBlock" if region.lines or region.category != "picture" else "Illustration"
    attributes = {"ID": name, "TAGREFS": f"tag_{region.category}", **_place(region.box, row, size)}
    block = ET.SubElement(space, kind, attributes)
    if row.label.kind is Kind.HUMAN:
        block.set("CS", "true")
    return block


def _line(block: ET.Element, line: Line, name: str, place: dict[str, str]) -> None:
    string = ET.SubElement(
        ET.SubElement(block, "TextLine", {"ID": name, **place}), "String", {"CONTENT": _clean(line.text), **place}
    )
    if line.confidence is not None:
        string.set("WC", f"{min(1.0, max(0.0, line.confidence)):.4f}")


def _place(box: Box, row: ExportedPage, size: tuple[int, int]) -> dict[str, str]:
    pixels = in_pixels(box, row, size)
    values = (("HPOS", pixels.x0), ("VPOS", pixels.y0), ("WIDTH", pixels.width), ("HEIGHT", pixels.height))
    return {name: f"{max(0.0, value):.2f}" for name, value in values}


def _clean(text: str) -> str:
    """Remove the characters that XML cannot hold."""
    return _FORBIDDEN.sub("", text)
