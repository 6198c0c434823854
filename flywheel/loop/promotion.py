"""Promotions: an append-only list of decisions about checkpoints, one champion a language.

Every decision is recorded with the comparison it was made by (flywheel/loop/decision.py), refusals too. Decisions
about a language are serialised by an advisory lock, so that two cannot both follow the same champion.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from flywheel.database.tables import CheckpointRow, PromotionRow
from flywheel.errors import Conflict, NotFound
from flywheel.figures import Comparison, DocumentEdits
from flywheel.states import NAMES_CHAMPION, PromotionAction
from flywheel.text.scripts import expected, is_script, parts
from flywheel.text.tags import canonical

BUILTIN = "ppocr-v6-small"  # comes inside the rapidocr wheel; the first migration records it


def champion(session: Session, language: str) -> str | None:
    """The checkpoint that reads `language` now, or None."""
    return _champions(session, PromotionRow.language == language).get(language)


def parent(session: Session, language: str, architecture: str) -> str | None:
    """The checkpoint that a round of a language begins from: its champion, where that is of the same kind."""
    found = champion(session, language)
    if found is None or session.get_one(CheckpointRow, found).architecture != architecture:
        return None
    return found


def champions(session: Session) -> dict[str, str]:
    """Language -> champion, for all languages that have one."""
    return _champions(session)


def _champions(session: Session, *which: ColumnElement[bool]) -> dict[str, str]:
    """Language -> the checkpoint that its newest promotion or rollback names."""
    rows = session.execute(
        select(PromotionRow.language, PromotionRow.checkpoint_id)
        .where(PromotionRow.action.in_(NAMES_CHAMPION), *which)
        .ext(distinct_on(PromotionRow.language))
        .order_by(PromotionRow.language, PromotionRow.id.desc())
    ).all()
    return {language: checkpoint for language, checkpoint in rows if checkpoint is not None}


def reader_for(session: Session, language: str | None, script: str | None = None) -> str | None:
    """The checkpoint to read pages with; None: they wait.

    By declared language: its champion, else its base language's, else the built-in reader where that
    knows all the language's scripts. Without one, by the script that was seen (ISO 15924): a champion
    that knows it, else the built-in reader. Where neither is known the built-in reader tries, and the
    gate judges.
    """
    builtin = session.get(CheckpointRow, BUILTIN)
    known = set(builtin.scripts) if builtin else set()
    if language:
        for tag in dict.fromkeys((language, language.split("-")[0])):
            found = champion(session, tag)
            if found is not None:
                return found
        wanted = expected(language)
        return BUILTIN if wanted and wanted <= known else None
    if script and is_script(script):
        wanted = parts(script)
        for tag, checkpoint_id in champions(session).items():
            # Page readers that come with the service list no script: what they were made champion of counts.
            if wanted <= {*session.get_one(CheckpointRow, checkpoint_id).scripts, *expected(tag)}:
                return checkpoint_id
        return BUILTIN if wanted <= known else None
    return BUILTIN if builtin else None


def promote(
    session: Session, checkpoint_id: str, *, language: str | None = None, actor: str, detail: str = ""
) -> int:
    """Make a checkpoint the champion; returns the decision's id. Raises NotFound, Conflict."""
    checkpoint = session.get(CheckpointRow, checkpoint_id)
    if checkpoint is None:
        raise NotFound(f"no checkpoint {checkpoint_id}")
    language = language or checkpoint.language
    if language is None:
        raise Conflict(f"{checkpoint_id} is for no language of its own: name one")
    language = canonical(language)
    lock(session, language)
    previous = champion(session, language)
    if previous == checkpoint_id:
        raise Conflict(f"{checkpoint_id} is the champion of {language} already")
    return record(
        session,
        language,
        PromotionAction.PROMOTE,
        checkpoint_id,
        previous,
        actor=actor,
        detail=detail,
    )


def rollback(session: Session, language: str, *, actor: str) -> str | None:
    """Undo the latest promotion that still stands; returns the champion it had replaced (None: there was
    none before). Raises Conflict when there is nothing to go back from."""
    language = canonical(language)
    lock(session, language)
    standing = _standing(session, language)
    if not standing:
        raise Conflict(f"{language} has no promotion to roll back")
    undone = standing.pop()
    previous = standing[-1] if standing else None
    record(
        session, language, PromotionAction.ROLLBACK, previous, undone, actor=actor, detail=f"back from {undone}"
    )
    return previous


def looks(session: Session, language: str, exam: Iterable[DocumentEdits]) -> int:
    """Number of tests that an exam of these documents was used for: recorded ones, refusals too, whose exam held
    more than half of it. Decisions without a test, by the bar or for want of documents, cost nothing.

    Near-equal documents are one part of an exam, and one of them that was looked at is enough: else copies that
    join would make an exam look fresh.
    """
    parts: dict[str, set[str]] = defaultdict(set)
    for one in exam:
        parts[one.counted_with] |= {one.counted_with, one.document}
    rows = session.execute(
        select(PromotionRow.comparison).where(
            PromotionRow.language == language, PromotionRow.comparison.is_not(None)
        )
    ).scalars()
    tests = [row.by_document for row in rows if row is not None and row.look is not None]
    seen = [{name for one in test for name in (one.counted_with, one.document)} for test in tests]
    return sum(2 * sum(not part.isdisjoint(names) for part in parts.values()) > len(parts) for names in seen)


def _standing(session: Session, language: str) -> list[str]:
    """Promotions in force, oldest first: each rollback has taken the last one away."""
    rows = session.execute(
        select(PromotionRow.action, PromotionRow.checkpoint_id)
        .where(PromotionRow.language == language, PromotionRow.action.in_(NAMES_CHAMPION))
        .order_by(PromotionRow.id)
    ).all()
    stack: list[str] = []
    for action, checkpoint_id in rows:
        if action is PromotionAction.PROMOTE and checkpoint_id is not None:
            stack.append(checkpoint_id)
        elif stack:
            stack.pop()
    return stack


def lock(session: Session, language: str) -> None:
    """Serialise decisions about a language until the transaction ends."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"promotion {language}", 0))))


def record(
    session: Session,
    language: str,
    action: PromotionAction,
    checkpoint_id: str | None,
    previous_id: str | None,
    *,
    actor: str,
    detail: str = "",
    round_id: int | None = None,
    comparison: Comparison | None = None,
) -> int:
    """Append a decision; returns its id."""
    row = PromotionRow(
        language=language,
        action=action,
        checkpoint_id=checkpoint_id,
        previous_id=previous_id,
        round_id=round_id,
        comparison=comparison,
        detail=detail,
        actor=actor,
    )
    session.add(row)
    session.flush()
    return row.id
