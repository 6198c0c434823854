"""Exports and readings: what was asked for, and where the result lies."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from flywheel import wire
from flywheel.catalog.corpora import columns
from flywheel.database import tables
from flywheel.errors import NotFound


def exports(session: Session, *, corpus: str | None = None, limit: int = 100) -> list[wire.Export]:
    """Exports, newest first, without their files."""
    query = (
        select(tables.Export, tables.Corpus.name)
        .join(tables.Corpus, tables.Corpus.id == tables.Export.corpus_id)
        .order_by(tables.Export.id.desc())
        .limit(limit)
    )
    if corpus is not None:
        query = query.where(tables.Corpus.name == corpus)
    return [_export(row, name) for row, name in session.execute(query)]


def export(session: Session, export_id: int) -> wire.Export:
    """One export, without its files. Raises NotFound."""
    row = _export_row(session, export_id)
    return _export(row[0], row[1])


def tree_key(session: Session, export_id: int) -> str | None:
    """Where the files of an export lie; None while there are none. Raises NotFound."""
    key: str | None = _export_row(session, export_id)[0].tree_key
    return key


def _export_row(session: Session, export_id: int) -> Row[tables.Export, str]:
    found = session.execute(
        select(tables.Export, tables.Corpus.name)
        .join(tables.Corpus, tables.Corpus.id == tables.Export.corpus_id)
        .where(tables.Export.id == export_id)
    ).one_or_none()
    if found is None:
        raise NotFound(f"no export has the id {export_id}")
    return found


def _export(row: tables.Export, corpus: str) -> wire.Export:
    return wire.Export.model_validate({**columns(row), "corpus": corpus})


def reading(session: Session, reading_id: int) -> wire.Reading:
    """One reading, without its pages. Raises NotFound."""
    return wire.Reading.model_validate(_reading_fields(session, reading_id))


def result_key(session: Session, reading_id: int) -> str | None:
    """Where the result of a reading lies; None while there is none. Raises NotFound."""
    key: str | None = _reading_fields(session, reading_id)["result_key"]
    return key


def _reading_fields(session: Session, reading_id: int) -> dict[str, Any]:
    row = session.get(tables.ReadingRow, reading_id)
    if row is None:
        raise NotFound(f"no reading has the id {reading_id}")
    return columns(row)
