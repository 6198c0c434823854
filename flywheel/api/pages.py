"""Pages: listed with verdicts and reasons; one page with its labels, their lineage and its picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from flywheel import wire
from flywheel.api.access import CorpusPath, Cursor, Id, Limit, Reader, store
from flywheel.api.rendering import Picture, PictureFormat, page_image
from flywheel.api.strict import StrictRoute
from flywheel.catalog import pages
from flywheel.database import transaction
from flywheel.database.tables import LabelRow
from flywheel.document import Outcome, Verdict, encode
from flywheel.errors import NotFound
from flywheel.labels.standing import current_label
from flywheel.labels.storage import load_label
from flywheel.reasons import Reason
from flywheel.states import PageState

router = APIRouter(route_class=StrictRoute)

State = Annotated[PageState | None, Query()]
Judged = Annotated[Outcome | None, Query()]
REASONS = "\n".join(f"- `{reason}`: {reason.explanation}" for reason in Reason)
ReasonQuery = Annotated[Reason | None, Query(description=f"a reason's code\n\n{REASONS}")]
DocumentId = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
Dpi = Annotated[float, Query(ge=20, le=400, allow_inf_nan=False)]
LabelId = Annotated[int | None, Query(ge=1, le=2**63 - 1, description="default: the current label")]


@router.get("/corpora/{corpus}/pages", summary="Pages by document and number, with verdict and reason")
def list_pages(
    _: Reader,
    corpus: CorpusPath,
    state: State = None,
    verdict: Judged = None,
    reason: ReasonQuery = None,
    document: DocumentId = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> wire.Pages:
    wanted = pages.PageFilter(state=state, verdict=verdict, reason=reason, document_id=document)
    with transaction() as session:
        return pages.pages(session, corpus, wanted, after=cursor, limit=limit)


@router.get("/pages/{page_id}", summary="One page: facts, every label, and where the current one came from")
def show_page(_: Reader, page_id: Id) -> wire.PageDetail:
    with transaction() as session:
        return pages.page(session, page_id)


@router.get("/pages/{page_id}/label", summary="The label that speaks for the page: text and boxes")
def show_page_label(_: Reader, page_id: Id) -> dict[str, Any]:
    with transaction() as session:
        pages.page_and_document(session, page_id)
        row = current_label(session, page_id)
    if row is None:
        raise NotFound(f"page {page_id} has no label yet")
    return encode(load_label(store(), row))


@router.get(
    "/pages/{page_id}/image",
    summary="The page's picture, with its label drawn on it or bare",
    response_class=Response,
    responses={
        200: {"content": {format.media_type: {} for format in PictureFormat}, "description": "The picture"}
    },
)
def show_page_image(
    _: Reader,
    page_id: Id,
    dpi: Dpi = 110,
    annotated: Annotated[bool, Query(description="draw the label's boxes and text")] = False,
    label: LabelId = None,
    format: PictureFormat = PictureFormat.PNG,
) -> Response:
    with transaction() as session:
        page, document = pages.page_and_document(session, page_id)
        row = pages.label_row(session, label) if label else current_label(session, page_id)
    if row is not None and row.page_id != page_id:
        raise NotFound(f"label {label} is not of page {page_id}")
    picture = Picture(document.blob_key, page.number, dpi, format)
    if annotated and row is not None:
        drawn = load_label(store(), row)
        picture = replace(picture, label=drawn, verdict=_verdict(row), document=document.name)
    image = page_image(picture)
    return Response(image, media_type=format.media_type, headers={"Cache-Control": "private, max-age=60"})


def _verdict(row: LabelRow) -> Verdict | None:
    """Verdict of the gate or of a person on a label; None where its reason is a code of another version."""
    try:
        return Verdict(row.verdict, Reason.of(row.reason), row.detail)
    except ValueError:
        return None
