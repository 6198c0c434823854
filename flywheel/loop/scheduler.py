"""The scheduler: starts a round for every language that needs one, at each full minute.

One unique row a (job, tick) decides which scheduler does the work, so that two of them,
or one killed across a tick, do no harm.
"""

from __future__ import annotations

import signal
import threading
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from flywheel.database import transaction
from flywheel.database.tables import TickRow
from flywheel.errors import Conflict, Transient
from flywheel.loop import rounds
from flywheel.settings import settings

log = structlog.get_logger()

PERIOD = timedelta(minutes=1)


def tick_at(moment: datetime) -> datetime:
    """The start of the period that `moment` is in."""
    return moment - timedelta(seconds=moment.timestamp() % PERIOD.total_seconds())


def claim_tick(session: Session, job: str, moment: datetime) -> bool:
    """True for the first caller in this job's tick, False for all others."""
    statement = insert(TickRow).values(job=job, tick=tick_at(moment)).on_conflict_do_nothing()
    return session.execute(statement.returning(TickRow.job)).first() is not None


def start_rounds(moment: datetime) -> list[int]:
    """Start a round for every language that needs one, in the tick's own transaction; returns their ids."""
    if not settings().rounds_automatic:
        return []
    with transaction() as session:
        if not claim_tick(session, "rounds", moment):
            return []
        started = []
        for language in rounds.languages_to_train(session, settings()):
            try:
                with session.begin_nested():
                    started.append(rounds.start(session, language=language))
            except Conflict as error:
                log.info("no round", language=language, why=str(error))
        return started


def main() -> None:
    """Tick until SIGTERM or SIGINT."""
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    while not ending.is_set():
        now = datetime.now(UTC)
        try:
            for round_id in start_rounds(now):
                log.info("round started", round=round_id)
        except Transient as error:
            log.warning("database unavailable", error=str(error))
        ending.wait((tick_at(now) + PERIOD - datetime.now(UTC)).total_seconds())


if __name__ == "__main__":
    main()
