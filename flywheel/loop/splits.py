"""Sides of documents for whoever trains elsewhere: none trains on what examines here, nor the other way round.

frozen_sides(session, documents) -> hash -> side        of those that some dataset holds
examining_pages(session) -> signatures                  of all that examines in any of them
sides_of(documents, pages, frozen) -> hash -> side      of all documents of an export, with those signatures
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import ARRAY, Text, bindparam, func, select
from sqlalchemy.orm import Session

from flywheel.database.tables import DatasetDocumentRow
from flywheel.loop.dataset import signed_pages
from flywheel.loop.likeness import LikePages, SignedPage
from flywheel.loop.sides import History, split
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
    for sha256, side in session.execute(query):
        seen.setdefault(sha256, set()).add(Split(side))
    return {document: next(side for side in ORDER if side in sides) for document, sides in seen.items()}


def examining_pages(session: Session) -> tuple[dict[str, Split], list[SignedPage]]:
    """The documents that examine or end trainings here, with their sides, and the signatures of their pages."""
    sides: dict[str, Split] = {d: s for d, s in frozen_sides(session).items() if s is not Split.TRAIN}
    return sides, signed_pages(session, sides)


def sides_of(
    documents: Mapping[str, bool], pages: Collection[SignedPage], frozen: Mapping[str, Split]
) -> dict[str, Split]:
    """Document hash -> its side. `documents` tells of each whether its words are true ones, that may examine.

    Those of no dataset lie where a round over these documents would put them, so that a later one agrees: with the
    near-equals of what examines, else the lowest hashes are held out. `pages` are theirs and of what examines,
    `frozen` the sides of these and of those that a dataset holds.
    """
    on = {side: frozenset(d for d, known in frozen.items() if known is side) for side in Split}
    past = History(trained=on[Split.TRAIN], watched=on[Split.VALIDATION], examined=on[Split.HELDOUT])
    return split(documents, LikePages.of(pages).groups(), past) | {d: frozen[d] for d in documents if d in frozen}
