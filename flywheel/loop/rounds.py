"""Rounds of fine-tuning: the languages that need one, its start and its cancellation.

Their course from status to status is flywheel/loop/round_machine.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from flywheel.database.tables import CorpusRow, DocumentRow, LabelRow, PageRow, RoundRow
from flywheel.document import Outcome
from flywheel.encoding import JsonValue
from flywheel.errors import Conflict, NotFound
from flywheel.loop.recipes import recipe_for
from flywheel.loop.round_machine import enter, open_round
from flywheel.loop.teaching import patch_works, replayable, teaches, trainable
from flywheel.settings import Settings
from flywheel.states import PLANNED_ROUNDS, RUNNING_ROUNDS, RoundStatus
from flywheel.text.tags import canonical
from flywheel.work import ledger


def start(
    session: Session,
    *,
    language: str,
    corpora: Sequence[str] = (),
    recipe: str = "line",
    overrides: Mapping[str, JsonValue] | None = None,
) -> int:
    """Open a round and enqueue the cutting of its patches; returns its id.

    Raises Conflict when a round of the language is running or no accepted label exists to train on,
    NotFound when there is no such recipe or corpus, Rejected(BAD_SETTINGS) for overrides that the recipe refuses.
    """
    language, overrides = canonical(language), overrides or {}
    chosen = recipe_for(recipe, overrides)
    check_corpora(session, corpora)
    row = open_round(
        session,
        RoundStatus.PATCHING,
        language=language,
        corpora=corpora,
        recipe=recipe,
        overrides=overrides,
    )
    pages = trainable(session, language, corpora, chosen.generations)
    if not pages:
        raise Conflict(
            f"no accepted label with language {language!r} to train on; submit documents with a sound text layer"
        )
    ledger.enqueue(session, patch_works(session, row.id, pages, chosen.generations, chosen.unit))
    foreign = replayable(session, language, math.ceil(chosen.replay_share * len(pages)))
    ledger.enqueue(session, patch_works(session, row.id, foreign, 0, chosen.unit))
    return row.id


def cancel(session: Session, round_id: int) -> None:
    """End a round at once; whoever works on it notices at the next heartbeat. Raises NotFound, Conflict."""
    enter(session, round_id, RoundStatus.CANCELLED, "cancelled by a person")


def check_corpora(session: Session, corpora: Sequence[str]) -> None:
    """Raises NotFound when one does not exist."""
    known = set(session.execute(select(CorpusRow.name).where(CorpusRow.name.in_(corpora))).scalars())
    if missing := [name for name in corpora if name not in known]:
        raise NotFound(f"no corpus {missing[0]!r}")


def languages_to_train(session: Session, config: Settings) -> list[str]:
    """Languages that need a round: enough newly accepted lines since the last one, or enough time with some."""
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
            teaches(),
            ~running,
        )
        .group_by(DocumentRow.language)
        .having(enough)
    ).scalars()
    return [language for language in rows if language]
