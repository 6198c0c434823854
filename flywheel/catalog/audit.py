"""Audit of text layers: the gate's verdicts on them, counted by document and by font.

A page counts by its coarse label, the one made from its text layer, whatever a
reader or a person made of the page later. Fonts are named without the
six-letter prefix that PDF writers put before a subset.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from flywheel import wire
from flywheel.catalog.corpora import corpus_row
from flywheel.database import tables
from flywheel.document import Kind, Outcome
from flywheel.reasons import Reason

SUBSET_PREFIX = re.compile(r"^[A-Z]{6}\+")


@dataclass(slots=True)
class _Count:
    name: str
    document_id: int | None = None
    pages: int = 0
    with_text: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)

    def add(self, has_text: bool, verdict: str | None, reason: str | None, pages: int) -> None:
        self.pages += pages
        if not has_text:
            return
        self.with_text += pages
        if verdict is not None:
            self.verdicts[verdict] = self.verdicts.get(verdict, 0) + pages
        if reason is not None:
            self.reasons[reason] = self.reasons.get(reason, 0) + pages

    def row(self) -> wire.AuditRow:
        lying = self.verdicts.get(Outcome.REJECTED, 0)
        return wire.AuditRow(
            name=self.name,
            document_id=self.document_id,
            pages=self.pages,
            with_text=self.with_text,
            accepted=self.verdicts.get(Outcome.ACCEPTED, 0),
            review=self.verdicts.get(Outcome.REVIEW, 0),
            lying=lying,
            share=lying / self.with_text if self.with_text else None,
            reasons=dict(sorted(self.reasons.items(), key=lambda item: -item[1])),
        )


def audit(session: Session, corpus: str, *, limit: int) -> wire.Audit:
    """The `limit` worst documents and fonts of a corpus, and totals over all. Raises NotFound."""
    corpus_id = corpus_row(session, corpus).id
    by_document: dict[Hashable, _Count] = {}
    for id_, name, has_text, verdict, reason, pages in session.execute(_by_document(corpus_id)):
        by_document.setdefault(id_, _Count(name, id_)).add(has_text, verdict, reason, pages)
    by_font: dict[Hashable, _Count] = {}
    for font, has_text, verdict, reason, pages in session.execute(_by_font(corpus_id)):
        name = SUBSET_PREFIX.sub("", font)
        by_font.setdefault(name, _Count(name)).add(has_text, verdict, reason, pages)
    documents = [count.row() for count in by_document.values()]
    return wire.Audit(
        corpus=corpus,
        pages=sum(row.pages for row in documents),
        with_text=sum(row.with_text for row in documents),
        lying=sum(row.lying for row in documents),
        documents=_worst(documents)[:limit],
        fonts=_worst(count.row() for count in by_font.values())[:limit],
    )


def _worst(rows: Iterable[wire.AuditRow]) -> list[wire.AuditRow]:
    return sorted(rows, key=lambda row: (-(row.share or 0.0), -row.lying, -row.with_text, row.name))


def _judged() -> tuple[ColumnElement[bool], InstrumentedAttribute[str], InstrumentedAttribute[str]]:
    """Columns of a page: has it a text layer, with the gate's verdict and reason on that."""
    has_text = func.coalesce(tables.PageRow.facts["has_text"].as_boolean(), False)
    spoken = and_(has_text, tables.LabelRow.reason.is_distinct_from(Reason.NO_TEXT_LAYER.value))
    return spoken, tables.LabelRow.verdict, tables.LabelRow.reason


def _pages(query: Select[*tuple[Any, ...]], corpus_id: int) -> Select[*tuple[Any, ...]]:
    """Apply `query` to the pages of a corpus, each joined with its coarse label where it has one."""
    coarse = and_(tables.LabelRow.page_id == tables.PageRow.id, tables.LabelRow.kind == Kind.COARSE)
    return (
        query.select_from(tables.PageRow)
        .join(tables.DocumentRow, tables.DocumentRow.id == tables.PageRow.document_id)
        .outerjoin(tables.LabelRow, coarse)
        .where(tables.DocumentRow.corpus_id == corpus_id)
    )


def _by_document(corpus_id: int) -> Select[*tuple[Any, ...]]:
    keys = (tables.DocumentRow.id, tables.DocumentRow.name, *_judged())
    return _pages(select(*keys, func.count()), corpus_id).group_by(*keys)


def _by_font(corpus_id: int) -> Select[*tuple[Any, ...]]:
    fonts = tables.PageRow.facts["fonts"]
    listed = case((func.jsonb_typeof(fonts) == "array", fonts), else_=None)
    font = func.jsonb_array_elements_text(listed).column_valued("font", joins_implicitly=True)
    keys = (font, *_judged())
    return _pages(select(*keys, func.count(tables.PageRow.id.distinct())), corpus_id).group_by(*keys)
