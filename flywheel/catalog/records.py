"""Exports and trials, and the store's keys of their results."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from flywheel import wire
from flywheel.catalog.rows import columns, row_by_id
from flywheel.database import tables


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
    row = row_by_id(session, tables.ExportRow, export_id, "export")
    return _export(row, session.get_one(tables.CorpusRow, row.corpus_id).name)


def tree_key(session: Session, export_id: int) -> str | None:
    """Key of an export's files in the store; None while there are none. Raises NotFound."""
    return row_by_id(session, tables.ExportRow, export_id, "export").tree_key


def _export(row: tables.ExportRow, corpus: str) -> wire.Export:
    return wire.Export.model_validate({**columns(row), "corpus": corpus})


def trial(session: Session, trial_id: int) -> wire.Trial:
    """One trial, without its pages. Raises NotFound."""
    return wire.Trial.model_validate(columns(row_by_id(session, tables.TrialRow, trial_id, "trial")))


def result_key(session: Session, trial_id: int) -> str | None:
    """Key of a trial's result in the store; None while there is none. Raises NotFound."""
    return row_by_id(session, tables.TrialRow, trial_id, "trial").result_key
