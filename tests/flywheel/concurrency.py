"""Two transactions across each other, without a pause of guessed length."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text
from sqlalchemy.orm import Session

from flywheel.database import transaction

Change = Callable[[Session], object]


def run_across(first: Change, second: Change) -> None:
    """Commit `first` only once `second`, begun after it, waits for it or is done."""
    with ThreadPoolExecutor(1) as pool:
        with transaction() as session:
            first(session)
            other = pool.submit(commit, second)
            while not other.done() and not somebody_waits():
                pass
        other.result(timeout=30)


def commit(change: Change) -> None:
    with transaction() as session:
        change(session)


def somebody_waits() -> bool:
    with transaction() as session:
        return bool(session.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one())
