"""Requests to the API under test, and what it has kept of them."""

from __future__ import annotations

from typing import Any

import httpx
from sqlalchemy import func, select

from flywheel.database import transaction
from flywheel.database.tables import (
    DocumentRow,
)
from flywheel.settings import settings
from tests.flywheel.rows import (
    store,
)

BINARY = {"Content-Type": "application/octet-stream"}


def code(response: httpx.Response) -> tuple[int, str]:
    """Status and stable code of an answer that is an error."""
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "detail"}
    assert body["error"]["detail"]
    return response.status_code, body["error"]["code"]


def send(
    http: httpx.Client, data: bytes, name: str = "a.pdf", corpus: str = "books", **params: str
) -> httpx.Response:
    url = f"/v1/corpora/{corpus}/documents"
    return http.post(url, params={"name": name, **params}, content=data, headers=BINARY)


def stored(model: type[Any]) -> int:
    with transaction() as session:
        return session.execute(select(func.count()).select_from(model)).scalar_one()


def nothing_was_kept() -> bool:
    scratch = settings().work_dir / "uploads"
    return (
        not list(store().keys()) and not stored(DocumentRow) and not (scratch.exists() and list(scratch.iterdir()))
    )
