"""Sides of documents for whoever trains elsewhere: none trains on what examines here, nor the other way round.

frozen_sides(session, documents) -> hash -> side        of those that some dataset holds
examining_pages(session) -> signatures                  of all that examines in any of them
sides_of_others(pages) -> hash -> side                  of documents of no dataset, with those signatures
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import ARRAY, Text, bindparam, func, select
from sqlalchemy.orm import Session

from flywheel.database.tables import DatasetDocumentRow
from flywheel.loop.dataset import signed_pages
from flywheel.loop.likeness import LikePages, SignedPage
from flywheel.loop.sides import HELD_OUT, VALIDATION, place_of
from flywheel.states import Split

ORDER = (Split.TRAIN, Split.HELDOUT, Split.VALIDATION)  # of the sides a document was on, the first is its own


def frozen_sides(session: Session, documents: Collection[str] | None = None) -> dict[str, Split]:
    """Document hash -> its side, by the datasets frozen so far; of all their documents, or of some.

    What any of them trained on is for training, since it can examine no more. What examined, and was never trained
    on, examines.
    """
    query = select(DatasetDocumentRow.sha256, DatasetDocumentRow.split).distinct()
    if documents is not None:
        wanted = bindparam("documents", sorted(documents), ARRAY(Text))
        query = query.where(DatasetDocumentRow.sha256 == func.any(wanted))
    seen: dict[str, set[Split]] = {}
    for sha256, split in session.execute(query):
        seen.setdefault(sha256, set()).add(Split(split))
    return {document: next(split for split in ORDER if split in sides) for document, sides in seen.items()}


def examining_pages(session: Session) -> tuple[dict[str, Split], list[SignedPage]]:
    """The documents that examine or end trainings here, with their sides, and the signatures of their pages."""
    sides: dict[str, Split] = {d: s for d, s in frozen_sides(session).items() if s is not Split.TRAIN}
    return sides, signed_pages(session, sides)


def sides_of_others(
    documents: Collection[str], pages: Collection[SignedPage], examining: Mapping[str, Split]
) -> dict[str, Split]:
    """Document hash -> its side, of documents that no dataset holds.

    One that is near-equal to a document that examines goes with it; near-equal ones go together, and lie where the
    hash of the first would put them. `pages` are theirs and of those that are `examining`.
    """
    groups = LikePages.of(pages).groups()
    exams: dict[str, Split] = {}
    for document, side in examining.items():
        group = groups.get(document, document)
        exams[group] = min(side, exams.get(group, side), key=ORDER.index)
    named = {document: groups.get(document, document) for document in documents}
    return {document: exams.get(group) or _by_hash(group) for document, group in named.items()}


def _by_hash(document: str) -> Split:
    place = place_of(document)
    if place < HELD_OUT:
        return Split.HELDOUT
    return Split.VALIDATION if place < HELD_OUT + VALIDATION else Split.TRAIN
