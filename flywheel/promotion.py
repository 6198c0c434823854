"""Which checkpoint reads which language: an append-only list of decisions, one champion a language.

`decide` holds a candidate against the champion on the same held-out lines. Every
decision is recorded with its numbers, refusals too. Decisions about a language
are serialised by an advisory lock, so that two cannot both follow the same champion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from flywheel.errors import Conflict, NotFound
from flywheel.scripts import expected
from flywheel.tables import CheckpointRow, Promotion

BUILTIN = "ppocr-v6-small"  # comes inside the rapidocr wheel; the first migration records it


@dataclass(frozen=True, slots=True)
class Policy:
    """When a candidate wins. `bar`: the highest CER a first champion may have; `margin`: how much
    lower than the champion's the candidate's CER must be, as a share of the champion's."""

    bar: float = 0.15
    margin: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    promote: bool
    detail: str


def decide(candidate: dict[str, Any], champion: dict[str, Any] | None, policy: Policy | None = None) -> Decision:
    """Compare scores (`cer` as a share, on the same lines). The detail says why, with the figures."""
    policy = policy or Policy()
    cer = float(candidate["cer"])
    if not candidate.get("lines"):
        return Decision(False, "no held-out line to judge by")
    if champion is None:
        if cer <= policy.bar:
            return Decision(True, f"CER {cer:.2%} is within the bar of {policy.bar:.0%} for a first champion")
        return Decision(False, f"CER {cer:.2%} is over the bar of {policy.bar:.0%} for a first champion")
    before = float(champion["cer"])
    if cer < before * (1 - policy.margin):
        return Decision(True, f"CER {cer:.2%} against the champion's {before:.2%} on the same lines")
    return Decision(False, f"CER {cer:.2%} does not beat the champion's {before:.2%} on the same lines")


def champion(session: Session, language: str) -> str | None:
    """The checkpoint that reads `language` now, or None."""
    return session.execute(
        select(Promotion.checkpoint_id)
        .where(Promotion.language == language, Promotion.action != "refuse")
        .order_by(Promotion.id.desc())
        .limit(1)
    ).scalar_one_or_none()


def champions(session: Session) -> dict[str, str]:
    """Language -> champion, for all languages that have one."""
    rows = session.execute(
        select(Promotion.language, Promotion.checkpoint_id)
        .where(Promotion.action != "refuse")
        .ext(distinct_on(Promotion.language))
        .order_by(Promotion.language, Promotion.id.desc())
    ).all()
    return {language: checkpoint for language, checkpoint in rows if checkpoint is not None}


def reader_for(session: Session, language: str | None) -> str | None:
    """The checkpoint to read pages of a declared language with: its champion, else the champion of its
    base language, else the built-in reader where that knows all the language's scripts. None: a page waits."""
    if language:
        for tag in dict.fromkeys((language, language.split("-")[0])):
            found = champion(session, tag)
            if found is not None:
                return found
    builtin = session.get(CheckpointRow, BUILTIN)
    if builtin is None:
        return None
    scripts = expected(language)
    return BUILTIN if scripts <= set(builtin.scripts) else None


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
    lock(session, language)
    previous = champion(session, language)
    if previous == checkpoint_id:
        raise Conflict(f"{checkpoint_id} is the champion of {language} already")
    return record(
        session, language, "promote", checkpoint_id, previous, actor=actor, detail=detail, scores=checkpoint.scores
    )


def rollback(session: Session, language: str, *, actor: str) -> str | None:
    """Return to the champion before the present one; returns its id (None: no champion, as before the
    first promotion). Raises Conflict when there is nothing to go back from."""
    lock(session, language)
    latest = session.execute(
        select(Promotion)
        .where(Promotion.language == language, Promotion.action == "promote")
        .where(Promotion.checkpoint_id == champion(session, language))
        .order_by(Promotion.id.desc())
        .limit(1)
    ).scalar_one_or_none()
    if latest is None:
        raise Conflict(f"{language} has no promotion to roll back")
    detail = f"back from {latest.checkpoint_id}"
    record(session, language, "rollback", latest.previous_id, latest.checkpoint_id, actor=actor, detail=detail)
    return latest.previous_id


def lock(session: Session, language: str) -> None:
    """Serialise decisions about a language until the transaction ends."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"promotion {language}", 0))))


def record(
    session: Session,
    language: str,
    action: str,
    checkpoint_id: str | None,
    previous_id: str | None,
    *,
    actor: str,
    detail: str = "",
    round_id: int | None = None,
    scores: dict[str, Any] | None = None,
) -> int:
    """Append a decision; returns its id."""
    row = Promotion(
        language=language,
        action=action,
        checkpoint_id=checkpoint_id,
        previous_id=previous_id,
        round_id=round_id,
        scores=scores or {},
        detail=detail,
        actor=actor,
    )
    session.add(row)
    session.flush()
    return row.id
