"""Labels in full, and people's reviews of them. No label is ever overwritten."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import APIRouter

from flywheel import wire
from flywheel.api.access import Id, Reader, Reviewer, store
from flywheel.api.failures import Unprocessable
from flywheel.api.strict import StrictRoute
from flywheel.catalog import pages
from flywheel.database import transaction
from flywheel.document import Kind, Label, Line, Region, decode_label, encode
from flywheel.labels.review import review_page
from flywheel.labels.storage import load_label
from flywheel.markup import CATEGORIES
from flywheel.states import ReviewVerdict
from flywheel.text.cleaning import clean

router = APIRouter(route_class=StrictRoute)

LINES = 20_000  # more than any page has


@router.get("/labels/{label_id}", summary="A label's text and boxes, in page points")
def show_label(_: Reader, label_id: Id) -> dict[str, Any]:
    with transaction() as session:
        row = pages.label_row(session, label_id)
    return encode(load_label(store(), row))


@router.post("/pages/{page_id}/labels", status_code=201, summary="A person's own label for a page")
def correct_page(holder: Reviewer, page_id: Id, body: wire.CorrectionRequest) -> wire.ReviewResult:
    label = _human(body.label)
    with transaction() as session:
        label_id = review_page(
            session,
            store(),
            page_id,
            action=ReviewVerdict.CORRECT,
            reviewer=holder.name,
            label=label,
            note=body.note,
        )
    return wire.ReviewResult(page_id=page_id, label_id=label_id)


@router.post("/pages/{page_id}/accept", status_code=201, summary="A person confirms the current label")
def accept_page(holder: Reviewer, page_id: Id, body: wire.ReviewRequest) -> wire.ReviewResult:
    return _judge(page_id, ReviewVerdict.ACCEPT, holder.name, body.note)


@router.post("/pages/{page_id}/reject", status_code=201, summary="A person refuses the current label")
def reject_page(holder: Reviewer, page_id: Id, body: wire.ReviewRequest) -> wire.ReviewResult:
    return _judge(page_id, ReviewVerdict.REJECT, holder.name, body.note)


def _judge(page_id: int, action: ReviewVerdict, reviewer: str, note: str) -> wire.ReviewResult:
    with transaction() as session:
        label_id = review_page(session, store(), page_id, action=action, reviewer=reviewer, note=note)
    return wire.ReviewResult(page_id=page_id, label_id=label_id)


def _human(data: dict[str, Any]) -> Label:
    """Decode `data` as a person's label. Raises Unprocessable that names the fault."""
    try:
        label = decode_label({**data, "kind": Kind.HUMAN.value, "producer": "human", "checkpoint": None})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unprocessable("invalid_label", f"not a label: {type(error).__name__}: {error}") from error
    if len(label.lines) > LINES:
        raise Unprocessable("invalid_label", f"more than {LINES} lines")
    if not (0 < label.width <= 20_000 and 0 < label.height <= 20_000):
        raise Unprocessable("invalid_label", "width and height are the page's, in points")
    boxes = [region.box for region in label.regions] + [line.box for line in label.lines]
    if any(box.x0 > box.x1 or box.y0 > box.y1 for box in boxes):
        raise Unprocessable("invalid_label", "a box is x0, y0, x1, y1 with x0 <= x1 and y0 <= y1")
    if unknown := {region.category for region in label.regions} - CATEGORIES:
        raise Unprocessable("invalid_label", f"no such category: {', '.join(sorted(unknown))}")
    return replace(label, regions=tuple(_cleaned(region) for region in label.regions))


def _cleaned(region: Region) -> Region:
    """Clean a region's text like any text from outside, and drop the reader's confidences."""
    lines = (Line(clean(line.text), line.box) for line in region.lines)
    return Region(region.category, region.box, tuple(line for line in lines if line.text))
