"""Rounds: when one is due, how it starts, moves on, and ends.

    patching -> freezing -> training -> promoting -> relabelling -> finished
                                            `-> refused        any -> cancelled, failed

`patching` and `relabelling` are many shards; the sweep moves the round on when
none of them is open any more (`advance`), so no message has to be the last one.
The other steps each finish by enqueueing the next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from flywheel.database.tables import CorpusRow, DocumentRow, LabelRow, PageRow, PatchSetRow, RoundRow, ShardRow
from flywheel.document import Outcome
from flywheel.errors import Conflict, NotFound, Rejected
from flywheel.loop.recipes import Unit, unit_of
from flywheel.loop.submission import shards
from flywheel.reasons import Reason
from flywheel.settings import Settings
from flywheel.states import ENDED_ROUNDS, PLANNED_ROUNDS, RUNNING_ROUNDS, PageState, RoundStatus, ShardState
from flywheel.text.tags import canonical
from flywheel.work import ledger
from flywheel.work.ledger import Work, current_labels

T = TypeVar("T")
PATCH_PAGES = 8
# What recipes say themselves, for where their files cannot be read (tests/tasks/test_page_round.py compares).
GENERATIONS = 1  # readings of a first champion may teach, readings of its pupils not
REPLAY_SHARE = 0.1  # pages of other languages for each of the language's own, against forgetting


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
    NotFound when there is no such recipe or corpus, Rejected(BAD_SETTINGS) for overrides of another kind.
    """
    language, unit = canonical(language), unit_of(recipe)
    check_corpora(session, corpora)
    row = RoundRow(language=language, recipe=recipe, corpora=list(corpora), overrides=overrides or {})
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
    ledger.enqueue(session, _patch_works(session, row, labels, generations_of(row.overrides)))
    if unit == "page":
        count = math.ceil(replay_share_of(row.overrides) * len(labels))
        ledger.enqueue(session, _patch_works(session, row, replayable(session, language, count), 0))
    return row.id


def check_corpora(session: Session, corpora: Sequence[str]) -> None:
    """Raises NotFound when one does not exist."""
    known = set(session.execute(select(CorpusRow.name).where(CorpusRow.name.in_(corpora))).scalars())
    if missing := [name for name in corpora if name not in known]:
        raise NotFound(f"no corpus {missing[0]!r}")


def generations_of(overrides: Mapping[str, Any]) -> int:
    """How far from a text layer or a person the labels that teach a round may be."""
    return int(_number(overrides, "generations", GENERATIONS))


def replay_share_of(overrides: Mapping[str, Any]) -> float:
    """Pages of other languages that are learned from, for each of the round's own, where a page is the unit."""
    return _number(overrides, "replay_share", REPLAY_SHARE)


def _number(overrides: Mapping[str, Any], name: str, default: float) -> float:
    value = overrides.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise Rejected(Reason.BAD_SETTINGS, f"{name} is a number, not {value!r}")
    return value


def trainable(
    session: Session, language: str, corpora: Sequence[str] = (), generations: int = GENERATIONS
) -> list[tuple[int, int]]:
    """(page id, document id) of pages that have something to teach: see `teaching_labels`."""
    current = teaching_labels(language, corpora, generations).subquery()
    found = session.execute(
        select(current.c.page_id, PageRow.document_id)
        .join(PageRow, PageRow.id == current.c.page_id)
        .where(current.c.verdict == Outcome.ACCEPTED, current.c.lines > 0)
        .order_by(PageRow.document_id, PageRow.number)
    ).all()
    return [(int(page_id), int(document_id)) for page_id, document_id in found]


def teaching_labels(language: str, corpora: Sequence[str], generations: int) -> Select[LabelRow]:
    """The labels that speak for a language's pages, none beyond `generations` from a text layer or a person."""
    rows = current_labels(generations=generations).where(is_in(language))
    if corpora:
        rows = rows.join(CorpusRow, CorpusRow.id == DocumentRow.corpus_id).where(CorpusRow.name.in_(corpora))
    return rows


def is_in(language: str) -> ColumnElement[bool]:
    """Whether a document is in a language, its regional forms among it."""
    return or_(DocumentRow.language == language, DocumentRow.language.like(f"{language}-%"))


def replayable(session: Session, language: str, count: int) -> list[tuple[int, int]]:
    """(page id, document id) of up to `count` pages of other languages, accepted from text layers or by
    people: of each language as many, its newest."""
    spoken = select(DocumentRow.language).where(DocumentRow.language.is_not(None), ~is_in(language)).distinct()
    others = session.execute(spoken).scalars().all() if count else []
    found = {str(other): _newest(session, str(other), count) for other in sorted(map(str, others))}
    return sorted(spread(found, count), key=lambda pair: (pair[1], pair[0]))


def _newest(session: Session, language: str, count: int) -> list[tuple[int, int]]:
    told = (LabelRow.generation == 0) & (LabelRow.verdict == Outcome.ACCEPTED) & (LabelRow.lines > 0)
    accepted = (
        select(PageRow.id)
        .join(DocumentRow, DocumentRow.id == PageRow.document_id)
        .where(
            DocumentRow.language == language,
            PageRow.state == PageState.LABELLED,
            PageRow.verdict == Outcome.ACCEPTED,
        )
        .where(select(LabelRow.id).where(LabelRow.page_id == PageRow.id, told).exists())
        .order_by(PageRow.id.desc())
        .limit(count)
    )
    current = current_labels(generations=0).where(LabelRow.page_id.in_(accepted)).subquery()
    rows = session.execute(
        select(current.c.page_id, PageRow.document_id)
        .join(PageRow, PageRow.id == current.c.page_id)
        .where(current.c.verdict == Outcome.ACCEPTED, current.c.lines > 0)
        .order_by(current.c.page_id.desc())
    ).all()
    return [(int(page_id), int(document_id)) for page_id, document_id in rows]


def spread(found: Mapping[str, Sequence[T]], count: int) -> list[T]:
    """Up to `count` of what was found: the first of each key, the second of each, and so on."""
    depth = max(map(len, found.values()), default=0)
    return [items[place] for place in range(depth) for items in found.values() if place < len(items)][:count]


def _patch_works(
    session: Session, row: RoundRow, labels: Sequence[tuple[int, int]], generations: int
) -> list[Work]:
    by_document: dict[int, list[int]] = {}
    for page_id, document_id in labels:
        by_document.setdefault(document_id, []).append(page_id)
    cut = cut_already(session, [page_id for page_id, _ in labels], generations, unit_of(row.recipe))
    works = []
    for document_id, page_ids in by_document.items():
        todo = [page_id for page_id in page_ids if page_id not in cut]
        for part in shards(todo, PATCH_PAGES):
            works.append(Work("patches", document_id=document_id, round_id=row.id, page_ids=part))
    return works


def cut_already(session: Session, page_ids: Sequence[int], generations: int, unit: Unit) -> set[int]:
    """Which of these pages have their patches already."""
    mine = LabelRow.page_id == func.any(ledger.array_of(page_ids))
    current = current_labels(generations=generations).where(mine).subquery()
    cut = (PatchSetRow.label_id == current.c.id) & (PatchSetRow.unit == unit)
    return set(session.execute(select(current.c.page_id).join(PatchSetRow, cut)).scalars())


def advance(session: Session) -> int:
    """Move rounds on whose many shards are all closed; returns how many moved. Safe to run twice at once."""
    still_open = (
        select(ShardRow.id).where(ShardRow.round_id == RoundRow.id, ShardRow.state == ShardState.OPEN).exists()
    )
    rows = session.execute(
        select(RoundRow)
        .where(RoundRow.status.in_((RoundStatus.PATCHING, RoundStatus.RELABELLING)), ~still_open)
        .with_for_update(skip_locked=True)
    ).scalars()
    moved = 0
    for row in rows:
        moved += 1
        if row.status is RoundStatus.PATCHING:
            row.status = RoundStatus.FREEZING
            session.flush()
            ledger.enqueue(session, [Work("dataset", round_id=row.id)])
        else:
            row.status, row.finished_at = RoundStatus.FINISHED, func.now()
    return moved


def step(session: Session, round_id: int, status: RoundStatus, stop: str, **values: Any) -> None:
    """Enter a status and enqueue the stop that does its work."""
    session.execute(update(RoundRow).where(RoundRow.id == round_id).values(status=status, **values))
    ledger.enqueue(session, [Work(stop, round_id=round_id)])


def cancel(session: Session, round_id: int) -> None:
    """End a round at once; whoever works on it notices at the next heartbeat. Raises NotFound, Conflict."""
    row = session.get(RoundRow, round_id)
    if row is None:
        raise NotFound(f"no round {round_id}")
    if row.status in ENDED_ROUNDS:
        raise Conflict(f"round {round_id} is {row.status} already")
    ledger.end_round(session, round_id, RoundStatus.CANCELLED, "cancelled by a person")


def languages_due(session: Session, config: Settings) -> list[str]:
    """Languages for which a round is due: enough newly accepted lines since the last one, or time."""
    began = select(RoundRow.language, func.max(RoundRow.created_at).label("at"))
    last = began.where(RoundRow.status.not_in(PLANNED_ROUNDS)).group_by(RoundRow.language).subquery()
    running = (
        select(RoundRow.id)
        .where(RoundRow.language == DocumentRow.language, RoundRow.status.in_(RUNNING_ROUNDS))
        .exists()
    )
    # Labels that a checkpoint made do not count: rounds would feed themselves.
    fresh = func.sum(LabelRow.lines).filter(last.c.at.is_(None) | (LabelRow.created_at > last.c.at))
    enough = fresh >= config.round_min_lines
    if config.round_interval_hours > 0:
        old = func.now() - timedelta(hours=config.round_interval_hours)
        enough = enough | ((fresh > 0) & (func.max(last.c.at) < old))
    rows = session.execute(
        select(DocumentRow.language)
        .join(PageRow, PageRow.document_id == DocumentRow.id)
        .join(LabelRow, LabelRow.page_id == PageRow.id)
        .outerjoin(last, last.c.language == DocumentRow.language)
        .where(
            DocumentRow.language.is_not(None),
            LabelRow.verdict == Outcome.ACCEPTED,
            LabelRow.generation == 0,
            ~running,
        )
        .group_by(DocumentRow.language)
        .having(enough)
    ).scalars()
    return [language for language in rows if language]
