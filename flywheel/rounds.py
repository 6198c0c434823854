"""Rounds: when one is due, how it starts, moves on, and ends.

    patching -> freezing -> training -> promoting -> relabelling -> finished
                                            `-> refused        any -> cancelled, failed

`patching` and `relabelling` are many shards; the sweep moves the round on when
none of them is open any more (`advance`), so no message has to be the last one.
The other steps each finish by enqueueing the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from flywheel import ledger
from flywheel.errors import Conflict, NotFound
from flywheel.ledger import Work, current_labels
from flywheel.settings import Settings
from flywheel.submission import shards
from flywheel.tables import Corpus, Document, LabelRow, Page, PatchSet, Round, Shard
from flywheel.tags import canonical

RUNNING = ("patching", "freezing", "training", "promoting", "relabelling")
PATCH_PAGES = 8
GENERATIONS = 1  # a recipe's default cap: readings of a first champion may teach, readings of its pupils not


def start(
    session: Session,
    *,
    language: str,
    corpora: Sequence[str] = (),
    recipe: str = "line",
    overrides: dict[str, Any] | None = None,
) -> int:
    """Plan a round and enqueue the cutting of its patches; returns its id.

    Raises Conflict when a round of the language is running or no accepted label exists to train on,
    NotFound when a named corpus does not exist.
    """
    language = canonical(language)
    known = set(session.execute(select(Corpus.name).where(Corpus.name.in_(corpora))).scalars())
    if missing := [name for name in corpora if name not in known]:
        raise NotFound(f"no corpus {missing[0]!r}")
    row = Round(language=language, recipe=recipe, corpora=list(corpora), overrides=overrides or {})
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError as error:
        raise Conflict(f"a round for {language} is running; cancel it or wait for it") from error
    labels = trainable(session, language, corpora, generations_of(row.overrides))
    if not labels:
        raise Conflict(
            f"no accepted label with language {language!r} to train on; submit documents with a sound text layer"
        )
    ledger.enqueue(session, _patch_works(session, row, labels))
    return row.id


def generations_of(overrides: Mapping[str, Any]) -> int:
    """How far from a text layer or a person the labels that teach a round may be."""
    return int(overrides.get("generations", GENERATIONS))


def trainable(
    session: Session, language: str, corpora: Sequence[str] = (), generations: int = GENERATIONS
) -> list[tuple[int, int]]:
    """(page id, document id) of pages that have something to teach: see `teaching_labels`."""
    current = teaching_labels(language, corpora, generations).subquery()
    found = session.execute(
        select(current.c.page_id, Page.document_id)
        .join(Page, Page.id == current.c.page_id)
        .where(current.c.verdict == "accepted", current.c.lines > 0)
        .order_by(Page.document_id, Page.number)
    ).all()
    return [(int(page_id), int(document_id)) for page_id, document_id in found]


def teaching_labels(language: str, corpora: Sequence[str], generations: int) -> Select[LabelRow]:
    """The labels that speak for a language's pages, none beyond `generations` from a text layer or a person."""
    rows = current_labels(generations=generations).where(
        or_(Document.language == language, Document.language.like(f"{language}-%"))
    )
    if corpora:
        rows = rows.join(Corpus, Corpus.id == Document.corpus_id).where(Corpus.name.in_(corpora))
    return rows


def _patch_works(session: Session, row: Round, labels: Sequence[tuple[int, int]]) -> list[Work]:
    by_document: dict[int, list[int]] = {}
    for page_id, document_id in labels:
        by_document.setdefault(document_id, []).append(page_id)
    cut = _cut_already(session, [page_id for page_id, _ in labels], generations_of(row.overrides))
    works = []
    for document_id, page_ids in by_document.items():
        todo = [page_id for page_id in page_ids if page_id not in cut]
        for part in shards(todo, PATCH_PAGES):
            works.append(Work("patches", document_id=document_id, round_id=row.id, page_ids=part))
    return works


def _cut_already(session: Session, page_ids: Sequence[int], generations: int) -> set[int]:
    mine = LabelRow.page_id == func.any(ledger.array_of(page_ids))
    current = current_labels(generations=generations).where(mine).subquery()
    rows = session.execute(select(current.c.page_id).join(PatchSet, PatchSet.label_id == current.c.id))
    return set(rows.scalars())


def advance(session: Session) -> int:
    """Move rounds on whose many shards are all closed; returns how many moved. Safe to run twice at once."""
    still_open = select(Shard.id).where(Shard.round_id == Round.id, Shard.state == "open").exists()
    rows = session.execute(
        select(Round)
        .where(Round.status.in_(("patching", "relabelling")), ~still_open)
        .with_for_update(skip_locked=True)
    ).scalars()
    moved = 0
    for row in rows:
        moved += 1
        if row.status == "patching":
            row.status = "freezing"
            session.flush()
            ledger.enqueue(session, [Work("dataset", round_id=row.id)])
        else:
            row.status, row.finished_at = "finished", func.now()
    return moved


def step(session: Session, round_id: int, status: str, stop: str, **values: Any) -> None:
    """Enter a status and enqueue the stop that does its work."""
    session.execute(update(Round).where(Round.id == round_id).values(status=status, **values))
    ledger.enqueue(session, [Work(stop, round_id=round_id)])


def cancel(session: Session, round_id: int) -> None:
    """End a round at once; whoever works on it notices at the next heartbeat. Raises NotFound, Conflict."""
    row = session.get(Round, round_id)
    if row is None:
        raise NotFound(f"no round {round_id}")
    if row.status not in RUNNING:
        raise Conflict(f"round {round_id} is {row.status} already")
    ledger.end_round(session, round_id, "cancelled", "cancelled by a person")


def due(session: Session, config: Settings) -> list[str]:
    """Languages for which a round is due: enough newly accepted lines since the last one, or time."""
    last = select(Round.language, func.max(Round.created_at).label("at")).group_by(Round.language).subquery()
    running = select(Round.id).where(Round.language == Document.language, Round.status.in_(RUNNING)).exists()
    # Labels that a checkpoint made do not count: rounds would feed themselves.
    fresh = func.sum(LabelRow.lines).filter(last.c.at.is_(None) | (LabelRow.created_at > last.c.at))
    enough = fresh >= config.round_min_lines
    if config.round_interval_hours > 0:
        old = func.now() - timedelta(hours=config.round_interval_hours)
        enough = enough | ((fresh > 0) & (func.max(last.c.at) < old))
    rows = session.execute(
        select(Document.language)
        .join(Page, Page.document_id == Document.id)
        .join(LabelRow, LabelRow.page_id == Page.id)
        .outerjoin(last, last.c.language == Document.language)
        .where(Document.language.is_not(None), LabelRow.verdict == "accepted", LabelRow.generation == 0, ~running)
        .group_by(Document.language)
        .having(enough)
    ).scalars()
    return [language for language in rows if language]
