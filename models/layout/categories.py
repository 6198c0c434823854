"""PP-DocLayout's labels and our categories: one table for all its versions.

    category_of(label, box, height) -> category

V2, V3 and V4 know 25 classes, in two spellings: as Paddle's own label lists name them (display_formula,
inline_formula, footer_image, header_image, vertical_text), and as some published `id2label` maps fold
them together (formula, footer, header, text). PP-DocLayout-L adds table_title and chart_title. MuPDF's model
has its own table (flywheel/pdf/layout.py), onto the same categories; markup has one for what readers write, and
where both know a name they agree.
"""

from __future__ import annotations

from collections.abc import Iterable

from flywheel.document import Box
from flywheel.errors import SetupError

CATEGORIES = {
    "abstract": "text",
    "algorithm": "text",
    "aside_text": "text",
    "chart": "picture",
    "chart_title": "caption",
    "content": "text",  # a table of contents
    "display_formula": "formula",
    "doc_title": "title",
    "figure_title": "caption",
    "footer": "footer",
    "footer_image": "picture",
    "footnote": "footnote",
    "formula": "formula",
    "formula_number": "formula",
    "header": "header",
    "header_image": "picture",
    "image": "picture",
    "inline_formula": "formula",  # it lies in a text, which keeps it (models/layout/cleaning.py)
    "number": "footer",  # a page number: a header's when it stands above the middle
    "paragraph_title": "title",
    "reference": "text",  # the whole bibliography; each entry is a reference_content
    "reference_content": "text",
    "seal": "picture",
    "table": "table",
    "table_title": "caption",
    "text": "text",
    "vertical_text": "text",
    "vision_footnote": "footnote",  # under a table or a picture
}


def category_of(label: str, box: Box, height: float) -> str:
    """Our category of a region labelled `label`, its box and the page's height in the same unit."""
    if label == "number" and box.y0 + box.y1 < height:
        return "header"
    return CATEGORIES[label]


def check_labels(labels: Iterable[str]) -> None:
    """Raises SetupError when a network knows a label that the table does not."""
    unknown = sorted(set(labels) - CATEGORIES.keys())
    if unknown:
        raise SetupError(f"a layout model with labels of another kind: {', '.join(unknown)}")
