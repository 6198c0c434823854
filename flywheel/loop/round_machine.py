"""State machine of rounds: every status with the stop that does its work and the statuses that may come next.

    patching -> freezing -> training -> promoting -> relabelling -> finished
                                            `-> refused        any of them -> cancelled, failed
    planning -> planned                                        (a round that is only planned)

`open_round` and `enter` are the only writers of a round's status. The work of `patching` and `relabelling` is many
shards: the sweep moves the round on when none of them is open any more (`advance`), so no message has to be the
last one. Any other stop enters the next status itself, in the transaction of its results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from flywheel.database.tables import RoundRow, ShardRow
from flywheel.encoding import JsonValue
from flywheel.errors import Conflict, NotFound
from flywheel.labels.standing import return_unread
from flywheel.states import ENDED_ROUNDS, RoundStatus, ShardState
from flywheel.work import ledger
from flywheel.work.ledger import Work

ABORTED = (RoundStatus.CANCELLED, RoundStatus.FAILED)


@dataclass(frozen=True, slots=True)
class Phase:
    """A status of a round: the stop that does its work (None: the round has ended) and what may come next.

    `when_closed`: the status that the sweep enters once no shard of the round is open.
    """

    stop: str | None
    next: tuple[RoundStatus, ...] = ()
    when_closed: RoundStatus | None = None


PHASES: dict[RoundStatus, Phase] = {
    RoundStatus.PATCHING: Phase("patches", (RoundStatus.FREEZING, *ABORTED), when_closed=RoundStatus.FREEZING),
    RoundStatus.FREEZING: Phase("dataset", (RoundStatus.TRAINING, *ABORTED)),
    RoundStatus.TRAINING: Phase("training", (RoundStatus.PROMOTING, *ABORTED)),
    RoundStatus.PROMOTING: Phase("promotion", (RoundStatus.RELABELLING, RoundStatus.REFUSED, *ABORTED)),
    RoundStatus.RELABELLING: Phase("relabel", (RoundStatus.FINISHED, *ABORTED), when_closed=RoundStatus.FINISHED),
    RoundStatus.PLANNING: Phase("planning", (RoundStatus.PLANNED, *ABORTED)),
    RoundStatus.FINISHED: Phase(None),
    RoundStatus.REFUSED: Phase(None),
    RoundStatus.PLANNED: Phase(None),
    RoundStatus.CANCELLED: Phase(None),
    RoundStatus.FAILED: Phase(None),
}
OPENING = (RoundStatus.PATCHING, RoundStatus.PLANNING)


def open_round(
    session: Session,
    status: RoundStatus,
    *,
    language: str,
    corpora: Sequence[str],
    recipe: str,
    overrides: Mapping[str, JsonValue],
) -> RoundRow:
    """Begin a round: `planning` has its work enqueued, the shards of `patching` are by page and the caller's.

    Raises Conflict when a round of the language is running.
    """
    if status not in OPENING:
        raise Conflict(f"a round does not begin as {status}")
    row = RoundRow(
        language=language, corpora=list(corpora), recipe=recipe, overrides=dict(overrides), status=status
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError as error:
        raise Conflict(f"a round for {language} is running; cancel it or wait for it") from error
    if status is RoundStatus.PLANNING:
        ledger.enqueue(session, [Work("planning", round_id=row.id)])
    return row


def enter(session: Session, round_id: int, status: RoundStatus, detail: str | None = None) -> None:
    """Move a round to a status and enqueue the work of its stop; where it ends, close what of it is still open.

    The stop that ends a round finishes its own shard before. Raises NotFound, and Conflict for a status that
    does not come next.
    """
    if status in ENDED_ROUNDS:
        _close_shards(session, round_id, detail or f"the round is {status}")
    row = _locked(session, round_id)
    if row.status in ENDED_ROUNDS:
        raise Conflict(f"round {round_id} is {row.status} already")
    if status not in PHASES[row.status].next:
        raise Conflict(f"round {round_id} is {row.status}: {status} does not come next")
    row.status = status
    if detail is not None:
        row.detail = detail
    if status in ENDED_ROUNDS:
        row.finished_at = func.now()
        # Once more: whoever had the row before may have opened the next stop's shard. Nobody can any more.
        _close_shards(session, round_id, detail or f"the round is {status}")
    session.flush()
    stop = PHASES[status].stop
    if stop is not None:
        ledger.enqueue(session, [Work(stop, round_id=round_id)])


def _close_shards(session: Session, round_id: int, detail: str) -> None:
    """Close the open shards of a round; pages it meant to read go back to where they stood.

    Comes before the round's row is locked, as every stop locks its lease before that row.
    """
    pages = ledger.cancel_shards(session, round_id, detail)
    return_unread(session, pages.get("recognition", []))


def _locked(session: Session, round_id: int) -> RoundRow:
    """The round as it is in the database, locked against other changes but not against shards that name it."""
    row = session.execute(
        select(RoundRow)
        .where(RoundRow.id == round_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if row is None:
        raise NotFound(f"no round {round_id}")
    return row


def advance(session: Session) -> int:
    """Move rounds on whose many shards are all closed; returns how many moved. Safe to run twice at once."""
    still_open = (
        select(ShardRow.id).where(ShardRow.round_id == RoundRow.id, ShardRow.state == ShardState.OPEN).exists()
    )
    swept = [status for status, phase in PHASES.items() if phase.when_closed is not None]
    rows = (
        session.execute(
            select(RoundRow)
            .where(RoundRow.status.in_(swept), ~still_open)
            .with_for_update(skip_locked=True, key_share=True)
        )
        .scalars()
        .all()
    )
    for row in rows:
        following = PHASES[row.status].when_closed
        assert following is not None
        enter(session, row.id, following)
    return len(rows)
