"""Exports: a worker writes a corpus out as a training set; its files are streamed from the store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from flywheel import wire
from flywheel.api.access import Id, Limit, Reader, Submitter, store
from flywheel.api.strict import StrictRoute
from flywheel.catalog import records
from flywheel.catalog.corpora import corpus_row
from flywheel.database import transaction
from flywheel.database.tables import ExportRow
from flywheel.errors import Conflict, NotFound
from flywheel.store.tree import read_manifest
from flywheel.work.ledger import Work, enqueue

router = APIRouter(route_class=StrictRoute)

CHUNK = 1 << 20
CorpusQuery = Annotated[str | None, Query(max_length=200)]


@router.post("/exports", status_code=201, summary="Start writing a corpus out in a format")
def start_export(_: Submitter, body: wire.ExportRequest) -> wire.Export:
    with transaction() as session:
        row = ExportRow(corpus_id=corpus_row(session, body.corpus).id, format=body.format.value)
        session.add(row)
        session.flush()
        enqueue(session, [Work("export", export_id=row.id)])
        return records.export(session, row.id)


@router.get("/exports", summary="Exports, newest first")
def list_exports(_: Reader, corpus: CorpusQuery = None, limit: Limit = 100) -> list[wire.Export]:
    with transaction() as session:
        return records.exports(session, corpus=corpus, limit=limit)


@router.get("/exports/{export_id}", summary="An export's progress and, when finished, its files")
def show_export(_: Reader, export_id: Id) -> wire.Export:
    with transaction() as session:
        shown, tree_key = records.export(session, export_id), records.tree_key(session, export_id)
    if tree_key is None:
        return shown
    files = [
        wire.ExportFile(path=file["path"], size=file["size"], sha256=file["key"].rsplit("/", 1)[-1])
        for file in read_manifest(tree_key, store().get(tree_key))
    ]
    return shown.model_copy(update={"files": files})


@router.get(
    "/exports/{export_id}/files/{path:path}",
    summary="One file of a finished export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The file"}},
)
def download_file(_: Reader, export_id: Id, path: Annotated[str, Path(max_length=1000)]) -> StreamingResponse:
    with transaction() as session:
        tree_key = records.tree_key(session, export_id)
    if tree_key is None:
        raise Conflict(f"export {export_id} is not finished")
    for file in read_manifest(tree_key, store().get(tree_key)):
        if file["path"] == path:
            headers = {"Content-Length": str(file["size"]), "ETag": f'"{file["key"].rsplit("/", 1)[-1]}"'}
            return StreamingResponse(
                _chunks(file["key"], file["size"]), media_type="application/octet-stream", headers=headers
            )
    raise NotFound(f"export {export_id} has no file {path!r}")


def _chunks(key: str, size: int) -> Iterator[bytes]:
    """Yield the blob in pieces. Unchecked here: the client has the sha256 and checks the whole."""
    blobs = store()
    for offset in range(0, size, CHUNK):
        yield blobs.get_range(key, offset, min(CHUNK, size - offset))
