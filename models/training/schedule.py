"""The learning rate over a run, by the share of it that is done: of its steps or of its time."""

from __future__ import annotations

import math

LOWEST_RATE = 0.002  # of the peak, at the end of the schedule


def schedule(share: float, warm_up: float) -> float:
    """The learning rate as a part of its peak: linear warm-up, then half a cosine."""
    if share < warm_up:
        return max(0.02, share / warm_up)
    done = (share - warm_up) / max(1e-9, 1 - warm_up)
    return LOWEST_RATE + (1 - LOWEST_RATE) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
