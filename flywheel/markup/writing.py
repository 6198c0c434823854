"""Labels as markup: `fine` grounds each region, `coarse` is the text alone."""

from __future__ import annotations

import json

from flywheel.document import Label, Region
from flywheel.markup.form import CATEGORIES, DET, DET_END, REF, REF_END, MarkupError, check_page, escaped

# DeepSeek-OCR's own names, where they are not ours: a model fine-tuned on others would unlearn them, and its
# authors' code looks for "image".
PUBLISHED = {"picture": "image", "formula": "equation", "caption": "image_caption"}


def coarse(label: Label) -> str:
    """The plain form: regions' text in reading order, a blank line between them."""
    return label.text


def fine(label: Label) -> str:
    """The grounded form. Raises MarkupError when the page has no size or a category is unknown."""
    check_page(label.width, label.height)
    return "\n\n".join(_block(region, label.width, label.height) for region in label.regions)


def _block(region: Region, width: float, height: float) -> str:
    if region.category not in CATEGORIES:
        raise MarkupError(f"no such category: {region.category!r}")
    bins = json.dumps(list(region.box.bins(width, height)))
    name = PUBLISHED.get(region.category, region.category)
    head = f"{REF}{name}{REF_END}{DET}[{bins}]{DET_END}"
    kept = "\n".join(line.rstrip() for line in region.text.split("\n")).strip()
    text = "\n".join(escaped(line) for line in kept.split("\n"))
    if not text:
        return head
    return f"{head}\n# {text}" if region.category == "title" else f"{head}\n{text}"
