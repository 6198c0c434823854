"""Exports and trials: what was asked for, and where the result lies."""

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
        select(tables.ExportRow, tables.CorpusRow.name)
        .join(tables.CorpusRow, tables.CorpusRow.id == tables.ExportRow.corpus_id)
        .order_by(tables.ExportRow.id.desc())
        .limit(limit)
    )
    if corpus is not None:
        query = query.where(tables.CorpusRow.name == corpus)
    return [_export(row, name) for row, name in session.execute(query)]


def export(session: Session, export_id: int) -> wire.Export:
    """One export, without its files. Raises NotFound."""
    row = _export_row(session, export_id)
    return _export(row[0], row[1])


def tree_key(session: Session, export_id: int) -> str | None:
    """Where the files of an export lie; None while there are none. Raises NotFound."""
    key: str | None = _export_row(session, export_id)[0].tree_key
    return key


def _export_row(session: Session, export_id: int) -> Row[tables.ExportRow, str]:
    found = session.execute(
        select(tables.ExportRow, tables.CorpusRow.name)
        .join(tables.CorpusRow, tables.CorpusRow.id == tables.ExportRow.corpus_id)
        .where(tables.ExportRow.id == export_id)
    ).one_or_none()
    if found is None:
        raise NotFound(f"no export has the id {export_id}")
    return found


def _export(row: tables.ExportRow, corpus: str) -> wire.Export:
    return wire.Export.model_validate({**columns(row), "corpus": corpus})


def trial(session: Session, trial_id: int) -> wire.Trial:
    """One trial, without its pages. Raises NotFound."""
    return wire.Trial.model_validate(_trial_fields(session, trial_id))


def result_key(session: Session, trial_id: int) -> str | None:
    """Where the result of a trial lies; None while there is none. Raises NotFound."""
    key: str | None = _trial_fields(session, trial_id)["result_key"]
    return key


def _trial_fields(session: Session, trial_id: int) -> dict[str, Any]:
    row = session.get(tables.TrialRow, trial_id)
    if row is None:
        raise NotFound(f"no trial has the id {trial_id}")
    return columns(row)
