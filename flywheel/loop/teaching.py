"""Selection of the labels that teach a round, and the work of cutting them into patches.

The accepted labels of a language's pages teach, up to a generation from a text layer or a person; a round of pages
also replays some of other languages, from text layers and people alone, against forgetting. OCR layers
teach nothing that no person confirmed: somebody else's reader wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from flywheel.database import array_of
from flywheel.database.tables import (
    PATCH_CUTTER,
    CorpusRow,
    DatasetDocumentRow,
    DocumentRow,
    LabelRow,
    PageRow,
    PatchSetRow,
)
from flywheel.document import Outcome, TextOrigin
from flywheel.figures import Unit
from flywheel.labels.standing import BY_A_PERSON, current_labels
from flywheel.loop.languages import in_language
from flywheel.loop.submission import shards
from flywheel.states import PageState, Split
from flywheel.work.ledger import Work
from flywheel.work.route import ROUTE

T = TypeVar("T")


def teaching_labels(language: str, corpora: Sequence[str], generations: int) -> Select[LabelRow]:
    """The labels that speak for a language's pages, none beyond `generations` from a text layer or a person."""
    labels = labels_that_teach(generations).where(in_language(language))
    if corpora:
        labels = labels.join(CorpusRow, CorpusRow.id == DocumentRow.corpus_id).where(CorpusRow.name.in_(corpora))
    return labels


def labels_that_teach(generations: int) -> Select[LabelRow]:
    """The label of each page that may teach, if it is accepted: see `current_labels`."""
    return current_labels(generations=generations).where(teaches())


def teaches() -> ColumnElement[bool]:
    """Condition on LabelRow: its words are no OCR layer's, or a person vouched for them."""
    return (LabelRow.origin != TextOrigin.OCR_LAYER) | BY_A_PERSON


def may_replay() -> ColumnElement[bool]:
    """Condition on DocumentRow: other languages may learn from it, as no exam of its own holds it or could.

    Documents whose place (`sides.place_of`) is in the upper half are in none: exams take the lowest third at most.
    """
    place = func.sha256(func.convert_to("split " + DocumentRow.sha256, "UTF8"))
    listed = select(DatasetDocumentRow.sha256).where(DatasetDocumentRow.sha256 == DocumentRow.sha256)
    kept = listed.where(DatasetDocumentRow.split != Split.TRAIN).correlate(DocumentRow).exists()
    return ~kept & (func.get_byte(place, 0) >= 128)


def trainable(session: Session, language: str, corpora: Sequence[str], generations: int) -> list[tuple[int, int]]:
    """(page id, document id) of pages that have something to teach, by document and number."""
    return _pages_to_learn_from(session, teaching_labels(language, corpora, generations))


def replayable(session: Session, language: str, count: int) -> list[tuple[int, int]]:
    """(page id, document id) of up to `count` pages of other languages, accepted from text layers or by
    people: of each language as many, its newest."""
    spoken = (
        select(DocumentRow.language).where(DocumentRow.language.is_not(None), ~in_language(language)).distinct()
    )
    others = session.execute(spoken).scalars().all() if count else []
    found = {str(other): _newest(session, str(other), count) for other in sorted(map(str, others))}
    return sorted(spread(found, count), key=lambda pair: (pair[1], pair[0]))


def _newest(session: Session, language: str, count: int) -> list[tuple[int, int]]:
    """(page id, document id) of the newest pages of exactly this language that people or text layers told."""
    told = (LabelRow.generation == 0) & (LabelRow.verdict == Outcome.ACCEPTED) & (LabelRow.lines > 0) & teaches()
    accepted = (
        select(PageRow.id)
        .join(DocumentRow, DocumentRow.id == PageRow.document_id)
        .where(
            DocumentRow.language == language,
            PageRow.state == PageState.LABELLED,
            PageRow.verdict == Outcome.ACCEPTED,
            may_replay(),
        )
        .where(select(LabelRow.id).where(LabelRow.page_id == PageRow.id, told).exists())
        .order_by(PageRow.id.desc())
        .limit(count)
    )
    labels = labels_that_teach(0).where(LabelRow.page_id.in_(accepted))
    return sorted(_pages_to_learn_from(session, labels), reverse=True)


def _pages_to_learn_from(session: Session, labels: Select[LabelRow]) -> list[tuple[int, int]]:
    """(page id, document id) of the accepted ones among these labels that have lines, by document and number."""
    current = labels.subquery()
    found = session.execute(
        select(current.c.page_id, PageRow.document_id)
        .join(PageRow, PageRow.id == current.c.page_id)
        .where(current.c.verdict == Outcome.ACCEPTED, current.c.lines > 0)
        .order_by(PageRow.document_id, PageRow.number)
    ).all()
    return [(int(page_id), int(document_id)) for page_id, document_id in found]


def spread(found: Mapping[str, Sequence[T]], count: int) -> list[T]:
    """Up to `count` of the found: the first of each key, the second of each, and so on."""
    depth = max(map(len, found.values()), default=0)
    return [items[place] for place in range(depth) for items in found.values() if place < len(items)][:count]


def patch_works(
    session: Session, round_id: int, pages: Sequence[tuple[int, int]], generations: int, unit: Unit
) -> list[Work]:
    """Work of cutting (page id, document id) for a round, but for the pages that were cut before."""
    by_document: dict[int, list[int]] = {}
    cut = cut_already(session, [page_id for page_id, _ in pages], generations, unit)
    for page_id, document_id in pages:
        if page_id not in cut:
            by_document.setdefault(document_id, []).append(page_id)
    return [
        Work("patches", document_id=document_id, round_id=round_id, page_ids=part)
        for document_id, page_ids in by_document.items()
        for part in shards(page_ids, ROUTE["patches"].pages)
    ]


def labels_to_cut(session: Session, page_ids: Sequence[int], generations: int, unit: Unit) -> dict[int, LabelRow]:
    """Page id -> the accepted label that teaches, of pages that were not cut before."""
    mine = LabelRow.page_id == func.any(array_of(page_ids))
    rows = session.execute(labels_that_teach(generations).where(mine)).scalars()
    accepted = {row.page_id: row for row in rows if row.verdict is Outcome.ACCEPTED}
    cut = cut_already(session, list(accepted), generations, unit)
    return {page_id: row for page_id, row in accepted.items() if page_id not in cut}


def patches_of(unit: Unit) -> ColumnElement[bool]:
    """Condition on PatchSetRow: samples of this unit, as they are made now."""
    return (PatchSetRow.unit == unit) & (PatchSetRow.cutter == PATCH_CUTTER)


def cut_already(session: Session, page_ids: Sequence[int], generations: int, unit: Unit) -> set[int]:
    """The pages among these that have their patches already."""
    mine = LabelRow.page_id == func.any(array_of(page_ids))
    current = labels_that_teach(generations).where(mine).subquery()
    cut = (PatchSetRow.label_id == current.c.id) & patches_of(unit)
    return set(session.execute(select(current.c.page_id).join(PatchSetRow, cut)).scalars())
