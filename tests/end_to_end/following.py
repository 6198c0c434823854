"""Following rounds through the API: to their end, or to where a kill would hurt."""

from __future__ import annotations

from flywheel.client import Client
from flywheel.wire import RoundDetail


def follow(client: Client, round_id: int) -> RoundDetail:
    """The round as it ended."""
    *_, found = client.follow_round(round_id)
    return found


def steps_before_the_kill(client: Client, round_id: int, checkpoint_seconds: float) -> int:
    """Wait until training has a complete checkpoint behind it; the step it is at.

    A checkpoint is due after the first step that ends past `checkpoint_seconds`, and kept before the next begins.
    """
    due: int | None = None
    for found in client.follow_round(round_id):
        if found.progress is None:
            continue
        if due is not None and found.progress.step > due:
            return found.progress.step
        if due is None and found.progress.seconds > checkpoint_seconds:
            due = found.progress.step
    raise AssertionError(f"the round ended before it could be killed: {found.status} {found.detail}")
