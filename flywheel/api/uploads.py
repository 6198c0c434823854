"""Uploads over HTTP: received into scratch space under a cap, and handed to a function in a thread.

A body is either the file itself (any binary content type) or multipart/form-data
with a part that has a file name. Nothing reaches the store before the whole body
is here, and the scratch file goes when the request does.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from flywheel.api.failures import Unprocessable
from flywheel.api.strict import check_text
from flywheel.errors import Rejected
from flywheel.intake import READABLE, ZIP, clean_name
from flywheel.reasons import Reason
from flywheel.settings import settings
from flywheel.wire import LANGUAGE, FailureBody

BUFFER = 1 << 20
RIGHTS = 1000  # characters
BINARY = {"", "application/octet-stream", "binary/octet-stream", "application/x-zip-compressed", ZIP, *READABLE}
FORM = "multipart/form-data"

NameQuery = Annotated[str | None, Query(max_length=8192, description="file name, for people; the bytes decide")]
RightsQuery = Annotated[
    str | None, Query(max_length=RIGHTS, description="licence or owner of the document, carried into exports")
]
Result = TypeVar("Result")

# For OpenAPI: FastAPI cannot see a body that the endpoint streams itself.
OPENAPI_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "name": {"type": "string"},
                        "language": {"type": "string"},
                        "rights": {"type": "string", "maxLength": RIGHTS, "description": "documents only"},
                        "truth": {"type": "string", "description": "trials only: the true text"},
                    },
                }
            },
        },
    }
}


def upload_responses(types: str) -> dict[int | str, dict[str, Any]]:
    """Descriptions of an upload's refusals, for OpenAPI. `types` names the files that are taken."""
    return {
        413: {"description": "Larger than the limit", "model": FailureBody},
        415: {"description": f"Not a {types}", "model": FailureBody},
    }


@dataclass(frozen=True, slots=True)
class Received:
    """Upload in scratch space. `name` is fit to store; `fields` are the form's other parts."""

    path: Path
    name: str
    size: int
    fields: dict[str, str] = field(default_factory=dict)
    language: str | None = None
    rights: str | None = None


async def handle_upload(
    request: Request,
    name: str | None,
    language: str | None,
    work: Callable[[Received], Result],
    *,
    rights: str | None = None,
) -> Result:
    """Receive the request's file and return what `work` makes of it, in a thread of its own.

    Name, language and rights are those given, else the form's. Raises what `received` and `work` raise.
    """
    async with received(request, name) as upload:
        language = language or _form_language(upload.fields)
        rights = rights or _form_rights(upload.fields)
        return await run_in_threadpool(work, replace(upload, language=language, rights=rights))


@asynccontextmanager
async def received(request: Request, name: str | None) -> AsyncIterator[Received]:
    """Receive the request's file, and hold it until the block ends.

    Raises Rejected (too_large, unsupported_type, invalid_text) and Unprocessable (no name, broken form).
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != FORM and content_type not in BINARY:
        raise Rejected(
            Reason.UNSUPPORTED_TYPE, f"send the file itself or {FORM}, with its content type; not {content_type}"
        )
    limit = settings().upload_limit
    _check_declared_length(request, limit)
    scratch = settings().work_dir / "uploads"
    scratch.mkdir(parents=True, exist_ok=True)
    directory = Path(await run_in_threadpool(tempfile.mkdtemp, dir=scratch))
    try:
        stream = _capped(request, limit)
        if content_type == FORM:
            yield await _from_form(request, stream, directory / "upload", name)
        else:
            yield await _from_body(stream, directory / "upload", name)
    finally:
        await run_in_threadpool(shutil.rmtree, directory, ignore_errors=True)


def _check_declared_length(request: Request, limit: int) -> None:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared[:30]) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> Rejected:
    return Rejected(Reason.TOO_LARGE, f"uploads may have {limit} bytes at most")


async def _capped(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """Yield the body's chunks. Raises Rejected at the first byte over the limit, whatever the headers promised."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        yield chunk


async def _from_body(stream: AsyncGenerator[bytes, None], path: Path, name: str | None) -> Received:
    shown = _name(name)
    size, waiting = 0, bytearray()
    with path.open("wb") as target:
        async for chunk in stream:
            waiting += chunk
            if len(waiting) >= BUFFER:
                size += await run_in_threadpool(target.write, bytes(waiting))
                waiting.clear()
        size += await run_in_threadpool(target.write, bytes(waiting))
    return Received(path, shown, size)


async def _from_form(
    request: Request, stream: AsyncGenerator[bytes, None], path: Path, name: str | None
) -> Received:
    try:
        form = await MultiPartParser(request.headers, stream, max_files=2, max_fields=20).parse()
    except MultiPartException as error:
        raise Unprocessable("invalid_form", error.message) from error
    try:
        fields = {key: value for key, value in form.multi_items() if isinstance(value, str)}
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if len(files) != 1:
            raise Unprocessable("invalid_form", "the form needs exactly one part with a file name")
        shown = _name(name or fields.pop("name", None) or files[0].filename)
        size = await run_in_threadpool(_copy, files[0], path)
    finally:
        await form.close()
    return Received(path, shown, size, fields)


def _copy(source: UploadFile, path: Path) -> int:
    with path.open("wb") as target:
        shutil.copyfileobj(source.file, target, BUFFER)
        return target.tell()


def _form_language(fields: dict[str, str]) -> str | None:
    """Language part of a form, checked like the query's."""
    tag = fields.get("language") or None
    if tag is not None:
        check_text(tag)
        if not LANGUAGE.fullmatch(tag):
            raise Unprocessable("invalid_request", "form.language: not a BCP-47 tag")
    return tag


def _form_rights(fields: dict[str, str]) -> str | None:
    """Rights part of a form, checked like the query's."""
    rights = fields.get("rights") or None
    if rights is not None:
        check_text(rights)
        if len(rights) > RIGHTS:
            raise Unprocessable("invalid_request", f"form.rights: more than {RIGHTS} characters")
    return rights


def _name(name: str | None) -> str:
    if not name:
        raise Unprocessable("invalid_request", "query.name: say what the file is called, ?name=book.pdf")
    return clean_name(name)
