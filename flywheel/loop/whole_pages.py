"""Pages whose text accounts for their ink: these alone teach page readers, and are exported.

A reader of whole pages is taught to write all that a page shows. Of one whose text layer holds a third of it, the
rest set as outlines, it learns to leave things out; lines are cut from what the layer does hold, and may teach.
A label that a person wrote or confirmed is whole, and one read off the image is held against the ink by the gate.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Float, and_, func, literal

from flywheel.database.tables import LabelRow, PageRow
from flywheel.document import Kind, PageFacts

DRAWN_SHARE = 0.3  # of the ink, neither in text nor in images: rules and frames are less
DRAWN_AREA = 0.01  # and this much of the page


def shows_more(facts: PageFacts | None, kind: Kind) -> bool:
    """True for a page that shows much which the text of its layer, and its images, do not account for."""
    if facts is None or kind is not Kind.COARSE:
        return False
    return facts.drawn >= DRAWN_SHARE and facts.drawn * facts.ink >= DRAWN_AREA


def page_shows_more() -> ColumnElement[bool]:
    """The same of a page's row and its label's."""
    drawn, ink = (
        func.coalesce(func.jsonb_extract_path_text(PageRow.facts, name).cast(Float), literal(0.0))
        for name in ("drawn", "ink")
    )
    return and_(LabelRow.kind == Kind.COARSE, drawn >= DRAWN_SHARE, drawn * ink >= DRAWN_AREA)
