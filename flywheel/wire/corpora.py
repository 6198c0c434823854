"""Models of corpora, documents and uploads."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from flywheel.states import DocumentState
from flywheel.wire.forms import Response


class PageCounts(Response):
    """Pages by state; `labelled` + `quarantined` + `waiting` + `pending` = `submitted`."""

    submitted: int = 0
    labelled: int = 0
    quarantined: int = 0
    waiting: int = 0
    pending: int = 0
    by_verdict: dict[str, int] = Field(default={})
    by_reason: dict[str, int] = Field(default={})


class DocumentCounts(Response):
    submitted: int = 0
    pending: int = 0
    ready: int = 0
    quarantined: int = 0
    by_reason: dict[str, int] = Field(default={})


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
    rights: str | None = Field(default=None, description="licence or owner, as stated at submission")
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
    refused: list[RefusedFile] = Field(default=[])
