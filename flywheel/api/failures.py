"""Error responses: one table from the error tree to status and code, one JSON form for all.

Codes are stable: a `Reason` for rejected input, otherwise one of those below.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from flywheel.catalog.cursor import CursorRefused
from flywheel.errors import (
    BlobCorrupt,
    BlobMissing,
    Conflict,
    FlywheelError,
    NotFound,
    Rejected,
    SetupError,
    Transient,
)
from flywheel.keys import KeyRefused, ScopeMissing
from flywheel.reasons import Reason

log = structlog.get_logger(__name__)

RETRY_SECONDS = 2
STATUS_OF_REASON = {
    Reason.NOT_PDF: 415,
    Reason.UNSUPPORTED_TYPE: 415,
    Reason.TOO_LARGE: 413,
    Reason.BLOB_MISSING: 500,
    Reason.BLOB_CORRUPT: 500,
    Reason.INTERNAL_ERROR: 500,
}
STATUS: tuple[tuple[type[FlywheelError], int, str], ...] = (  # the first that fits
    (NotFound, 404, "not_found"),
    (Conflict, 409, "conflict"),
    (KeyRefused, 401, "invalid_key"),
    (ScopeMissing, 403, "scope_missing"),
    (CursorRefused, 422, "invalid_cursor"),
    (Transient, 503, "unavailable"),
    (BlobMissing, 500, Reason.BLOB_MISSING.value),
    (BlobCorrupt, 500, Reason.BLOB_CORRUPT.value),
    (SetupError, 500, "setup_error"),
    (FlywheelError, 500, "internal_error"),
)
UNREAD = (401, 403, 413, 415)
CODE_OF_STATUS = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class Unprocessable(HTTPException):
    """A body or a parameter was refused before any endpoint saw it."""

    def __init__(self, code: str, detail: str, status: int = 422) -> None:
        super().__init__(status, detail)
        self.code = code


def install(application: FastAPI) -> None:
    """Register handlers that answer every error of the application in the one form."""
    application.add_exception_handler(FlywheelError, flywheel_error)
    application.add_exception_handler(HTTPException, http_error)
    application.add_exception_handler(RequestValidationError, validation_error)
    application.add_exception_handler(DataError, data_error)
    application.add_exception_handler(ClientDisconnect, disconnected)
    application.add_exception_handler(Exception, unexpected)


def error_response(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Response of an error in the one form. Where the body may be unread the connection is closed: else the
    server would go on reading, and throwing away, all that the caller goes on sending."""
    closing = {"Connection": "close"} if status in UNREAD else {}
    return JSONResponse({"error": {"code": code, "detail": detail}}, status, {**(headers or {}), **closing})


def flywheel_error(request: Request, error: Exception) -> Response:
    """Answer the project's own errors by the table."""
    if isinstance(error, Rejected):
        status = STATUS_OF_REASON.get(error.reason, 422)
        return error_response(status, error.reason.value, error.detail or error.reason.explanation)
    status, code = next((status, code) for kind, status, code in STATUS if isinstance(error, kind))
    if status >= 500:
        log.warning("request failed", path=request.url.path, status=status, error=str(error))
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": str(RETRY_SECONDS)}}.get(status)
    return error_response(status, code, str(error), headers)


def http_error(_: Request, error: Exception) -> Response:
    """Answer errors of the framework: no such route, method not allowed ..."""
    assert isinstance(error, HTTPException)
    code = getattr(error, "code", None) or CODE_OF_STATUS.get(error.status_code, "http_error")
    return error_response(error.status_code, code, str(error.detail), error.headers)


def validation_error(_: Request, error: Exception) -> Response:
    """Answer parameters and bodies of the wrong form with place and fault, without repeating the input."""
    assert isinstance(error, RequestValidationError)
    found = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()[:5]]
    return error_response(422, "invalid_request", "; ".join(found))


def data_error(_: Request, error: Exception) -> Response:
    """Answer for a value that passed every check and that Postgres refused."""
    log.warning("value refused by the database", error=str(error))
    return error_response(422, "invalid_request", "a value cannot be stored")


def disconnected(_: Request, __: Exception) -> Response:
    """Answer for a caller that left in the middle of its upload; nobody reads it."""
    return error_response(400, "disconnected", "the upload was broken off")


def unexpected(request: Request, error: Exception) -> Response:
    """Answer for a defect of the service, without its details; the server logs the traceback by itself."""
    log.error("unexpected error", path=request.url.path, error=repr(error))
    return error_response(500, Reason.INTERNAL_ERROR.value, "an unexpected error; the server's log has it")
