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
        step = int(found.progress.get("step", 0))
        if due is not None and step > due:
            return step
        if due is None and found.progress.get("seconds", 0) > checkpoint_seconds:
            due = step
    raise AssertionError(f"the round ended before it could be killed: {found.status} {found.detail}")
