"""Request and response models of the HTTP API, shared by server and client.

Everything is frozen. Answers tolerate fields they do not know, so an older client
reads a newer server; requests refuse them, so a misspelt field is an error.
Boxes and sizes are in page points, error rates are fractions, times are UTC.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from flywheel.document import Kind, Outcome, PageFacts
from flywheel.encoding import JsonValue
from flywheel.export.formats import ExportFormat
from flywheel.figures import (
    Comparison,
    CurvePoint,
    DatasetCounts,
    ExportProgress,
    Plan,
    Scores,
    TrainingProgress,
    TrialPage,
    TrialScores,
)
from flywheel.scopes import Scope
from flywheel.states import (
    DocumentState,
    PageState,
    PromotionAction,
    RequestStatus,
    ReviewVerdict,
    RoundStatus,
    TrainingPhase,
)

LANGUAGE = re.compile(r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")

Language = Annotated[str, Field(pattern=LANGUAGE.pattern, max_length=35, description="BCP-47 tag, e.g. bo")]
CorpusName = Annotated[
    str, Field(pattern=r"^[\w][\w .+-]*$", max_length=200, description="letters, digits, space and . + - _")
]
Note = Annotated[str, Field(max_length=4000)]


class Response(BaseModel):
    """Model that the server sends."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Request(BaseModel):
    """Model that the client sends."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Health(Response):
    status: Literal["ok"]
    version: str


class PageCounts(Response):
    """Pages by state; `labelled` + `quarantined` + `waiting` + `pending` = `submitted`."""

    submitted: int = 0
    labelled: int = 0
    quarantined: int = 0
    waiting: int = 0
    pending: int = 0
    by_verdict: dict[str, int] = {}
    by_reason: dict[str, int] = {}


class DocumentCounts(Response):
    submitted: int = 0
    pending: int = 0
    ready: int = 0
    quarantined: int = 0
    by_reason: dict[str, int] = {}


class Corpus(Response):
    name: str
    created_at: datetime
    documents: int
    pages: int


class Summary(Response):
    corpus: str
    documents: DocumentCounts
    pages: PageCounts

    @property
    def settled(self) -> bool:
        """True when nothing is being worked on; pages that wait for a reader count as settled."""
        return self.documents.pending == 0 and self.pages.pending == 0


class Document(Response):
    id: int
    corpus: str
    name: str
    sha256: str
    size: int
    media_type: str
    language: str | None
    state: DocumentState
    reason: str | None
    detail: str | None
    page_count: int | None
    created_at: datetime


class Documents(Response):
    items: list[Document]
    next: str | None = Field(description="cursor of the next page of results; null at the end")


class SubmittedFile(Response):
    """File that is in the corpus now. `duplicate`: its bytes were there before."""

    name: str
    document_id: int
    duplicate: bool


class RefusedFile(Response):
    """Member of an archive that is no document, with the reason."""

    name: str
    reason: str
    detail: str


class Upload(Response):
    """Result of an upload; `duplicate` when nothing in it was new."""

    name: str
    duplicate: bool
    documents: list[SubmittedFile]
    refused: list[RefusedFile] = []


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


class Correction(Request):
    """A person's label for a page: `label` in the form GET /v1/labels/{id} gives; kind, producer and
    checkpoint are set by the server."""

    label: dict[str, JsonValue]
    note: Note = ""


class Judgement(Request):
    note: Note = ""


class Reviewed(Response):
    """Result of a review: the page's current label."""

    page_id: int
    label_id: int


class QueueInfo(Response):
    """Open work of one stop, in shards; `pages` in all of them."""

    queue: str
    stop: str
    ready: int
    running: int
    delayed: int
    oldest_seconds: float
    pages: int = 0


class Worker(Response):
    """Worker process by its last report. Memory in bytes; utilisation a share of 1."""

    id: str
    name: str
    device: str
    device_name: str
    memory_used: int | None
    memory_total: int | None
    utilisation: float | None
    doing: str | None
    waiting_for: str | None
    started_at: datetime
    seen_at: datetime


class RoundRequest(Request):
    language: Language
    corpora: Annotated[list[CorpusName], Field(max_length=1000, description="none: every corpus")] = []
    recipe: Annotated[str, Field(pattern=r"^[\w.-]{1,100}$")] = "line"
    overrides: dict[str, JsonValue] = Field(default={}, description="recipe settings to change, by name")


class Round(Response):
    id: int
    language: str
    recipe: str
    status: RoundStatus
    corpora: list[str]
    parent_id: str | None
    checkpoint_id: str | None
    relabelled: int | None
    detail: str | None
    created_at: datetime
    trained_seconds: float | None
    finished_at: datetime | None
    progress: TrainingProgress | None = Field(description="of its training; null before")
    comparison: Comparison | None = Field(description="candidate and baseline; null until they were compared")

    @property
    def phase(self) -> RoundStatus | TrainingPhase:
        """The status, told apart into training and judging while the training stop is at work."""
        if self.status is RoundStatus.TRAINING and self.progress is not None:
            return self.progress.phase
        return self.status


class RoundDetail(Round):
    overrides: dict[str, JsonValue]
    plan: Plan | None = Field(description="of a round that was only planned")
    curve: tuple[CurvePoint, ...]
    dataset: DatasetInfo | None
    decisions: list[PromotionInfo]


class DatasetInfo(Response):
    id: int
    hash: str
    language: str
    counts: DatasetCounts
    created_at: datetime


class Checkpoint(Response):
    id: str
    architecture: str
    language: str | None
    scripts: list[str]
    parent_id: str | None
    round_id: int | None
    dataset_id: int | None
    generation: int
    scores: Scores | None = Field(description="on held-out documents, of one that a round made")
    created_at: datetime
    champion_of: list[str] = Field(description="languages that are read with it now")


class PromotionInfo(Response):
    id: int
    language: str
    action: PromotionAction
    checkpoint_id: str | None
    previous_id: str | None
    round_id: int | None
    comparison: Comparison | None = Field(description="by which a round decided; null where a person did")
    detail: str
    actor: str
    created_at: datetime


class PromotionRequest(Request):
    checkpoint_id: Annotated[str, Field(min_length=1, max_length=200)]
    language: Language | None = Field(default=None, description="default: the checkpoint's own")
    detail: Note = ""


class RollbackRequest(Request):
    language: Language


class Champion(Response):
    """Checkpoint that reads a language now."""

    language: str
    checkpoint_id: str


class ExportRequest(Request):
    corpus: CorpusName
    format: ExportFormat = Field(description="; ".join(f"{name}: {name.explanation}" for name in ExportFormat))


class ExportFile(Response):
    path: str
    size: int
    sha256: str


class Export(Response):
    id: int
    corpus: str
    format: str
    status: RequestStatus
    rows: int | None
    progress: ExportProgress | None
    detail: str | None
    created_at: datetime
    finished_at: datetime | None
    files: list[ExportFile] = []


class Trial(Response):
    id: int
    name: str
    language: str | None
    checkpoint_id: str | None
    mode: str | None = None
    status: RequestStatus
    reason: str | None
    detail: str | None
    created_at: datetime
    finished_at: datetime | None
    pages: tuple[TrialPage, ...] = ()
    scores: TrialScores | None = None


class KeyRequest(Request):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    scopes: Annotated[list[Scope], Field(min_length=1)]
    expires_at: datetime | None = None


class KeyInfo(Response):
    id: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKey(Response):
    id: str
    key: str = Field(description="shown here and never again")


class AuditRow(Response):
    """Verdicts on the text layers of one document's pages, or of the pages set in one font.

    `lying` counts pages whose text layer was rejected; `share` = lying / with_text.
    """

    name: str
    document_id: int | None = None
    pages: int
    with_text: int
    accepted: int
    review: int
    lying: int
    share: float | None
    reasons: dict[str, int]


class Audit(Response):
    corpus: str
    pages: int
    with_text: int
    lying: int
    documents: list[AuditRow]
    fonts: list[AuditRow]


class Failure(Response):
    """Error of a request, in the body {"error": Failure}."""

    code: str
    detail: str


class FailureBody(Response):
    error: Failure


RoundDetail.model_rebuild()
