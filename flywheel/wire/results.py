"""Models of exports, trials and audits."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from flywheel.export.formats import ExportFormat
from flywheel.figures import ExportProgress, TrialPage, TrialScores
from flywheel.states import RequestStatus
from flywheel.wire.forms import CorpusName, Request, Response


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
    files: list[ExportFile] = Field(default=[])


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
