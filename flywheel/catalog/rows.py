"""Rows of the database on their way to models of flywheel.wire."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy.orm import Session

from flywheel.database.root import Row
from flywheel.errors import NotFound

R = TypeVar("R", bound=Row)


def row_by_id(session: Session, kind: type[R], row_id: int | str, noun: str) -> R:
    """Look a row up by its id. Raises NotFound that names the noun."""
    row = session.get(kind, row_id)
    if row is None:
        raise NotFound(f"no {noun} has the id {row_id!r}")
    return row


def columns(row: Row) -> dict[str, Any]:
    """A row as a dictionary by attribute name."""
    return {attribute.key: getattr(row, attribute.key) for attribute in row.__mapper__.column_attrs}
