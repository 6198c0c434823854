"""Sides of documents for whoever trains elsewhere: none trains on what examines here, nor the other way round."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ARRAY, Text, bindparam, func, select
from sqlalchemy.orm import Session

from flywheel.database.tables import DatasetDocumentRow
from flywheel.loop.sides import HELD_OUT, VALIDATION, place_of
from flywheel.states import Split


def splits_of(session: Session, documents: Collection[str]) -> dict[str, Split]:
    """Document hash -> its side, by the datasets frozen so far.

    What any of them trained on is for training, since it can examine no more. What examined, and was never trained
    on, examines. A document of no dataset lies where its own hash would put it.
    """
    rows = session.execute(
        select(DatasetDocumentRow.sha256, DatasetDocumentRow.split)
        .where(DatasetDocumentRow.sha256 == func.any(bindparam("documents", sorted(documents), ARRAY(Text))))
        .distinct()
    )
    seen: dict[str, set[Split]] = {}
    for sha256, split in rows:
        seen.setdefault(sha256, set()).add(Split(split))
    return {document: _side(document, seen.get(document, set())) for document in documents}


def _side(document: str, seen: Collection[Split]) -> Split:
    for split in (Split.TRAIN, Split.HELDOUT, Split.VALIDATION):
        if split in seen:
            return split
    place = place_of(document)
    if place < HELD_OUT:
        return Split.HELDOUT
    return Split.VALIDATION if place < HELD_OUT + VALIDATION else Split.TRAIN
