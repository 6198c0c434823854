"""Documents: submission of one file or one ZIP at a time, listing, details."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from flywheel import wire
from flywheel.api.access import CorpusPath, Cursor, Id, LanguageQuery, Limit, Reader, Submitter, store
from flywheel.api.strict import StrictRoute
from flywheel.api.uploads import OPENAPI_BODY, NameQuery, Received, RightsQuery, handle_upload, upload_responses
from flywheel.catalog import corpora
from flywheel.database import transaction
from flywheel.errors import Rejected
from flywheel.intake import ZIP, ArchiveLimits, expand, media_type
from flywheel.loop.submission import submit
from flywheel.reasons import Reason
from flywheel.settings import settings
from flywheel.states import DocumentState

router = APIRouter(route_class=StrictRoute)

State = Annotated[DocumentState | None, Query()]


@router.post(
    "/corpora/{corpus}/documents",
    status_code=201,
    summary="Submit a PDF, an image, or a ZIP of them; makes the corpus when it is new",
    responses={
        200: {"description": "Every file was in the corpus already", "model": wire.Upload},
        **upload_responses("PDF, PNG, JPEG, TIFF or ZIP"),
    },
    openapi_extra=OPENAPI_BODY,
)
async def submit_document(
    request: Request,
    response: Response,
    _: Submitter,
    corpus: CorpusPath,
    name: NameQuery = None,
    language: LanguageQuery = None,
    rights: RightsQuery = None,
) -> wire.Upload:
    result = await handle_upload(request, name, language, partial(submit_upload, corpus), rights=rights)
    response.status_code = 200 if result.duplicate else 201
    return result


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    name: str
    media_type: str


def submit_upload(corpus: str, upload: Received) -> wire.Upload:
    """Submit a received file, or each file of a received ZIP, to a corpus. Raises Rejected."""
    kind = media_type(upload.path, upload.name)
    refused: list[wire.RefusedFile] = []
    if kind == ZIP:
        files, refused = _unpack(upload)
    else:
        files = [_File(upload.path, upload.name, kind)]
    documents = [_submit(corpus, file, upload) for file in files]
    return wire.Upload(
        name=upload.name,
        duplicate=all(document.duplicate for document in documents),
        documents=documents,
        refused=refused,
    )


def _submit(corpus: str, file: _File, upload: Received) -> wire.SubmittedFile:
    with transaction() as session:
        done = submit(
            session,
            store(),
            corpus=corpus,
            name=file.name,
            path=file.path,
            media_type=file.media_type,
            language=upload.language,
            rights=upload.rights,
        )
    return wire.SubmittedFile(name=file.name, document_id=done.document_id, duplicate=done.duplicate)


def _unpack(upload: Received) -> tuple[list[_File], list[wire.RefusedFile]]:
    """Unpack all members before any is submitted, so that a bad archive leaves nothing in the corpus."""
    limits = ArchiveLimits(
        entries=settings().archive_entries,
        total_bytes=settings().archive_bytes,
        member_bytes=settings().upload_limit,
        ratio=settings().archive_ratio,
    )
    files: list[_File] = []
    refused: list[wire.RefusedFile] = []
    for number, member in enumerate(expand(upload.path, upload.name, limits)):
        path = upload.path.with_name(f"member-{number}")  # never the member's own name
        with path.open("wb") as target:
            shutil.copyfileobj(member.content, target, 1 << 20)
        try:
            kind = media_type(path, member.name)
        except Rejected as error:
            path.unlink()
            refused.append(wire.RefusedFile(name=member.name, reason=error.reason.value, detail=error.detail))
            continue
        if kind == ZIP:
            raise Rejected(Reason.ARCHIVE_LIMIT, f"{member.name}: an archive inside an archive")
        files.append(_File(path, member.name, kind))
    if not files:
        seen = "; ".join(item.detail or f"{item.name}: {item.reason}" for item in refused[:5])
        raise Rejected(
            Reason.UNSUPPORTED_TYPE if refused else Reason.EMPTY_FILE,
            f"the archive holds no PDF and no image ({seen or 'it has no files'})",
        )
    return files, refused


@router.get("/corpora/{corpus}/documents", summary="A corpus's documents in order of submission")
def list_documents(
    _: Reader, corpus: CorpusPath, state: State = None, cursor: Cursor = None, limit: Limit = 100
) -> wire.Documents:
    with transaction() as session:
        return corpora.documents(session, corpus, state=state, after=cursor, limit=limit)


@router.get("/documents/{document_id}", summary="One document")
def show_document(_: Reader, document_id: Id) -> wire.Document:
    with transaction() as session:
        return corpora.document(session, document_id)
