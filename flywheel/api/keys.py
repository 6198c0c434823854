"""API keys, made, listed and revoked by administrators."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy import select

from flywheel import keys, wire
from flywheel.api.access import Admin
from flywheel.api.failures import Unprocessable
from flywheel.api.strict import StrictRoute
from flywheel.catalog.rows import columns
from flywheel.database import transaction
from flywheel.database.tables import ApiKeyRow

router = APIRouter(route_class=StrictRoute)


@router.post("/keys", status_code=201, summary="Make a key; its secret is in this answer and nowhere else")
def create_key(_: Admin, body: wire.KeyRequest) -> wire.NewKey:
    if body.expires_at is not None and body.expires_at.tzinfo is None:
        raise Unprocessable("invalid_request", "expires_at needs a time zone")
    with transaction() as session:
        key_id, plain = keys.create(session, body.name, body.scopes, body.expires_at)
    return wire.NewKey(id=key_id, key=plain)


@router.get("/keys", summary="Keys without their secrets, newest first")
def list_keys(_: Admin) -> list[wire.KeyInfo]:
    with transaction() as session:
        rows = session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.created_at.desc(), ApiKeyRow.id))
        return [wire.KeyInfo.model_validate(columns(row)) for row in rows]


@router.delete("/keys/{key_id}", status_code=204, summary="Revoke a key, for good, within seconds")
def revoke_key(_: Admin, key_id: str) -> Response:
    with transaction() as session:
        keys.revoke(session, key_id)
    return Response(status_code=204)
