"""Request and response models of the HTTP API, shared by server and client.

Everything is frozen. Answers tolerate fields they do not know, so an older client
reads a newer server; requests refuse them, so a misspelt field is an error.
Boxes and sizes are in page points, error rates are fractions, times are UTC.

One module a noun; callers import all of it as `flywheel.wire`.
"""

from flywheel.wire.corpora import (
    Corpus,
    Document,
    DocumentCounts,
    Documents,
    PageCounts,
    RefusedFile,
    SubmittedFile,
    Summary,
    Upload,
)
from flywheel.wire.forms import LANGUAGE, CorpusName, Language, Note, Request, Response
from flywheel.wire.pages import (
    Ancestor,
    AncestorKind,
    CorrectionRequest,
    LabelInfo,
    Page,
    PageDetail,
    Pages,
    ReviewInfo,
    ReviewRequest,
    ReviewResult,
)
from flywheel.wire.results import Audit, AuditRow, Export, ExportFile, ExportRequest, Trial
from flywheel.wire.rounds import (
    Champion,
    Checkpoint,
    DatasetInfo,
    PromotionInfo,
    PromotionRequest,
    RollbackRequest,
    Round,
    RoundDetail,
    RoundRequest,
)
from flywheel.wire.service import Failure, FailureBody, Health, KeyInfo, KeyRequest, NewKey, QueueInfo, Worker

__all__ = [
    "LANGUAGE",
    "Ancestor",
    "AncestorKind",
    "Audit",
    "AuditRow",
    "Champion",
    "Checkpoint",
    "Corpus",
    "CorpusName",
    "CorrectionRequest",
    "DatasetInfo",
    "Document",
    "DocumentCounts",
    "Documents",
    "Export",
    "ExportFile",
    "ExportRequest",
    "Failure",
    "FailureBody",
    "Health",
    "KeyInfo",
    "KeyRequest",
    "LabelInfo",
    "Language",
    "NewKey",
    "Note",
    "Page",
    "PageCounts",
    "PageDetail",
    "Pages",
    "PromotionInfo",
    "PromotionRequest",
    "QueueInfo",
    "RefusedFile",
    "Request",
    "Response",
    "ReviewInfo",
    "ReviewRequest",
    "ReviewResult",
    "RollbackRequest",
    "Round",
    "RoundDetail",
    "RoundRequest",
    "SubmittedFile",
    "Summary",
    "Trial",
    "Upload",
    "Worker",
]
