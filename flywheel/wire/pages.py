"""Models of pages, their labels and reviews."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from flywheel.document import Kind, Outcome, PageFacts
from flywheel.encoding import JsonValue
from flywheel.states import PageState, ReviewVerdict
from flywheel.wire.forms import Note, Request, Response


class Page(Response):
    """Page of a document with its verdict. `ink`: share of dark pixels, 0..1."""

    id: int
    document_id: int
    document: str
    corpus: str
    number: int = Field(description="0-based")
    state: PageState
    verdict: Outcome | None
    reason: str | None
    explanation: str | None
    detail: str | None
    language: str | None
    rights: str | None = Field(default=None, description="the document's, as stated at submission")
    script: str | None
    width: float | None
    height: float | None
    ink: float | None
    updated_at: datetime


class Pages(Response):
    items: list[Page]
    next: str | None = Field(description="cursor of the next page of results; null at the end")


class LabelInfo(Response):
    """Record of a label; its text and boxes are at /v1/labels/{id}."""

    id: int
    page_id: int
    stop: str
    kind: Kind
    producer: str
    checkpoint_id: str | None
    parent_id: int | None
    generation: int
    verdict: Outcome
    reason: str
    detail: str
    script: str
    confidence: float | None
    characters: int
    lines: int
    created_at: datetime
    current: bool


class AncestorKind(StrEnum):
    """Kind of a step in a label's lineage."""

    LABEL = "label"
    CHECKPOINT = "checkpoint"
    ROUND = "round"
    DATASET = "dataset"


class Ancestor(Response):
    """One step of a label's lineage, from the label back."""

    kind: AncestorKind
    id: str
    detail: str


class ReviewInfo(Response):
    id: int
    label_id: int
    new_label_id: int | None
    action: ReviewVerdict
    reviewer: str
    note: str
    created_at: datetime


class PageDetail(Page):
    facts: PageFacts | None = Field(description="null until its text layer was looked at")
    labels: list[LabelInfo]
    lineage: list[Ancestor]
    reviews: list[ReviewInfo]


class CorrectionRequest(Request):
    """A person's label for a page: `label` in the form GET /v1/labels/{id} gives; kind, producer and
    checkpoint are set by the server."""

    label: dict[str, JsonValue]
    note: Note = ""


class ReviewRequest(Request):
    note: Note = ""


class ReviewResult(Response):
    """Result of a review: the page's current label."""

    page_id: int
    label_id: int
