"""Time limits and retries of requests to a server.

    RetryBudget(policy, pages).admission()         around every request: while the server is away, one at a time
    .record_failure(sent, ...) -> seconds          to wait before the next try; raises Transient when all is spent
    .record_answer()

A server that is down or full is not helped by every page knocking again. Failures of requests that were under
way together count as one; until the next answer, one request at a time finds out whether the server is back.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from flywheel.errors import Transient


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Seconds, but for `attempts`, `retries`, `retries_per_page` and `reply_bytes`."""

    connect: float = 10.0
    answer: float = 600.0  # from asking to the last byte: 8192 tokens take minutes on a busy server
    attempts: int = 2  # that one page gets whose replies are of no use
    retries: int = 8  # times that a call may try again,
    retries_per_page: float = 0.2  # and this many more a page
    outage: float = 120.0  # without any answer, after a first failure
    first_pause: float = 0.5  # the pause before asking again, doubled each time ...
    longest_pause: float = 30.0  # ... up to this
    reply_bytes: int = 8 << 20  # most bytes of a reply


class RetryBudget:
    """Retries that are left to one call, shared by its pages."""

    def __init__(self, policy: RetryPolicy, pages: int) -> None:
        self._policy = policy
        self._left = policy.retries + int(policy.retries_per_page * pages)
        self._failures = 0  # since the last answer
        self._outage = 0.0  # when the first of them was
        self._noted = 0.0  # when the last of them was
        self._quiet = 0.0  # no request before this time
        self._one = asyncio.Lock()

    @asynccontextmanager
    async def admission(self) -> AsyncIterator[None]:
        """Wait until a request may be sent."""
        while self._failures:
            async with self._one:
                if self._failures:
                    await asyncio.sleep(max(0.0, self._quiet - time.monotonic()))
                    yield
                    return
        yield

    def record_answer(self) -> None:
        self._failures = 0

    def record_failure(self, sent: float, cause: Exception, after: float | None = None) -> float:
        """Count the failure of what was sent at `sent` (monotonic seconds); returns the seconds to pause."""
        now = time.monotonic()
        if not self._failures:
            self._outage = now
        if not self._failures or sent > self._noted:
            self._left -= 1
            self._failures += 1
            self._noted = now
            pause = min(self._policy.longest_pause, self._policy.first_pause * 2 ** (self._failures - 1))
            # Jitter, so that many workers do not come back in the same instant.
            self._quiet = max(self._quiet, now + pause * random.uniform(0.5, 1.0))
        if after is not None:
            self._quiet = max(self._quiet, now + after)
        if self._left < 0 or self._quiet - self._outage > self._policy.outage:
            raise Transient(f"the endpoint does not answer: {cause}") from cause
        return max(0.0, self._quiet - now)
