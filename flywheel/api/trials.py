"""Trials: one file read at once, outside any corpus; scored when its true text is sent along."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request

from flywheel import wire
from flywheel.api.access import Id, LanguageQuery, Reader, Submitter, store
from flywheel.api.failures import Unprocessable
from flywheel.api.strict import StrictRoute, check_text
from flywheel.api.uploads import OPENAPI_BODY, NameQuery, Received, handle_upload, upload_responses
from flywheel.catalog import records
from flywheel.catalog import rounds as checkpoints
from flywheel.database import transaction
from flywheel.database.tables import TrialRow
from flywheel.encoding import from_json
from flywheel.errors import BlobCorrupt, Rejected
from flywheel.figures import TrialResult
from flywheel.intake import ZIP, media_type
from flywheel.loop.readers import modes_of
from flywheel.reasons import Reason
from flywheel.work.ledger import Work, enqueue

router = APIRouter(route_class=StrictRoute)

Checkpoint = Annotated[
    str | None, Query(max_length=200, description="or a reader's name; default: the language's champion")
]
Mode = Annotated[
    str | None, Query(max_length=20, description="how a page reader looks at a page, e.g. base or gundam")
]


@router.post(
    "/trials",
    status_code=201,
    summary="Read one PDF or image now; with a `truth` part, also score it",
    responses=upload_responses("PDF, PNG, JPEG or TIFF"),
    openapi_extra=OPENAPI_BODY,
)
async def start_trial(
    request: Request,
    _: Submitter,
    name: NameQuery = None,
    language: LanguageQuery = None,
    checkpoint: Checkpoint = None,
    mode: Mode = None,
) -> wire.Trial:
    return await handle_upload(request, name, language, partial(_start, checkpoint=checkpoint, mode=mode))


def _start(upload: Received, *, checkpoint: str | None, mode: str | None) -> wire.Trial:
    if media_type(upload.path, upload.name) == ZIP:
        raise Rejected(Reason.UNSUPPORTED_TYPE, f"{upload.name}: send one document, not an archive")
    truth = upload.fields.get("truth")
    check_text(truth or "")
    if mode is not None and checkpoint is None:
        raise Unprocessable("invalid_mode", "a mode is of a reader: name the checkpoint, too")
    if checkpoint is not None:
        with transaction() as session:
            _check_mode(checkpoints.checkpoint(session, checkpoint), mode)
    blob_key = store().put_file(upload.path)
    truth_key = store().put(truth.encode()) if truth is not None else None
    with transaction() as session:
        row = TrialRow(
            name=upload.name,
            blob_key=blob_key,
            truth_key=truth_key,
            language=upload.language,
            checkpoint_id=checkpoint,
            mode=mode,
        )
        session.add(row)
        session.flush()
        enqueue(session, [Work("trial", trial_id=row.id, checkpoint_id=checkpoint)])
        return records.trial(session, row.id)


def _check_mode(checkpoint: wire.Checkpoint, mode: str | None) -> None:
    known = modes_of(checkpoint.architecture)
    if mode is not None and mode not in known:
        detail = f"{checkpoint.id} has no modes" if not known else f"{checkpoint.id} has {', '.join(known)}"
        raise Unprocessable("invalid_mode", f"no mode {mode!r}: {detail}")


@router.get("/trials/{trial_id}", summary="A trial: pages with their labels once it is finished")
def show_trial(_: Reader, trial_id: Id) -> wire.Trial:
    with transaction() as session:
        shown, result_key = records.trial(session, trial_id), records.result_key(session, trial_id)
    if result_key is None:
        return shown
    result = _result(result_key)
    return shown.model_copy(update={"pages": result.pages, "scores": result.scores})


def _result(key: str) -> TrialResult:
    try:
        return from_json(TrialResult, json.loads(store().get(key)))
    except ValueError as error:
        raise BlobCorrupt(f"{key}: not a trial's result") from error
