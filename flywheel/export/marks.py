"""Marks of a page: what has a place of its own, line by line, or region by region where only regions have one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flywheel.document import Box, Label
from flywheel.markup import own_boxes


@dataclass(frozen=True, slots=True)
class Mark:
    """A text with the box that holds it and no other; `is_line`: one line of the page, else a region with
    all of its lines."""

    category: str
    box: Box
    text: str
    is_line: bool


def marks(label: Label) -> Iterator[Mark]:
    """The label's text in reading order, once; a region is one mark unless all its lines have own boxes."""
    own = own_boxes(label)
    for region in label.regions:
        if all(line.box in own for line in region.lines):
            yield from (Mark(region.category, line.box, line.text, is_line=True) for line in region.lines)
        else:
            yield Mark(region.category, region.box, region.text, is_line=False)
